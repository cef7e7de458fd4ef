"""Tells for how long a node is stopped by what takes long: `task bench:stalls`, and with `-- --write` docs/stalls.md.

The nodes are processes, set up as `respcache serve` does it, whose event loop takes the CPU time of each of its
callbacks; the longest one is the stall, collections of garbage included. CPU time, because on a machine that has other
things to do a callback may be interrupted for longer than it runs. The parts:

- `commands`: commands that make, change, move and get rid of values of a million elements and of 100 MB, on one node;
- `keys`: a million keys that expire or are flushed, and fields of hashes that are due at once;
- `scripts`: a script that runs for a second;
- `moving`: such values are copied from one node to another while clients write;
- `members`: nodes that join, die and leave, simulated (see `adoption`).

Arguments choose some of them, and with `elements=N` values of another size.
"""

import asyncio
import gc
import importlib.util
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from asyncio.events import Handle
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from itertools import count
from typing import Any, Final

import redis
from redis.crc import key_slot

from bench import stalls_page
from bench.adoption import longest_ms
from bench.stalls_page import Stall, Stalls
from respcache import Node
from respcache.cli.collecting import Collecting
from respcache.config import ClusterConfig, Config, HttpConfig, ServerConfig
from respcache.resp.encode import request

HOST: Final = "127.0.0.1"
ELEMENTS: Final = 1_000_000
STRING_BYTES: Final = 100 * 1024 * 1024
BATCH: Final = 500
KINDS: Final = ("list", "hash", "set", "zset", "stream")
PARTS: Final = ("commands", "keys", "scripts", "moving", "members")
SIZES: Final = (2, 3, 5, 10, 20)
"""Of clusters that nodes join."""
SETTLE_MAX_S: Final = 20.0
"""In which a node frees what a command has left."""
QUIET_S: Final = 0.3
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
            [sys.executable, "-P", "-m", "bench.stalls", "serve", str(port), join],
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


def main(arguments: list[str]) -> None:
    """Measure what was asked for, or everything."""
    if arguments[:1] == ["serve"]:
        asyncio.run(serve(int(arguments[1]), arguments[2]))
        return
    elements = next((int(word[9:]) for word in arguments if word.startswith("elements=")), ELEMENTS)
    chosen = [part for part in PARTS if part in arguments] or PARTS
    parts: dict[str, Callable[[], Iterator[Stall]]] = {
        "commands": lambda: commands(elements),
        "keys": lambda: keys(elements),
        "scripts": scripts,
        "moving": lambda: moving(elements),
        "members": members,
    }
    found: list[Stall] = []
    for part in chosen:
        for stall in parts[part]():
            found.append(stall)
            sys.stdout.write(
                f"{stall.group:24} {stall.name:34} {stall.at_once_ms:8.1f} ms at once, {stall.later_ms:8.1f} ms later"
                f"{'  ' + stall.what if max(stall.at_once_ms, stall.later_ms) > stalls_page.TURN_MAX_MS else ''}\n"
            )
            sys.stdout.flush()
    if "--write" in arguments:
        compiled = importlib.util.find_spec("respcache.engine.executor")
        kind = "compiled" if compiled is not None and str(compiled.origin).endswith(".so") else "interpreted"
        build = f"{kind}, Python {sys.version.split()[0]}"
        stalls_page.write(Stalls(f"{datetime.now(UTC):%Y-%m-%d}", build, elements, found))


async def serve(port: int, join: str) -> None:
    """Be a node until the end, and tell of the longest callback at SIGUSR1."""
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


@cache
def requests(kind: str, key: str, elements: int) -> tuple[bytes, int]:
    """Encode what makes a value, and say how many requests that are."""
    calls: list[list[bytes]] = []
    for first in range(0, elements, BATCH):
        numbers = range(first, min(first + BATCH, elements))
        words = [key.encode()]
        match kind:
            case "list":
                calls.append([b"RPUSH", *words, *[b"element:%07d" % number for number in numbers]])
            case "hash":
                pairs = [(b"field:%07d" % number, b"value:%07d" % number) for number in numbers]
                calls.append([b"HSET", *words, *[word for pair in pairs for word in pair]])
            case "set":
                calls.append([b"SADD", *words, *[b"member:%07d" % number for number in numbers]])
            case "zset":
                scored = [(b"%d" % (number * 7919 % elements), b"member:%07d" % number) for number in numbers]
                calls.append([b"ZADD", *words, *[word for pair in scored for word in pair]])
            case "stream":
                calls += [[b"XADD", *words, b"%d-1" % (n + 1), b"field", b"value:%07d" % n] for n in numbers]
            case _:
                calls += [[b"SET", b"%s:%07d" % (words[0], n), b"v", b"PXAT", b"%d" % DUE_UNIX_MS] for n in numbers]
    return b"".join(request(argv) for argv in calls), len(calls)


DUE_UNIX_MS: Final = 4_102_444_800_000
"""In the year 2100: keys with a deadline."""


