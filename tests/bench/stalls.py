"""Tells for how long a node is stopped by what takes long: `task bench:stalls`, and with `-- --write` docs/stalls.md.

The nodes are processes, set up as `respcache serve` does it, whose event loop takes the CPU time of each of its
callbacks; the longest one is the stall, collections of garbage included. CPU time, because on a machine that has other
things to do a callback may be interrupted for longer than it runs; what takes too long all the same is measured up to
three times, and the least counts (see `again`). The parts:

- `commands`: commands that make, change, move and get rid of values of a million elements and of 100 MB, on one node;
- `keys`: a million keys that expire or are flushed, and fields of hashes that are due at once;
- `scripts`: a script that runs for a second;
- `moving`: such values are copied from one node to another while clients write;
- `members`: nodes that join, die and leave, simulated (see `adoption`).

Arguments choose some of them, and with `elements=N` values of another size.
"""

import importlib.util
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from functools import cache, partial
from itertools import count
from typing import Final

import msgspec
import redis
from redis.crc import key_slot

from bench import stalls_page
from bench.adoption import longest_ms
from bench.stalls_page import Stall, Stalls
from bench.timed import HOST, TIMEOUT_S, Client, Process, node
from respcache.resp.encode import request

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
TRIES: Final = 3
"""Of what takes longer than it should."""


def main(arguments: list[str]) -> None:
    """Measure what was asked for, or everything."""
    elements = next((int(word[9:]) for word in arguments if word.startswith("elements=")), ELEMENTS)
    chosen = [part for part in PARTS if part in arguments] or PARTS
    parts: dict[str, Callable[[], Iterator[Stall]]] = {
        "commands": lambda: commands(elements),
        "keys": lambda: iter(again(lambda: list(keys(elements)))),
        "scripts": lambda: iter(again(lambda: list(scripts()))),
        "moving": lambda: iter(again(lambda: list(moving(elements)))),
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


def again(once: Callable[[], list[Stall]]) -> list[Stall]:
    """Measure what takes too long again, and give the least: what a node does repeats itself, what stops it does not.

    On a virtual machine the time in which others have the processor counts as CPU time of whatever runs.
    """
    found = once()
    for _ in range(TRIES - 1):
        if all(max(stall.at_once_ms, stall.later_ms) <= stalls_page.TURN_MAX_MS for stall in found):
            break
        found = [lesser(*pair) for pair in zip(found, once(), strict=True)]
    return found


def lesser(one: Stall, other: Stall) -> Stall:
    """Give the least of two measurements of the same thing."""
    return msgspec.structs.replace(
        min(one, other, key=lambda stall: max(stall.at_once_ms, stall.later_ms)),
        at_once_ms=min(one.at_once_ms, other.at_once_ms),
        later_ms=min(one.later_ms, other.later_ms),
    )


def commands(elements: int) -> Iterator[Stall]:
    """Time commands on large values, each together with what it leaves to be freed."""
    with node() as single:
        for kind in KINDS:
            for name, run, spoils in cases(single.client, kind):
                yield from again(partial(on_value, single, kind, elements, name, run, spoils=spoils))
            single.client.flushall()
            settle(single)
        for name, before, run in string_cases(single.client):
            yield from again(partial(on_string, single, name, before, run))


def on_value(
    single: Process, kind: str, elements: int, name: str, run: Callable[[], object], *, spoils: bool
) -> list[Stall]:
    """Time one command on a large value, which is made if it is not there."""
    client = single.client
    if not client.exists("{k}1"):
        fill(single, kind, "{k}1", elements)
        settle(single)
    found = stall(single, kind, name, run)
    if spoils:
        client.config_set("maxmemory", "0")
        client.flushall()
        settle(single)
    return [found]


def on_string(
    single: Process, name: str, before: Callable[[], object] | None, run: Callable[[], object]
) -> list[Stall]:
    """Time one command on a string of 100 MB."""
    single.client.delete("s")
    if before is not None:
        before()
    settle(single)
    return [stall(single, "string of 100 MB", name, run)]


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


def string_cases(client: Client) -> list[tuple[str, Callable[[], object] | None, Callable[[], object]]]:
    """List what is done with a long string, each with what is to be done before."""
    value = b"x" * STRING_BYTES

    def store() -> None:
        client.set("s", value)

    def append() -> None:
        client.append("s", "more")

    def grow() -> None:
        store()
        append()

    return [
        ("SET", None, store),
        ("SET over it", store, lambda: client.set("s", "small")),
        ("GETRANGE of 10 bytes", store, lambda: client.getrange("s", 1_000, 1_009)),
        ("GET", store, lambda: client.get("s")),
        ("APPEND, the first", store, append),
        ("APPEND, the second", grow, append),
        ("GET of what was appended to", grow, lambda: client.get("s")),
        ("DEL of what was appended to", grow, lambda: client.delete("s")),
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
