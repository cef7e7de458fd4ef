"""Messages on their way to clients: behind the replies that they wait for, and within limits."""

import asyncio
from typing import cast

from respcache.config import Config, ServerConfig
from respcache.net.connection import Connection
from respcache.net.linked import Node
from respcache.net.links import Links
from respcache.net.messages import Greeting
from respcache.net.messenger import Messenger
from respcache.net.server import Server
from respcache.resp.encode import request
from unit.alone import Alone
from unit.net.transports import NotedTransport, at_once, later_at_once
from unit.pubsub.exchanges import message

MIB = 1024 * 1024
CHUNK = b"x" * 200_000
AWAY = request([b"MGET", b"k", b"l"])
"""A command whose reply comes later."""
SUBSCRIBE = request([b"SUBSCRIBE", b"a"])
PUBLISH = request([b"PUBLISH", b"a", b"m"])
PUBLISH_CHUNK = request([b"PUBLISH", b"a", CHUNK])


class Hall:
    """A node without peers, and its clients. To be made within an event loop."""

    def __init__(self, config: ServerConfig | None = None) -> None:
        self.node = Alone(Config(server=config or ServerConfig()))
        self.node.lose(b"l")
        self.exchange = self.node.host.exchange
        host = self.node.host
        self.server = Server(
            host.config.server, self.node.executor, self.node.stats, host.session, soon=at_once, later=later_at_once
        )
        self.waiting = self.node.away.waiting
        self.messenger = Messenger(self.exchange, host.tracking, Links(cast("Node", None), Greeting("a", 1)))

    def client(self, wire: bytes = b"") -> "Client":
        """Connect a client, which sends something."""
        client = Client(self)
        if wire:
            client.send(wire)
        return client


class Client:
    """A client of the node."""

    def __init__(self, hall: Hall) -> None:
        self.transport = NotedTransport()
        self.connection = Connection(hall.server)
        self.connection.connection_made(self.transport)

    def send(self, wire: bytes) -> None:
        """Send bytes in one read."""
        self.connection.data_received(wire)

    def heard(self) -> bytes:
        """Give what it was sent since the last time."""
        return self.transport.take()

    def cut_off(self) -> bool:
        """Tell whether its connection was aborted."""
        return self.transport.aborted


async def turn() -> None:
    """Let the event loop go round once."""
    await asyncio.sleep(0)


def test_messages_of_one_turn_come_at_its_end_behind_the_replies() -> None:
    """In one write for each client."""

    async def scenario() -> None:
        hall = Hall()
        listener, publisher = hall.client(SUBSCRIBE), hall.client()
        listener.heard()
        publisher.send(PUBLISH * 3)
        assert (publisher.heard(), listener.heard()) == (b":1\r\n" * 3, b"")
        await turn()
        assert listener.heard() == message(b"a") * 3

    asyncio.run(scenario())


def test_messages_wait_behind_replies_that_are_to_come() -> None:
    """The client would take them for these."""

    async def scenario() -> None:
        hall = Hall()
        listener, publisher = hall.client(AWAY + SUBSCRIBE), hall.client()
        publisher.send(PUBLISH)
        await turn()
        assert listener.heard() == b""
        hall.waiting[0].resolve(b":1\r\n")
        assert listener.heard() == b":1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n" + message(b"a")

    asyncio.run(scenario())


def test_a_client_that_does_not_read_its_messages_is_cut_off() -> None:
    """Beyond `pubsub-output-buffer-limit`, which is not that of other clients; then it is not published to."""

    async def scenario() -> None:
        hall = Hall(ServerConfig(pubsub_output_buffer_limit_bytes=2 * MIB))
        listener, publisher = hall.client(SUBSCRIBE), hall.client()
        listener.transport.unsent_bytes = 2 * MIB
        listener.connection.pause_writing()
        publisher.send(PUBLISH)
        await turn()
        assert (listener.cut_off(), publisher.heard()) == (False, b":1\r\n")
        listener.transport.unsent_bytes += 1
        publisher.send(PUBLISH)
        await turn()
        assert (listener.cut_off(), publisher.heard()) == (True, b":1\r\n")
        listener.connection.connection_lost(None)
        assert hall.node.stats.disconnects["output_limit"] == 1
        publisher.send(PUBLISH)
        assert publisher.heard() == b":0\r\n"

    asyncio.run(scenario())


def test_messages_behind_a_reply_that_does_not_come_have_the_same_limit() -> None:
    """What has been sent since they began to pile up does not count."""

    async def scenario() -> None:
        hall = Hall(ServerConfig(pubsub_output_buffer_limit_bytes=MIB))
        listener = hall.client(request([b"HELLO", b"3"]) + SUBSCRIBE)
        publisher = hall.client()
        for _ in range(20):
            listener.send(AWAY)
            publisher.send(PUBLISH_CHUNK)
            await turn()
            hall.waiting[-1].resolve(b":1\r\n")
        assert (listener.heard().count(CHUNK), listener.cut_off()) == (20, False)
        listener.send(AWAY)
        for number in range(6):
            assert (number, listener.cut_off()) == (number, False)
            publisher.send(PUBLISH_CHUNK)
            await turn()
        assert (listener.heard(), listener.cut_off()) == (b"", True)
        listener.connection.connection_lost(None)
        assert hall.exchange.audiences.subscriptions == 0

    asyncio.run(scenario())


def test_a_silent_listener_is_not_idle() -> None:
    """`timeout` is for clients that could ask for something."""

    async def scenario() -> None:
        hall = Hall(ServerConfig(timeout_s=1))
        listener, other = hall.client(SUBSCRIBE), hall.client()
        for client in (listener, other):
            client.connection.session.last_active_unix_s -= 100
        hall.server.sweep()
        assert (listener.cut_off(), other.cut_off()) == (False, True)

    asyncio.run(scenario())
