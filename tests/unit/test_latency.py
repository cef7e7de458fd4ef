"""What held the node up."""

from hypothesis import given
from hypothesis import strategies as st

from respcache.latency import HISTORY_MAX, LatencyMonitor, Spike

TIMES = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 50_000)), max_size=400)


def test_nothing_is_noted_without_a_threshold() -> None:
    """Nor what takes less than it."""
    latency = LatencyMonitor()
    latency.record("command", 10**9, 1)
    latency.threshold_ms = 5
    latency.record("command", 4999, 1)
    assert (latency.histories(), latency.threshold_us) == ({}, 5000)


@given(times=TIMES)
def test_each_second_has_its_longest_time_and_there_are_so_many_seconds(times: list[tuple[int, int]]) -> None:
    """Of the last seconds with any; the longest of all time stays."""
    latency = LatencyMonitor()
    latency.threshold_ms = 10
    expected: dict[int, int] = {}
    for at_unix_s, duration_us in sorted(times):
        latency.record("command", duration_us, at_unix_s)
        if duration_us >= 10_000:
            expected[at_unix_s] = max(expected.get(at_unix_s, 0), duration_us // 1000)
    history = latency.histories().get("command")
    assert (history is None) == (not expected)
    if history is not None:
        assert list(history.spikes) == [Spike(*pair) for pair in expected.items()][-HISTORY_MAX:]
        assert history.longest_ms == max(expected.values())


def test_kinds_of_work_are_forgotten_by_name_or_all() -> None:
    """It is told of how many there was any."""
    latency = LatencyMonitor()
    latency.threshold_ms = 1
    for event in ("command", "fast-command", "expire-cycle"):
        latency.record(event, 1000, 1)
    assert latency.forget(["command", "command", "nothing"]) == 1
    assert latency.forget() == 2
    assert latency.forget() == 0
