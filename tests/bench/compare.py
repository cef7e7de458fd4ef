"""Runs redis-server and respcache side by side: `task bench`, or `python tests/bench/compare.py`.

Servers are pinned to one core and the load generator, redis-benchmark, to another, so that
neither takes the other's time. All servers stay up throughout and take turns within each
round, so a noisy moment of the machine hits all of them alike; what is printed are medians
over the rounds. CPU time is the servers' own accounting of user and system time, and counts
everything that they did meanwhile, gossip and copies to other nodes included.

Needs Linux, two cores, and redis-server, redis-benchmark and taskset on PATH.
"""

import csv
import http.client
import importlib.util
import io
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"
SERVER_CORE: Final = 0
CLIENT_CORE: Final = 1
ROUNDS: Final = 3
TIME_LIMIT_S: Final = 270.0
"""No new round begins after so long; the medians are over fewer then."""
COMMANDS: Final = ("SET", "GET", "EVAL")
SCRIPT: Final = """local count = redis.call("INCR", KEYS[1])
if count == 1 then redis.call("EXPIRE", KEYS[1], 60) end
return count"""
"""What EVAL runs: a limit on how often something may happen in a minute."""
REQUESTS: Final = {1: 40_000, 16: 300_000, 100: 600_000}
"""Requests of one measurement by pipeline depth: about two seconds for one core."""
CLUSTER_SHARE: Final = 0.1
"""Of these, the requests of a cluster of several nodes, which all share one core here."""
CONNECTIONS: Final = 50
KEYS: Final = 100_000
VALUE_BYTES: Final = 64
MEMORY_KEYS: Final = 1_000_000
FILL_PIPELINE: Final = 1_000
START_TIMEOUT_S: Final = 30.0
CALL_TIMEOUT_S: Final = 120.0
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
REFERENCE: Final = "redis-server"


@dataclass(frozen=True, slots=True)
class Target:
    """One server, or several that are one cluster."""

    name: str
    pids: tuple[int, ...]
    port: int
    """Where the load goes; of a cluster, one of the nodes."""
    share: float = 1.0
    """Of REQUESTS, how many it gets: less where a command takes longer."""

    def cpu_s(self) -> float:
        """Give the CPU time that all processes have taken so far, user and system."""
        return sum(_cpu_s(pid) for pid in self.pids)

    def resident_bytes(self) -> int:
        """Give the memory that all processes have in use."""
        return sum(_resident_bytes(pid) for pid in self.pids)


@dataclass(frozen=True, slots=True)
class Figures:
    """What one measurement came to."""

    cpu_us: float
    """Microseconds of the server's CPU time per command."""
    per_s: float
    """Commands per second."""


Case = tuple[str, int]
"""A command and a pipeline depth."""
Round = dict[tuple[str, Case], Figures]
"""What was measured in turn, by name of the target and case."""


def main() -> None:
    """Measure, and print the tables."""
    began = time.monotonic()
    for program in ("redis-server", "redis-benchmark", "taskset"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is not on PATH")
    if not {SERVER_CORE, CLIENT_CORE} <= os.sched_getaffinity(0):
        sys.exit(f"cores {SERVER_CORE} and {CLIENT_CORE} are needed, one for the servers and one for the load")
    sys.stdout.write(f"{_what_runs()}\n\n")
    memory = [_memory(REFERENCE), _memory("respcache")]
    cases = [(command, depth) for depth in REQUESTS for command in COMMANDS]
    with ExitStack() as stack:
        targets = [
            stack.enter_context(_redis()),
            stack.enter_context(_respcache("respcache, 1 node", nodes=1, copies=1)),
            stack.enter_context(_respcache("respcache, 3 nodes, 2 copies", nodes=3, copies=2)),
        ]
        for target in targets:
            _fill(target, KEYS)
        rounds = list(_rounds(targets, cases, began))
    for case in cases:
        for line in _table(case, targets, rounds):
            sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"\nmemory per key, {MEMORY_KEYS:,} values of {VALUE_BYTES} bytes, from resident set sizes\n")
    for name, bytes_per_key in memory:
        sys.stdout.write(f"  {name:30} {bytes_per_key:8.0f} bytes {bytes_per_key / memory[0][1]:8.2f} x\n")
    sys.stdout.write(f"\n{len(rounds)} rounds, {time.monotonic() - began:.0f} s\n")


def _what_runs() -> str:
    executor = importlib.util.find_spec("respcache.executor")
    if executor is None or executor.origin is None:
        sys.exit("respcache is not installed")
    build = "interpreted" if executor.origin.endswith(".py") else "compiled"
    shown = subprocess.run(["redis-server", "--version"], check=True, capture_output=True, text=True).stdout
    version = shown.split()[2].removeprefix("v=")
    return (
        f"respcache ({build}, Python {sys.version.split()[0]}) against redis-server {version}; "
        f"{VALUE_BYTES}-byte values, {KEYS:,} random keys, {CONNECTIONS} connections"
    )


def _rounds(targets: Sequence[Target], cases: Sequence[Case], began: float) -> Iterator[Round]:
    """Measure everything once a round, targets taking turns, as long as there is time."""
    slowest_s = 0.0
    for _ in range(ROUNDS):
        started = time.monotonic()
        if started - began + slowest_s > TIME_LIMIT_S:
            return
        yield {(target.name, case): _load(target, *case) for case in cases for target in targets}
        slowest_s = max(slowest_s, time.monotonic() - started)


