"""Nodes in processes of their own that tell of the longest callback of their event loop: `python -m bench.timed`.

Set up as `respcache serve` does it. The figures are CPU time, collections of garbage included.
"""

import asyncio
import gc
import json
import signal
import socket
import subprocess
import sys
import time
from asyncio.events import Handle
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import redis

from respcache import Node
from respcache.cli.collecting import Collecting
from respcache.config import ClusterConfig, Config, HttpConfig, ServerConfig
from respcache.net.scripts import LUA

HOST: Final = "127.0.0.1"
TIMEOUT_S: Final = 300.0

Client = Any
"""redis-py's types know nothing of the replies here."""


@dataclass(slots=True)
class Worst:
    """The longest callbacks so far."""

    ns: int = 0
    what: str = ""


class Process:
    """A node in a process of its own."""

    def __init__(self, port: int, join: str) -> None:
        self.port = port
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bench.timed", str(port), join],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._line() == "ready"
        self.client: Client = redis.Redis(HOST, port, socket_timeout=TIMEOUT_S)
        self.worst()  # to begin with, the collector goes through all that a program consists of

    def worst(self) -> tuple[float, str]:
        """Give the longest callback since the last call, in ms of CPU time."""
        self.process.send_signal(signal.SIGUSR1)
        ns, what = json.loads(self._line())
        return ns / 1e6, what

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


async def serve(port: int, join: str) -> None:
    """Be a node until the end, and tell of the longest callback at SIGUSR1."""
    with suppress(ImportError):
        import_module(LUA)  # as `respcache serve` does
    worst = Worst()
    _time_callbacks(worst)
    loop = asyncio.get_running_loop()
    config = Config(
        server=ServerConfig(port=port, bind=HOST, enable_debug_command="yes"),
        cluster=ClusterConfig(port=0, environment="wan", join=(join,) if join else ()),
        http=HttpConfig(enabled=False),
    )

    def report() -> None:
        sys.stdout.write(json.dumps([worst.ns, worst.what]) + "\n")
        sys.stdout.flush()
        worst.ns, worst.what = 0, ""

    loop.add_signal_handler(signal.SIGUSR1, report)
    async with Node(config) as node:
        Collecting().begin()
        worst.ns = 0
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        loop.add_signal_handler(signal.SIGTERM, node.stopping.set)
        await node.stopping.wait()


def _time_callbacks(worst: Worst) -> None:
    run = Handle._run  # what asyncio measures, too, in its debug mode
    collecting = 0

    def timed(handle: Handle) -> None:
        nonlocal collecting
        collecting = 0
        callback = handle._callback  # type: ignore[attr-defined]  # as above
        before_ns = time.thread_time_ns()
        run(handle)
        spent_ns = time.thread_time_ns() - before_ns
        if spent_ns > worst.ns:
            worst.ns = spent_ns
            worst.what = f"{callback!r:.90}"
            if collecting:
                worst.what += f", of which {collecting / 1e6:.1f} ms to collect garbage"

    began = 0

    def collected(phase: str, _: dict[str, int]) -> None:
        nonlocal began, collecting
        if phase == "start":
            began = time.thread_time_ns()
        else:
            collecting += time.thread_time_ns() - began

    gc.callbacks.append(collected)
    Handle._run = timed  # type: ignore[method-assign, assignment]  # as above


@contextmanager
def node(join: str = "") -> Iterator[Process]:
    """Start a node, and end it."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    started = Process(port, join)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), sys.argv[2]))
