"""Hello, password, database, farewell."""

import pytest

from respcache.config import Config, ServerConfig
from respcache.errors import CommandError
from respcache.reply import OK, PONG
from unit.commands.front import Front

SECRET = Config(server=ServerConfig(requirepass="swordfish"))


def test_ping_answers_pong_or_the_message() -> None:
    """With no argument PONG, with one the argument, with two a refusal."""
    front = Front()
    client = front.client()
    assert front.ask(client, b"PING") is PONG
    assert front.ask(client, b"ping", b"hi") == b"hi"
    assert front.wire(client, b"PING", b"a", b"b") == b"-ERR wrong number of arguments for 'ping' command\r\n"


def test_hello_switches_the_protocol_and_names_the_connection() -> None:
    """HELLO 3 takes effect for its own reply already."""
    front = Front()
    client = front.client()
    wire = front.wire(client, b"HELLO", b"3", b"SETNAME", b"worker")
    assert wire.startswith(b"%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n")
    assert (client.protocol, client.name) == (3, b"worker")


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ((b"4",), b"-NOPROTO unsupported protocol version\r\n"),
        ((b"x",), b"-ERR Protocol version is not an integer or out of range\r\n"),
        ((b"3", b"AUTH", b"default"), b"-ERR Syntax error in HELLO option 'AUTH'\r\n"),
        ((b"3", b"AUTH", b"nobody", b"x"), b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"),
        (
            (b"3", b"SETNAME", b"a b"),
            b"-ERR Client names cannot contain spaces, newlines or special characters.\r\n",
        ),
    ],
)
def test_a_refused_hello_changes_nothing(words: tuple[bytes, ...], refusal: bytes) -> None:
    """Neither protocol nor name are taken from a HELLO that is refused."""
    front = Front()
    client = front.client()
    assert front.wire(client, b"HELLO", *words) == refusal
    assert (client.protocol, client.name) == (2, b"")


def test_with_a_password_hello_must_carry_it() -> None:
    """HELLO without AUTH is NOAUTH, with AUTH it lets the client in."""
    front = Front(SECRET)
    client = front.client()
    assert front.wire(client, b"HELLO", b"3").startswith(b"-NOAUTH HELLO must be called")
    assert client.protocol == 2
    front.ask(client, b"HELLO", b"3", b"AUTH", b"default", b"swordfish")
    assert client.authenticated
    assert not client.restricted


def test_auth_lets_in_with_the_right_password_only() -> None:
    """A wrong one is refused and counted; the right one needs no user."""
    front = Front(SECRET)
    client = front.client()
    assert (client.authenticated, client.restricted) == (False, True)
    assert front.wire(client, b"AUTH", b"trout").startswith(b"-WRONGPASS ")
    assert front.wire(client, b"AUTH", b"nobody", b"swordfish").startswith(b"-WRONGPASS ")
    assert (client.authenticated, front.host.stats.auth_failures) == (False, 2)
    assert front.ask(client, b"AUTH", b"swordfish") is OK
    assert (client.authenticated, client.restricted) == (True, False)


def test_a_wrong_password_does_not_throw_a_client_out() -> None:
    """Who is in stays in."""
    front = Front(SECRET)
    client = front.client()
    front.ask(client, b"AUTH", b"swordfish")
    with pytest.raises(CommandError):
        front.ask(client, b"AUTH", b"trout")
    assert client.authenticated


def test_select_changes_the_database_within_bounds() -> None:
    """A refused number leaves the database as it was."""
    front = Front()
    client = front.client()
    assert front.ask(client, b"SELECT", b"15") is OK
    for number, refusal in (
        (b"16", b"DB index is out of range"),
        (b"-1", b"DB index is out of range"),
        (b"1x", b"value is not an integer or out of range"),
    ):
        assert front.wire(client, b"SELECT", number) == b"-ERR %b\r\n" % refusal
    assert client.database == 15


def test_quit_closes_behind_its_reply() -> None:
    """QUIT says OK first."""
    front = Front()
    client = front.client()
    assert front.ask(client, b"QUIT") is OK
    assert client.closing


def test_reset_brings_the_connection_back_to_its_start() -> None:
    """Name, database, protocol, password and knowledge of the cluster are gone; the library is not."""
    front = Front(SECRET)
    client = front.client()
    front.ask(client, b"HELLO", b"3", b"AUTH", b"default", b"swordfish", b"SETNAME", b"x")
    front.ask(client, b"CLIENT", b"SETINFO", b"LIB-NAME", b"lib")
    front.ask(client, b"SELECT", b"3")
    front.ask(client, b"READONLY")
    assert front.wire(client, b"RESET") == b"+RESET\r\n"
    assert (client.name, client.database, client.protocol) == (b"", 0, 2)
    assert not client.authenticated
    assert client.restricted
    assert not client.cluster_aware
    assert client.library == b"lib"
