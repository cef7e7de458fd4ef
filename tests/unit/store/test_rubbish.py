"""What is gone is freed bit by bit, and nothing that is still somewhere."""

from collections.abc import Callable

import pytest

from respcache.commands import families  # noqa: F401 # it fills the table
from respcache.commands.registry import TABLE
from respcache.store import lists, sets, sorted_sets
from respcache.store.hashes import Hash
from respcache.store.keyspace import Keyspace, Store
from respcache.store.partition import Partition
from respcache.store.rubbish import HUGE, PAGE_BITS, Rubbish
from respcache.store.stream_groups import Group
from respcache.store.streams import Stream
from respcache.store.texts import Text
from respcache.store.values import Value

COUNT = 5 * HUGE
WORDS = [b"%d" % number for number in range(COUNT)]


def a_hash() -> Hash:
    """Make a huge one."""
    made = Hash()
    for word in WORDS:
        made.set(word, word)
    return made


def a_stream() -> Stream:
    """Make a huge one, all of whose entries were delivered."""
    made, group = Stream(), Group(0, 0)
    for number, word in enumerate(WORDS):
        made.append(number + 1, [b"field", word])
        group.give(number + 1, group.consumer(b"c", 1), 1, 1)
    made.groups[b"g"] = group
    made.groups[b"empty"] = Group(0, 0)
    return made


def expire(partition: Partition) -> None:
    """Let the key expire."""
    partition.expire_at(b"k", 5)
    partition.ledger.now_unix_ms = 6
    assert partition.sweep() == 1


HUGE_VALUES: dict[str, Callable[[], Value]] = {
    "text": lambda: Text(bytearray(COUNT << PAGE_BITS)),
    "list": lambda: lists.of(WORDS),
    "set": lambda: sets.of(WORDS),
    "hash": a_hash,
    "zset": lambda: sorted_sets.of((float(word), word) for word in WORDS),
    "stream": a_stream,
}
ENDS: dict[str, Callable[[Partition], object]] = {
    "remove": lambda partition: partition.remove(b"k"),
    "delete": lambda partition: partition.delete(b"k"),
    "evict": lambda partition: partition.evict(b"k"),
    "put": lambda partition: partition.put(b"k", b"small"),
    "keep": lambda partition: partition.keep(b"k", lists.of([b"small"])),
    "restore": lambda partition: partition.restore(b"k", b"small", None),
    "forget": lambda partition: partition.restore(b"k", None, None),
    "expire": expire,
    "clear": lambda partition: partition.clear(),
}


def space_with(value: Value) -> tuple[Keyspace, Partition]:
    """Put a value under a key."""
    space = Store().keyspace(0)
    partition = space.at(b"k")
    partition.put(b"k", value)
    return space, partition


@pytest.mark.parametrize("kind", HUGE_VALUES)
def test_a_huge_value_is_freed_in_steps(kind: str) -> None:
    """Each frees about as many elements as it is told to, until nothing is left."""
    rubbish = Rubbish()
    rubbish.add(HUGE_VALUES[kind]())
    steps = 0
    while rubbish:
        rubbish.free(HUGE)
        steps += 1
    assert steps >= COUNT // HUGE


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("kind", HUGE_VALUES)
def test_however_a_huge_value_ends_it_is_freed_in_steps(kind: str, end: str) -> None:
    """Deleted, evicted, overwritten, expired, dropped with its partition."""
    space, partition = space_with(HUGE_VALUES[kind]())
    ENDS[end](partition)
    rubbish = space.ledger.rubbish
    assert rubbish
    while rubbish:
        rubbish.free(HUGE)


def test_a_value_that_has_grown_huge_in_place_is_freed_in_steps() -> None:
    """Its partition hears of it by `touched`."""
    value = lists.of([b"one"])
    space, partition = space_with(value)
    value.extend(WORDS)
    partition.touched(b"k", value)
    partition.remove(b"k")
    assert len(space.ledger.rubbish) == COUNT + 1


@pytest.mark.parametrize(
    "argv",
    [
        [b"RPUSH", b"k"],
        [b"LPUSH", b"k"],
        [b"SADD", b"k"],
        [b"HSET", b"k", b"value"],
        [b"HSETNX", b"k", b"value"],
        [b"HINCRBY", b"k", b"5"],
        [b"ZADD", b"k", b"1"],
        [b"ZADD", b"k", b"CH", b"1"],
        [b"ZINCRBY", b"k", b"1"],
        [b"XADD", b"k", b"*", b"field"],
    ],
    ids=lambda argv: b" ".join(argv).decode(),
)
def test_a_value_that_commands_have_made_huge_one_element_at_a_time_is_freed_in_steps(argv: list[bytes]) -> None:
    """However it came to have so many elements."""
    partition = Store().keyspace(0).at(b"k")
    partition.ledger.now_unix_ms = 1
    row = TABLE[argv[0]]
    for word in WORDS[: HUGE + 1]:
        row.on_key(partition, [*argv[:2], word, *argv[2:]] if argv[0].startswith(b"H") else [*argv, word])
    partition.remove(b"k")
    assert len(partition.ledger.rubbish) == HUGE + 1


def test_small_values_are_not_kept() -> None:
    """They are gone when they are gone."""
    space, partition = space_with(lists.of(WORDS))
    partition.put(b"other", lists.of([b"small"]))
    partition.remove(b"other")
    partition.put(b"third", b"small")
    partition.remove(b"third")
    assert not space.ledger.rubbish


def test_a_value_that_goes_on_elsewhere_is_no_rubbish() -> None:
    """Under another name, or put again where it was."""
    value = lists.of(WORDS)
    space, partition = space_with(value)
    partition.put(b"k", value)
    partition.keep(b"k", value)
    partition.restore(b"k", value, None)
    partition.detach(b"k")
    partition.put(b"k2", value)
    assert not space.ledger.rubbish
    assert len(value) == COUNT


def test_huge_values_in_a_dropped_partition_are_freed_in_steps() -> None:
    """Each by itself, among keys with small ones and long strings."""
    space, partition = space_with(lists.of(WORDS))
    for number in range(10):
        partition.put(b"%d" % number, sets.of(WORDS[: HUGE // 2]) if number % 2 else b"s" * 1_000_000)
    partition.clear()
    rubbish, steps = space.ledger.rubbish, 0
    while rubbish:
        rubbish.free(HUGE)
        steps += 1
    assert steps >= (COUNT + 5 * HUGE // 2) // HUGE
