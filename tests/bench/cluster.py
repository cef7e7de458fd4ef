"""Tells what being a cluster costs: `task bench:cluster`.

Three nodes with two copies of each key, against one node and redis-server, each asked for GET and
SET at depth 1 and 16: by plain clients that are all connected to one node, which relays two thirds
of what it gets, and by clients that know the cluster protocol and go to the owner of each key.
Servers share one core and the load has another, as in `compare`; the CPU time is that of all
nodes together, gossip, copies and acknowledgements included.

Needs Linux, two cores, and redis-server, redis-benchmark and taskset on PATH.
"""

import csv
import io
import signal
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from bench.compare import CONNECTIONS, KEYS, ONE, THREE, Figures
from bench.servers import (
    CALL_TIMEOUT_S,
    CLIENT_CORE,
    HOST,
    VALUE_BYTES,
    Target,
    build,
    check_machine,
    fill,
    redis,
    redis_version,
    respcache,
)

ROUNDS: Final = 3
TIME_LIMIT_S: Final = 60.0
"""No new round begins after so long."""
REQUESTS: Final = {1: 6_000, 16: 24_000}
"""Requests of one measurement by pipeline depth: some seconds of a cluster that shares one core."""
COMMANDS: Final = ("GET", "SET")


@dataclass(frozen=True, slots=True)
class Way:
    """Clients of one kind on one target."""

    name: str
    target: Target
    aware: bool = False
    """Whether the clients know the cluster protocol."""


Case = tuple[str, int]
"""A command and a pipeline depth."""


def main() -> None:
    """Measure in turns, and print a table for each case."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # by way of the blocks that end the servers
    check_machine("redis-benchmark")
    sys.stdout.write(f"respcache ({build()}) against redis-server {redis_version()}; {VALUE_BYTES}-byte values\n")
    began = time.monotonic()
    cases = [(command, depth) for depth in REQUESTS for command in COMMANDS]
    measured: dict[tuple[str, Case], list[Figures]] = {}
    with ExitStack() as stack:
        reference = stack.enter_context(redis())
        single = stack.enter_context(respcache(ONE, nodes=1, copies=1))
        cluster = stack.enter_context(respcache(THREE, nodes=3, copies=2))
        ways = [
            Way(reference.name, reference),
            Way("one node, plain clients", single),
            Way("three nodes, plain clients on one", cluster),
            Way("three nodes, cluster-aware clients", cluster, aware=True),
        ]
        for target in (reference, single, cluster):
            fill(target, KEYS)
        for number in range(ROUNDS):
            if number and time.monotonic() - began > TIME_LIMIT_S:
                break
            for case in cases:
                for way in ways:
                    measured.setdefault((way.name, case), []).append(load(way, *case))
    for case in cases:
        _print(case, [way.name for way in ways], measured)


def load(way: Way, command: str, depth: int) -> Figures:
    """Have redis-benchmark send one command, and see what that took."""
    requests = REQUESTS[depth]
    before_s = way.target.cpu_s()
    done = subprocess.run(
        [
            *("taskset", "-c", str(CLIENT_CORE), "redis-benchmark", "-h", HOST, "-p", str(way.target.port), "--csv"),
            *("-t", command.lower(), "-n", str(requests), "-P", str(depth), "-c", str(CONNECTIONS)),
            *("-d", str(VALUE_BYTES), "-r", str(KEYS), *(["--cluster"] if way.aware else [])),
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=CALL_TIMEOUT_S,
    )
    cpu_s = way.target.cpu_s() - before_s
    row = next(row for row in csv.reader(io.StringIO(done.stdout)) if row and row[0] == command)
    return Figures(cpu_us=cpu_s / requests * 1e6, per_s=float(row[1]))


def _print(case: Case, names: list[str], measured: dict[tuple[str, Case], list[Figures]]) -> None:
    command, depth = case
    sys.stdout.write(f"\n{command}, pipeline depth {depth}: medians, and CPU against one node's\n")
    cpu_us = {name: statistics.median(each.cpu_us for each in measured[name, case]) for name in names}
    for name in names:
        per_s = statistics.median(each.per_s for each in measured[name, case])
        against = cpu_us[name] / cpu_us[names[1]]
        sys.stdout.write(f"  {name:36} {per_s:10,.0f} /s {cpu_us[name]:8.2f} us CPU {against:6.2f} x\n")


if __name__ == "__main__":
    main()
