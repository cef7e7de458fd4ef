"""MONITOR beside a real Redis: the same calls are shown in the same words."""

import re
import socket
from collections.abc import Iterator
from typing import Final

import pytest

from compat.conftest import Connect, port_of
from compat.wire import READ_MAX_BYTES, TIMEOUT_S, RawConnection
from respcache.resp.encode import request
from respcache.resp.inline import words
from respcache.testing import LocalCluster

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("left_as_found")]

CALLS: Final = r"""
AUTH x
HELLO 3 AUTH default secret SETNAME me
HELLO 2 AUTH default secret
SET k "a\x00b\n\"q\\ \xff\xc3\xa9\t\a\b\r"
get
get k
NOSUCH
LPUSH k 1
MULTI
SET a 1
get a
Exec
MULTI
INCR a
DISCARD
MULTI
nonsense
exec
WATCH a
SET a 2
MULTI
SET a 3
EXEC
EVAL "redis.call('set',KEYS[1],1) redis.pcall('lpush',KEYS[1],1) return redis.call('get',KEYS[1])" 1 zz
EVAL "return 1" 0
CONFIG GET port
CONFIG SET timeout 0
CLIENT LIST
CLIENT ID
SLOWLOG LEN
SELECT 3
ping
MSET a 1 b 2 c 3
DEL a b c
BLPOP nolist 0.01
PUBLISH a b
SUBSCRIBE x
UNSUBSCRIBE x
MULTI
MONITOR
EXEC
RESET
INFO server
ECHO end
"""
STAMP: Final = re.compile(rb"^\+\d{10}\.\d{6} \[(\d+) (lua|[^ \]]+)\] ")


@pytest.fixture(scope="module")
def ports() -> Iterator[list[int]]:
    """Run three nodes; give their ports."""
    with LocalCluster(nodes=3) as cluster:
        yield [port for _, port in cluster.addresses]


class Watching:
    """A client that is shown what others do."""

    def __init__(self, port: int) -> None:
        self.socket: Final = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self._stream = b""
        self.socket.sendall(request([b"MONITOR"]))
        assert self.line() == b"+OK"

    def line(self) -> bytes:
        """Wait for the next line."""
        while b"\r\n" not in self._stream:
            more = self.socket.recv(READ_MAX_BYTES)
            assert more, "the server has hung up"
            self._stream += more
        line, _, self._stream = self._stream.partition(b"\r\n")
        return line

    def until(self, last: bytes) -> list[bytes]:
        """Give what is shown until a line ends so, with the database, and with an address that tells scripts apart."""
        lines: list[bytes] = []
        while not lines or not lines[-1].endswith(last):
            line = self.line()
            stamp = STAMP.match(line)
            assert stamp is not None, line
            by = b"lua" if stamp[2] == b"lua" else b"client"
            lines.append(b"[%b %b] %b" % (stamp[1], by, line[stamp.end() :]))
        return lines


def _shown(port: int) -> list[bytes]:
    watching = Watching(port)
    with RawConnection(port) as connection:
        for line in CALLS.strip().split("\n"):
            connection.run([words(line.encode())])
    shown = watching.until(b'"ECHO" "end"')
    watching.socket.close()
    return shown


def test_calls_are_shown_as_by_redis(oracle: Connect, ports: list[int]) -> None:
    """Quoted alike, without passwords, in order; what was refused unrun is not shown, nor what operators do."""
    expected = _shown(port_of(oracle))
    with LocalCluster(nodes=1) as cluster:
        assert _shown(cluster.addresses[0][1]) == expected
    for port in ports:  # a script is shown where it runs, what it calls with it
        shown = [line for line in _shown(port) if b" lua] " not in line]
        assert shown == [line for line in expected if b" lua] " not in line]


def test_a_node_shows_what_its_own_clients_do(ports: list[int]) -> None:
    """Whichever node has the keys; and nothing of what other nodes ask of it for their clients."""
    watching = [Watching(port) for port in ports]
    for name, port in zip((b"a", b"b", b"c"), ports, strict=True):
        with RawConnection(port) as connection:
            connection.run([[b"SET", b"%b%d" % (name, number), b"v"] for number in range(20)] + [[b"ECHO", name]])
    for name, watcher in zip((b"a", b"b", b"c"), watching, strict=True):
        expected = [b'[0 client] "SET" "%b%d" "v"' % (name, number) for number in range(20)]
        assert watcher.until(b'"ECHO" "%b"' % name)[:-1] == expected
        watcher.socket.close()


def test_a_client_that_watches_may_do_little_else(oracle: Connect, ports: list[int]) -> None:
    """As in Redis; RESET makes a usual client of it again, and nobody else is slower for it any more."""
    replies: list[list[bytes]] = []
    for port in (port_of(oracle), ports[0]):
        watching = Watching(port)
        answers: list[bytes] = []
        for argv in ([b"GET", b"k"], [b"SET", b"k", b"v"], [b"PUBLISH", b"a", b"b"], [b"MONITOR"], [b"PING"]):
            watching.socket.sendall(request(argv))
            if argv != [b"MONITOR"]:
                answers.append(watching.line())
        assert watching.until(b'"PING"') == [b'[0 client] "PING"']
        watching.socket.sendall(request([b"RESET"]) + request([b"DEL", b"nothing"]))
        answers += [watching.line(), watching.line()]
        replies.append(answers)
        watching.socket.close()
    assert replies[0] == replies[1]
    assert replies[1][-2:] == [b"+RESET", b":0"]


def test_who_does_not_read_what_is_shown_is_cut_off() -> None:
    """Beyond the limit of subscribed clients; the clients that are watched notice nothing."""
    with LocalCluster(nodes=1, pubsub_output_buffer_limit_bytes=1024 * 1024) as cluster:
        port = cluster.addresses[0][1]
        watching = Watching(port)
        with RawConnection(port) as connection:
            for _ in range(400):
                connection.run([[b"ECHO", bytes(100_000)]])
                [listed] = connection.run([[b"CLIENT", b"LIST"]])
                if b"flags=O" not in listed.wire:
                    break
            else:
                pytest.fail("it is still connected")
        watching.socket.close()
