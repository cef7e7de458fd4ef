"""The servers that are measured: redis-server, and respcache as one node or several.

They are pinned to one core and whatever makes the load to another, so that neither takes the
other's time. CPU time is the servers' own accounting of user and system time, and counts
everything that they did meanwhile, gossip and copies to other nodes included.

Needs Linux, two cores, and redis-server and taskset on PATH.
"""

import http.client
import importlib.util
import json
import os
import shutil
import socket
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
VALUE_BYTES: Final = 64
FILL_PIPELINE: Final = 1_000
START_TIMEOUT_S: Final = 30.0
CALL_TIMEOUT_S: Final = 120.0
REFERENCE: Final = "redis-server"


@dataclass(frozen=True, slots=True)
class Target:
    """One server, or several that are one cluster."""

    name: str
    pids: tuple[int, ...]
    port: int
    """Where the load goes; of a cluster, one of the nodes."""
    aware: bool = False
    """Whether the load is of clients that know the cluster protocol, and go to the owner of each key."""

    @property
    def is_cluster(self) -> bool:
        """Whether it is several nodes."""
        return len(self.pids) > 1

    def cpu_s(self) -> float:
        """Give the CPU time that all processes have taken so far, user and system."""
        return sum(_cpu_s(pid) for pid in self.pids)

    def loop_s(self) -> float:
        """Give the CPU time that the main threads have taken so far, in which the event loops run."""
        return sum(_thread_s(Path(f"/proc/{pid}/task/{pid}/schedstat")) for pid in self.pids)

    def resident_bytes(self) -> int:
        """Give the memory that all processes have in use."""
        return sum(_resident_bytes(pid) for pid in self.pids)


def check_machine(*programs: str) -> None:
    """See to it that all programs and both cores are there; end the process otherwise."""
    for program in ("redis-server", "taskset", *programs):
        if shutil.which(program) is None:
            sys.exit(f"{program} is not on PATH")
    if not {SERVER_CORE, CLIENT_CORE} <= os.sched_getaffinity(0):
        sys.exit(f"cores {SERVER_CORE} and {CLIENT_CORE} are needed, one for the servers and one for the load")


def build() -> str:
    """Say which respcache this is."""
    executor = importlib.util.find_spec("respcache.engine.executor")
    if executor is None or executor.origin is None:
        sys.exit("respcache is not installed")
    kind = "interpreted" if executor.origin.endswith(".py") else "compiled"
    return f"{kind}, Python {sys.version.split()[0]}"


def redis_version() -> str:
    """Say which redis-server is on PATH."""
    shown = subprocess.run(["redis-server", "--version"], check=True, capture_output=True, text=True).stdout
    return shown.split()[2].removeprefix("v=")


def fill(target: Target, keys: int) -> None:
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
def redis() -> Iterator[Target]:
    """Run redis-server as a cache: nothing goes to disk."""
    port = _free_port()
    command = ["redis-server", "--port", str(port), "--bind", HOST, "--save", "", "--appendonly", "no"]
    with _process(command) as process:
        _await(port)
        yield Target(REFERENCE, (process.pid,), port)


@contextmanager
def respcache(name: str, *, nodes: int, copies: int, spread: bool = False) -> Iterator[Target]:
    """Run nodes of one cluster, each a process; all on one core, or spread over those that there are."""
    program = str(Path(sys.executable).with_name("respcache"))
    options = [f"--bind={HOST}", "--port=0", "--http-port=0", f"--replica-count={copies}", "--loglevel=warning"]
    pids: list[int] = []
    ready: list[dict[str, str]] = []
    with ExitStack() as stack:
        for _ in range(nodes):
            join = [f"--join={ready[0]['resp']}"] if ready else []
            process = stack.enter_context(
                _process([program, "serve", *options, "--environment=lan", *join], spread=spread)
            )
            pids.append(process.pid)
            ready.append(_ready(process))
        for node in ready:
            _settle(node["http"], nodes)
        port = int(ready[0]["resp"].rpartition(":")[2])
        yield Target(name, tuple(pids), port)


@contextmanager
def _process(command: Sequence[str], *, spread: bool = False) -> Iterator[subprocess.Popen[str]]:
    """Run a server, on its core unless told otherwise, and end it afterwards."""
    cores = f"{SERVER_CORE},{CLIENT_CORE}" if spread else str(SERVER_CORE)
    pinned = ["taskset", "-c", cores, *command]
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
    """Add up what all threads have taken."""
    return sum(_thread_s(path) for path in Path(f"/proc/{pid}/task").glob("*/schedstat"))


def _thread_s(path: Path) -> float:
    """Read what the scheduler says of a thread, in nanoseconds; the usual accounting knows hundredths only."""
    return int(path.read_text(encoding="ascii").split()[0]) / 1e9


def _resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
