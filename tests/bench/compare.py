"""Runs redis-server and respcache side by side: `task bench`, `task bench -- --help`.

All servers stay up throughout and take turns within each round, so a noisy moment of the
machine hits all of them alike; what is printed are medians over the rounds. One node is
measured with a command of each family; SET, GET and a script deeper too, and on three
nodes with two copies: by plain clients that are all connected to one node, which relays two thirds
of what it gets, and by clients that know the cluster protocol. What these cost is compared with the same
load on one node, for redis-benchmark sends other keys as such a client (see `posing`). CPU time of a cluster
is that of all its nodes, gossip, copies and acknowledgements included. How many commands a second such a cluster
answers if it has both cores, and shares them with the load, is measured besides: Olric was, in the
same way. With `--write` the figures go to docs/speed.json, of which docs/generate.py makes the tables
in the README.

Needs redis-benchmark on PATH besides what `servers` needs.
"""

import argparse
import csv
import datetime as dt
import io
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import Final

import msgspec

from bench.families import CHANNEL, FAMILIES, FILLING, SUBSCRIBERS, Family
from bench.posing import posing
from bench.servers import (
    CALL_TIMEOUT_S,
    CLIENT_CORE,
    HOST,
    REFERENCE,
    SERVER_CORE,
    VALUE_BYTES,
    Target,
    build,
    check_machine,
    fill,
    redis,
    redis_version,
    respcache,
)
from respcache.cluster.ownership.slots import SLOTS

ROUNDS: Final = 3
TIME_LIMIT_S: Final = 500.0
"""No new round begins that would end later; the medians are over fewer then."""
REQUESTS: Final = {1: 40_000, 16: 300_000, 100: 600_000}
"""Requests of one measurement by pipeline depth: about two seconds for one core."""
DEPTHS: Final = (1, 16)
"""For the commands that are not measured at all depths."""
CLUSTER_SHARE: Final = 0.4
"""Of these, the requests of a cluster of several nodes, which all share one core here, from plain clients."""
QUICK_SHARE: Final = 0.25
CONNECTIONS: Final = 50
KEYS: Final = 100_000
AWARE_KEYS: Final = KEYS // SLOTS
"""Keys of each slot, of which such a client chooses one for each command of a request."""
MEMORY_KEYS: Final = 1_000_000
ONE: Final = "respcache, 1 node"
THREE: Final = "respcache, 3 nodes, 2 copies"
AWARE: Final = f"{THREE}, aware clients"
ONE_AWARE: Final = f"{ONE}, aware clients"
OLRIC_PER_S: Final = {("SET", 1): 14_700, ("GET", 1): 14_900, ("SET", 16): 16_400, ("GET", 16): 16_500}
"""What Olric answered with three nodes, two copies and 50 clients, all on the same two cores; for orientation."""
FIGURES: Final = Path(__file__).parents[2] / "docs" / "speed.json"


@dataclass(frozen=True, slots=True)
class Figures:
    """What one measurement came to."""

    cpu_us: float
    """Microseconds of the server's CPU time per command."""
    per_s: float
    """Commands per second."""


@dataclass(frozen=True, slots=True)
class Case:
    """A command and a pipeline depth."""

    family: Family
    depth: int


Round = dict[tuple[str, Case], Figures]
"""What was measured in turn, by name of the target and case."""


class Speed(msgspec.Struct, frozen=True):
    """One line of the table that is kept."""

    command: str
    depth: int
    goal: float | None
    cpu_us: dict[str, float]
    """Microseconds of CPU time per command, by server; of a cluster, of all its nodes."""


class Throughput(msgspec.Struct, frozen=True):
    """How many commands a second three nodes with two copies answer on two cores, which they share with the load."""

    command: str
    depth: int
    per_s: float
    olric_per_s: float
    """What Olric does."""


class Kept(msgspec.Struct, frozen=True):
    """All that is kept."""

    measured: str
    """The day."""
    build: str
    redis: str
    """The version."""
    rounds: int
    speeds: list[Speed]
    memory_bytes: dict[str, float]
    """Per key, by server."""
    throughput: list[Throughput]


