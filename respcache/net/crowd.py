"""Connections that have not said yet what they are there for: how many there may be, and who goes for the next one."""

from collections import Counter
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

Stranger = TypeVar("Stranger")

STRANGERS_MAX: Final = 64
"""Whoever belongs here says so at once, so there are few at a time; a crowd are those who say nothing."""
CROWD: Final = "crowd"
"""The reason for which one is cut off that has to make room."""


class Crowd(Generic[Stranger]):
    """Lets everybody in; when it is full, who came first of those from the host that most have come from has to go.

    So whoever fills it pushes out its own. Where all come from one host the oldest goes, which has had the longest
    time to speak.
    """

    def __init__(self, limit: int = STRANGERS_MAX) -> None:
        """More than `limit` are too many."""
        self._limit: Final = limit
        self._hosts: Final[dict[Stranger, str]] = {}
        """Where each comes from, in the order in which they came, or were last useful."""

    def enter(self, stranger: Stranger, host: str) -> Stranger | None:
        """Take one in; give the one that has to go for it, which is in the crowd no more."""
        self._hosts[stranger] = host
        if len(self._hosts) <= self._limit:
            return None
        busiest = Counter(self._hosts.values()).most_common(1)[0][0]
        leaving = next(one for one, origin in self._hosts.items() if origin == busiest)
        del self._hosts[leaving]
        return leaving

    def stay(self, stranger: Stranger) -> None:
        """Let one that has just been of use go last, if it is there."""
        if (host := self._hosts.pop(stranger, None)) is not None:
            self._hosts[stranger] = host

    def leave(self, stranger: Stranger) -> None:
        """Let one go, if it is there."""
        self._hosts.pop(stranger, None)

    def __iter__(self) -> Iterator[Stranger]:
        """Go through them, the first that came first."""
        return iter(self._hosts)

    def __len__(self) -> int:
        """Count them."""
        return len(self._hosts)
