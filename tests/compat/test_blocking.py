"""Commands that wait, beside a real Redis: who is served, with what, and when, byte for byte."""

import re
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from random import Random
from typing import Final

import pytest

from compat.conftest import Connect, port_of
from compat.wire import READ_MAX_BYTES, TIMEOUT_S, Frame, RawConnection, parse
from respcache.resp.encode import request
from respcache.store.partition import Argv
from respcache.testing import LocalCluster

pytestmark = pytest.mark.integration

CLIENTS: Final = 6
"""Every other one speaks RESP3; in a cluster of three each node has two, a number and that plus three."""
SEEDS: Final = range(3)
LENGTH: Final = 80
KEYS: Final = ("a", "b", "c", "{t}x", "{t}y")

WRITTEN: Final = """
0 BLPOP a
0 BLPOP a x
0 BLPOP a -1
0 BLMOVE a b X LEFT -1
0 BLMOVE a b LEFT LEFT -1
0 BLMPOP 0 0 a LEFT
0 BLMPOP 0 1 a MIDDLE
0 BZMPOP -1 1 a MIN
0 BLPOP a 0.01
0 BLMOVE a b LEFT LEFT 0.01
0 BRPOPLPUSH a b 0.01
0 BZPOPMIN a 0.01
1 BZMPOP 0.01 1 a MIN
0 SET {t}s v
0 BLPOP {t}x {t}s 0
0 BLMOVE {t}x {t}s LEFT LEFT 0.01
0 BZPOPMIN {t}s 0
0 RPUSH a 1 2
1 BLPOP a 0
1 BRPOP b a 0
0 BLPOP a 0
1 BLPOP a 0
2 BLPOP a 0
3 RPUSH a 1
3 LLEN a
3 RPUSH a 2 3 4
3 LRANGE a 0 -1
3 DEL a
0 BRPOP a 0
1 BLPOP a 0
2 LPUSH a 1 2 3
2 DEL a
0 BLPOP {t}x {t}y 0
1 BLPOP {t}y {t}x 0
2 MULTI
2 RPUSH {t}y 1
2 RPUSH {t}x 2
2 LLEN {t}x
2 EXEC
2 LLEN {t}x
0 BLPOP a 0
2 MULTI
2 RPUSH a 1
2 DEL a
2 EXEC
2 MULTI
2 RPUSH a 1
2 LPOP a
2 RPUSH a 2
2 EXEC
0 BLPOP a 0
1 SET a v
1 DEL a
1 ZADD a 1 m
1 BZPOPMIN a 0
1 SADD a m
1 DEL a
1 RPUSH a 1
0 BZPOPMIN a 0
1 BZPOPMAX a 0
2 BLPOP a 0
3 ZADD a 1 m 2 n 3 o
3 ZRANGE a 0 -1
3 DEL a
3 RPUSH a e
0 BZMPOP 0 2 {t}x {t}y MAX COUNT 2
3 ZADD {t}y 1 a 2 b 3 c
3 ZRANGE {t}y 0 -1 WITHSCORES
3 DEL {t}y
0 BLMPOP 0 2 {t}x {t}y RIGHT COUNT 2
3 RPUSH {t}y 1 2 3
3 DEL {t}y
0 BLMOVE {t}x {t}y LEFT RIGHT 0
1 BLPOP {t}y 0
2 RPUSH {t}x 1
2 EXISTS {t}x {t}y
0 BLMOVE {t}x {t}x LEFT RIGHT 0
1 RPUSH {t}x 1 2
1 LRANGE {t}x 0 -1
1 DEL {t}x
0 BRPOPLPUSH {t}x {t}s 0
1 BLPOP {t}x 0
2 RPUSH {t}x 1
2 EXISTS {t}x
0 BLPOP {t}x 0
1 RPUSH {t}y 1 2
1 RENAME {t}y {t}x
1 DEL {t}x
0 BLPOP {t}x 0
1 RPUSH {t}y 1 2
1 COPY {t}y {t}x
1 LRANGE {t}x 0 -1
1 DEL {t}x {t}y
0 BZPOPMIN {t}x 0
1 ZADD {t}y 1 m
1 ZUNIONSTORE {t}x 1 {t}y
1 EXISTS {t}x
0 SELECT 3
0 BLPOP a 0
1 RPUSH a 1
1 MOVE a 3
0 SELECT 0
0 MULTI
0 BLPOP a 0
0 BLMOVE a b LEFT LEFT 0
0 BRPOPLPUSH a b 0
0 BLMPOP 0 1 a LEFT
0 BZPOPMIN a 0
0 BZMPOP 0 1 a MIN
0 RPUSH a 1
0 BLPOP a 0
0 EXEC
1 MULTI
1 BLMOVE a b LEFT LEFT 0
1 BLPOP a 0
1 EXEC
0 BLPOP a 0
3 CLIENT UNBLOCK <0>
1 BZPOPMIN a 0
4 CLIENT UNBLOCK <1> TIMEOUT
0 BLMOVE a b LEFT LEFT 0
3 CLIENT UNBLOCK <0> ERROR
3 CLIENT UNBLOCK <0> error
3 CLIENT UNBLOCK <3>
3 CLIENT UNBLOCK x
3 CLIENT UNBLOCK <0> NOW
3 CLIENT UNBLOCK <0> ERROR x
0 CLIENT PAUSE 100000 WRITE
0 GET {t}s
3 SET {t}s paused
0 GET {t}s
0 CLIENT UNPAUSE
0 GET {t}s
3 MULTI
3 SET {t}s queued
0 CLIENT PAUSE 100000 WRITE
3 EXEC
0 CLIENT UNPAUSE
0 CLIENT PAUSE 100000 WRITE
3 PUBLISH channel message
0 CLIENT UNPAUSE
0 CLIENT PAUSE 100000 WRITE
3 BLPOP a 0
0 CLIENT UNPAUSE
0 RPUSH a 1
0 BLPOP a b c 0
1 RPUSH c 1
0 BLPOP a b a 0
1 RPUSH a 1
0 BLPOP a 0
1 BLPOP a 0
2 SELECT 1
2 RPUSH a 1 2 3
2 SWAPDB 0 1
2 LRANGE a 0 -1
3 LRANGE a 0 -1
0 DEL {t}x
0 XADD {t}x 1-0 f v
0 XGROUP CREATE {t}x g $
0 XREADGROUP GROUP g c BLOCK 0 STREAMS {t}x >
1 XREAD BLOCK 0 STREAMS {t}x $
3 SWAPDB 0 1
3 XADD {t}x 2-0 f v
2 XADD {t}x 3-0 f v
3 SWAPDB 1 0
2 SELECT 0
"""

