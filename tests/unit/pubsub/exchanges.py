"""Exchanges of several nodes with links between them that deliver when the test says so."""

from collections import deque
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from respcache.pending import Pending
from respcache.pubsub.audience import Kind
from respcache.pubsub.exchange import Exchange, Push, Send
from respcache.pubsub.wire import decode


@dataclass(eq=False)
class Listener:
    """A client, and all that it was sent."""

    protocol: int = 2
    heard: bytes = b""

    def take(self) -> bytes:
        """Give what it was sent since the last time."""
        heard, self.heard = self.heard, b""
        return heard


class Town:
    """Nodes, each linked to each. What is sent waits in order until it is delivered."""

    def __init__(self, *names: str, memory_max_bytes: int = 1 << 20) -> None:
        self.nodes: Final = {
            name: Exchange(number * 1_000_000, memory_max_bytes=memory_max_bytes, shared=frozenset({"events", "size"}))
            for number, name in enumerate(names, 1)
        }
        self.sent: Final[deque[tuple[str, str, bytes]]] = deque()
        """Sender, receiver, message."""
        self.traffic: Final[list[tuple[str, str, str]]] = []
        """Sender, receiver, kind of message, of all that was delivered."""
        for one, other in combinations(names, 2):
            self.link(one, other)
        self.settle()

    def __getitem__(self, name: str) -> Exchange:
        return self.nodes[name]

    def link(self, one: str, other: str) -> None:
        """Set up a link."""
        self.nodes[one].connect(other)
        self.nodes[other].connect(one)

    def cut(self, one: str, other: str) -> None:
        """Break a link; what is on its way is lost."""
        lost = [entry for entry in self.sent if {entry[0], entry[1]} == {one, other}]
        for entry in lost:
            self.sent.remove(entry)
        self.nodes[one].disconnect(other)
        self.nodes[other].disconnect(one)

    def turn(self) -> None:
        """End a turn of every node's event loop: send what there is."""
        for name, node in self.nodes.items():
            for effect in node.flush():
                match effect:
                    case Push(subscriber, wire):
                        assert isinstance(subscriber, Listener)
                        subscriber.heard += wire
                    case Send(peer, body):
                        self.sent.append((name, peer, body))

    def deliver(self, receiver: str | None = None) -> None:
        """Deliver what has been sent, to all or to one."""
        for entry in [entry for entry in self.sent if receiver in {None, entry[1]}]:
            self.sent.remove(entry)
            self.traffic.append((entry[0], entry[1], type(decode(entry[2])).__name__))
            self.nodes[entry[1]].receive(entry[0], entry[2])

    def settle(self) -> None:
        """Go on until nothing is under way."""
        self.turn()
        while self.sent:
            self.deliver()
            self.turn()

    def subscribe(self, node: str, listener: Listener, kind: Kind, *names: bytes) -> None:
        """Let a client listen, and all nodes know of it."""
        for name in names:
            assert self.nodes[node].subscribe(listener, kind, name)
        self.settle()

    def publish(self, node: str, channel: bytes, payload: bytes = b"m", *, kind: Kind = Kind.CHANNEL) -> bytes:
        """Publish through a node; give the reply, once it is there."""
        reply = self.nodes[node].publish(Listener(), kind, channel, payload)
        self.settle()
        return wire_of(reply)


def there(reply: int | Pending) -> bool:
    """Tell whether a reply has come."""
    return isinstance(reply, int) or reply.wire is not None


def wire_of(reply: int | Pending) -> bytes:
    """Give a reply that must be there."""
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    assert reply.wire is not None, "the reply has not come"
    return reply.wire


def message(channel: bytes, payload: bytes = b"m", *, first: bytes = b"*", word: bytes = b"message") -> bytes:
    """Write what a client gets."""
    return b"%b3\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (
        first,
        len(word),
        word,
        len(channel),
        channel,
        len(payload),
        payload,
    )
