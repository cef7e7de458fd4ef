"""What is no request, and what only looks unlike one, beside a real Redis: the same error, with the same byte."""

import socket
from collections.abc import Iterator

import pytest
import redis

from compat.wire import TIMEOUT_S
from respcache.testing import LocalCluster

pytestmark = pytest.mark.integration

PING = b"*1\r\n$4\r\nPING\r\n"
STREAMS = (
    *(b"*0\r\n" + PING, b"*-5\r\nPING\r\n", b"\r\n\n" + PING, b"*1\rx$4\rxPINGab" + PING, b"PING\n" + PING),
    *(b"*1\r\n$536870912\r\n", b"*1048576\r\n$1\r\n", b"*1\r\n:", b"*2\r\n$4\r\nPING\r\n", b"*", b"PI"),
    *(b"*x\r\n", b"*\r\n", b"*01\r\n", b"*-0\r\n", b"*99999999999999999999\r\n", b"*2147483648\r\n", b"*0\r\n*x\r\n"),
    *(b"*1\r\n:1\r\n", b"*1\r\n+OK\r\n", b"*1\r\n*1\r\n", b"*1\r\n\r\n", b"*1\r\n(1\r\n", b"*2\r\n$4\r\nPING\r\n$\r\n"),
    *(b"*1\r\n$-1\r\n", b"*1\r\n$-0\r\n", b"*1\r\n$01\r\n", b"*1\r\n$x\r\n", b"*1\r\n$536870913\r\n"),
    *(b"PING 'a\n", b'"\n', b"'a'b\r\n", b"a" * 65_537, b"*" + b"1" * 65_536, b"*1\r\n$" + b"1" * 65_536),
)
"""Some of which are waited for, some refused with their last byte."""
AUTH = b"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n"
FROM_STRANGERS = (
    *(b"*10\r\n$1\r\n", b"*11\r\n", b"*1048576\r\n", b"*1\r\n$16384\r\n", b"*1\r\n$16385\r\n", b"*1\r\n$536870912\r\n"),
    *(b"*-11\r\n" + PING, b"*x\r\n", b"*1\r\n$-1\r\n", b"*1\r\n$536870913\r\n", b"a " * 40 + b"\n"),
    *(AUTH + b"*11\r\n$1\r\n", AUTH + b"*1\r\n$16385\r\n", AUTH + b"*x\r\n", AUTH + b"*1\r\n$536870913\r\n"),
    AUTH.replace(b"secret", b"guess!") + b"*11\r\n",
)
"""What is asked of who has not given the password yet, and of who has."""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Run a node; give its port."""
    with LocalCluster(nodes=1) as cluster:
        yield cluster.addresses[0][1]


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: repr(stream[:24])[2:-1])
def test_streams_are_answered_as_by_redis(oracle_port: int, port: int, stream: bytes) -> None:
    """In one piece, and cut behind each of the first hundred bytes."""
    whole = [PING + stream]
    assert _answers(port, whole) == _answers(oracle_port, whole)
    pieces = [PING, *(stream[at : at + 1] for at in range(100)), stream[100:]]
    assert _answers(port, pieces) == _answers(oracle_port, pieces)


@pytest.fixture(scope="module")
def locked_port() -> Iterator[int]:
    """Run a node with a password; give its port."""
    with LocalCluster(nodes=1, requirepass="secret") as cluster:
        yield cluster.addresses[0][1]


@pytest.mark.parametrize("stream", FROM_STRANGERS, ids=lambda stream: repr(stream[:48])[2:-1])
def test_who_has_to_give_a_password_is_answered_as_by_redis(oracle_port: int, locked_port: int, stream: bytes) -> None:
    """Before it has, only small requests are taken: in one piece, and byte by byte."""
    with redis.Redis(port=oracle_port) as oracle:
        oracle.config_set("requirepass", "secret")
    try:
        for chunks in ([stream], [stream[at : at + 1] for at in range(len(stream))]):
            assert _answers(locked_port, chunks) == _answers(oracle_port, chunks)
    finally:
        with redis.Redis.from_url(f"redis://:secret@127.0.0.1:{oracle_port}") as oracle:
            oracle.config_set("requirepass", "")


@pytest.fixture(scope="module")
def ports() -> Iterator[list[int]]:
    """Run three nodes; give their ports."""
    with LocalCluster(nodes=3) as cluster:
        cluster.wait_for_copies()
        yield [port for _, port in cluster.addresses]


@pytest.mark.parametrize(
    "end", [b"", b"PI", b"BLPOP never 0\r\n", b"SUBSCRIBE news\r\n", b"MULTI\r\nSET sent:1 no\r\n", b"QUIT\r\n"]
)
def test_who_sends_no_more_gets_all_replies(oracle_port: int, ports: list[int], end: bytes) -> None:
    """What came in before is run, wherever the keys are; then the connection ends, whatever the client waits for."""
    names = [b"sent:%d" % number for number in range(40)]
    pairs = b" ".join([b"%b %b" % (name, name) for name in names])
    reads = b"".join([b"GET %b\r\n" % name for name in names])
    stream = b"MSET %b\r\nMGET %b\r\n%b%b" % (pairs, b" ".join(names), reads, end)
    expected = _answers(oracle_port, [stream])
    for port in ports:
        assert _answers(port, [stream]) == expected


def _answers(port: int, chunks: list[bytes]) -> bytes:
    """Send chunks and then no more, and read until the server hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for chunk in chunks:
            connection.sendall(chunk)
        connection.shutdown(socket.SHUT_WR)
        answers = b""
        while chunk := connection.recv(65_536):
            answers += chunk
        return answers
