"""Messages that go by a newer record than this node has: they wait for it, each peer's in their order."""

from collections.abc import Iterator
from typing import Final

from respcache.cluster.ownership.record import Version
from respcache.cluster.ownership.wire import DecodeError
from respcache.cluster.replication.wire import Frame, Inquiry

HELD_MAX: Final = 10_000
"""Messages of a peer kept until the record that they refer to is here. With one more the link is cut, and all of them
come again over the next one: if it were only lost, an ack of what comes behind it would stand for it, too."""


class Turns:
    """What waits, by peer."""

    def __init__(self) -> None:
        self._held: dict[str, list[tuple[Frame | Inquiry, bytes]]] = {}

    def queue(self, peer: str, message: Frame | Inquiry, encoded: bytes, version: Version) -> bool:
        """Hold a message if the record is not here yet, or others of the peer wait; return whether it waits.

        Raises DecodeError if too many wait already.
        """
        held = self._held.get(peer)
        if held is None:
            if message.version <= version:
                return False
            held = self._held[peer] = []
        if len(held) >= HELD_MAX:
            raise DecodeError(f"more than {HELD_MAX} messages that go by a record which is not here yet")
        held.append((message, encoded))
        return True

    def waiting(self, peer: str) -> int:
        """Count what waits."""
        return len(self._held.get(peer, ()))

    def wanted(self, peer: str) -> Version | None:
        """Give the version that the first of a peer's waits for; None if nothing waits."""
        held = self._held.get(peer)
        return held[0][0].version if held else None

    def peers(self) -> list[str]:
        """List the peers of which something waits."""
        return list(self._held)

    def release(self, peer: str, version: Version) -> Iterator[tuple[Frame | Inquiry, bytes]]:
        """Yield what need not wait any more now that a record is here."""
        held = self._held.pop(peer)
        for index, (message, encoded) in enumerate(held):
            if message.version > version:
                self._held[peer] = held[index:]
                return
            yield message, encoded

    def forget(self, peer: str) -> None:
        """Lose what waits: the link broke, and all of it will come again."""
        self._held.pop(peer, None)
