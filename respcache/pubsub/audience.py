"""Who listens to what: the clients of this node, and the other nodes that have clients who do."""

import enum
from collections.abc import Callable, Iterator
from typing import Final, Protocol, TypeAlias

from respcache.glob import matcher

NAME_BYTES: Final = 300
"""What a name takes beside its own bytes: an audience, its dict, and a place in a table. Measured on Python 3.11."""
PATTERN_BYTES: Final = 700
"""What a pattern takes besides: a compiled one, with as much for each byte as ..."""
PATTERN_FACTOR: Final = 7
"""... so many."""
SUBSCRIPTION_BYTES: Final = 150
"""What one client's subscription takes: its places in the client's dict and in the audience's."""


class Kind(enum.IntEnum):
    """The three spaces of names. They have nothing to do with each other but patterns, which match channels."""

    CHANNEL = 0
    PATTERN = 1
    SHARD = 2
    """Channels of SSUBSCRIBE and SPUBLISH."""


class Subscriber(Protocol):
    """A client, as far as it is published to. Compared by identity."""

    @property
    def protocol(self) -> int:
        """RESP version that it speaks now, 2 or 3."""


class Audience:
    """All who listen to one name."""

    __slots__ = ("fits", "peers", "subscribers")

    def __init__(self, fits: Callable[[bytes], bool] | None) -> None:
        self.fits: Final = fits
        """Whether a channel matches, if the name is a pattern."""
        self.subscribers: Final[dict[Subscriber, None]] = {}
        """Clients of this node, in the order in which they came."""
        self.peers: set[str] = _NOBODY
        """Nodes that have told of clients who listen."""


_NOBODY: Final[set[str]] = set()
"""Shared by the audiences without peers, and never changed."""


def size_of(kind: Kind, name: bytes) -> int:
    """Estimate what a name takes that has listeners."""
    if kind is Kind.PATTERN:
        return NAME_BYTES + PATTERN_BYTES + PATTERN_FACTOR * len(name)
    return NAME_BYTES + len(name)


Table: TypeAlias = dict[bytes, Audience]


class Audiences:
    """All names that anybody listens to, of all kinds."""

    def __init__(self) -> None:
        self.tables: Final[tuple[Table, Table, Table]] = ({}, {}, {})
        """By kind."""
        self.names_here: Final = [0, 0, 0]
        """How many names of each kind have listeners on this node."""
        self.subscriptions = 0
        """Clients of this node counted once for each name."""
        self.memory_bytes = 0
        """What names and subscriptions of clients of this node take, estimated."""

    def join(self, kind: Kind, name: bytes, subscriber: Subscriber) -> bool:
        """Let a client listen that does not yet; True if it is the first of this node."""
        audience = self._audience(kind, name)
        first = not audience.subscribers
        audience.subscribers[subscriber] = None
        self.subscriptions += 1
        self.memory_bytes += SUBSCRIPTION_BYTES
        if first:
            self.names_here[kind] += 1
            self.memory_bytes += size_of(kind, name)
        return first

    def quit(self, kind: Kind, name: bytes, subscriber: Subscriber) -> bool:
        """Let a client listen no more that does now; True if it was the last of this node."""
        audience = self.tables[kind][name]
        del audience.subscribers[subscriber]
        self.subscriptions -= 1
        self.memory_bytes -= SUBSCRIPTION_BYTES
        if audience.subscribers:
            return False
        self.names_here[kind] -= 1
        self.memory_bytes -= size_of(kind, name)
        self._tidy(kind, name, audience)
        return True

    def peer_joins(self, kind: Kind, name: bytes, peer: str) -> None:
        """Note that a node has listeners."""
        audience = self._audience(kind, name)
        if audience.peers is _NOBODY:
            audience.peers = set()
        audience.peers.add(peer)

    def peer_quits(self, kind: Kind, name: bytes, peer: str) -> None:
        """Note that a node that had listeners has none any more."""
        audience = self.tables[kind][name]
        audience.peers.discard(peer)
        self._tidy(kind, name, audience)

    def here(self, kind: Kind) -> Iterator[bytes]:
        """Go through the names that have listeners on this node."""
        return (name for name, audience in self.tables[kind].items() if audience.subscribers)

    def count(self, kind: Kind, name: bytes) -> int:
        """Count the clients of this node that listen to a name."""
        audience = self.tables[kind].get(name)
        return 0 if audience is None else len(audience.subscribers)

    def matching(self, channel: bytes, space: bytes = b"", *, here: bool) -> Iterator[tuple[bytes, Audience]]:
        """Go through the patterns that match a channel and begin with `space`.

        With `here`, through those only that clients here listen to.
        """
        for pattern, audience in self.tables[Kind.PATTERN].items():
            if (here and not audience.subscribers) or not pattern.startswith(space):
                continue
            assert audience.fits is not None
            if audience.fits(channel):
                yield pattern, audience

    def _audience(self, kind: Kind, name: bytes) -> Audience:
        table = self.tables[kind]
        audience = table.get(name)
        if audience is None:
            audience = table[name] = Audience(matcher(name) if kind is Kind.PATTERN else None)
        return audience

    def _tidy(self, kind: Kind, name: bytes, audience: Audience) -> None:
        if not audience.subscribers and not audience.peers:
            del self.tables[kind][name]