SILENT: Final = """
FLUSHALL
CLIENT REPLY SKIP
GET a
GET a
CLIENT REPLY SKIP
NOTHING
GET a b c
CLIENT REPLY OFF
SET a 1
NOTHING
PING
CLIENT REPLY SKIP
BLPOP b 0.01
MULTI
SET a 2
EXEC
SUBSCRIBE c
UNSUBSCRIBE c
CLIENT REPLY ON
GET a
CLIENT REPLY SKIP
CLIENT REPLY SKIP
GET a
GET a
CLIENT REPLY SKIP
CLIENT REPLY ON
CLIENT REPLY SKIP
BLPOP b 0.01
CLIENT REPLY SKIP
MULTI
GET a
EXEC
CLIENT REPLY OFF
RESET
PING end
"""

CALLS: Final = (
    *2 * ("BLPOP {0} 0", "BRPOP {0} 0", "BLPOP {t}x {t}y 0", "BZPOPMIN {0} 0", "BLPOP {0} 0"),
    *("BZPOPMAX {0} 0", "BLMPOP 0 1 {0} LEFT COUNT 2", "BZMPOP 0 2 {t}y {t}x MAX COUNT 2"),
    *("BLMOVE {t}x {t}y LEFT LEFT 0", "BLMOVE {0} {1} LEFT RIGHT 0", "BRPOPLPUSH {0} {1} 0"),
    *2 * ("RPUSH {0} 1 2 3", "LPUSH {0} 1", "RPUSH {0} 1", "ZADD {0} 1 a 2 b", "ZADD {0} 1 a"),
    *("DEL {0} {1}", "SET {0} v", "RENAME {0} {1}", "LMOVE {0} {1} LEFT RIGHT", "LPOP {0}", "ZPOPMIN {0}"),
    *("LRANGE {0} 0 -1", "MULTI", "EXEC", "EXEC", "COPY {0} {1}", "BLPOP {0} 0.01", "FLUSHALL"),
)  # fmt: skip


