"""DEBUG beside a real Redis, on one node and through any node of three."""

import socket
from collections.abc import Iterator
from random import Random
from typing import Final

import pytest

from compat.oracle import running, why_not
from compat.wire import RawConnection
from respcache.store.limits import DEFAULT
from respcache.store.partition import Argv
from respcache.store.rdb.payload import dump
from respcache.testing import LocalCluster
from unit.store.rdb.examples import value

pytestmark = pytest.mark.integration

CALLS: Final = rb"""
DEBUG PROTOCOL string
DEBUG PROTOCOL integer
DEBUG PROTOCOL double
DEBUG PROTOCOL null
DEBUG PROTOCOL array
DEBUG PROTOCOL set
DEBUG PROTOCOL map
DEBUG PROTOCOL verbatim
DEBUG PROTOCOL true
DEBUG PROTOCOL false
DEBUG PROTOCOL bignum
DEBUG PROTOCOL nothing
DEBUG SLEEP 0
DEBUG SLEEP 0.01
DEBUG SLEEP x
DEBUG ERROR WRONG+text
DEBUG ERROR a\nb
DEBUG LOG text
DEBUG CHANGE-REPL-ID
DEBUG SET-ACTIVE-EXPIRE 0
DEBUG SET-ACTIVE-EXPIRE 1
DEBUG QUICKLIST-PACKED-THRESHOLD 10b
DEBUG QUICKLIST-PACKED-THRESHOLD 1kb
DEBUG QUICKLIST-PACKED-THRESHOLD 0
DEBUG QUICKLIST-PACKED-THRESHOLD x
DEBUG QUICKLIST-PACKED-THRESHOLD 5gb
DEBUG OBJECT none
DEBUG LISTPACK none
DEBUG LISTPACK s
DEBUG LISTPACK h
DEBUG DIGEST-VALUE none s h l z e x d
DEBUG DIGEST-VALUE s
DEBUG RELOAD
DEBUG RELOAD NOSAVE NOFLUSH MERGE
DEBUG RELOAD other
DEBUG DIGEST-VALUE none s h l z e x d
MULTI
DEBUG SLEEP 0
EXEC
"""
"""Calls of one client, `+` for a blank within a word."""
VALUES: Final = rb"""
SET s text
SET d 12
EXPIRE d 1000
HSET h a 1 b 2
RPUSH l a b c 4
ZADD z 1 a 2.5 b -inf c
SADD e 1 2 x
XADD x 1-1 f v
XADD x 2-1 g w
"""


def _calls(text: bytes) -> list[Argv]:
    words = [line.split(b" ") for line in text.strip().split(b"\n")]
    return [[word.replace(b"+", b" ").replace(b"\\n", b"\n") for word in line] for line in words]


@pytest.fixture(scope="module")
def redis_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run a Redis that lets everybody debug it."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    folder = str(tmp_path_factory.mktemp("redis"))  # DEBUG RELOAD writes a file
    with running("redis-server", "--enable-debug-command", "yes", "--dir", folder) as port:
        yield port


@pytest.fixture(scope="module", params=[1, 3])
def ports(request: pytest.FixtureRequest) -> Iterator[list[int]]:
    """Run one node, or three; give their ports."""
    with LocalCluster(nodes=request.param, enable_debug_command="local") as cluster:
        cluster.wait_for_copies()
        yield [port for _, port in cluster.addresses]


@pytest.mark.parametrize("protocol", [2, 3])
def test_debug_answers_as_redis(redis_port: int, ports: list[int], protocol: int) -> None:
    """Through the last node, whichever owns the keys."""
    with RawConnection(redis_port, protocol=protocol) as redis, RawConnection(ports[-1], protocol=protocol) as node:
        for client in (redis, node):
            client.run([[b"FLUSHALL"], *_calls(VALUES)])
        for argv in _calls(CALLS):
            assert node.run([argv])[0].wire == redis.run([argv])[0].wire, argv


@pytest.mark.parametrize("kind", [b"attrib", b"push"])
@pytest.mark.parametrize("protocol", [2, 3])
def test_what_stands_beside_a_reply_is_that_of_redis(
    redis_port: int, ports: list[int], protocol: int, kind: bytes
) -> None:
    """An attribute in front of it, a push before it: what comes until the next reply, byte for byte."""
    heard = []
    for port in (redis_port, ports[0]):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(b"HELLO %d\r\nPING\r\nDEBUG PROTOCOL %b\r\nECHO end\r\n" % (protocol, kind))
            said = b""
            while not said.endswith(b"end\r\n"):
                said += client.recv(10_000)
            heard.append(said.partition(b"+PONG")[2])
    assert heard[0] == heard[1]


