"""What clients may know of and do to each other."""

import pytest

from respcache.commands.session import Session
from respcache.reply import Verbatim
from unit.commands.front import Front


def lines(reply: object) -> list[dict[str, str]]:
    """Read the lines of CLIENT LIST."""
    assert isinstance(reply, Verbatim)
    return [dict(word.split("=", 1) for word in line.split(" ")) for line in reply.text.decode().splitlines()]


def test_a_client_is_numbered_and_named() -> None:
    """Numbers ascend; a name is kept until it is set to nothing."""
    front = Front()
    first, second = front.client(), front.client()
    assert front.ask(first, b"CLIENT", b"ID") == 1
    assert front.ask(second, b"CLIENT", b"ID") == 2
    assert front.ask(first, b"CLIENT", b"GETNAME") is None
    front.ask(first, b"CLIENT", b"SETNAME", b"worker:1")
    assert front.ask(first, b"CLIENT", b"GETNAME") == b"worker:1"
    front.ask(first, b"CLIENT", b"SETNAME", b"")
    assert front.ask(first, b"CLIENT", b"GETNAME") is None


def test_the_list_shows_what_clients_told_of_themselves() -> None:
    """Library, name, database and protocol stand in the line of the client."""
    front = Front()
    client = front.client()
    front.ask(client, b"HELLO", b"3", b"SETNAME", b"worker")
    front.ask(client, b"CLIENT", b"SETINFO", b"lib-name", b"redis-py")
    front.ask(client, b"CLIENT", b"SETINFO", b"LIB-VER", b"5.0")
    front.ask(client, b"SELECT", b"4")
    front.ask(client, b"CLIENT", b"NO-EVICT", b"on")
    front.client()
    shown, other = lines(front.ask(client, b"CLIENT", b"LIST"))
    expected = {"id": "1", "name": "worker", "lib-name": "redis-py", "lib-ver": "5.0", "db": "4", "resp": "3"}
    assert expected.items() <= shown.items()
    assert (shown["flags"], other["flags"]) == ("e", "N")
    assert lines(front.ask(client, b"CLIENT", b"INFO")) == [shown]


def test_the_client_that_asks_has_its_request_in_its_buffer() -> None:
    """26 bytes for CLIENT LIST, as in Redis; nobody else has anything there."""
    front = Front()
    client = front.client()
    front.client()
    assert [shown["qbuf"] for shown in lines(front.ask(client, b"client", b"list"))] == ["26", "0"]


def test_the_list_can_be_narrowed() -> None:
    """By id, several of them, and by type: clients are normal, or subscribed."""
    front = Front()
    client = front.client()
    subscribed = front.client()
    assert [shown["id"] for shown in lines(front.ask(client, b"CLIENT", b"LIST", b"ID", b"2", b"9"))] == ["2"]
    assert len(lines(front.ask(client, b"CLIENT", b"LIST", b"TYPE", b"normal"))) == 2
    assert lines(front.ask(client, b"CLIENT", b"LIST", b"TYPE", b"replica")) == []
    front.wire(subscribed, b"SUBSCRIBE", b"a", b"b")
    front.wire(subscribed, b"PSUBSCRIBE", b"*")
    front.wire(subscribed, b"SSUBSCRIBE", b"x", b"y", b"z")
    [shown] = lines(front.ask(client, b"CLIENT", b"LIST", b"TYPE", b"pubsub"))
    assert {"id": "2", "flags": "P", "sub": "2", "psub": "1", "ssub": "3"}.items() <= shown.items()
    assert [shown["id"] for shown in lines(front.ask(client, b"CLIENT", b"LIST", b"TYPE", b"normal"))] == ["1"]
    assert front.ask(client, b"CLIENT", b"KILL", b"TYPE", b"pubsub") == 1
    assert (client.killed, subscribed.killed) == (False, True)


def test_another_client_is_killed_at_once_and_oneself_behind_the_reply() -> None:
    """By id with SKIPME no; by default the asking client is spared."""
    front = Front()
    client, other = front.client(), front.client()
    assert front.ask(client, b"CLIENT", b"KILL", b"TYPE", b"normal") == 1
    assert (client.closing, client.killed, other.closing, other.killed) == (False, False, False, True)
    assert front.ask(client, b"CLIENT", b"KILL", b"ID", b"1", b"SKIPME", b"no") == 1
    assert (client.closing, client.killed) == (True, False)


def test_all_filters_must_fit() -> None:
    """A client is spared by one filter that does not fit it."""
    front = Front()
    client, other = front.client(), front.client()
    words = [b"CLIENT", b"KILL", b"ADDR", other.address.encode(), b"LADDR"]
    assert front.ask(client, *words, b"127.0.0.1:1") == 0
    assert front.ask(client, *words, other.local_address.encode()) == 1
    assert other.killed


def test_only_clients_of_an_age_are_killed() -> None:
    """MAXAGE spares who has been there for less than so many seconds."""
    front = Front()
    client, young = front.client(), front.client()
    old = Session(front.host, client_id=7, address="a:7", local_address="b:1", now_unix_s=young.connected_unix_s - 60)
    front.sessions.append(old)
    assert front.ask(client, b"CLIENT", b"KILL", b"MAXAGE", b"61") == 0
    assert front.ask(client, b"CLIENT", b"KILL", b"MAXAGE", b"30") == 1
    assert (old.killed, young.killed) == (True, False)


def test_the_old_form_kills_by_address_and_may_be_suicide() -> None:
    """CLIENT KILL addr answers OK, or says that there is nobody."""
    front = Front()
    client = front.client()
    assert front.wire(client, b"CLIENT", b"KILL", b"1.2.3.4:5") == b"-ERR No such client\r\n"
    assert front.wire(client, b"CLIENT", b"KILL", client.address.encode()) == b"+OK\r\n"
    assert client.closing


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (b"SETINFO foo x", b"Unrecognized option 'foo'"),
        (b"SETNAME a\tb", b"Client names cannot contain spaces, newlines or special characters."),
        (b"SETINFO lib-ver \xff", b"lib-ver cannot contain spaces, newlines or special characters."),
        (b"NO-TOUCH maybe", b"syntax error"),
        (b"FOO", b"unknown subcommand 'FOO'. Try CLIENT HELP."),
        (b"KILL MAXAGE 0", b"maxage should be greater than 0"),
        (b"KILL MAXAGE x", b"maxage is not an integer or out of range"),
        (b"KILL USER nobody", b"No such user 'nobody'"),
    ],
)
def test_refusals(words: bytes, refusal: bytes) -> None:
    """Texts that Redis 7.0 does not have to be asked for, or has none of."""
    front = Front()
    assert front.wire(front.client(), b"CLIENT", *words.split(b" ")) == b"-ERR %b\r\n" % refusal
