"""Where many keys have deadlines, those that are over are found without a look at the others."""

from collections.abc import Iterator, Mapping
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from respcache.store.field_expiry import SWEPT_OUT
from respcache.store.key_expiry import (
    EXAMINED_MAX,
    FAR_BITS,
    LARGE,
    NEAR_BITS,
    SORTED_AT_ONCE,
    Agenda,
    is_behind,
)
from respcache.store.keyspace import Store
from respcache.store.partition import NEVER_UNIX_MS, Partition
from unit.store.test_partition import KEYS, Model

HOUR_MS = 3_600_000
NOW = 1_700_000_000_000 >> FAR_BITS << FAR_BITS


class Scheduled(Model):
    """The same partition with an agenda."""

    def __init__(self) -> None:
        super().__init__()
        self.partition.agenda = Agenda()

    @rule(milliseconds=st.integers(0, 1 << (FAR_BITS + 1)))
    def much_time_passes(self, milliseconds: int) -> None:
        """Far times come."""
        self.time_passes(milliseconds)

    @rule(key=KEYS, milliseconds=st.integers(1, 1 << (FAR_BITS + 1)))
    def expire_later(self, key: bytes, milliseconds: int) -> None:
        """A key gets a deadline that is far away."""
        self.expire(key, milliseconds)

    @rule()
    def sweep(self) -> None:
        """What is over is deleted in the background, sooner or later."""
        while self.partition.sweep() or is_behind(self.partition, self.now):
            pass
        assert len(self.partition.values) == sum(self._live(key) is not None for key in self.model)

    @invariant()
    def the_agenda_is_about_the_keys_that_have_deadlines(self) -> None:
        """Each stands in it once."""
        assert self.partition.agenda is not None
        assert sorted(noted(self.partition.agenda)) == sorted(self.partition.expires)


TestScheduled = Scheduled.TestCase
TestScheduled.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def noted(agenda: Agenda) -> list[bytes]:
    """List all keys of an agenda."""
    return [key for table in (agenda._near, agenda._far) for keys in table.values() for key in keys]


def partition_of(deadlines: Mapping[bytes, int], now_unix_ms: int = NOW) -> Partition:
    """Return a partition with keys."""
    partition = Store().keyspace(0).partitions[0]
    partition.ledger.now_unix_ms = now_unix_ms
    for key, deadline in deadlines.items():
        partition.put(key, b"v")
        partition.expire_at(key, deadline)
    return partition


def spread(count: int, over_ms: int, seed: int = 7) -> dict[bytes, int]:
    """Return deadlines that lie anywhere within some time."""
    dice = Random(seed)
    return {b"%d" % number: NOW + 1 + dice.randrange(over_ms) for number in range(count)}


class Counting(dict[bytes, int]):
    """Counts how often it is asked."""

    asked = 0

    def __getitem__(self, key: bytes) -> int:
        self.asked += 1
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[bytes]:
        raise AssertionError("all of it is gone through")


def agenda_of(partition: Partition) -> list[bytes] | None:
    """List what the agenda of a partition is about, if it has one."""
    return None if partition.agenda is None else sorted(noted(partition.agenda))


def test_many_deadlines_make_an_agenda() -> None:
    """From one more than LARGE on, of keys that were there before, too; with the keys it goes."""
    partition = partition_of(spread(LARGE, HOUR_MS))
    assert agenda_of(partition) is None
    partition.put(b"more", b"v")
    partition.expire_at(b"more", NOW + 1)
    assert agenda_of(partition) == sorted(partition.expires)
    partition.clear()
    assert agenda_of(partition) is None


def test_keys_that_are_over_are_found_without_a_look_at_the_others() -> None:
    """However many there are: a look costs what is found, and what there is to sort."""
    deadlines = spread(8_000, HOUR_MS)
    agenda, lookups = Agenda(deadlines.items()), Counting(deadlines)
    now, taken, looks = NOW, 0, 0
    while taken < len(deadlines):
        asked = lookups.asked
        keys = agenda.take(now, lookups)
        assert all(deadlines[key] <= now for key in keys)
        assert lookups.asked - asked <= SORTED_AT_ONCE + EXAMINED_MAX
        taken, looks = taken + len(keys), looks + 1
        if not agenda.is_behind(now):
            now += 8_000
    assert lookups.asked <= 4 * len(deadlines)
    assert now <= NOW + HOUR_MS + 2 * 8_000
    assert noted(agenda) == []


@pytest.mark.parametrize("over_ms", [1, 100, 100_000, 24 * HOUR_MS])
def test_a_million_at_once_go_a_few_at_a_time(over_ms: int) -> None:
    """Or as many as a test has time for: no sweep deletes more than it may, and the last ends it."""
    partition = partition_of(spread(LARGE + 2_000, over_ms))
    partition.ledger.now_unix_ms = NOW + over_ms + (1 << NEAR_BITS)
    swept = 1
    while swept or is_behind(partition, partition.ledger.now_unix_ms):
        swept = partition.sweep()
        assert swept <= SWEPT_OUT
    assert (partition.values, partition.expires, partition.due_unix_ms) == ({}, {}, NEVER_UNIX_MS)
    assert partition.ledger.expired_active == LARGE + 2_000


def test_a_sweep_ends_where_keys_are_due_together_and_some_are_not_over() -> None:
    """They go when all of them are over, an eighth of a second later, and nobody looks at them again and again."""
    deadlines = {b"%d" % number: NOW + (number & 63) for number in range(EXAMINED_MAX + 1)}
    partition = partition_of({})
    partition.agenda = Agenda()
    partition.put(b"first", b"v")
    partition.expire_at(b"first", NOW)
    assert partition.sweep() == 1
    for key, deadline in deadlines.items():
        partition.put(key, b"v")
        partition.expire_at(key, max(deadline, NOW + 1))
    partition.ledger.now_unix_ms = NOW + 32
    partition.sweep()
    while is_behind(partition, NOW + 32):
        partition.sweep()
    assert len(partition.values) == len(deadlines)
    assert partition.value(b"1") is None
    partition.ledger.now_unix_ms = NOW + (1 << NEAR_BITS)
    while partition.sweep():
        pass
    assert partition.values == {}
