"""What is no request, and what only looks unlike one, beside a real Redis: the same error, with the same byte."""

import socket
from collections.abc import Iterator

import pytest

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