def test_what_holds_the_node_up_is_noted_as_by_redis(redis_port: int, ports: list[int]) -> None:
    """The kind of work and about how long, in the same shapes."""
    shapes = []
    for port in (redis_port, ports[0]):
        with RawConnection(port) as client:
            client.run([[b"CONFIG", b"SET", b"latency-monitor-threshold", b"500"], [b"LATENCY", b"RESET"]])
            client.run([[b"DEBUG", b"SLEEP", b"0.6"]])
            latest, history, graph, reset, nothing = client.run(
                [
                    [b"LATENCY", b"LATEST"],
                    [b"LATENCY", b"HISTORY", b"command"],
                    [b"LATENCY", b"GRAPH", b"command"],
                    [b"LATENCY", b"RESET"],
                    [b"LATENCY", b"GRAPH", b"command"],
                ]
            )
            client.run([[b"CONFIG", b"SET", b"latency-monitor-threshold", b"0"]])
            for frame in (latest, history):
                assert frame.elements is not None
                (event,) = frame.elements
                assert event.elements is not None
                assert 600 <= (event.elements[2 if frame is latest else 1].number or 0) < 20_000
            graph_head = graph.wire.split(b"\r\n")[1].split(b" - ")[0]
            shapes.append([graph_head, graph.wire.count(b"\n"), reset.wire, nothing.wire])
    assert shapes[0] == shapes[1]


def test_reload_keeps_all_values_on_all_nodes(ports: list[int]) -> None:
    """Written and read in Redis' own format in place; the digest of the whole cluster stays, through any node."""
    with RawConnection(ports[0]) as first, RawConnection(ports[-1]) as last:
        first.run([[b"FLUSHALL"]])
        assert last.run([[b"DEBUG", b"DIGEST"]])[0].wire == b"+%b\r\n" % (b"0" * 40)
        for seed in range(30):
            restored = first.run([[b"RESTORE", b"key%d" % seed, b"100000", dump(value(Random(seed)), DEFAULT)]])
            assert restored[0].wire == b"+OK\r\n"
        before = last.run([[b"DEBUG", b"DIGEST"]])[0].wire
        assert first.run([[b"DEBUG", b"RELOAD"]])[0].wire == b"+OK\r\n"
        assert first.run([[b"DEBUG", b"DIGEST"]])[0].wire == before
        assert first.run([[b"DBSIZE"]])[0].wire == b":30\r\n"
        first.run([[b"DEL", b"key3"]])
        assert last.run([[b"DEBUG", b"DIGEST"]])[0].wire != before


def test_what_ends_a_process_is_refused(ports: list[int]) -> None:
    """And the node lives."""
    with RawConnection(ports[0]) as client:
        for name in (b"SEGFAULT", b"PANIC", b"OOM", b"ASSERT", b"RESTART", b"CRASH-AND-RECOVER"):
            assert client.run([[b"DEBUG", name]])[0].wire.startswith(b"-ERR DEBUG %b is not supported" % name)
        assert client.run([[b"PING"]])[0].wire == b"+PONG\r\n"


def test_debug_is_off_by_default(redis_port: int) -> None:
    """With the words of Redis, for every member, and inside MULTI."""
    del redis_port  # it says whether there is a Redis
    with LocalCluster(nodes=1) as cluster, running("redis-server") as port:
        ((_, ours),) = cluster.addresses
        with RawConnection(port) as redis, RawConnection(ours) as node:
            for call in _calls(b"DEBUG SLEEP 0\nDEBUG OBJECT a\nDEBUG DIGEST\nMULTI\nDEBUG RELOAD\nEXEC"):
                assert node.run([call])[0].wire == redis.run([call])[0].wire, call


def test_payloads_travel_through_any_node(ports: list[int]) -> None:
    """What one node dumps, another restores; copies have the value and its deadline."""
    with RawConnection(ports[0]) as first, RawConnection(ports[-1]) as last:
        first.run([[b"FLUSHALL"]])
        for seed in range(20):
            key, payload = b"key%d" % seed, dump(value(Random(seed)), DEFAULT)
            assert first.run([[b"RESTORE", key, b"100000", payload]])[0].wire == b"+OK\r\n"
            assert last.run([[b"RESTORE", key, b"0", payload]])[0].wire.startswith(b"-BUSYKEY ")
            written = last.run([[b"DUMP", key]])[0].wire
            assert first.run([[b"DUMP", key]])[0].wire == written
            assert 99_000 < int(last.run([[b"PTTL", key]])[0].wire[1:-2]) <= 100_000
