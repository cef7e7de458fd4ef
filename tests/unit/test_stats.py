"""Counters of one node."""

from respcache.stats import DURATION_BUCKETS, Stats


def test_every_command_has_its_own_counters() -> None:
    """Lists are not shared between commands, or nodes."""
    one, other = Stats(3), Stats(3)
    one.durations[0][5] += 1
    one.calls[1] += 1
    assert one.durations[1] == other.durations[0] == [0] * DURATION_BUCKETS
    assert (one.calls, other.calls) == ([0, 1, 0], [0, 0, 0])


def test_errors_are_counted_by_prefix() -> None:
    """A prefix appears with its first error."""
    stats = Stats(0)
    for code in ("ERR", "MOVED", "ERR"):
        stats.count_error(code)
    assert stats.errors == {"ERR": 2, "MOVED": 1}
