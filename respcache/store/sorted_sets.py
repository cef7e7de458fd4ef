"""The sorted set: distinct members, each with a score, in the order of their scores, under one key."""

import struct
from collections.abc import Iterable, Iterator
from typing import ClassVar, Final

from respcache.store.aggregate import Aggregate
from respcache.store.limits import DEFAULT, Limits
from respcache.store.packing import NotASnapshot
from respcache.store.ranking import Entry, Ranking
from respcache.store.table import Table

ENTRY_BYTES: Final = 18
"""Of a double and a pointer in the ranking, which each member has besides its bytes and a float; some is kept free."""
RANKING_BYTES: Final = 700
"""Of the ranking besides."""
_SCORE: Final = struct.Struct("!d")


class SortedSet(Aggregate):
    """Scores by member, and members by rank."""

    __slots__ = ("ranking", "table")

    kind: ClassVar[bytes] = b"zset"

    def __init__(self) -> None:
        self.table: Table[float] = Table()
        self.ranking: Ranking = Ranking()

    def __len__(self) -> int:
        return len(self.table.names)

    def score(self, member: bytes) -> float | None:
        """Give the score of a member, None if there is no such member."""
        return self.table.get(member)

    def set(self, member: bytes, score: float, limits: Limits = DEFAULT) -> bool:
        """Give a member a score; whether the member is new."""
        return self.put(member, score, limits) > 0

    def put(self, member: bytes, score: float, limits: Limits) -> int:
        """Give a member a score; 1 if the member is new, 0 if it had another one, -1 if it had that one."""
        table = self.table
        position = table.position(member)
        if position >= 0:
            old = table.values[position]
            if old == score:
                return -1
            if table.compact:
                score += 0.0  # a listpack has no -0
            self.ranking.remove(old, member)
            self.ranking.add(score, member)
            table.values[position] = score
            return 0
        if table.compact:
            if len(table.names) >= limits.zset_entries or len(member) > limits.zset_value_bytes:
                table.compact = False
            else:
                score += 0.0
        table.add(member, score)
        self.ranking.add(score, member)
        return 1

    def remove(self, member: bytes) -> bool:
        """Take a member out; False if there is none."""
        score = self.table.get(member)
        if score is None:
            return False
        self.table.remove(member)
        self.ranking.remove(score, member)
        return True

    def rank(self, member: bytes) -> int | None:
        """Count the members before one; None if there is no such member."""
        score = self.table.get(member)
        return None if score is None else self.ranking.rank(score, member)

    def encoding(self) -> bytes:
        """Name the encoding that Redis 7.0 would have chosen; one that was once large stays so."""
        return b"listpack" if self.table.compact else b"skiplist"

    def copy(self) -> "SortedSet":
        """Give another one that is equal and shares nothing that changes."""
        other = SortedSet()
        other.table = self.table.copy()
        other.ranking = self.ranking.copy()
        return other

    def size_bytes(self, samples: int) -> int:
        """Estimate the memory that this takes, from so many of its members; 0: from all."""
        return self.table.size_bytes(samples) + len(self) * ENTRY_BYTES + RANKING_BYTES

    def waste(self, count: int) -> int:
        """Free so many elements, or all; nobody uses this any more."""
        self.ranking.waste(count)
        return self.table.waste(count)


def of(entries: Iterable[Entry], limits: Limits = DEFAULT) -> SortedSet:
    """Make a sorted set, small again if it is; a later score of a member is the one that counts."""
    made = SortedSet()
    for score, member in entries:
        made.table.set(member, score)
    table = made.table
    table.compact = len(table.names) <= limits.zset_entries and all(
        len(member) <= limits.zset_value_bytes for member in table.names
    )
    if table.compact:
        table.values = [score + 0.0 for score in table.values]
    made.ranking = Ranking([(score, member) for member, score in table.items()])
    return made


def words(value: SortedSet) -> Iterator[bytes]:
    """Write a sorted set: whether it is compact, then members and scores by turns."""
    table = value.table
    yield b"c" if table.compact else b""
    for member, score in table.items():
        yield member
        yield _SCORE.pack(score)


def begin(compact: bytes) -> SortedSet:
    """Begin to read a sorted set."""
    found = SortedSet()
    found.table.compact = bool(compact)
    return found


def extend(value: SortedSet, some: list[bytes]) -> None:
    """Go on with some of its members and scores. Raises NotASnapshot."""
    entries: list[Entry] = []
    for at in range(0, len(some), 2):
        entry = _score(some[at + 1]), some[at]
        if not value.table.set(entry[1], entry[0]):
            raise NotASnapshot("a member that comes twice")
        entries.append(entry)
    if not len(value.ranking):
        value.ranking = Ranking(entries)
        return
    for entry in entries:
        value.ranking.add(*entry)


def _score(word: bytes) -> float:
    """Read a score. Raises NotASnapshot."""
    if len(word) != _SCORE.size:
        raise NotASnapshot("a score of another length than a double")
    score: float = _SCORE.unpack(word)[0]
    if score != score:  # noqa: PLR0124 # NaN
        raise NotASnapshot("a score that is no number")
    return score
