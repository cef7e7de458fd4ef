"""Names with a value each, found by name, by chance, and by a cursor, all in constant time. Pure."""

import sys
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from respcache.store.aggregate import taken_bytes
from respcache.store.spread import Spread

V = TypeVar("V")

POSITIONS_SHARED: Final = 257
"""Small integers are there anyway in Python."""
POSITION_BYTES: Final = 32
"""Others are not."""


class Table(Spread[int], Generic[V]):
    """The body of hashes, sets and sorted sets.

    Every name has a position, which this is a spread dict of. While a table is *compact* it keeps the order in which
    names came, as Redis' listpacks do: they are small enough for that. Later the last name
    fills the gap that a removed one leaves.

    A walk with a cursor goes from the last position down to the first. A name only ever
    moves down, from the end into a gap, and new ones come at the end: so what is there all the
    time is met at least once, and a cursor is a position, which stays valid for good.
    """

    __slots__ = ("compact", "names", "values")

    def __init__(self) -> None:
        super().__init__()
        self.names: list[bytes] = []
        self.values: list[V] = []
        self.compact = True

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: bytes) -> bool:
        return name in self.where(name)

    def get(self, name: bytes) -> V | None:
        """Give the value of a name, None if there is no such name."""
        position = self.where(name).get(name, -1)
        return None if position < 0 else self.values[position]

    def set(self, name: bytes, value: V) -> bool:
        """Give a name a value; whether the name is new."""
        position = self.where(name).get(name, -1)
        if position >= 0:
            self.values[position] = value
            return False
        self.add(name, value)
        return True

    def position(self, name: bytes) -> int:
        """Tell where a name is in `names`; -1 if it is not there."""
        return self.where(name).get(name, -1)

    def add(self, name: bytes, value: V) -> None:
        """Give a value to a name that is not there."""
        self.put(name, len(self.names))
        self.names.append(name)
        self.values.append(value)

    def remove(self, name: bytes) -> bool:
        """Take a name out; False if there is none."""
        position = self.where(name).pop(name, -1)
        if position < 0:
            return False
        if self.compact:
            del self.names[position]
            del self.values[position]
            for later in range(position, len(self.names)):
                name = self.names[later]
                self.where(name)[name] = later
            return True
        last, value = self.names.pop(), self.values.pop()
        if position < len(self.names):
            self.names[position], self.values[position] = last, value
            self.where(last)[last] = position
        return True

    def items(self) -> Iterator[tuple[bytes, V]]:
        """Go through names and values by position; nothing may change meanwhile."""
        return zip(self.names, self.values, strict=True)

    def copy(self) -> "Table[V]":
        """Give an equal table; the values are shared."""
        other: Table[V] = Table()
        other.take_from(self)
        other.names, other.values = list(self.names), list(self.values)
        other.compact = self.compact
        return other

    def walk(self, cursor: int, count: int) -> tuple[int, range]:
        """Give the positions of one step of a walk, and the cursor for the next one.

        Begins at the end for cursor 0, and returns 0 when the walk has ended. A compact
        table is walked in one step, as it lies.
        """
        if self.compact:
            return 0, range(len(self.names))
        stop = min(cursor, len(self.names)) if cursor else len(self.names)
        start = max(0, stop - count)
        return start, range(stop - 1, start - 1, -1)

    def size_bytes(self, samples: int) -> int:
        """Estimate the memory that the table takes, from so many of its names and values; 0: from all."""
        count = len(self.names)
        seen = min(samples, count) if samples else count
        sampled = sum([taken_bytes(self.names[at]) + taken_bytes(self.values[at]) for at in range(seen)])
        body = self.dicts_bytes() + sys.getsizeof(self.names) + sys.getsizeof(self.values)
        body += POSITION_BYTES * max(0, count - POSITIONS_SHARED)
        return body + (sampled * count // seen if seen else 0)

    def waste(self, count: int) -> int:
        """Free so many positions, or names and values; fewer when none are left. The table is of no use any more."""
        freed = super().waste(count)
        kept = max(0, len(self.names) - count + freed)
        freed += len(self.names) - kept
        del self.names[kept:]
        del self.values[kept:]
        return freed
