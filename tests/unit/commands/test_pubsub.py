"""Publish and subscribe as commands of one node; tests/compat has the replies, byte for byte."""

import pytest

from respcache.commands.resolving import resolve
from respcache.commands.session import Session
from respcache.config import Config, ServerConfig
from respcache.engine.admission import AuthRequired, ListensOnly, check_restrictions
from respcache.errors import CommandError, CrossSlot, Moved
from unit.commands.front import Front


def test_in_resp2_a_subscribed_client_is_restricted_until_its_last_subscription_ends() -> None:
    """Of whatever kind it is."""
    front = Front()
    client = front.client()
    for join, leave in (
        (b"SUBSCRIBE", b"UNSUBSCRIBE"),
        (b"PSUBSCRIBE", b"PUNSUBSCRIBE"),
        (b"SSUBSCRIBE", b"SUNSUBSCRIBE"),
    ):
        front.wire(client, join, b"a", b"b")
        assert (client.restricted, client.subscribed) == (True, 2)
        front.wire(client, leave, b"a")
        assert client.restricted
        front.wire(client, leave)
        assert (client.restricted, client.subscribed) == (False, 0)


def test_in_resp3_it_is_not() -> None:
    """But it is as soon as it speaks RESP2 again; RESET ends all subscriptions."""
    front = Front()
    client = front.client()
    front.wire(client, b"HELLO", b"3")
    front.wire(client, b"SUBSCRIBE", b"a")
    for protocol, restricted in ((b"2", True), (b"3", False)):
        front.wire(client, b"HELLO", protocol)
        assert client.restricted is restricted
    assert front.wire(client, b"RESET") == b"+RESET\r\n"
    assert (client.restricted, client.subscribed) == (False, 0)
    assert front.host.exchange.audiences.subscriptions == 0


@pytest.mark.parametrize("name", [b"SUBSCRIBE", b"PUNSUBSCRIBE", b"ssubscribe", b"PING", b"QUIT", b"RESET"])
def test_a_restricted_client_may_do_little(name: bytes) -> None:
    """And nothing without the password."""
    front = Front(Config(server=ServerConfig(requirepass="secret")))
    client = front.client()
    row = resolve([name, b"a"][: 1 if name in {b"RESET", b"QUIT"} else 2])
    if not row.no_auth:
        with pytest.raises(AuthRequired):
            check_restrictions(client, row)
    client.authenticated, client.subscribed = True, 1
    check_restrictions(client, row)
    with pytest.raises(ListensOnly):
        check_restrictions(client, resolve([b"CLIENT", b"ID"]))
    client.protocol = 3
    check_restrictions(client, resolve([b"CLIENT", b"ID"]))


def test_messages_that_wait_come_before_what_changes_the_subscriptions() -> None:
    """So nobody hears a channel behind the confirmation that he has left it, or in another protocol."""
    front = Front()
    listener, publisher = front.client(), front.client()
    front.wire(listener, b"SUBSCRIBE", b"a")
    message = b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nm\r\n"
    for words in ((b"UNSUBSCRIBE", b"a"), (b"SUBSCRIBE", b"a"), (b"PSUBSCRIBE", b"b"), (b"RESET",)):
        listens = front.ask(publisher, b"PUBLISH", b"a", b"m")
        wire = front.wire(listener, *words)
        assert wire.startswith(message) is bool(listens), words
        assert wire.count(b"message") == listens


def test_hello_comes_behind_messages_in_the_former_protocol() -> None:
    """A client that changes to RESP3 or back gets each message in the protocol that it came in."""
    front = Front()
    listener, publisher = front.client(), front.client()
    front.wire(listener, b"HELLO", b"3")
    front.wire(listener, b"SUBSCRIBE", b"a")
    front.wire(publisher, b"PUBLISH", b"a", b"m")
    assert front.wire(listener, b"HELLO", b"2").startswith(b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nm\r\n*14\r\n")


def test_subscribing_takes_a_connection() -> None:
    """An embedded node has nowhere to send messages to; publishing works."""
    front = Front()
    client = front.client()
    client.transmit = None
    assert front.wire(client, b"SUBSCRIBE", b"a") == b"-ERR subscribing takes a connection\r\n"
    assert front.ask(client, b"PUBLISH", b"a", b"m") == 0


def test_subscriptions_beyond_the_memory_for_them_are_refused() -> None:
    """All names of the command."""
    front = Front()
    client = front.client()
    front.host.exchange.memory_max_bytes = 1000
    refusal = b"-ERR max memory for subscriptions reached (see pubsub-memory-max)\r\n"
    assert front.wire(client, b"SUBSCRIBE", b"a", b"b", b"c") == refusal
    assert (client.subscribed, client.restricted) == (0, False)
    assert front.wire(client, b"SUBSCRIBE", b"a", b"b").startswith(b"*3\r\n")


class Elsewhere(Front):
    """A node that serves no slot but that of `here`."""

    def client(self) -> Session:
        """Connect a client that is to go to the owner itself."""
        self.host.redirection = self._moved  # type: ignore[misc] # the test is the router
        return super().client()

    def _moved(self, _session: Session, key: bytes) -> CommandError | None:
        return None if key == b"here" else Moved(1, "b.example", 6379)


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (b"SSUBSCRIBE here", None),
        (b"SSUBSCRIBE there", Moved),
        (b"SSUBSCRIBE {there}1 {there}2", Moved),
        (b"SSUBSCRIBE here there", CrossSlot),
        (b"SPUBLISH here m", None),
        (b"SPUBLISH there m", Moved),
        (b"SUBSCRIBE there", None),
        (b"PUBLISH there m", None),
        (b"SUNSUBSCRIBE there", None),
    ],
)
def test_who_knows_the_slots_goes_to_the_owner_of_a_sharded_channel(
    words: bytes, refusal: type[CommandError] | None
) -> None:
    """As in Redis Cluster; other channels are everywhere."""
    front = Elsewhere()
    client = front.client()
    wire = front.wire(client, *words.split(b" "))
    assert wire.startswith(b"-%b " % refusal.code.encode() if refusal else (b"*3", b":0"))
    assert client.subscribed == wire.startswith((b"*3\r\n$9\r\ns", b"*3\r\n$10\r\n"))
