"""What the leader has been asked for, and decides with its next version of the record.

A wish to demote a copy counts only from a primary that lives. What it leaves in sync may be the primary alone; if that
has died since, which a leader that was stopped finds out later than it reads what came before, the copy that has all
that was acknowledged would not count any more. So the leader asks back, and decides what is asked for again at once:

    primary --Propose(demote)--> leader --Doubted(time)--> primary --Propose(demote, time)--> leader

The time is the leader's own, so it knows how old an answer is without remembering what it doubted. An answer may grow
too old while it waits for its round, for a leader may be stopped then as well: it counts for nothing, and is asked for
again.
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

    __slots__ = ("_asked_s", "_changes")

    def __init__(self) -> None:
        self._changes: dict[tuple[str, int], Change] = {}
        self._asked_s: dict[tuple[str, int], float] = {}
        """When those were asked about that had to be."""

    def __len__(self) -> int:
        """Count what waits."""
        return len(self._changes)

    def add(self, name: str, number: int, change: Change) -> None:
        """Put a change of this node's own on it."""
        self._changes[name, number] = change

    def hear(self, now: float, peer: str, wish: Propose) -> Doubted | None:
        """Put a peer's change on it, unless there are too many, or return the question that it has to answer first."""
        doubtful = isinstance(wish.change, Demote)
        if doubtful and not _fresh(now, wish.asked_s):
            return Doubted(wish.number, now)
        if len(self._changes) < QUEUE_MAX:
            self._changes[peer, wish.number] = wish.change
            if doubtful:
                self._asked_s[peer, wish.number] = wish.asked_s
        return None

    def take(self, now: float) -> dict[tuple[str, int], Change]:
        """Return what is to be decided, and begin a new one. Who hears nothing of a change will ask again."""
        changes, self._changes = self._changes, {}
        for asked, asked_s in self._asked_s.items():
            if not _fresh(now, asked_s):
                changes.pop(asked, None)
        self._asked_s.clear()
        return changes

    def forget(self, peers: Container[str]) -> None:
        """Drop what peers that are gone have asked for; they will ask again if they return."""
        self._changes = {asked: change for asked, change in self._changes.items() if asked[0] not in peers}
        self._asked_s = {asked: asked_s for asked, asked_s in self._asked_s.items() if asked[0] not in peers}


def _fresh(now: float, asked_s: float) -> bool:
    return 0.0 <= now - asked_s <= FRESH_S
