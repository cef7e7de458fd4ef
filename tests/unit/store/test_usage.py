"""How recently, or how often, keys are used."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from respcache.store.ledger import Ledger
from respcache.store.partition import Partition
from respcache.store.usage import COUNT_MAX, MS_PER_MINUTE, NEW_COUNT, TICK_MS, Tracking, Usage

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


def test_a_count_ends_at_255() -> None:
    """With the steepest factor that is soon."""
    usage, partition = kept(Tracking.FREQUENCY)
    usage.log_factor = 0
    for _ in range(300):
        usage.mark(partition, b"k", new=False)
    assert usage.frequency(partition, b"k") == COUNT_MAX