class Talk:
    """Clients of one server, some of which wait."""

    def __init__(self, stack: ExitStack, ports: Sequence[int]) -> None:
        self._watch: Final = [stack.enter_context(RawConnection(port)) for port in dict.fromkeys(ports)]
        self._stack: Final = stack
        self._ports: Final = ports
        self._streams: Final = [b""] * CLIENTS
        self.owed: Final = [0] * CLIENTS
        """Replies that each client waits for."""
        self._sockets: Final = [self._connect(client) for client in range(CLIENTS)]
        self._ids: Final = [self._greet(client) for client in range(CLIENTS)]

    def _connect(self, client: int) -> socket.socket:
        port = self._ports[client % len(self._ports)]
        return self._stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S))

    def _greet(self, client: int) -> bytes:
        self.step(client, [b"HELLO", b"%d" % (2 + client % 2)])
        [(_, frame)] = self.step(client, [b"CLIENT", b"ID"])
        return frame.wire[1:-2]

    def step(self, client: int, argv: Argv) -> list[tuple[int, Frame]]:
        """Have a client make a call; give what the clients got when all is quiet again."""
        words = [self._ids[int(word[1:-1])] if re.fullmatch(rb"<\d>", word) else word for word in argv]
        self._sockets[client].sendall(request(words))
        self.owed[client] += 1
        return self._heard(client if b"0.01" in argv else -1)

    def end(self, client: int) -> list[tuple[int, Frame]]:
        """Have a client go away, whatever it waits for, and another one take its place."""
        self._sockets[client].close()
        self.owed[client] = 0
        heard = self._heard(-1)
        self._streams[client], self._sockets[client] = b"", self._connect(client)
        self._ids[client] = self._greet(client)
        return heard

    def _heard(self, impatient: int) -> list[tuple[int, Frame]]:
        """Listen until all have what they are owed, or wait for a key; one of them until its time is over."""
        found: list[tuple[int, Frame]] = []
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            # Whoever has been promised one of these keys has it, once it can be looked at.
            blocked = self._blocked()
            found += self._read()
            quiet = impatient < 0 or not self.owed[impatient]
            if quiet and sum(self.owed) == blocked == self._blocked():
                return sorted(found, key=lambda one: one[0])
            assert time.monotonic() < deadline, f"{self.owed} are owed, {blocked} blocked"

    def _blocked(self) -> int:
        total = 0
        for node in self._watch:
            _, info = node.run([[b"EXISTS", *(key.encode() for key in KEYS)], [b"INFO", b"clients"]])
            total += int(info.wire.partition(b"blocked_clients:")[2].split()[0])
        return total

    def _read(self) -> list[tuple[int, Frame]]:
        found: list[tuple[int, Frame]] = []
        for client, connection in enumerate(self._sockets):
            if not self.owed[client]:
                continue
            connection.settimeout(0.001)
            try:
                self._streams[client] += connection.recv(READ_MAX_BYTES)
            except TimeoutError:
                continue
            finally:
                connection.settimeout(TIMEOUT_S)
            while self._streams[client] and (frame := parse(self._streams[client], 0)):
                self._streams[client] = self._streams[client][len(frame.wire) :]
                self.owed[client] -= 1
                found.append((client, frame))
        return found


@pytest.fixture(scope="module", params=[1, 3])
def ports(request: pytest.FixtureRequest) -> Iterator[list[int]]:
    """Run one node, or three; give their ports."""
    with LocalCluster(nodes=request.param) as cluster:
        yield [port for _, port in cluster.addresses]


class Comparison:
    """The same conversation with both servers, step by step."""

    def __init__(self, stack: ExitStack, oracle: Connect, ports: Sequence[int]) -> None:
        self.theirs: Final = Talk(stack, [port_of(oracle)])
        self.ours: Final = Talk(stack, ports)
        self._script: Final[list[str]] = []
        self.step(0, [b"FLUSHALL"])

    def step(self, client: int, argv: Argv) -> None:
        """Make a call; fail if anybody is answered otherwise."""
        self._script.append(f"{client} {b' '.join(argv).decode()}")
        expected = self.theirs.step(client, argv)
        answered = self.ours.step(client, argv)
        script = "\n".join(self._script)
        assert answered == expected, f"another answer at the end of:\n{script}"

    def end(self, client: int) -> None:
        """Have a client go away that waits, and another one come; nobody is to be answered."""
        self._script.append(f"{client} goes away")
        assert self.theirs.end(client) == self.ours.end(client) == []

    def free(self) -> list[int]:
        """List the clients that do not wait."""
        return [client for client in range(CLIENTS) if not self.theirs.owed[client]]


def test_a_written_conversation_goes_as_with_redis(oracle: Connect, ports: list[int]) -> None:
    """Every command in every state, who is served before whom, and what ends a wait."""
    with ExitStack() as stack:
        comparison = Comparison(stack, oracle, ports)
        for line in WRITTEN.strip().split("\n"):
            client, *words = line.split(" ")
            comparison.step(int(client), [word.encode() for word in words])
        assert not sum(comparison.ours.owed)


@pytest.mark.parametrize("seed", SEEDS)
def test_conversations_by_chance_go_as_with_redis(oracle: Connect, ports: list[int], seed: int) -> None:
    """Few keys, many who wait for them, and some who go away meanwhile; the seed is the test's parameter."""
    rng = Random(f"blocking {seed}")
    with ExitStack() as stack:
        comparison = Comparison(stack, oracle, ports)
        for _ in range(LENGTH):
            free = comparison.free()
            if len(free) == 1:
                for client in range(CLIENTS):
                    if client not in free:
                        comparison.end(client)
                        break
                continue
            call = rng.choice(CALLS)
            words = call.replace("{0}", rng.choice(KEYS)).replace("{1}", rng.choice(KEYS)).split(" ")
            comparison.step(rng.choice(free), [word.encode() for word in words])


def test_replies_that_are_not_wanted_are_left_out(oracle: Connect, ports: list[int]) -> None:
    """All others come, in their order, those to commands that had to wait included."""
    calls = [line.encode().split() for line in SILENT.strip().split("\n")]
    assert [_sent(port, calls) for port in ports] == len(ports) * [_sent(port_of(oracle), calls)]


def _sent(port: int, calls: Sequence[Argv]) -> bytes:
    """Give all that a client is sent for a pipeline of calls that ends with PING end."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as client:
        client.sendall(b"".join(map(request, calls)))
        while not received.endswith(b"end\r\n"):
            more = client.recv(READ_MAX_BYTES)
            assert more, received
            received += more
    return received
