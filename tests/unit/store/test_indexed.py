"""Tables that keep their keys by place, against plain ones."""

from zlib import crc32

from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.store.indexed import MANY, PART_SHIFT, PARTS, Indexed, following, indexed
from respcache.store.keyspace import Store
from respcache.store.scale import Scale
from respcache.store.values import Value

KEYS = st.integers(0, 40).map(lambda number: b"%d" % number)
STEPS = st.lists(st.tuples(st.sampled_from(("set", "del", "pop", "advance")), KEYS), max_size=60)


@given(before=st.dictionaries(KEYS, st.just(b"v"), max_size=20), steps=STEPS)
def test_it_is_a_dict_whose_keys_are_all_in_their_parts(
    before: dict[bytes, Value], steps: list[tuple[str, bytes]]
) -> None:
    """Whatever comes and goes, and while those that were there before are still being filed."""
    plain, table = dict(before), Indexed(before)
    for what, key in steps:
        match what:
            case "set":
                plain[key] = table[key] = key
            case "del" if key in plain:
                del plain[key]
                del table[key]
            case "pop":
                assert table.pop(key, None) == plain.pop(key, None)
            case _:
                table.advance(3)
    assert table == plain
    table.advance(100)
    assert table.ready
    assert {key for part in table.parts for key in part} == plain.keys()
    assert all(crc32(key) >> PART_SHIFT == number for number, part in enumerate(table.parts) for key in part)


@settings(max_examples=30)
@given(keys=st.sets(st.binary(max_size=6), max_size=30), at=st.integers(0, 2**32 - 1), by_place=st.booleans())
def test_all_keys_from_a_place_on_are_listed_once(keys: set[bytes], at: int, by_place: bool) -> None:  # noqa: FBT001 # drawn
    """By a table that keeps them by place, and by any other."""
    values: dict[bytes, Value] = dict.fromkeys(keys, b"v")
    if by_place:
        values = table = Indexed(values)
        table.advance(len(keys))
    begun, listed = at, list[bytes]()
    for _ in range(PARTS + 1):
        some, next_ = following(values, at)
        listed += some
        if not next_:
            break
        assert next_ > at
        assert all(at <= crc32(key) < next_ for key in some)
        at = next_
    assert len(listed) == len(set(listed))
    assert set(listed) == {key for key in keys if crc32(key) >= begun}


def test_a_partition_with_very_many_keys_keeps_them_by_place_soon() -> None:
    """And one with fewer never does; emptied, it is as any other, and all is freed bit by bit."""
    store = Store()
    partition, other = store.keyspace(0).at(b"{t}"), store.keyspace(0).at(b"{u}")
    scale = Scale(store)
    for number in range(MANY + 1):
        partition.put(b"{t}%d" % number, b"v")
    for number in range(1000):
        other.put(b"{u}%d" % number, b"v")
    for _ in range(30):
        scale.count()
    assert indexed(partition.values) is not None
    assert indexed(other.values) is None
    assert type(other.values) is dict
    partition.clear()
    assert type(partition.values) is dict
    rubbish = store.ledger.rubbish
    steps = 0
    while rubbish:
        rubbish.free(500)
        steps += 1
    assert steps >= 2 * MANY // 1000, "keys, and the parts that they were in"