def fill(process: Process, kind: str, key: str, elements: int) -> None:
    """Make a value."""
    wire, count = requests(kind, key, elements)
    with socket.create_connection((HOST, process.port), timeout=TIMEOUT_S) as connection:
        reading = connection.makefile("rb")
        connection.setblocking(True)
        writer = threading.Thread(target=connection.sendall, args=(wire,))  # the node reads no more from who does not
        writer.start()
        replies = 0
        while replies < count:
            line = reading.readline()
            assert line, "the node hung up"
            if line.startswith(b"$"):
                reading.readline()
            assert not line.startswith(b"-"), line
            replies += 1
        writer.join()


def settle(process: Process) -> None:
    """Wait until a node has freed what it has to free, and has nothing else to do either."""
    ends_s = time.monotonic() + SETTLE_MAX_S
    while process.client.info("memory")["lazyfree_pending_objects"] and time.monotonic() < ends_s:
        time.sleep(0.05)
    time.sleep(QUIET_S)


def stall(process: Process, group: str, name: str, run: Callable[[], object], *, wait_s: float = 0.0) -> Stall:
    """Run something, and give the longest turns of it and of what it leaves to be done."""
    process.worst()
    run()
    own_ms, own = process.worst()
    time.sleep(wait_s)
    settle(process)
    later_ms, later = process.worst()
    return Stall(group, name, round(own_ms, 1), round(later_ms, 1), own if own_ms > later_ms else later)


def commands(elements: int) -> Iterator[Stall]:
    """Time commands on large values, each together with what it leaves to be freed."""
    with node() as single:
        client = single.client
        for kind in KINDS:
            fresh = False
            for name, run, spoils in cases(client, kind):
                if not fresh:
                    fill(single, kind, "{k}1", elements)
                    settle(single)
                yield stall(single, kind, name, run)
                fresh = not spoils
                if spoils:
                    client.config_set("maxmemory", "0")
                    client.flushall()
                    settle(single)
            client.flushall()
            settle(single)
        value = b"x" * STRING_BYTES
        yield stall(single, "string of 100 MB", "SET", lambda: client.set("s", value))
        yield stall(single, "string of 100 MB", "GETRANGE of 10 bytes", lambda: client.getrange("s", 1_000, 1_009))
        yield stall(single, "string of 100 MB", "APPEND, the first", lambda: client.append("s", "more"))
        yield stall(single, "string of 100 MB", "APPEND, the second", lambda: client.append("s", "more"))
        yield stall(single, "string of 100 MB", "GET", lambda: client.get("s"))
        yield stall(single, "string of 100 MB", "DEL of what was appended to", lambda: client.delete("s"))
        client.set("s", value)
        yield stall(single, "string of 100 MB", "SET over it", lambda: client.set("s", "small"))


def cases(client: Client, kind: str) -> list[tuple[str, Callable[[], object], bool]]:
    """List what is done with a value of a kind, and whether that spoils it for what comes next."""
    found: list[tuple[str, Callable[[], object], bool]] = []
    scans = {"hash": "hscan", "set": "sscan", "zset": "zscan"}
    if kind in scans:
        scan = getattr(client, scans[kind])
        found.append((scans[kind].upper(), lambda: scan("{k}1", 0, count=100), False))
    more: dict[str, tuple[str, Callable[[], object]]] = {
        "list": ("RPUSH of one", lambda: client.rpush("{k}1", "more")),
        "hash": ("HSET of one", lambda: client.hset("{k}1", "more", "v")),
        "set": ("SADD of one", lambda: client.sadd("{k}1", "more")),
        "zset": ("ZADD of one", lambda: client.zadd("{k}1", {"more": 1.5})),
        "stream": ("XADD of one", lambda: client.xadd("{k}1", {"f": "v"})),
    }
    return [
        *found,
        (*more[kind], False),
        ("MEMORY USAGE", lambda: client.memory_usage("{k}1"), False),
        ("RENAME", lambda: [client.rename("{k}1", "{k}2"), client.rename("{k}2", "{k}1")], False),
        ("COPY", lambda: client.copy("{k}1", "{k}2"), True),
        ("DEL", lambda: client.delete("{k}1"), True),
        ("SET over it", lambda: client.set("{k}1", "small"), True),
        ("PEXPIRE, sweep", lambda: [client.pexpire("{k}1", 1), swept(client)], True),
        ("FLUSHALL", client.flushall, True),
        (
            "maxmemory",
            lambda: [client.config_set("maxmemory-policy", "allkeys-random"), client.config_set("maxmemory", "2mb")],
            True,
        ),
    ]


