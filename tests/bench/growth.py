"""Sees how the cost of commands grows with the size of the value: `task bench:growth`.

Each command that works on a part of a value is made on values of 10 to 1,000,000 elements (strings: a hundred bytes
each), on redis-server and on one node; what counts is the server's CPU time per command. On the largest value
commands are also made one by one: the most that one of them took is the longest turn of the event loop.
With `--write` the figures go to docs/growth.json, and docs/growth.md with its pictures is made of them.

Needs what `servers` needs.
"""

import argparse
import datetime as dt
import os
import signal
import socket
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final

import hiredis

from bench import growth_page
from bench.growth_page import Curve, Growth
from bench.probes import PROBES, Probe, filling
from bench.servers import (
    CALL_TIMEOUT_S,
    CLIENT_CORE,
    HOST,
    REFERENCE,
    Target,
    build,
    check_machine,
    redis,
    redis_version,
    respcache,
)
from respcache.resp.encode import request
from respcache.store.partition import Argv

SIZES: Final = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
OURS: Final = "respcache"
REST_S: Final = 0.2
REST_SHARE: Final = 0.1
"""A server that works less than so much of the time has nothing to do."""
REST_MAX_S: Final = 60.0
BATCHES: Final = 9
"""Measurements of which the median counts."""
CALLS: Final = 128
"""Calls of one measurement, sent at once; fewer where each takes long."""
BATCH_MAX_S: Final = 0.1
ALONE: Final = 100
"""Calls that are made one by one, if they do not take longer in all than ..."""
ALONE_MAX_S: Final = 2.0
FILL_PIPELINE: Final = 200
SETTLED_S: Final = 0.0004
"""How long after its last reply a server has gone to sleep, so that the scheduler has counted what it did."""


@dataclass(slots=True)
class Client:
    """A connection to a server."""

    target: Target
    connection: socket.socket
    made: int = 0
    """Calls so far: each probe's calls have numbers of their own."""

    def run(self, calls: list[Argv]) -> None:
        """Make calls, and wait for all replies. Raises ReplyError for the first that is refused."""
        self.connection.sendall(b"".join([request(argv) for argv in calls]))
        reader = hiredis.Reader()
        missing = len(calls)
        while missing:
            received = self.connection.recv(1 << 20)
            if not received:
                raise ConnectionError(f"{self.target.name} closed the connection")
            reader.feed(received)
            while (reply := reader.gets()) is not False:
                if isinstance(reply, hiredis.ReplyError):
                    raise reply
                missing -= 1

    def cost_s(self, calls: list[Argv]) -> float:
        """Make calls, and give the CPU time that they took the server."""
        before_s = self.target.loop_s()
        self.run(calls)
        time.sleep(SETTLED_S)
        return self.target.loop_s() - before_s

    def fill(self, kind: str, size: int) -> None:
        """Make the value anew."""
        calls: list[Argv] = []
        for argv in filling(kind, size):
            calls.append(argv)
            if len(calls) == FILL_PIPELINE:
                self.run(calls)
                calls = []
        self.run(calls)
        self._rest()

    def _rest(self) -> None:
        """Wait until the server has nothing more to do: it frees in the background what was there before."""
        deadline = time.monotonic() + REST_MAX_S
        while time.monotonic() < deadline:
            before_s = self.target.loop_s()
            time.sleep(REST_S)
            if self.target.loop_s() - before_s < REST_S * REST_SHARE:
                return
        raise TimeoutError(f"{self.target.name} does not come to rest")