def _table(case: Case, targets: Sequence[Target], rounds: Sequence[Round]) -> Iterator[str]:
    command, depth = case
    yield f"{command}, pipeline depth {depth}"
    reference_us = statistics.median(figures[REFERENCE, case].cpu_us for figures in rounds)
    for target in targets:
        cpu_us = statistics.median(figures[target.name, case].cpu_us for figures in rounds)
        per_s = statistics.median(figures[target.name, case].per_s for figures in rounds)
        yield f"  {target.name:30} {per_s:10,.0f} /s {cpu_us:8.2f} us CPU {cpu_us / reference_us:6.2f} x"


def _load(target: Target, command: str, depth: int) -> Figures:
    """Have redis-benchmark send one command, and see what that took."""
    requests = int(REQUESTS[depth] * target.share)
    before_s = target.cpu_s()
    done = subprocess.run(
        [
            *("taskset", "-c", str(CLIENT_CORE), "redis-benchmark", "-h", HOST, "-p", str(target.port), "--csv"),
            *("-n", str(requests), "-P", str(depth), "-c", str(CONNECTIONS), "-d", str(VALUE_BYTES), "-r", str(KEYS)),
            *(("EVAL", SCRIPT, "1", "limit:__rand_int__") if command == "EVAL" else ("-t", command.lower())),
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=CALL_TIMEOUT_S,
    )
    cpu_s = target.cpu_s() - before_s
    *_, row = csv.reader(io.StringIO(done.stdout))
    return Figures(cpu_us=cpu_s / requests * 1e6, per_s=float(row[1]))


def _memory(name: str) -> tuple[str, float]:
    """Fill a fresh server, and give its name and the bytes that it needs per key."""
    server = _redis() if name == REFERENCE else _respcache(name, nodes=1, copies=1)
    with server as target:
        before = target.resident_bytes()
        _fill(target, MEMORY_KEYS)
        return name, (target.resident_bytes() - before) / MEMORY_KEYS


def _fill(target: Target, keys: int) -> None:
    """Write the keys that redis-benchmark uses, each once."""
    value = b"x" * VALUE_BYTES
    with socket.create_connection((HOST, target.port), timeout=CALL_TIMEOUT_S) as connection:
        for first in range(0, keys, FILL_PIPELINE):
            numbers = range(first, min(first + FILL_PIPELINE, keys))
            connection.sendall(b"".join(_set(b"key:%012d" % number, value) for number in numbers))
            expected = b"+OK\r\n" * len(numbers)
            received = b""
            while len(received) < len(expected):
                chunk = connection.recv(len(expected) - len(received))
                if not chunk:
                    raise ConnectionError(f"{target.name} closed the connection")
                received += chunk
            if received != expected:
                raise ConnectionError(f"{target.name} refused a SET: {received[:200]!r}")


def _set(key: bytes, value: bytes) -> bytes:
    return b"*3\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(key), key, len(value), value)


@contextmanager
def _redis() -> Iterator[Target]:
    """Run redis-server as a cache: nothing goes to disk."""
    port = _free_port()
    command = ["redis-server", "--port", str(port), "--bind", HOST, "--save", "", "--appendonly", "no"]
    with _process(command) as process:
        _await(port)
        yield Target(REFERENCE, (process.pid,), port)


@contextmanager
def _respcache(name: str, *, nodes: int, copies: int) -> Iterator[Target]:
    """Run nodes of one cluster, each a process."""
    program = str(Path(sys.executable).with_name("respcache"))
    options = [f"--bind={HOST}", "--port=0", "--http-port=0", f"--replica-count={copies}", "--loglevel=warning"]
    pids: list[int] = []
    ready: list[dict[str, str]] = []
    with ExitStack() as stack:
        for _ in range(nodes):
            join = [f"--join={ready[0]['resp']}"] if ready else []
            process = stack.enter_context(_process([program, "serve", *options, "--environment=lan", *join]))
            pids.append(process.pid)
            ready.append(_ready(process))
        for node in ready:
            _settle(node["http"], nodes)
        port = int(ready[0]["resp"].rpartition(":")[2])
        yield Target(name, tuple(pids), port, share=1.0 if nodes == 1 else CLUSTER_SHARE)


@contextmanager
def _process(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """Run a server on its core, and end it afterwards."""
    pinned = ["taskset", "-c", str(SERVER_CORE), *command]
    with subprocess.Popen(pinned, stdout=subprocess.PIPE, cwd="/", text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def _ready(process: subprocess.Popen[str]) -> dict[str, str]:
    """Wait for the line that says where a node can be reached: addresses by what they are for."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("ready "):
            return dict(place.split("=", 1) for place in line.split()[1:])
    raise ConnectionError("respcache did not start")


def _settle(address: str, nodes: int) -> None:
    """Wait until a node sees all others, and no copy is still being made."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection(address, timeout=CALL_TIMEOUT_S)
        connection.request("GET", "/status")
        status = json.load(connection.getresponse())
        connection.close()
        partitions = status["partitions"]
        if len(status["members"]) == nodes and not partitions["learner"] and not partitions["under_replicated"]:
            return
        time.sleep(0.05)
    raise TimeoutError(f"{nodes} nodes did not become a cluster")


def _await(port: int) -> None:
    """Wait until a port takes connections."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def _resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
