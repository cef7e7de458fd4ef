"""Experiments at the size at which they went wrong elsewhere, on nodes as users run them."""

import time
from pathlib import Path

import pytest
import redis

from chaos.figures import at_least, at_most, check, keep, stated
from chaos.fleet import Fleet, Server, fleet_of, wait_for

KEYS = 1_200
REBUILT_S = 20.0
"""From a crash until the copies that it took are back: the time to be sure, 15 s of `rebuild-delay`, the copying."""
OVERWRITES = {"short": 9_000, "whole": 90_000}
VALUE_BYTES = 10_000
LIVE = 50
GROWTH_BYTES = 48 * 1024 * 1024
"""What a node may grow by: buffers and the allocator's reserve. The live data take half a megabyte."""


def written(server: Server, keys: int) -> list[bytes]:
    """Write keys that hold their own names; return them."""
    names = [b"key:%d" % number for number in range(keys)]
    with server.client() as client:
        pipe = client.pipeline(transaction=False)
        for name in names:
            pipe.set(name, name)
        assert pipe.execute() == [True] * keys
    return names


def lost(server: Server, names: list[bytes]) -> int:
    """Count the keys that do not hold their names."""
    return sum(value != name for name, value in server.values(names).items())


def seconds(count: float) -> None:
    """Let time pass: what is measured is what happens within it."""
    end = time.monotonic() + count
    wait_for(lambda: time.monotonic() >= end, "the end", count + 5.0)


@pytest.mark.chaos
@pytest.mark.timeout(300)
@pytest.mark.parametrize("quorum", ["any", "majority"])
def test_a_crash_twenty_seconds_after_another_loses_nothing(tmp_path: Path, quorum: str) -> None:
    """One of three is killed, twenty seconds later another one: what is left has all keys.

    By itself if any side may go on. One of two is no majority: otherwise it serves when an operator says that
    the others are gone.
    """
    with fleet_of(3, tmp_path, f"--quorum={quorum}") as fleet:
        names = written(fleet.servers[0], KEYS)
        fleet.servers[1].kill()
        seconds(REBUILT_S)
        fleet.servers[2].kill()
        started = time.monotonic()
        if quorum == "majority":
            with fleet.servers[0].client() as client:
                wait_for(lambda: taken_over(client), "the last node takes over")
        gone = lost(fleet.servers[0], names)
        took_s = time.monotonic() - started
        fleet.whole()
    figures = [
        stated("keys", KEYS),
        at_most("keys lost", 0, gone, promise=1),
        at_most("until the last node gave all of them", 5.0, took_s, " s"),
    ]
    keep(f"a second crash 20 s after the first, `quorum = {quorum}`", figures)
    check(figures)


def taken_over(client: redis.Redis) -> bool:
    """Tell a node to go on without the lost ones; give whether it does: it refuses while it hopes for them."""
    try:
        return bool(client.execute_command("CLUSTER FAILOVER", "TAKEOVER"))  # type: ignore[no-untyped-call] # redis-py
    except redis.ResponseError:
        return False


@pytest.mark.parametrize(
    "size",
    [
        pytest.param("short", marks=[pytest.mark.integration, pytest.mark.timeout(300)]),
        pytest.param("whole", marks=[pytest.mark.chaos, pytest.mark.timeout(900)]),
    ],
)
def test_memory_is_proportional_to_live_data(tmp_path: Path, size: str) -> None:
    """50 keys of 10 KB are overwritten again and again through three nodes: no process grows by more than buffers."""
    with fleet_of(3, tmp_path, "--environment=lan") as fleet:
        before = [resident_bytes(server) for server in fleet.servers]
        peak = 0
        for turn in range(OVERWRITES[size] // LIVE):
            overwrite(fleet, turn)
            if turn % 20 == 0:
                peak = max(peak, grown(fleet, before))
        peak = max(peak, grown(fleet, before))
        figures = [
            at_least("overwrites of 10 KB", OVERWRITES[size], OVERWRITES[size]),
            at_most("growth of a node, at most", GROWTH_BYTES / 2**20, peak / 2**20, " MiB"),
        ]
    if size == "whole":
        keep("memory under overwriting", figures)
    check(figures)


def overwrite(fleet: Fleet, turn: int) -> None:
    """Write all the keys once, through one of the nodes."""
    value = b"%d" % turn + b"x" * VALUE_BYTES
    with fleet.servers[turn % len(fleet.servers)].client() as client:
        pipe = client.pipeline(transaction=False)
        for number in range(LIVE):
            pipe.set(f"key:{number}", value)
        assert pipe.execute() == [True] * LIVE


def grown(fleet: Fleet, before: list[int]) -> int:
    """Tell by how many bytes the node grew that grew most."""
    return max(resident_bytes(server) - was for server, was in zip(fleet.servers, before, strict=True))


def resident_bytes(server: Server) -> int:
    """Give what a node has in memory."""
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024
