"""The hash: fields with a value each under one key."""

from collections.abc import Iterator, Sequence
from typing import ClassVar

from respcache.store.aggregate import Aggregate
from respcache.store.limits import DEFAULT, Limits
from respcache.store.table import Table


class Hash(Aggregate):
    """Values by field. One whose fields may have deadlines is a `VolatileHash`, so that this one knows of none."""

    __slots__ = ("table",)

    kind: ClassVar[bytes] = b"hash"

    def __init__(self) -> None:
        self.table: Table[bytes] = Table()

    def __len__(self) -> int:
        return len(self.table.names)

    def get(self, field: bytes) -> bytes | None:
        """Give the value of a field, None if there is no such field."""
        return self.table.get(field)

    def set(self, field: bytes, value: bytes, limits: Limits = DEFAULT) -> bool:
        """Set a field, which has no deadline then; whether it is new."""
        table = self.table
        new = table.set(field, value)
        if table.compact and (
            len(table.names) > limits.hash_entries
            or len(field) > limits.hash_value_bytes
            or len(value) > limits.hash_value_bytes
        ):
            table.compact = False
        return new

    def keep(self, field: bytes, value: bytes, limits: Limits = DEFAULT) -> bool:
        """Set a field; a deadline that it has stays. Whether it is new."""
        return self.set(field, value, limits)

    def remove(self, field: bytes) -> bool:
        """Take a field out; False if there is none."""
        return self.table.remove(field)

    def deadline(self, field: bytes) -> int | None:
        """Give the deadline of a field that is there in Unix milliseconds, None if it has none."""
        del field
        return None

    def persist(self, field: bytes) -> bool:
        """Take its deadline from a field; False if there is no such field, or it has none."""
        del field
        return False

    def fields(self) -> list[bytes]:
        """List the fields by position."""
        return list(self.table.names)

    def contents(self) -> list[bytes]:
        """List the values by position."""
        return list(self.table.values)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Go through fields and values by position; nothing may change meanwhile."""
        return self.table.items()

    def in_view(self, positions: range) -> Sequence[int]:
        """Leave the positions out where there is only what has to be freed."""
        return positions

    def encoding(self) -> bytes:
        """Name the encoding that Redis would have chosen; like there, a hash that was once large stays so."""
        return b"listpack" if self.table.compact else b"hashtable"

    def copy(self) -> "Hash":
        """Give another hash that is equal and shares nothing that changes."""
        other = Hash()
        other.table = self.table.copy()
        return other

    def size_bytes(self, samples: int) -> int:
        """Estimate the memory that this takes, from so many of its fields; 0: from all."""
        return self.table.size_bytes(samples)

    def waste(self, count: int) -> int:
        """Free so many elements, or all; nobody uses this any more."""
        return self.table.waste(count)


def words(value: Hash) -> Iterator[bytes]:
    """Write a hash: whether it is compact, then fields and values by turns."""
    table = value.table
    yield b"c" if table.compact else b""
    for field, content in table.items():
        yield field
        yield content


def begin(compact: bytes) -> Hash:
    """Begin to read a hash."""
    found = Hash()
    found.table.compact = bool(compact)
    return found


def extend(value: Hash, some: list[bytes]) -> None:
    """Go on with some of its fields and values."""
    table = value.table
    for at in range(0, len(some), 2):
        table.set(some[at], some[at + 1])
