"""CLIENT REPLY: whose replies are left out; passwords, listeners and queues are tested with their commands."""

import pytest

from respcache.pending import Pending
from unit.alone import Alone

GOT = b"$-1\r\n"


def test_no_reply_to_the_next_command() -> None:
    """SKIP is for one command, whatever that is; its own reply is left out, too."""
    node = Alone()
    client = node.front.client()
    replies = node.run(client, b"CLIENT REPLY SKIP", b"GET a", b"GET a", b"CLIENT REPLY SKIP", b"NOTHING", b"GET a")
    assert replies == [b"", b"", GOT, b"", b"", GOT]
    assert not client.restricted


def test_no_replies_until_further_notice() -> None:
    """OFF holds through SKIP, errors and EXEC; ON, and RESET, are answered."""
    node = Alone()
    client = node.front.client()
    replies = node.run(
        client, b"CLIENT REPLY OFF", b"GET a", b"GET", b"CLIENT REPLY SKIP", b"GET a", b"CLIENT REPLY ON", b"GET a"
    )
    assert replies == [b"", b"", b"", b"", b"", b"+OK\r\n", GOT]
    assert node.run(client, b"CLIENT REPLY OFF", b"PING", b"RESET", b"GET a") == [b"", b"", b"+RESET\r\n", GOT]


@pytest.mark.parametrize("mode", [b"SKIP", b"OFF"])
def test_a_reply_that_is_to_come_is_left_out_in_its_place(mode: bytes) -> None:
    """Those behind it wait for it all the same; if the client goes, whoever works for it hears of that."""
    node = Alone()
    client = node.front.client()
    node.away.barriers.add(b"DBSIZE")
    _, quiet = node.run(client, b"CLIENT REPLY " + mode, b"DBSIZE")
    assert isinstance(quiet, Pending)
    assert client.barrier is quiet
    [answer] = node.away.waiting
    answer.resolve(b":0\r\n")
    assert quiet.wire == b""

    client.barrier = None
    _, quiet = node.run(client, b"CLIENT REPLY " + mode, b"DBSIZE")
    assert isinstance(quiet, Pending)
    quiet.abandon()
    node.away.waiting[-1].resolve(b"+OK\r\n")
    assert quiet.wire is None
