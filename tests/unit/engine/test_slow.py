"""Which commands were slow."""

import pytest

from respcache.commands.registry import TABLE
from respcache.config import ServerConfig
from respcache.engine.slow import RELAYED, SlowCommands
from respcache.latency import Spike
from unit.commands.front import Front
from unit.neighbours import key_of
from unit.town import A, Town

TEXT = key_of("a", 1)


@pytest.mark.parametrize(
    ("slowlog_us", "threshold_ms", "bound_us"),
    [(-1, 0, -1), (0, 0, 0), (500, 0, 500), (-1, 2, 2000), (500, 2, 500), (5000, 2, 2000), (0, 2, 0)],
)
def test_the_lower_bound_counts(slowlog_us: int, threshold_ms: int, bound_us: int) -> None:
    """Of slow log and latency monitor, each of which may be off."""
    front = Front()
    slow = SlowCommands(front.host.stats)
    slow.configure(
        ServerConfig(slowlog_log_slower_than_us=slowlog_us, latency_monitor_threshold_ms=threshold_ms),
        front.host.latency,
        front.host.slowlog,
    )
    assert slow.bound_us == bound_us


@pytest.mark.parametrize(
    ("name", "kind", "each_us", "logged", "noted"),
    [
        (b"GET", "fast-command", 3000, 1, 1),
        (b"SET", "command", 1999, 1, 0),
        (b"SET", "command", 999, 0, 0),
        (b"EXEC", "command", 3000, 0, 1),
    ],
)
def test_each_goes_by_its_own_bound(name: bytes, kind: str, each_us: int, logged: int, noted: int) -> None:
    """Commands that COMMAND INFO calls fast are told apart; what is never in the slow log may well be a spike."""
    front = Front()
    slow = SlowCommands(front.host.stats)
    slow.configure(
        ServerConfig(slowlog_log_slower_than_us=1000, latency_monitor_threshold_ms=2),
        front.host.latency,
        front.host.slowlog,
    )
    slow.note(front.client(), TABLE[name], [name, b"k"], 3, each_us, 7)
    assert len(front.host.slowlog) == logged
    histories = front.host.latency.histories()
    assert ({event: list(history.spikes) for event, history in histories.items()}) == (
        {kind: [Spike(7, each_us // 1000)]} if noted else {}
    )


@pytest.mark.parametrize(
    ("words", "logged"),
    [
        ((b"SET", A, b"1"), [b"SET", A, b"1"]),
        ((b"LPUSH", A, b"1"), [b"LPUSH", A, b"1"]),
        ((b"LPUSH", TEXT, b"1"), [b"LPUSH", TEXT, b"1"]),
        ((b"MSET", A, b"1", TEXT, b"2"), [b"MSET", A, b"1", TEXT, b"2"]),
    ],
)
def test_what_a_node_runs_for_another_one_is_in_its_own_slow_log(words: tuple[bytes, ...], logged: list[bytes]) -> None:
    """Commands on one key and on several, and those that fail; with `relayed` for the client."""
    town = Town()
    owner, host = town.nodes["a"], town.client("a").host
    town.ask(town.client("a"), b"SET", TEXT, b"x")
    owner.executor.slow.configure(ServerConfig(slowlog_log_slower_than_us=0), host.latency, host.slowlog)
    town.ask(town.client("b"), *words, node="b")
    assert [(entry.argv, entry.address) for entry in host.slowlog.newest(None)] == [(logged, RELAYED)]
    owner.executor.slow.configure(ServerConfig(slowlog_log_slower_than_us=10**9), host.latency, host.slowlog)
    town.ask(town.client("b"), *words, node="b")
    assert len(host.slowlog) == 1
