"""Nodes in processes of their own, which are killed, paused, restarted and looked into."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from chaos.node import Memory
from respcache.cli.serve import Ready

HERE: Final = Path(__file__).parent
START_S: Final = 60.0
STOP_S: Final = 30.0
POLL_S: Final = 0.02
READ_BATCH: Final = 500
PREFIX: Final = "respcache_"


class Server:
    """One place in the cluster: a name and ports that stay, and one process after the other."""

    def __init__(self, name: str, folder: Path, flags: Sequence[str], *, inside: Sequence[str], host: str) -> None:
        """`inside` is the command that runs another one where the server belongs, such as a namespace."""
        self.name, self.host = name, host
        self._file, self._flags, self._inside = folder / f"{name}.memory", flags, inside
        self._log: Final = folder / f"{name}.log"
        self._spare: subprocess.Popen[str] | None = None
        self.process: subprocess.Popen[str] | None = None
        self.ready = Ready("", "", "")

    @property
    def port(self) -> int:
        """The RESP port; 0 before the first start."""
        return int(self.ready.resp.rpartition(":")[2] or 0)

    @property
    def running(self) -> bool:
        """Whether there is a process."""
        return self.process is not None and self.process.poll() is None

    def prepare(self, join: Sequence[str]) -> None:
        """Have a process that has imported everything, and only waits for its turn."""
        ports = [
            f"--{flag}={place.rpartition(':')[2] or 0}"
            for flag, place in (("port", self.ready.resp), ("http-port", self.ready.http))
        ]
        if self.ready.cluster:
            ports.append(f"--cluster-port={self.ready.cluster.rpartition(':')[2]}")
        joining = [f"--join={','.join(join)}"] if join else []
        program = [sys.executable, "-P", str(HERE / "node.py"), str(self._file)]
        address = [
            f"--name={self.name}",
            f"--bind={self.host}",
            "--cluster-plaintext=yes",
        ]  # namespaces are not local
        with self._log.open("a") as log:
            self._spare = subprocess.Popen(
                [*self._inside, *program, *address, *ports, *joining, *self._flags],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd="/",
                env=os.environ,
                text=True,
            )

    def go(self) -> None:
        """Let the prepared process be the node; `wait` tells when it serves."""
        assert not self.running
        assert self._spare is not None
        self.process, self._spare = self._spare, None
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.close()

    def wait(self) -> None:
        """Wait until the node says that it serves."""
        assert self.process is not None
        assert self.process.stdout is not None
        ready = Ready.parse(self.process.stdout.readline())
        assert ready is not None, f"{self.name} did not come up: {self._log.read_text()[-2000:]}"
        self.ready = ready

    def listens(self) -> bool:
        """Tell whether the node takes connections."""
        try:
            socket.create_connection((self.host, self.port), timeout=1.0).close()
        except OSError:
            return False
        return True

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """End the process without a word."""
        self.signal(signal.SIGKILL)
        self.reap()

    def terminate(self) -> int:
        """Ask the node to leave, and wait until it has."""
        self.signal(signal.SIGTERM)
        return self.reap()

    def reap(self) -> int:
        """Wait for the end of the process; return its exit status."""
        assert self.process is not None
        assert self.process.stdout is not None
        status = self.process.wait(STOP_S)
        self.process.stdout.close()
        return status

    def close(self) -> None:
        """End whatever runs."""
        for process in (self.process, self._spare):
            if process is not None:
                process.kill()
                process.wait(STOP_S)
                for stream in (process.stdin, process.stdout):
                    if stream is not None and not stream.closed:
                        stream.close()

    def client(self) -> redis.Redis:
        """Make a client that tries nothing again."""
        return redis.Redis(host=self.host, port=self.port, socket_timeout=15.0, retry=Retry(NoBackoff(), retries=0))

    def values(self, keys: Sequence[bytes]) -> dict[bytes, bytes | None]:
        """Read keys through this node."""
        found: dict[bytes, bytes | None] = {}
        with self.client() as client:
            for start in range(0, len(keys), READ_BATCH):
                part = keys[start : start + READ_BATCH]
                pipe = client.pipeline(transaction=False)
                for key in part:
                    pipe.get(key)
                found |= zip(part, pipe.execute(), strict=True)
        return found

    def page(self, path: str) -> str:
        """Get a page by HTTP, whatever its status. Raises OSError."""
        return self._get(path)[1]

    def is_ready(self) -> bool:
        """Ask the node, as orchestrators do, whether clients should be sent there."""
        return self._get("/readyz")[0] == http.client.OK

    def _get(self, path: str) -> tuple[int, str]:
        host, _, port = self.ready.http.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=5.0)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except http.client.HTTPException as failure:
            raise ConnectionError(str(failure)) from failure
        finally:
            connection.close()

    def figure(self, name: str, **labels: str) -> float:
        """Add up the metrics of a name that have these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        total = 0.0
        for line in self.page("/metrics").splitlines():
            if line.startswith((f"{PREFIX}{name}{{", f"{PREFIX}{name} ")) and all(each in line for each in wanted):
                total += float(line.rpartition(" ")[2])
        return total

    def memory(self) -> Memory:
        """Look into the node's memory."""
        self._file.unlink(missing_ok=True)
        self.signal(signal.SIGUSR1)
        wait_for(self._file.exists, f"{self.name} shows its memory")
        return msgspec.msgpack.decode(self._file.read_bytes(), type=Memory)


