"""What the commands that look at a cluster read."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from respcache.cli.client import Client, Refused, SeenNode, parse_info, seen_nodes, split_address

NODES = (
    b"aaaa 127.0.0.1:7001@17001 myself,master - 0 0 1 connected 0-99 200\n"
    b"bbbb 127.0.0.1:7002@17002 master,fail? - 0 0 1 connected 100-199\n"
    b"cccc ::1:7003@17003 master,fail - 0 0 1 disconnected\n"
)


@contextmanager
def answering(wire: bytes) -> Iterator[str]:
    """Run a server that answers one request with these bytes and hangs up; give its address."""

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1024)
            connection.sendall(wire)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("host:1", ("host", 1)),
        ("host", ("host", 6379)),
        ("[::1]:2", ("::1", 2)),
        ("::1", ("::1", 6379)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
    ],
)
def test_addresses_are_cut_where_the_port_begins(address: str, expected: tuple[str, int]) -> None:
    """Without a port it is Redis' own."""
    assert split_address(address) == expected


@pytest.mark.parametrize("address", ["host:", "host:x", "host:-1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    """Before anything is connected."""
    with pytest.raises(ValueError, match="is no host:port"):
        split_address(address)


def test_info_is_read_by_name() -> None:
    """Heads and empty lines aside; a figure may have colons."""
    assert parse_info("# Server\r\na:1\r\n\r\nb:x:y\r\n") == {"a": "1", "b": "x:y"}


def test_nodes_are_read_from_their_lines() -> None:
    """State by the last flag, slots counted over all ranges."""
    with answering(b"$%d\r\n%b\r\n" % (len(NODES), NODES)) as address, Client(address) as client:
        assert seen_nodes(client) == [
            SeenNode("aaaa", "127.0.0.1:7001", "alive", 101),
            SeenNode("bbbb", "127.0.0.1:7002", "suspect", 100),
            SeenNode("cccc", "::1:7003", "dead", 0),
        ]


def test_an_error_is_raised_with_its_text() -> None:
    """A node that wants a password says so."""
    with (
        answering(b"-NOAUTH Authentication required.\r\n") as address,
        Client(address) as client,
        pytest.raises(Refused, match="NOAUTH Authentication required"),
    ):
        client.ask("PING")


def test_a_node_that_hangs_up_is_an_os_error() -> None:
    """Like one that is not there."""
    with answering(b"") as address, Client(address) as client, pytest.raises(ConnectionError):
        client.ask("PING")