def main() -> None:
    """Measure, and print a line for each command."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # by way of the blocks that end the servers
    parser = argparse.ArgumentParser(prog="task bench:growth --", description=__doc__)
    parser.add_argument("commands", nargs="*", metavar="command", help="which to measure; all unless told otherwise")
    parser.add_argument("--size", type=int, action="append", choices=SIZES, help="only this size")
    parser.add_argument("--write", action="store_true", help="keep the figures, and draw them, in docs/")
    parser.add_argument("--draw", action="store_true", help="measure nothing, but write the page anew")
    options = parser.parse_args()
    if options.draw:
        growth_page.write(growth_page.kept())
        return
    probes = [each for each in PROBES if not options.commands or each.name.split()[0] in options.commands]
    if options.write and (options.size or len(probes) < len(PROBES)):
        parser.error("only a whole run is kept")
    check_machine()
    os.sched_setaffinity(0, {CLIENT_CORE})
    sizes = tuple(options.size or SIZES)
    began = time.monotonic()
    curves: list[Curve] = []
    with ExitStack() as stack:
        clients = [
            stack.enter_context(_client(stack.enter_context(server)))
            for server in (redis(), respcache(OURS, nodes=1, copies=1))
        ]
        for curve in _curves(clients, probes, sizes):
            curves.append(curve)
            sys.stdout.write(f"{_line(curve)}\n")
            sys.stdout.flush()
    sys.stdout.write(f"\n{time.monotonic() - began:.0f} s\n")
    if options.write:
        day = dt.datetime.now(tz=dt.UTC).date().isoformat()
        growth_page.write(Growth(day, build(), redis_version(), list(sizes), curves))


@contextmanager
def _client(target: Target) -> Iterator[Client]:
    """Connect to a server, for a while."""
    with socket.create_connection((HOST, target.port), timeout=CALL_TIMEOUT_S) as connection:
        yield Client(target, connection)


def _curves(clients: list[Client], probes: list[Probe], sizes: tuple[int, ...]) -> Iterator[Curve]:
    kinds = list(dict.fromkeys(probe.kind for probe in probes))
    for kind in kinds:
        mine = [probe for probe in probes if probe.kind == kind]
        costs_us: dict[tuple[str, str], list[float]] = {}
        longest_us: dict[tuple[str, str], float] = {}
        for size in sizes:
            for client in clients:
                client.fill(kind, size)
            for probe in mine:
                for client in clients:
                    place = client.target.name, probe.name
                    costs_us.setdefault(place, []).append(_cost_us(client, probe, size))
                    if size == sizes[-1]:
                        longest_us[place] = _longest_us(client, probe, size)
        for probe in mine:
            yield Curve(
                kind,
                probe.name,
                costs_us[REFERENCE, probe.name],
                costs_us[OURS, probe.name],
                longest_us[REFERENCE, probe.name],
                longest_us[OURS, probe.name],
            )


def _cost_us(client: Client, probe: Probe, size: int) -> float:
    """Give the CPU time of one call on a value of such a size, in microseconds; a median."""
    count, found = min(CALLS, max(1, size // 2)), list[float]()
    _batch_s(client, probe, size, 1)
    while len(found) < BATCHES:
        took_s = _batch_s(client, probe, size, count)
        if took_s > BATCH_MAX_S and count > 1 and not found:
            count = max(1, int(count * BATCH_MAX_S / took_s))
            continue
        found.append(took_s / count * 1e6)
    return round(statistics.median(found), 3)


def _longest_us(client: Client, probe: Probe, size: int) -> float:
    """Give the CPU time of the longest of many calls that are made one by one, in microseconds."""
    began, longest_s = time.monotonic(), 0.0
    for _ in range(ALONE):
        longest_s = max(longest_s, _batch_s(client, probe, size, 1))
        if time.monotonic() - began > ALONE_MAX_S:
            break
    return round(longest_s * 1e6, 1)


def _batch_s(client: Client, probe: Probe, size: int, count: int) -> float:
    numbers = range(client.made, client.made + count)
    client.made += count
    took_s = client.cost_s([probe.call(size, number) for number in numbers])
    if probe.undo is not None:
        client.run([probe.undo(size, number) for number in numbers])
    return took_s


def _line(curve: Curve) -> str:
    costs = " ".join(f"{one:8.1f}/{other:<8.1f}" for one, other in zip(curve.redis_us, curve.us, strict=True))
    mark = " <-- grows faster" if growth_page.grows_faster(curve) else ""
    return f"{curve.name:26} {costs} longest {curve.redis_longest_us:8.0f}/{curve.longest_us:<8.0f}{mark}"


if __name__ == "__main__":
    main()