class Fleet:
    """A cluster of processes; whatever still runs at the end is killed."""

    def __init__(self, folder: Path, *flags: str) -> None:
        """`flags` are those of `respcache serve`, for all nodes."""
        self.servers: Final[list[Server]] = []
        self._folder, self._flags = folder, flags

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything."""
        for server in self.servers:
            server.close()

    @property
    def running(self) -> list[Server]:
        """The servers that have a process."""
        return [server for server in self.servers if server.running]

    def add(self, *, inside: Sequence[str] = (), host: str = "") -> Server:
        """Start one more node; return it once it serves.

        By default each node has a loopback address of its own: connections that come and go on
        others take no port that it needs again after a restart.
        """
        place = len(self.servers) + 1
        host = host or f"127.{64 + os.getpid() // 250 % 128}.{os.getpid() % 250}.{place}"
        server = Server(f"node-{place}", self._folder, self._flags, inside=inside, host=host)
        self.servers.append(server)
        self.start(server)
        return server

    def prepare(self, server: Server) -> None:
        """Have the next process of a server wait for its turn."""
        server.prepare([other.ready.resp for other in self.servers if other.ready.resp and other is not server])

    def start(self, server: Server) -> None:
        """Start a server, again or for the first time, and wait until it serves."""
        if server._spare is None:
            self.prepare(server)
        server.go()
        server.wait()

    def whole(self, timeout_s: float = 60.0) -> float:
        """Wait until all that run agree on who lives and no copy is missing; return how many seconds it took."""
        started = time.monotonic()
        wait_for(self._is_whole, lambda: f"{len(self.running)} nodes are whole: {self._state()}", timeout_s)
        return time.monotonic() - started

    def _is_whole(self) -> bool:
        try:
            pages = [json.loads(server.page("/status")) for server in self.running]
        except OSError:
            return False
        for page in pages:
            partitions = page["partitions"]
            alive = [member for member in page["members"] if member["state"] == "alive"]
            if len(alive) != len(pages) or any(partitions[each] for each in ("learner", "under_replicated", "unowned")):
                return False
        return len({str(page["ownership_version"]) for page in pages}) == 1

    def _state(self) -> str:
        lines = []
        for server in self.running:
            try:
                page = json.loads(server.page("/status"))
            except OSError as failure:
                lines.append(f"{server.name}: {failure!r}")
            else:
                members = {member["name"]: member["state"] for member in page["members"]}
                lines.append(f"{server.name}: {page['ownership_version']} {page['partitions']} {members}")
        return "\n".join(lines)


def wait_for(condition: Callable[[], bool], what: str | Callable[[], str], timeout_s: float = 15.0) -> None:
    """Wait for a condition that has to be asked for; fail after `timeout_s`."""
    give_up = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > give_up:
            raise AssertionError(f"not within {timeout_s} s: {what if isinstance(what, str) else what()}")
        time.sleep(POLL_S)


@contextmanager
def fleet_of(nodes: int, folder: Path, *flags: str) -> Iterator[Fleet]:
    """Run so many nodes for the length of a block, whole in the beginning."""
    with Fleet(folder, "--loglevel=warning", *flags) as fleet:
        for _ in range(nodes):
            fleet.add()
        fleet.whole()
        yield fleet
