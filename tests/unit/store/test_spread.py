"""A dict that grows and goes bit by bit is a dict."""

from random import Random

import pytest

from respcache.store.spread import SHARDS, SPLIT, Spread


def read(spread: Spread[int], names: list[bytes]) -> list[int | None]:
    """Look names up."""
    return [spread.where(name).get(name) for name in names]


@pytest.mark.parametrize("seed", range(2))
def test_it_is_a_dict_before_and_after_it_is_split(seed: int) -> None:
    """Names come, change and go; a copy stays as it was."""
    dice = Random(seed)
    names = [b"%d" % number for number in range(2 * SPLIT)]
    spread: Spread[int] = Spread()
    model: dict[bytes, int] = {}
    for step in range(4 * SPLIT):
        name = dice.choice(names)
        if dice.random() < 0.8:
            spread.put(name, step)
            model[name] = step
        else:
            assert spread.where(name).pop(name, None) == model.pop(name, None)
    assert len(model) > SPLIT
    assert read(spread, names) == [model.get(name) for name in names]
    other: Spread[int] = Spread()
    other.take_from(spread)
    spread.put(names[0], -1)
    spread.where(names[1]).pop(names[1], None)
    assert read(other, names) == [model.get(name) for name in names]


def test_no_dict_has_much_more_than_its_share() -> None:
    """So none takes long to grow."""
    spread: Spread[int] = Spread()
    names = [b"%d" % number for number in range(16 * SPLIT)]
    for name in names:
        spread.put(name, 1)
    dicts = {id(found): found for found in map(spread.where, names)}
    assert len(dicts) == SHARDS
    assert max(map(len, dicts.values())) < 2 * 16 * SPLIT / SHARDS
    assert spread.dicts_bytes() > 16 * SPLIT * 30


@pytest.mark.parametrize("size", [10, SPLIT - 1, 3 * SPLIT])
def test_it_is_freed_bit_by_bit(size: int) -> None:
    """Each step frees what it is told to, the last one the rest."""
    spread: Spread[int] = Spread()
    for number in range(size):
        spread.put(b"%d" % number, number)
    freed = [spread.waste(1_000)]
    while freed[-1] == 1_000:
        freed.append(spread.waste(1_000))
    assert sum(freed) == size
