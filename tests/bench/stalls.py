"""Tells for how long values of a million elements stop a node: `task bench:stalls`.

The nodes are processes, set up as `respcache serve` does it, whose event loop takes the CPU time of each of its
callbacks; the longest one is the stall, collections of garbage included. CPU time, because on a machine that has other
things to do a callback may be interrupted for longer than it runs. Two parts:

- a partition with a list, a hash, a set, a sorted set and a stream of a million elements each, and a string of 100 MB,
  is copied from one node to another while clients write;
- commands that get rid of such values, move them, or look at parts of them, on one node.

Arguments choose one of them, and with `elements=N` values of another size.
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
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import redis

from respcache import Node
from respcache.cli.collecting import Collecting
from respcache.config import ClusterConfig, Config, HttpConfig, ServerConfig

HOST: Final = "127.0.0.1"
ELEMENTS: Final = 1_000_000
STRING_BYTES: Final = 100 * 1024 * 1024
BATCH: Final = 500
KINDS: Final = ("list", "hash", "set", "zset", "stream")
SETTLE_S: Final = 2.5
"""In which a node frees what a command has left."""
TIMEOUT_S: Final = 300.0

Client = Any
"""redis-py's types know nothing of the replies here."""


@dataclass(slots=True)
class Worst:
    """The longest callbacks so far."""

    ns: int = 0
    what: str = ""


class Node_:  # noqa: N801 # a process with a node in it
    """A node in a process of its own."""

    def __init__(self, port: int, join: str) -> None:
        self.port = port
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bench.stalls", "serve", str(port), join],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._line() == "ready"
        self.client: Client = redis.Redis(HOST, port, socket_timeout=TIMEOUT_S)

    def worst(self) -> tuple[float, str]:
        """Give the longest callback since the last call, in ms of CPU time."""
        self.process.send_signal(signal.SIGUSR1)
        ns, what = json.loads(self._line())
        return ns / 1e6, what

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def main(arguments: list[str]) -> None:
    """Measure what was asked for, or everything."""
    if arguments[:1] == ["serve"]:
        asyncio.run(serve(int(arguments[1]), arguments[2]))
        return
    elements = next((int(word[9:]) for word in arguments if word.startswith("elements=")), ELEMENTS)
    if "commands" not in arguments:
        moving(elements)
    if "moving" not in arguments:
        commands(elements)


