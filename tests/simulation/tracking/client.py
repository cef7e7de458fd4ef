"""A client that caches what it reads, and believes what it is told."""

from dataclasses import dataclass
from typing import Final

from compat.wire import parse
from respcache.commands.session import Session


@dataclass(eq=False)
class Place:
    """A place in the queue of a client's replies."""

    key: bytes
    value: int | None = None
    is_there: bool = False


class Client:
    """One connection in RESP3: what it is sent, in order, and the cache that follows from it."""

    def __init__(self, session: Session) -> None:
        self.session: Final = session
        session.protocol = 3
        session.transmit = self._push
        self.cache: Final[dict[bytes, int]] = {}
        self.confirmed = False
        self._queue: Final[list[Place | bytes]] = []

    @property
    def is_tracked(self) -> bool:
        """Whether what it caches is to be right."""
        return self.session.tracker is not None and self.confirmed

    def begin(self) -> None:
        """Cache from now on."""
        self.confirmed = True

    def place(self, key: bytes) -> Place:
        """Read a key: the reply comes later."""
        place = Place(key)
        self._queue.append(place)
        return place

    def arrive(self, place: Place, value: int | None) -> None:
        """Take the reply in; None is an error, or comes too late."""
        if not place.is_there:
            place.value, place.is_there = value, True
            self._go_on()

    def _push(self, wire: bytes) -> None:
        self._queue.append(wire)
        self._go_on()

    def _go_on(self) -> None:
        while self._queue:
            head = self._queue[0]
            if isinstance(head, Place):
                if not head.is_there:
                    return
                if head.value is not None and self.is_tracked:
                    self.cache[head.key] = head.value
            else:
                self._hear(head)
            del self._queue[0]

    def _hear(self, wire: bytes) -> None:
        at = 0
        while at < len(wire):
            frame = parse(wire, at)
            assert frame is not None
            assert frame.elements is not None
            at += len(frame.wire)
            keys = frame.elements[1]
            if keys.is_null:
                self.cache.clear()
            for key in keys.elements or ():
                self.cache.pop(key.wire.split(b"\r\n")[1], None)