def main() -> None:
    """Measure, and print the tables."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # by way of the blocks that end the servers
    options = _options()
    began = time.monotonic()
    check_machine("redis-benchmark")
    os.sched_setaffinity(0, {CLIENT_CORE})
    sys.stdout.write(
        f"respcache ({build()}) against redis-server {redis_version()}; {VALUE_BYTES}-byte values, "
        f"{KEYS:,} random keys, {CONNECTIONS} connections\n\n"
    )
    cases = _cases(options.commands, options.depth)
    memory = dict[str, float]() if options.quick or options.commands else dict([_memory(REFERENCE), _memory(ONE)])
    with ExitStack() as stack:
        targets = _targets(stack, cluster=not options.quick and any(case.family.common for case in cases))
        share = QUICK_SHARE if options.quick else 1.0
        rounds = list(_rounds(targets, cases, began, most=1 if options.quick else options.rounds, share=share))
    for case in cases:
        for line in _table(case, targets, rounds):
            sys.stdout.write(f"{line}\n")
    throughput = [] if options.quick else _throughput(cases, rounds=len(rounds))
    if throughput:
        sys.stdout.write(f"\n{THREE}, on two cores that they share with the load\n")
    for speed in throughput:
        against = speed.per_s / speed.olric_per_s
        name = f"{speed.command}, pipeline depth {speed.depth}"
        sys.stdout.write(f"  {name:30} {speed.per_s:10,.0f} /s {against:8.1f} x Olric's\n")
    if memory:
        sys.stdout.write(f"\nmemory per key, {MEMORY_KEYS:,} values of {VALUE_BYTES} bytes, from resident set sizes\n")
        for name, bytes_per_key in memory.items():
            against = bytes_per_key / memory[REFERENCE]
            sys.stdout.write(f"  {name:30} {bytes_per_key:8.0f} bytes {against:8.2f} x\n")
    sys.stdout.write(f"\n{len(rounds)} rounds, {time.monotonic() - began:.0f} s\n")
    if options.write:
        _write(cases, rounds, memory, throughput)


def _targets(stack: ExitStack, *, cluster: bool) -> list[Target]:
    """Start what is measured, and fill it."""
    targets = [stack.enter_context(redis()), stack.enter_context(respcache(ONE, nodes=1, copies=1))]
    if cluster:
        targets.append(stack.enter_context(respcache(THREE, nodes=3, copies=2)))
    for target in targets:
        fill(target, KEYS)
        _benchmark(target, FILLING, requests=1, depth=1)
        stack.enter_context(_subscribers(target))
    if cluster:
        _, one, three = targets
        aware = [
            stack.enter_context(posing(one, ONE_AWARE, nodes=len(three.pids))),
            replace(three, name=AWARE, aware=True),
        ]
        for target in aware:
            _benchmark(target, FAMILIES[0].aware, requests=REQUESTS[100], depth=16)
        targets += aware
    return targets


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="task bench --", description=__doc__)
    names = [family.name for family in FAMILIES]
    parser.add_argument("commands", nargs="*", metavar="command", help=f"which to measure, of {', '.join(names)}")
    parser.add_argument("--depth", type=int, action="append", choices=list(REQUESTS), help="only this pipeline depth")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often, {ROUNDS} times unless told otherwise")
    parser.add_argument("--quick", action="store_true", help="one round of a quarter of the requests, and one node")
    parser.add_argument("--write", action="store_true", help="keep the figures in docs/speed.json")
    options = parser.parse_args()
    options.commands = [word.upper() for word in options.commands]
    for word in options.commands:
        if not any(family.name.upper().startswith(word) for family in FAMILIES):
            parser.error(f"no command begins with {word}")
    if options.write and (options.quick or options.commands or options.depth):
        parser.error("only a whole run is kept")
    return options


def _cases(commands: list[str], depths: list[int] | None) -> list[Case]:
    return [
        Case(family, depth)
        for family in FAMILIES
        for depth in (REQUESTS if family.common else DEPTHS)
        if (not commands or any(family.name.upper().startswith(word) for word in commands))
        and (not depths or depth in depths)
    ]


def _rounds(
    targets: Sequence[Target], cases: Sequence[Case], began: float, *, most: int, share: float
) -> Iterator[Round]:
    """Measure everything once a round, targets taking turns, as long as there is time."""
    slowest_s = 0.0
    for _ in range(most):
        started = time.monotonic()
        if started - began + slowest_s > TIME_LIMIT_S:
            return
        yield {
            (target.name, case): _load(target, case, share)
            for case in cases
            for target in targets
            if _is_measured(target, case)
        }
        slowest_s = max(slowest_s, time.monotonic() - started)


def _is_measured(target: Target, case: Case) -> bool:
    if target.aware:
        return bool(case.family.aware) and case.depth in DEPTHS
    return case.family.common or not target.is_cluster


def _table(case: Case, targets: Sequence[Target], rounds: Sequence[Round]) -> Iterator[str]:
    goal = "" if case.family.goal is None else f" (at most {case.family.goal:.0f} x)"
    yield f"{case.family.name}, pipeline depth {case.depth}{goal}"
    reference_us = _cpu_us(rounds, REFERENCE, case)
    for target in targets:
        if (target.name, case) in rounds[0]:
            cpu_us = _cpu_us(rounds, target.name, case)
            per_s = statistics.median(figures[target.name, case].per_s for figures in rounds)
            line = f"  {target.name:43} {per_s:10,.0f} /s {cpu_us:8.2f} us CPU {cpu_us / reference_us:6.2f} x"
            if target.is_cluster:
                line += f" {cpu_us / _cpu_us(rounds, ONE_AWARE if target.aware else ONE, case):6.2f} x one node's"
                if target.aware and case.family.aware_goal is not None:
                    line += f" (at most {case.family.aware_goal:.1f})"
            yield line


def _cpu_us(rounds: Sequence[Round], name: str, case: Case) -> float:
    return statistics.median(figures[name, case].cpu_us for figures in rounds)


def _throughput(cases: Sequence[Case], *, rounds: int) -> list[Throughput]:
    """Measure a cluster that has both cores: on one it shows what commands cost, not how many it can take."""
    compared = [case for case in cases if (case.family.name, case.depth) in OLRIC_PER_S]
    if not compared:
        return []
    with respcache(THREE, nodes=3, copies=2, spread=True) as target:
        fill(target, KEYS)
        measured = [[_benchmark_spread(target, case) for case in compared] for _ in range(rounds)]
    return [
        Throughput(
            case.family.name, case.depth, round(statistics.median(found)), OLRIC_PER_S[case.family.name, case.depth]
        )
        for case, found in zip(compared, zip(*measured, strict=True), strict=True)
    ]


def _benchmark_spread(target: Target, case: Case) -> float:
    cores = f"{SERVER_CORE},{CLIENT_CORE}"
    return _benchmark(target, case.family.words, requests=REQUESTS[case.depth], depth=case.depth, cores=cores)


def _write(
    cases: Sequence[Case], rounds: Sequence[Round], memory: dict[str, float], throughput: list[Throughput]
) -> None:
    speeds = [
        Speed(
            case.family.name,
            case.depth,
            case.family.goal,
            {name: round(_cpu_us(rounds, name, case), 3) for name, measured in rounds[0] if measured is case},
        )
        for case in cases
    ]
    day = dt.datetime.now(tz=dt.UTC).date().isoformat()
    kept = Kept(
        day,
        build(),
        redis_version(),
        len(rounds),
        speeds,
        {name: round(each) for name, each in memory.items()},
        throughput,
    )
    FIGURES.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n")


def _load(target: Target, case: Case, share: float) -> Figures:
    """Have redis-benchmark send one command, and see what that took."""
    family = case.family
    if target.is_cluster and not target.aware:
        share *= CLUSTER_SHARE
    requests = int(REQUESTS[case.depth] * share * family.share)
    if family.before:
        _benchmark(target, family.before, requests=requests, depth=100)
    before_s = target.cpu_s()
    per_s = _benchmark(target, family.aware if target.aware else family.words, requests=requests, depth=case.depth)
    return Figures(cpu_us=(target.cpu_s() - before_s) / requests * 1e6, per_s=per_s)


def _benchmark(
    target: Target, words: Sequence[str], *, requests: int, depth: int, cores: str = str(CLIENT_CORE)
) -> float:
    """Have redis-benchmark send a command so often; give how many a second were answered."""
    done = subprocess.run(
        [
            *("taskset", "-c", cores, "redis-benchmark", "-h", HOST, "-p", str(target.port), "--csv"),
            *("-n", str(requests), "-P", str(depth), "-c", str(CONNECTIONS)),
            *("-r", str(AWARE_KEYS if target.aware else KEYS)),
            *(["--cluster"] if target.aware else []),
            *words,
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=CALL_TIMEOUT_S,
    )
    *_, row = csv.reader(io.StringIO(done.stdout))
    return float(row[1])


@contextmanager
def _subscribers(target: Target) -> Iterator[None]:
    """Have clients listen to a channel, and read whatever comes."""
    selector, stopping = DefaultSelector(), threading.Event()
    for _ in range(SUBSCRIBERS):
        connection = socket.create_connection((HOST, target.port), timeout=CALL_TIMEOUT_S)
        connection.sendall(b"SUBSCRIBE %b\r\n" % CHANNEL.encode())
        connection.recv(1000)
        connection.setblocking(False)
        selector.register(connection, EVENT_READ)
    reader = threading.Thread(target=_read, args=(selector, stopping))
    reader.start()
    try:
        yield
    finally:
        stopping.set()
        reader.join()
        for key in list(selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        selector.close()


def _read(selector: DefaultSelector, stopping: threading.Event) -> None:
    while not stopping.is_set():
        for key, _ in selector.select(timeout=0.1):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.recv(1 << 20)


def _memory(name: str) -> tuple[str, float]:
    """Fill a fresh server, and give its name and the bytes that it needs per key."""
    server = redis() if name == REFERENCE else respcache(name, nodes=1, copies=1)
    with server as target:
        before = target.resident_bytes()
        fill(target, MEMORY_KEYS)
        return name, (target.resident_bytes() - before) / MEMORY_KEYS


if __name__ == "__main__":
    main()
