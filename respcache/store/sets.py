"""The set: distinct members under one key."""

from collections.abc import Iterable, Iterator
from typing import ClassVar

from respcache.store.aggregate import Aggregate
from respcache.store.digits import is_int64
from respcache.store.limits import DEFAULT, Limits
from respcache.store.table import Table


class Set(Aggregate):
    """Members in no promised order; few integers are in ascending order, as in Redis' intset."""

    __slots__ = ("table",)

    kind: ClassVar[bytes] = b"set"

    def __init__(self) -> None:
        self.table: Table[None] = Table()
        """Compact while it would be an intset."""

    def __len__(self) -> int:
        return len(self.table.names)

    def __contains__(self, member: bytes) -> bool:
        return member in self.table

    def add(self, member: bytes, limits: Limits = DEFAULT) -> bool:
        """Take a member in; False if it is there already."""
        table = self.table
        if not table.set(member, None):
            return False
        if table.compact and (len(table.names) > limits.set_integers or not is_int64(member)):
            table.compact = False
        return True

    def remove(self, member: bytes) -> bool:
        """Take a member out; False if there is none."""
        return self.table.remove(member)

    def members(self) -> list[bytes]:
        """List the members."""
        names = self.table.names
        return sorted(names, key=int) if self.table.compact else list(names)

    def encoding(self) -> bytes:
        """Name the encoding that Redis 7.0 would have chosen; a set that was once a hash table stays one."""
        return b"intset" if self.table.compact else b"hashtable"

    def copy(self) -> "Set":
        """Give another set that is equal and shares nothing that changes."""
        other = Set()
        other.table = self.table.copy()
        return other

    def size_bytes(self, samples: int) -> int:
        """Estimate the memory that this takes, from so many of its members; 0: from all."""
        return self.table.size_bytes(samples)

    def waste(self, count: int) -> int:
        """Free so many elements, or all; nobody uses this any more."""
        return self.table.waste(count)


def of(members: Iterable[bytes], limits: Limits = DEFAULT) -> Set:
    """Make a set."""
    made = Set()
    for member in members:
        made.add(member, limits)
    return made


def words(value: Set) -> Iterator[bytes]:
    """Write a set: whether it is compact, then its members."""
    yield b"c" if value.table.compact else b""
    yield from value.table.names


def begin(compact: bytes) -> Set:
    """Begin to read a set."""
    found = Set()
    found.table.compact = bool(compact)
    return found


def extend(value: Set, some: list[bytes]) -> None:
    """Go on with some of its members."""
    table = value.table
    for member in some:
        if table.set(member, None) and table.compact and not is_int64(member):
            table.compact = False
