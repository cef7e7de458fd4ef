"""What the commands that look at a cluster read."""

import errno
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from respcache.cli.client import (
    Client,
    ClusterPort,
    Refused,
    SeenNode,
    diagnosed,
    explained,
    parse_info,
    seen_nodes,
    split_address,
)

NODES = (
    b"# Members\r\n"
    b"member0:address=127.0.0.1:7001,state=alive,slots=101,name=127.0.0.1:7001\r\n"
    b"member1:address=[::1]:7002,state=suspect,slots=0,name=a, b=c\r\n"
)


@contextmanager
def answering(*replies: bytes, asked: list[bytes] | None = None) -> Iterator[str]:
    """Run a server that takes a connection for each reply, and hangs up behind it; give its address."""
    heard = [] if asked is None else asked

    def answer() -> None:
        for reply in replies:
            connection, _ = listener.accept()
            with connection:
                heard.append(connection.recv(1024))
                connection.sendall(reply)

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
        ("6381", ("127.0.0.1", 6381)),
        (":6381", ("127.0.0.1", 6381)),
    ],
)
def test_addresses_are_cut_where_the_port_begins(address: str, expected: tuple[str, int]) -> None:
    """Without a port it is Redis' own."""
    assert split_address(address) == expected


@pytest.mark.parametrize("address", ["host:", "host:x", "host:-1", "127.0.0.1:99999", "99999", "h:\u0661"])
def test_what_is_no_address_is_refused(address: str) -> None:
    """Before anything is connected."""
    with pytest.raises(ValueError, match="no address: it must be host:port, with a port up to 65535"):
        split_address(address)


def test_info_is_read_by_name() -> None:
    """Heads and empty lines aside; a figure may have colons."""
    assert parse_info("# Server\r\na:1\r\n\r\nb:x:y\r\n") == {"a": "1", "b": "x:y"}


def test_nodes_are_read_from_their_lines() -> None:
    """The name may have anything in it, and is told beside the address if it is another one."""
    with answering(b"$%d\r\n%b\r\n" % (len(NODES), NODES)) as address, Client(address) as client:
        nodes = seen_nodes(client)
    assert nodes == [
        SeenNode("127.0.0.1:7001", "127.0.0.1:7001", "alive", 101),
        SeenNode("a, b=c", "[::1]:7002", "suspect", 0),
    ]
    assert list(map(str, nodes)) == ["127.0.0.1:7001", "a, b=c ([::1]:7002)"]


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "Connection refused"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "there is no host of that name"),
        (TimeoutError("timed out"), "no answer in time"),
        (Refused("NOAUTH Authentication required."), "wants a password: give --requirepass-file, or set RESPCACHE_SER"),
        (Refused("WRONGPASS invalid"), "the password is not that of the node"),
        (Refused("ERR other"), "ERR other"),
    ],
)
def test_a_problem_is_told_in_words(problem: Exception, told: str) -> None:
    """Without error numbers, and with what may help."""
    assert told in explained(problem)
    assert "[Errno" not in explained(problem)


def test_a_node_that_hangs_up_may_have_been_asked_on_its_cluster_port() -> None:
    """That port answers where to join and nothing else; whoever does not answer even that is something else."""
    hung_up = ConnectionError("the node closed the connection")
    with answering(b"$15\r\n127.0.0.1:16380\r\n") as address:
        assert isinstance(diagnosed(address, hung_up), ClusterPort)
    with answering(b"") as address:
        assert diagnosed(address, hung_up) is hung_up
    refused = Refused("ERR other")
    assert diagnosed("127.0.0.1:1", refused) is refused


def test_the_likely_resp_port_is_told() -> None:
    """It is 10000 lower, where there is such a port."""
    assert "ask the RESP port, which is 6380 unless cluster-port was set" in str(ClusterPort("h:16380"))
    assert "which is" not in str(ClusterPort("h:7001"))


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