async def serve(port: int, join: str) -> None:
    """Be a node until the end, and tell of the longest callback at SIGUSR1."""
    worst = Worst()
    _time_callbacks(worst)
    loop = asyncio.get_running_loop()
    config = Config(
        server=ServerConfig(port=port, bind=HOST),
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
def node(join: str = "") -> Iterator[Node_]:
    """Start a node, and end it."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    started = Node_(port, join)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait()


def fill(client: Client, kind: str, key: str, elements: int) -> None:
    """Make a value."""
    calls = client.pipeline(transaction=False)
    for first in range(0, elements, BATCH):
        numbers = range(first, first + BATCH)
        match kind:
            case "list":
                calls.rpush(key, *[f"element:{number:07}" for number in numbers])
            case "hash":
                calls.hset(key, mapping={f"field:{number:07}": f"value:{number:07}" for number in numbers})
            case "set":
                calls.sadd(key, *[f"member:{number:07}" for number in numbers])
            case "zset":
                calls.zadd(key, {f"member:{number:07}": number * 7919 % elements for number in numbers})
            case _:
                for number in numbers:
                    calls.xadd(key, {"field": f"value:{number:07}"}, id=f"{number + 1}-1")
        if len(calls) > (2_000 if kind == "stream" else 8):
            calls.execute()
    calls.execute()


def moving(elements: int) -> None:
    """Copy large values from one node to another while a client writes elsewhere in the partition."""
    with ExitStack() as stack:
        first = stack.enter_context(node())
        for kind in KINDS:
            fill(first.client, kind, f"{{p}}{kind}", elements)
        first.client.set("{p}string", b"x" * STRING_BYTES)
        time.sleep(SETTLE_S)
        first.worst()
        second = stack.enter_context(node(f"{HOST}:{first.port}"))
        began = time.monotonic()
        slowest = 0.0
        count = 0
        while not copied(first.client):
            before = time.monotonic()
            first.client.incr("{p}counter")
            count += 1
            slowest = max(slowest, time.monotonic() - before)
        took_s = time.monotonic() - began
        sys.stdout.write(
            f"a partition with 5 values of {elements:,} elements and a string of {STRING_BYTES >> 20} MB, "
            f"copied in {took_s:.1f} s while {count:,} commands wrote to it (slowest: {slowest * 1e3:.0f} ms)\n"
        )
        for name, side in (("primary", first), ("learner", second)):
            ms, what = side.worst()
            sys.stdout.write(f"  longest stall of the {name:8} {ms:8.1f} ms CPU  {what}\n")
        for side in (first, second):
            assert side.client.execute_command("STRLEN", "{p}string") == STRING_BYTES


def copied(client: Client) -> bool:
    """Tell whether each partition has its second copy."""
    health: bytes | str = client.execute_command("CLUSTER", "HEALTH")
    return "partitions_with_one_copy:0" in (health.decode() if isinstance(health, bytes) else health)


def commands(elements: int) -> None:
    """Time commands on large values, each together with what it leaves to be freed."""
    with node() as single:
        client = single.client
        for kind in KINDS:
            for name, run in cases(client, kind):
                fill(client, kind, "{k}1", elements)
                time.sleep(0.2)
                single.worst()
                run()
                own, _ = single.worst()
                time.sleep(SETTLE_S)
                after, what = single.worst()
                sys.stdout.write(
                    f"{kind:7} {name:22} {own:8.1f} ms CPU at once, {after:8.1f} ms the longest later"
                    f"{'  ' + what if after > 5 else ''}\n"
                )
                sys.stdout.flush()
                client.flushall()
                time.sleep(SETTLE_S)


def cases(client: Client, kind: str) -> list[tuple[str, Callable[[], object]]]:
    """List what is done with a value of a kind."""
    found: list[tuple[str, Callable[[], object]]] = [
        ("DEL", lambda: client.delete("{k}1")),
        ("UNLINK", lambda: client.unlink("{k}1")),
        ("SET over it", lambda: client.set("{k}1", "small")),
        ("PEXPIRE, sweep", lambda: client.pexpire("{k}1", 50)),
        ("FLUSHALL", client.flushall),
        ("RENAME", lambda: client.rename("{k}1", "{k}2")),
        ("RENAME over it", lambda: [client.set("{k}2", "small"), client.rename("{k}2", "{k}1")]),
        ("COPY", lambda: client.copy("{k}1", "{k}2")),
        ("MEMORY USAGE", lambda: client.memory_usage("{k}1")),
        (
            "maxmemory",
            lambda: [client.config_set("maxmemory-policy", "allkeys-random"), client.config_set("maxmemory", "2mb")],
        ),
        ("maxmemory off", lambda: client.config_set("maxmemory", "0")),
    ]
    scans = {"hash": "hscan", "set": "sscan", "zset": "zscan"}
    if kind in scans:
        scan = getattr(client, scans[kind])
        found.append((scans[kind].upper(), lambda: scan("{k}1", 0, count=100)))
    more: dict[str, tuple[str, Callable[[], object]]] = {
        "list": ("RPUSH of one", lambda: client.rpush("{k}1", "more")),
        "hash": ("HSET of one", lambda: client.hset("{k}1", "more", "v")),
        "set": ("SADD of one", lambda: client.sadd("{k}1", "more")),
        "zset": ("ZADD of one", lambda: client.zadd("{k}1", {"more": 1.5})),
        "stream": ("XADD of one", lambda: client.xadd("{k}1", {"f": "v"})),
    }
    found.append(more[kind])
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
