"""Transactions beside a real Redis: what every client is sent, byte for byte."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from random import Random
from typing import Final

import pytest

from compat.conftest import Connect, port_of
from compat.conversation import Step
from compat.wire import Frame, RawConnection
from respcache.testing import LocalCluster

pytestmark = pytest.mark.integration

CLIENTS: Final = 4
"""Two that speak RESP2, two that speak RESP3; in a cluster each on another node than the one before."""
SEEDS: Final = range(5)
LENGTH: Final = 120

WRITTEN: Final = """
0 FLUSHALL
0 SET k v
0 MULTI
0 SWAPDB 0 2
0 GET k
0 SWAPDB a 2
0 SET k w
0 SELECT 2
0 GET k
0 EXEC
0 GET k
0 WATCH k none
1 SWAPDB 0 2
0 MULTI
0 GET k
0 EXEC
0 SELECT 0
0 WATCH none
1 SWAPDB 0 2
0 MULTI
0 GET k
0 EXEC
0 WATCH k
1 SWAPDB 1 3
0 MULTI
0 GET k
0 EXEC
0 FLUSHALL
0 EXEC
0 DISCARD
0 EXEC x
0 UNWATCH
0 UNWATCH x
0 WATCH
0 MULTI x
0 MULTI
0 MULTI
0 EXEC
0 MULTI
0 WATCH a
0 EXEC
0 MULTI
0 UNWATCH
0 EXEC
0 MULTI
0 EXEC x
0 EXEC
0 MULTI
0 NOTHING a b
0 SET a 1
0 EXEC
0 EXEC
0 MULTI
0 GET
0 SET a 1
0 EXEC
0 GET a
0 MULTI
0 CLIENT NOTHING
0 EXEC
0 MULTI
0 MULTI x
0 EXEC
0 MULTI
0 DISCARD x
0 DISCARD
0 DISCARD
0 MULTI
0 SHUTDOWN x
0 EXEC
0 MULTI
0 SET a 1
0 LPUSH a x
0 INCR a
0 INCRBY a x
0 MSET b 1 c
0 MSET b 1 c 2
0 MGET a b c d
0 RENAME a d
0 RENAME a e
0 GET d
0 DEL a b c d
0 SINTERCARD 0 x
0 EXEC
0 MULTI
0 SELECT 3
0 SET a 3
0 SELECT 99
0 SELECT x
0 SET b 3
0 MOVE b 0
0 EXEC
0 MGET a b
0 SELECT 0
0 MGET a b
0 MULTI
0 HSET h f v g w
0 HGETALL h
0 HRANDFIELD h 5
0 SADD s x
0 SMEMBERS s
0 ZADD z 1.5 a
0 ZRANGE z 0 -1 WITHSCORES
0 ZSCORE z a
0 LRANGE nothing 0 -1
0 GET nothing
0 TYPE h
0 OBJECT ENCODING h
0 EXPIRE h 100
0 PERSIST h
0 EXEC
1 MULTI
1 HGETALL h
1 SMEMBERS s
1 ZRANGE z 0 -1 WITHSCORES
1 ZSCORE z a
1 GET nothing
1 EXEC
1 WATCH h
0 HSET h f other
1 MULTI
1 PING
1 EXEC
1 MULTI
1 EXEC
0 WATCH nothing h s
1 DEL s
1 SADD s x
0 MULTI
0 SET nothing 1
0 EXEC
0 GET nothing
0 WATCH nothing
0 WATCH nothing
0 SET nothing 1
0 UNWATCH
0 MULTI
0 GET nothing
0 EXEC
0 WATCH nothing
0 RESET
1 SET nothing 2
0 MULTI
0 GET nothing
0 EXEC
0 WATCH nothing
0 MULTI
0 SET nothing 3
0 DISCARD
1 SET nothing 4
0 MULTI
0 EXEC
0 WATCH missing
1 FLUSHALL
0 MULTI
0 EXEC
0 SET a 1
0 WATCH a
1 FLUSHDB
0 MULTI
0 EXEC
0 MSET {t}a 1 {t}b 2
0 WATCH {t}a
1 COPY {t}a {t}c
1 SINTERSTORE {t}d {t}nothing
1 SELECT 1
1 SET {t}a 2
1 SELECT 0
0 MULTI
0 DBSIZE
0 SET x 1
0 DBSIZE
0 FLUSHALL
0 DBSIZE
0 SET y 1
0 KEYS *
0 RANDOMKEY
0 EXEC
0 MULTI
0 RESET
0 EXEC
0 MULTI
0 HELLO 3
0 GET nothing
0 HELLO 9
0 GET nothing
0 HELLO 2
0 GET nothing
0 EXEC
0 GET nothing
2 SUBSCRIBE c
2 MULTI
2 EXEC
2 RESET
2 MULTI
2 SUBSCRIBE c
2 SET q 1
2 EXEC
2 PING
2 RESET
0 MULTI
0 PUBLISH c m
0 ECHO hi
0 SET c 1
0 EXEC
1 MULTI
1 CLIENT SETNAME me
1 CLIENT GETNAME
1 TIME x
1 EXEC
1 MULTI
1 CLIENT GETNAME
1 INFO nothing
1 EXEC
"""

KEYS: Final = ("a", "b", "c", "{t}a", "{t}b")
CALLS: Final = (
    *4 * ("MULTI", "EXEC", "EXEC", "WATCH {0}", "WATCH {0} {1} {2}"),
    *("DISCARD", "UNWATCH", "RESET", "NOTHING", "GET", "SELECT 1", "SELECT 0", "FLUSHALL", "DBSIZE", "PING"),
    *("SET {0} 1", "SET {0} x", "INCR {0}", "APPEND {0} x", "GET {0}", "DEL {0} {1}", "GETDEL {0}", "EXPIRE {0} 100"),
    *("MSET {0} 1 {1} 2", "MSETNX {0} 1 {1} 2", "MGET {0} {1} {2}", "RENAME {0} {1}", "COPY {0} {1}", "MOVE {0} 1"),
    *("LPUSH {0} x y", "LMOVE {0} {1} LEFT RIGHT", "LRANGE {0} 0 -1", "RPOP {0}", "PERSIST {0}", "SET {0} 2 NX"),
    *("SADD {0} 1", "SMOVE {0} {1} 1", "SUNIONSTORE {0} {1} {2}", "HSET {0} f v", "HGETALL {0}", "ZADD {0} 1 a"),
)


@pytest.fixture(scope="module", params=[1, 3])
def ports(request: pytest.FixtureRequest) -> Iterator[list[int]]:
    """Run one node, or three; give their ports."""
    with LocalCluster(nodes=request.param) as cluster:
        yield [port for _, port in cluster.addresses]


def _converse(steps: Sequence[Step], ports: Sequence[int]) -> list[bytes]:
    """Make the calls one by one, each client on another node; every other one speaks RESP3."""
    with ExitStack() as stack:
        clients = [
            stack.enter_context(RawConnection(ports[number % len(ports)], protocol=2 + number % 2))
            for number in range(CLIENTS)
        ]
        return [_promised(clients[client].run([argv])[0]) for client, argv in steps]


def _promised(frame: Frame) -> bytes:
    """Take out what HELLO says of server and connection."""
    if b"modules" not in frame.wire:
        return frame.wire
    if frame.wire.startswith(b"%") or not frame.elements or not frame.elements[0].elements:
        return frame.wire[:1]
    return b"".join(map(_promised, frame.elements))


def _compare(oracle: Connect, ports: list[int], steps: list[Step]) -> None:
    """Have the same conversation with both, and fail at the first step that is answered otherwise."""
    expected = _converse(steps, [port_of(oracle)])
    answered = _converse(steps, ports)
    for number, (theirs, ours) in enumerate(zip(expected, answered, strict=True)):
        script = "\n".join(f"{client} {argv}" for client, argv in steps[: number + 1])
        assert ours == theirs, f"another answer at the end of:\n{script}"


def test_a_written_conversation_goes_as_with_redis(oracle: Connect, ports: list[int]) -> None:
    """Every command in every state, every refusal, and who sees what of whom."""
    words = [line.split(" ") for line in WRITTEN.strip().split("\n")]
    _compare(oracle, ports, [(int(client), [word.encode() for word in call]) for client, *call in words])


def _conversation(seed: int) -> list[Step]:
    rng = Random(f"transactions {seed}")
    steps: list[Step] = [(0, [b"FLUSHALL"])]
    for _ in range(LENGTH):
        words = rng.choice(CALLS).format(*(rng.choice(KEYS) for _ in range(3))).split(" ")
        steps.append((rng.randrange(CLIENTS), [word.encode() for word in words]))
    return steps


@pytest.mark.parametrize("seed", SEEDS)
def test_conversations_by_chance_go_as_with_redis(oracle: Connect, ports: list[int], seed: int) -> None:
    """Few keys, so that clients get into each other's way; the seed is the test's parameter."""
    _compare(oracle, ports, _conversation(seed))
