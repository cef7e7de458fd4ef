"""How recently, or how often, keys are used."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.store.ledger import Ledger
from respcache.store.partition import Partition
from respcache.store.usage import COUNT_MAX, MS_PER_MINUTE, NEW_COUNT, SHARED_MAX, TICK_MS, Tracking, Usage

NOW_UNIX_MS = 1_700_000_000_000


def kept(tracking: Tracking, seed: int = 1) -> tuple[Usage, Partition]:
    """Make marks of a kind, and somewhere to keep them."""
    ledger = Ledger(Random(seed))
    ledger.usage.follow(tracking, NOW_UNIX_MS)
    return ledger.usage, Partition(0, 0, ledger)


def test_nothing_is_kept_unless_asked_for() -> None:
    """No mark, no idle time."""
    usage, partition = kept(Tracking.NOTHING)
    usage.mark(partition, b"k", new=True)
    assert (partition.marks, usage.idle_ms(partition, b"k", NOW_UNIX_MS + 5000)) == ({}, 0)


def test_a_key_is_idle_since_it_was_used_last() -> None:
    """One that was not used since marks are kept is idle since then; the clock may go back."""
    usage, partition = kept(Tracking.RECENCY)
    usage.tick(NOW_UNIX_MS + 3000)
    usage.mark(partition, b"k", new=False)
    assert usage.idle_ms(partition, b"k", NOW_UNIX_MS + 5000) == 2000
    assert usage.idle_ms(partition, b"other", NOW_UNIX_MS + 5000) == 5000
    assert usage.idle_ms(partition, b"k", NOW_UNIX_MS) == 0


def test_keys_used_at_the_same_time_share_a_mark() -> None:
    """So a mark takes no memory of its own."""
    for tracking in (Tracking.RECENCY, Tracking.FREQUENCY):
        usage, partition = kept(tracking)
        usage.mark(partition, b"a", new=True)
        usage.tick(NOW_UNIX_MS + TICK_MS // 2)
        usage.mark(partition, b"b", new=True)
        assert partition.marks[b"a"] == partition.marks[b"b"]


def test_the_first_use_counts_for_certain() -> None:
    """A new key begins at 5, as in Redis, and is at 6 when it was used once."""
    usage, partition = kept(Tracking.FREQUENCY)
    usage.mark(partition, b"k", new=True)
    assert usage.frequency(partition, b"k") == NEW_COUNT
    usage.mark(partition, b"k", new=False)
    assert usage.frequency(partition, b"k") == NEW_COUNT + 1


def test_a_thousand_uses_come_to_what_redis_says() -> None:
    """With a factor of 10 its documentation gives 10, 18 and 142 for 100, 1,000 and 100,000 uses; ours are near."""
    usage, partition = kept(Tracking.FREQUENCY)
    counts = []
    for uses in range(1, 100_001):
        usage.mark(partition, b"k", new=False)
        if uses in {100, 1_000, 100_000}:
            counts.append(usage.frequency(partition, b"k"))
    assert 8 <= counts[0] <= 12
    assert 15 <= counts[1] <= 21
    assert 125 <= counts[2] <= 160


@given(st.integers(0, 1000), st.integers(0, 100), st.integers(0, 300))
def test_a_count_goes_down_by_one_each_so_many_minutes(uses: int, decay_minutes: int, minutes: int) -> None:
    """And not below 0; never, if that is set to 0."""
    usage, partition = kept(Tracking.FREQUENCY)
    usage.decay_minutes = decay_minutes
    for _ in range(uses):
        usage.mark(partition, b"k", new=False)
    before = usage.frequency(partition, b"k")
    usage.tick(NOW_UNIX_MS + minutes * MS_PER_MINUTE)
    lost = minutes // decay_minutes if decay_minutes else 0
    expected = before if not uses else max(0, before - lost)
    assert usage.frequency(partition, b"k") == expected


@given(idle_ms=st.integers(0, 10 * 365 * 24 * 60 * MS_PER_MINUTE), known=st.booleans())
def test_a_copy_knows_for_how_long_a_key_was_idle(idle_ms: int, *, known: bool) -> None:
    """A mark means the same at the other end; a key without one is idle since marks are kept here, not there."""
    (usage, partition), (there, copy) = kept(Tracking.RECENCY), kept(Tracking.RECENCY)
    usage.follow(Tracking.NOTHING, 0)
    usage.follow(Tracking.RECENCY, NOW_UNIX_MS - idle_ms)
    if known:
        usage.restore(partition, b"k", idle_ms=idle_ms, count=-1, now_unix_ms=NOW_UNIX_MS)
    written = usage.write(partition, b"k")
    assert written is not None
    there.read(copy, b"k", written, NOW_UNIX_MS)
    assert there.idle_ms(copy, b"k", NOW_UNIX_MS) == usage.idle_ms(partition, b"k", NOW_UNIX_MS)
    assert there.write(copy, b"k") == written


@given(count=st.integers(0, COUNT_MAX), minutes=st.integers(0, 300))
def test_a_copy_knows_how_often_a_key_is_used(count: int, minutes: int) -> None:
    """The count goes on to go down as it would have where it comes from."""
    (usage, partition), (there, copy) = kept(Tracking.FREQUENCY), kept(Tracking.FREQUENCY)
    usage.restore(partition, b"k", idle_ms=-1, count=count, now_unix_ms=NOW_UNIX_MS)
    later_unix_ms = NOW_UNIX_MS + minutes * MS_PER_MINUTE
    for clock in (usage, there):
        clock.tick(later_unix_ms)
    there.read(copy, b"k", usage.write(partition, b"k") or b"", later_unix_ms)
    assert there.frequency(copy, b"k") == usage.frequency(partition, b"k") == max(0, count - minutes)


def test_there_is_nothing_to_tell_of_keys_that_nobody_counts() -> None:
    """No marks are kept, or the key is as new as it would be elsewhere."""
    for tracking in (Tracking.NOTHING, Tracking.FREQUENCY):
        usage, partition = kept(tracking)
        assert usage.write(partition, b"k") is None


@pytest.mark.parametrize("tracking", Tracking)
@given(written=st.binary(max_size=12) | st.builds(bytes.__add__, st.sampled_from([b"R", b"F"]), st.binary(max_size=9)))
def test_a_mark_from_anywhere_is_taken_or_left(tracking: Tracking, written: bytes) -> None:
    """No bytes raise anything; a key is idle for a time that has been, and its count is one."""
    usage, partition = kept(tracking)
    usage.read(partition, b"k", written, NOW_UNIX_MS)
    assert usage.idle_ms(partition, b"k", NOW_UNIX_MS) >= 0
    assert 0 <= usage.frequency(partition, b"k") <= COUNT_MAX
    taken = usage.write(partition, b"k") if partition.marks else None
    if taken is not None:
        assert (len(written), written[:1]) == (len(taken), taken[:1])
        assert taken <= written
        usage.tick(NOW_UNIX_MS + MS_PER_MINUTE)
        usage.mark(partition, b"k", new=False)


def test_marks_that_came_from_elsewhere_are_shared() -> None:
    """As those made here are; how many are remembered for that is bounded."""
    usage, partition = kept(Tracking.RECENCY)
    for number in range(3 * SHARED_MAX):
        for key in (b"a", b"b"):
            usage.read(partition, key, b"R" + (10_000 + number).to_bytes(8, "big"), NOW_UNIX_MS)
        assert partition.marks[b"a"] is partition.marks[b"b"]
    assert len(usage._shared) <= SHARED_MAX


def test_a_count_ends_at_255() -> None:
    """With the steepest factor that is soon."""
    usage, partition = kept(Tracking.FREQUENCY)
    usage.log_factor = 0
    for _ in range(300):
        usage.mark(partition, b"k", new=False)
    assert usage.frequency(partition, b"k") == COUNT_MAX
