"""Changes on their way to whoever leads: this node's own, and those of peers that cannot reach it."""

from collections.abc import Container, Sequence
from typing import Final

from respcache.cluster.ownership.changes import Change, Proposal
from respcache.cluster.ownership.record import Version

RELAYED_MAX: Final = 10_000
"""Changes passed on at a time; further ones are ignored, and proposed again by their owners."""


class Proposals:
    """Undecided changes by number. Numbers are given once."""

    __slots__ = ("_awaited", "_changes", "_last", "_relayed")

    def __init__(self) -> None:
        self._changes: dict[int, Change] = {}
        self._relayed: dict[tuple[str, int], int] = {}
        """By (peer, its number): the number here."""
        self._last = 0
        self._awaited: dict[int, tuple[str, Version]] = {}
        """What is decided, by number: who said so, and the record in which it shows, which is not known here yet."""

    def __len__(self) -> int:
        """Count what is undecided."""
        return len(self._changes)

    def __getitem__(self, number: int) -> Change:
        """Return a change."""
        return self._changes[number]

    def numbers(self) -> list[int]:
        """List the numbers of what is undecided, the oldest first."""
        return list(self._changes)

    def add(self, changes: Sequence[Change]) -> range:
        """Take changes in, and return their numbers."""
        numbers = range(self._last + 1, self._last + 1 + len(changes))
        self._last += len(changes)
        self._changes.update(zip(numbers, changes, strict=True))
        return numbers

    def relay(self, peer: str, number: int, change: Proposal) -> int | None:
        """Take a peer's change in, once however often it asks; return its number here, None if there are too many."""
        mine = self._relayed.get((peer, number))
        if mine is None and len(self._relayed) < RELAYED_MAX:
            mine = self._relayed[peer, number] = self.add([change])[0]
        return mine

    def asker(self, number: int) -> tuple[str, int] | None:
        """Return whose a change is and by which number: nobody's (None) if it is unknown, "" for us."""
        if number not in self._changes:
            return None
        return next((asked for asked, mine in self._relayed.items() if mine == number), ("", number))

    def await_record(self, number: int, peer: str, version: Version) -> bool:
        """Note that a change is decided, by a version that is still to come; tell whether to ask the peer for it.

        Once is enough, however many changes were decided by that version.
        """
        if number not in self._changes:
            return False
        awaited = (peer, version)
        is_news = awaited not in self._awaited.values()
        self._awaited[number] = awaited
        return is_news

    def known(self, version: Version) -> list[int]:
        """Return what is decided up to a version, once."""
        numbers = [number for number, (_, awaited) in self._awaited.items() if awaited <= version]
        for number in numbers:
            del self._awaited[number]
        return numbers

    def decided(self, number: int) -> tuple[str, int] | None:
        """Forget a change; return whose it was, as `asker` does."""
        asker = self.asker(number)
        self._awaited.pop(number, None)
        self._changes.pop(number, None)
        if asker is not None:
            self._relayed.pop(asker, None)
        return asker

    def forget(self, peers: Container[str]) -> None:
        """Pass on no more for peers that are gone; they will ask again if they return."""
        self._drop([asked for asked in self._relayed if asked[0] in peers])

    def lead(self) -> None:
        """Pass on no more for anybody. A leader has to ask back before it decides some of that; all will ask again."""
        self._drop(list(self._relayed))

    def _drop(self, relayed: list[tuple[str, int]]) -> None:
        for asked in relayed:
            number = self._relayed.pop(asked)
            del self._changes[number]
            self._awaited.pop(number, None)

    def abdicate(self) -> None:
        """Forget what only a leader may ask for: its successor has its own view."""
        self._changes = {number: change for number, change in self._changes.items() if isinstance(change, Proposal)}
