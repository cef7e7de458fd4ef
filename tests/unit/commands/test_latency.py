"""Which commands took long."""

from respcache.commands.registry import lookup
from respcache.reply import Verbatim
from unit.commands.front import Front


def slow(front: Front, *argv: bytes) -> None:
    """Let a command have been slow."""
    front.host.slowlog.record(
        list(argv), duration_us=20_000, at_unix_s=1_700_000_000, address="1.2.3.4:5", name=b"worker", keep=128
    )


def test_the_slow_log_gives_the_newest_first_in_redis_shape() -> None:
    """Number, time, duration, request, address and name; 10 unless told how many, -1 for all."""
    front = Front()
    client = front.client()
    for number in range(12):
        slow(front, b"GET", b"%d" % number)
    answer = front.ask(client, b"SLOWLOG", b"GET")
    assert isinstance(answer, list)
    assert answer[0] == [11, 1_700_000_000, 20_000, [b"GET", b"11"], b"1.2.3.4:5", b"worker"]
    assert len(answer) == 10
    for count, expected in ((b"-1", 12), (b"0", 0), (b"3", 3)):
        shown = front.ask(client, b"SLOWLOG", b"GET", count)
        assert isinstance(shown, list)
        assert len(shown) == expected


def test_a_reset_forgets_all_entries_but_no_numbers() -> None:
    """Numbers stay unique over the life of the node."""
    front = Front()
    client = front.client()
    slow(front, b"GET", b"a")
    assert front.ask(client, b"SLOWLOG", b"LEN") == 1
    front.ask(client, b"SLOWLOG", b"RESET")
    assert front.ask(client, b"SLOWLOG", b"LEN") == 0
    slow(front, b"GET", b"b")
    assert [entry.number for entry in front.host.slowlog.newest(None)] == [1]


def test_the_histogram_is_cumulative_over_non_empty_buckets() -> None:
    """Bucket i counts durations below 2**i microseconds; commands never called are left out."""
    front = Front()
    row = lookup(b"GET")
    assert row is not None
    front.host.stats.durations[row.index][0] = 2
    front.host.stats.durations[row.index][4] = 3
    expected = {b"get": {b"calls": 5, b"histogram_usec": {1: 2, 16: 5}}}
    client = front.client()
    assert front.ask(client, b"LATENCY", b"HISTOGRAM") == expected
    assert front.ask(client, b"LATENCY", b"HISTOGRAM", b"get", b"set", b"nothing") == expected
    assert front.ask(client, b"LATENCY", b"HISTOGRAM", b"set") == {}


def spiky() -> Front:
    """Make a node that was held up for 10, 20, 50 and 300 ms."""
    front = Front()
    front.host.latency.threshold_ms = 5
    for at_unix_s, duration_ms in ((995, 10), (996, 20), (998, 50), (999, 300)):
        front.host.latency.record("command", duration_ms * 1000, at_unix_s)
    front.host.store.ledger.now_unix_ms = 1_000_500
    return front


GRAPH = (
    "command - high 300 ms, low 10 ms (all time high 300 ms)\n"
    + "-" * 80
    + """
   #
   |
   |
__o|
    \n5421
ssss
"""
)
"""What Redis draws of the same."""


def test_spikes_are_listed_in_redis_shape() -> None:
    """The newest of each kind and the longest, all of one kind, and a picture of them."""
    front = spiky()
    client = front.client()
    assert front.ask(client, b"LATENCY", b"LATEST") == [[b"command", 999, 300, 300]]
    assert front.ask(client, b"LATENCY", b"HISTORY", b"command") == [[995, 10], [996, 20], [998, 50], [999, 300]]
    assert front.ask(client, b"LATENCY", b"HISTORY", b"nothing") == []
    drawn = front.ask(client, b"LATENCY", b"GRAPH", b"command")
    assert isinstance(drawn, Verbatim)
    assert drawn.text == GRAPH.encode()
    assert front.ask(client, b"LATENCY", b"RESET", b"nothing") == 0
    assert front.ask(client, b"LATENCY", b"RESET") == 1
    assert front.ask(client, b"LATENCY", b"LATEST") == []


def test_the_doctor_says_what_was_noted_and_what_to_do() -> None:
    """Or that nothing was, or that nothing is."""
    front = spiky()
    client = front.client()

    def says() -> bytes:
        report = front.ask(client, b"LATENCY", b"DOCTOR")
        assert isinstance(report, Verbatim)
        return report.text

    told = b"1. command: 4 latency spikes (average 95 ms, mean deviation 102 ms, period 1.33 s). Worst of all: 300 ms."
    assert told in says()
    assert b"SLOWLOG GET" in says()
    front.ask(client, b"LATENCY", b"RESET")
    assert b"Nothing has taken as long as 5 ms" in says()
    front.host.latency.threshold_ms = 0
    assert b"CONFIG SET latency-monitor-threshold" in says()
