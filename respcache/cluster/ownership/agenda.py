"""What the leader has been asked for, and decides with its next version of the record.

A wish to demote a copy counts only from a primary that lives. What it leaves in sync may be the primary alone; if that
has died since, which a leader that was stopped finds out later than it reads what came before, the copy that has all
that was acknowledged would not count any more. So the leader asks back, and decides what is asked for again at once:

    primary --Propose(demote)--> leader --Doubted(time)--> primary --Propose(demote, time)--> leader

The time is the leader's own, so it knows how old an answer is without remembering what it doubted.
"""

from collections.abc import Container
from typing import Final

from respcache.cluster.ownership.changes import Change, Demote
from respcache.cluster.ownership.wire import Doubted, Propose

QUEUE_MAX: Final = 10_000
"""Changes that wait for their round; others are ignored, and proposed again by their owners."""
FRESH_S: Final = 1.0
"""How old an answer may be: longer than a round trip takes, and shorter than a death goes unnoticed."""


class Agenda:
    """Changes that wait for their round, by who asked for them."""

    __slots__ = ("_changes",)

    def __init__(self) -> None:
        self._changes: dict[tuple[str, int], Change] = {}

    def __len__(self) -> int:
        """Count what waits."""
        return len(self._changes)

    def add(self, name: str, number: int, change: Change) -> None:
        """Put a change of this node's own on it."""
        self._changes[name, number] = change

    def hear(self, now: float, peer: str, wish: Propose) -> Doubted | None:
        """Put a peer's change on it, unless there are too many, or return the question that it has to answer first."""
        if isinstance(wish.change, Demote) and not 0.0 <= now - wish.asked_s <= FRESH_S:
            return Doubted(wish.number, now)
        if len(self._changes) < QUEUE_MAX:
            self._changes[peer, wish.number] = wish.change
        return None

    def take(self) -> dict[tuple[str, int], Change]:
        """Return all of it, and begin a new one."""
        changes, self._changes = self._changes, {}
        return changes

    def forget(self, peers: Container[str]) -> None:
        """Drop what peers that are gone have asked for; they will ask again if they return."""
        self._changes = {asked: change for asked, change in self._changes.items() if asked[0] not in peers}