def keys(elements: int) -> Iterator[Stall]:
    """Time what is done with many keys, and many fields, at once."""
    with node() as single:
        client = single.client
        group = f"{elements:,} keys"
        fill(single, "keys", "key", elements)
        settle(single)
        yield stall(single, group, "FLUSHALL", client.flushall)
        client.execute_command("DEBUG", "SET-ACTIVE-EXPIRE", "0")
        for first in range(0, elements, 10_000):
            calls = client.pipeline(transaction=False)
            for number in range(first, min(first + 10_000, elements)):
                calls.execute_command("SET", f"key:{number}", "v", "PX", "1")
            calls.execute()
        settle(single)
        client.execute_command("DEBUG", "SET-ACTIVE-EXPIRE", "1")
        yield stall(single, group, "all due at once, sweep", lambda: swept(client))
        for count in (1_000, elements):
            client.config_resetstat()
            fill(single, "hash", "{k}1", count)
            client.hset("{k}1", "stays", "v")
            client.execute_command("DEBUG", "SET-ACTIVE-EXPIRE", "0")
            due_s = fields_due(client, count)
            settle(single)
            time.sleep(max(0.0, due_s - time.time()))
            yield stall(single, "fields of a hash", f"{count:,} due at once, sweep", partial(take_out, client, count))
            client.flushall()
            settle(single)


def fields_due(client: Client, count: int) -> float:
    """Let so many fields be over at one time, and return that, in seconds."""
    due_s = int(time.time()) + 5 + count // 20_000
    for first in range(0, count, 10_000):
        fields = [f"field:{number:07}" for number in range(first, min(first + 10_000, count))]
        client.execute_command("HPEXPIREAT", "{k}1", due_s * 1_000, "FIELDS", len(fields), *fields)
    assert time.time() < due_s
    return due_s + 0.1


def take_out(client: Client, count: int) -> None:
    """Wait until so many fields have been."""
    client.execute_command("DEBUG", "SET-ACTIVE-EXPIRE", "1")
    ends_s = time.monotonic() + SETTLE_MAX_S
    while client.info("stats")["expired_fields"] < count and time.monotonic() < ends_s:
        time.sleep(0.1)


def swept(client: Client) -> bool:
    """Wait until no key is left."""
    while client.dbsize():
        time.sleep(0.1)
    return True


def scripts() -> Iterator[Stall]:
    """Time a script that takes long, and rests."""
    text = "local at = redis.call('TIME')[1] + 2 while redis.call('TIME')[1] + 0 < at do end return 1"
    with node() as single:
        yield stall(single, "scripts", "EVAL of a second or two", lambda: single.client.eval(text, 0))


def moving(elements: int) -> Iterator[Stall]:
    """Copy large values from one node to another while a client writes elsewhere in the partition."""
    with ExitStack() as stack:
        first = stack.enter_context(node())
        for kind in KINDS:
            fill(first, kind, f"{{p}}{kind}", elements)
        first.client.set("{p}string", b"x" * STRING_BYTES)
        settle(first)
        first.worst()
        second = stack.enter_context(node(f"{HOST}:{first.port}"))
        began, slowest, count = time.monotonic(), 0.0, 0
        while not copied(first.client) and time.monotonic() < began + TIMEOUT_S:
            before = time.monotonic()
            first.client.incr("{p}counter")
            count += 1
            slowest = max(slowest, time.monotonic() - before)
        took_s = time.monotonic() - began
        sys.stdout.write(f"copied in {took_s:.1f} s; slowest of {count:,} commands {slowest * 1e3:.0f} ms\n")
        for name, side in (("primary", first), ("learner", second)):
            ms, what = side.worst()
            yield Stall("hand-over", f"five such values, 100 MB: {name}", round(ms, 1), 0.0, what)
        for side in (first, second):
            assert side.client.execute_command("STRLEN", "{p}string") == STRING_BYTES
        key = f"{{{owned(first)}}}other"
        for what, run in (
            ("SET of 100 MB with a copy", lambda: in_time(lambda: first.client.set(key, b"x" * STRING_BYTES))),
            ("DEL of it", lambda: in_time(lambda: first.client.delete(key))),
        ):
            second.worst()
            yield stall(first, "hand-over", f"{what}: primary", run)
            ms, named = second.worst()
            yield Stall("hand-over", f"{what}: copy", round(ms, 1), 0.0, named)


def owned(process: Process) -> int:
    """Find a hash tag whose keys are at a node: half of them have moved."""
    process.client.set_response_callback("CLUSTER SLOTS", lambda rows, **_: rows)  # versions make other things of it
    slots: set[int] = set()
    for first, last, primary, *_ in process.client.execute_command("CLUSTER SLOTS"):
        if primary[1] == process.port:
            slots.update(range(first, last + 1))
    return next(tag for tag in count() if key_slot(b"%d" % tag) in slots)


def in_time(run: Callable[[], object]) -> None:
    """Run a command, be it told that nobody knows what became of it: a busy machine may take too long for an ack."""
    with suppress(redis.ResponseError):
        run()


def copied(client: Client) -> bool:
    """Tell whether each partition has its second copy."""
    health: bytes | str = client.execute_command("CLUSTER", "HEALTH")
    return "partitions_with_one_copy:0" in (health.decode() if isinstance(health, bytes) else health)


def members() -> Iterator[Stall]:
    """Time what a new record takes."""
    for size in SIZES:
        for what, ms in longest_ms(size).items():
            yield Stall("members", f"{size} nodes, one {what}s".replace("deaths", "dies"), round(ms, 1), 0.0, "")


if __name__ == "__main__":
    main(sys.argv[1:])
