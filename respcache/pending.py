"""A reply that is not there yet, and what may end the wait for it."""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

INCOMPLETE: Final = "INCOMPLETE"
"""The first word of what a node says that has left, and could not hand over everything."""


class Timer(Protocol):
    """Something that will be called."""

    def cancel(self) -> None:
        """Do not call it."""


class Pending:
    """One place in a connection's queue of replies, taken by a command that has to wait.

    waiting --resolve--> resolved; whoever listens with `then` is called once.
    """

    __slots__ = ("_follower", "_listener", "wire")

    def __init__(self) -> None:
        self.wire: bytes | None = None
        """The encoded reply, once it is there."""
        self._listener: Callable[[], None] | None = None
        self._follower: Callable[[], None] | None = None

    def resolve(self, wire: bytes) -> None:
        """Give the reply; a second one is ignored, for a deadline may have answered first."""
        if self.wire is not None:
            return
        self.wire = wire
        listener, self._listener = self._listener, None
        follower, self._follower = self._follower, None
        if listener is not None:
            listener()
        if follower is not None:
            follower()

    def then(self, listener: Callable[[], None]) -> None:
        """Call `listener` when the reply is there, at once if it is already."""
        if self.wire is not None:
            listener()
        else:
            self._listener = listener

    def also(self, follower: Callable[[], None]) -> None:
        """Call `follower` when the reply is there and has been listened to."""
        if self.wire is not None:
            follower()
        else:
            self._follower = follower

    def follow(self, reply: "bytes | Pending") -> None:
        """Take the reply from there, now or when it comes."""
        if isinstance(reply, Pending):
            reply.then(lambda: self.resolve(reply.wire or b""))
        else:
            self.resolve(reply)

    def held_bytes(self) -> int:
        """Tell how much is here for the client that it has not been sent."""
        return 0 if self.wire is None else len(self.wire)

    def abandon(self) -> None:
        """Forget who waits: the client is gone."""
        self._listener = self._follower = None


class Farewell(Pending):
    """The reply to who asked the node to leave: it comes when the node has left, as the last thing that it says."""

    __slots__ = ("_good", "_mourns")

    def __init__(self, good: bytes, *, mourns: bool = False) -> None:
        """`good` is what to say if everything was handed over; `mourns`: and no key is gone with the last node."""
        super().__init__()
        self._good: Final = good
        self._mourns: Final = mourns

    def bid(self, *, complete: bool, gone: bool = False, losses: str = "") -> None:
        """Give the reply; `complete`: all was handed over; `gone`: keys are gone, or may be; `losses`: what."""
        if not complete:
            told = f"-{INCOMPLETE} the node has left, and not everything was handed over in time: {losses}\r\n"
            self.resolve(told.encode())
        elif gone and self._mourns:
            self.resolve(f"-{INCOMPLETE} the node has left, and nobody stays: {losses}\r\n".encode())
        else:
            self.resolve(self._good)


class Late(Pending):
    """The reply to a command that was put off; if it is an error, that is counted when the client gets it."""

    __slots__ = ("argv",)

    def __init__(self, argv: list[bytes], reply: Pending) -> None:
        super().__init__()
        self.argv: Final = argv
        self.follow(reply)


class Resting(Pending):
    """The reply of a script that has come to rest."""

    __slots__ = ()


class Muted(Pending):
    """A reply that nobody wants: when it is there, there is nothing instead of it."""

    __slots__ = ("_unwanted",)

    def __init__(self, unwanted: Pending) -> None:
        super().__init__()
        self._unwanted: Final = unwanted
        unwanted.then(self._come)

    def _come(self) -> None:
        self.resolve(b"")

    def abandon(self) -> None:
        """Forget who waits: the client is gone."""
        super().abandon()
        self._unwanted.abandon()


def when_all(pendings: Sequence[Pending], listener: Callable[[], None]) -> None:
    """Call `listener` once all are there."""
    missing = len(pendings) + 1

    def arrived() -> None:
        nonlocal missing
        missing -= 1
        if not missing:
            listener()

    for pending in pendings:
        pending.then(arrived)
    arrived()
