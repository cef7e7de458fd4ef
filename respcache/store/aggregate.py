"""What the kinds of value have in common that commands change in place: all but strings."""

from sys import getsizeof
from typing import ClassVar, Final

ALIGNMENT: Final = 16
"""Bytes by which Python's allocator rounds up."""


def taken_bytes(element: object) -> int:
    """Give the memory that an element takes by itself; None is there anyway."""
    return 0 if element is None else (getsizeof(element) + ALIGNMENT - 1) & -ALIGNMENT


class Aggregate:
    """A collection of elements under one key.

    A key never holds an empty one: whoever takes the last element out says so by
    `Partition.touched`. Copies on other nodes do what the primary did, in the same order,
    so whatever an aggregate shows of its inside (order, cursors) is the same there.
    """

    __slots__ = ()

    kind: ClassVar[bytes]
    """What TYPE answers."""

    def __len__(self) -> int:
        """Count the elements."""
        raise NotImplementedError

    def encoding(self) -> bytes:
        """Name the encoding that Redis would have chosen (OBJECT ENCODING)."""
        raise NotImplementedError

    def copy(self) -> "Aggregate":
        """Give another one that is equal and shares nothing."""
        raise NotImplementedError

    def size_bytes(self, samples: int) -> int:
        """Estimate the memory that this takes, from so many of its elements; 0: from all."""
        raise NotImplementedError

    def waste(self, count: int) -> int:
        """Free about so many elements, in whatever order, and return how many; less than `count` when none are left.

        Nobody uses this any more.
        """
        raise NotImplementedError
