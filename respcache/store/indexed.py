"""The keys of a partition that has very many, by their places, so that the next few are found at once. Pure.

A partition has so many only where they share a hash tag, or a node holds some tens of millions. Its table of values is
then of another class, which also keeps the keys in *parts*, by the upper bits of what a walk orders them by
(`scan.place`). All other partitions pay nothing. To read from such a table costs what it does from any dict; to put
a key there, or to take it out, costs up to a microsecond more.

The class is not for compiling: it overrides what compiled code calls of a dict that is of no plain class.
"""

from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

if TYPE_CHECKING:
    from respcache.store.values import Value

MANY: Final = 32_768
"""Keys from which on they are kept by place: to list so many takes half a millisecond, to order them three."""
PARTS: Final = 2_048
"""Enough for a million keys to be 500 in each, which take a tenth of a millisecond to order."""
PART_SHIFT: Final = 21
"""Of the 32 bits of a place within its partition those below the ones that choose the part."""

Part = dict[bytes, None]


class Indexed(dict[bytes, "Value"]):
    """Values by key, and keys by place.

    filling --advance, until nothing is left--> ready, which it stays
    """

    __slots__ = ("_filed", "_left", "parts")

    def __init__(self, values: "dict[bytes, Value]") -> None:
        """Take over a table; its keys are put in parts later, by `advance`."""
        super().__init__(values)
        self.parts: Final[list[Part]] = [{} for _ in range(PARTS)]
        self._left = list(values)
        self._filed = 0
        """Keys in parts."""

    @property
    def is_filled(self) -> bool:
        """Whether none is left of the keys that were there before."""
        return not self._left

    @property
    def ready(self) -> bool:
        """Whether every key is in a part, and nothing else."""
        return not self._left and self._filed == len(self)

    def advance(self, count: int) -> None:
        """Put so many of the keys in parts that were there before."""
        for key in self._left[-count:]:
            if key in self:
                self._file(key)
        del self._left[-count:]

    def __setitem__(self, key: bytes, value: "Value") -> None:
        """Give a key a value; one that is new is filed."""
        before = len(self)
        super().__setitem__(key, value)
        if len(self) != before:
            self._file(key)

    def __delitem__(self, key: bytes) -> None:
        """Take a key out. Raises KeyError."""
        super().__delitem__(key)
        self._drop(key)

    def pop(self, key: bytes, default: Any = None) -> Any:
        """Take a key out, if it is there, and give its value."""
        if key not in self:
            return default
        value = super().pop(key)
        self._drop(key)
        return value

    def _file(self, key: bytes) -> None:
        part = self.parts[crc32(key) >> PART_SHIFT]
        before = len(part)
        part[key] = None
        self._filed += len(part) - before

    def _drop(self, key: bytes) -> None:
        part = self.parts[crc32(key) >> PART_SHIFT]
        if key in part:
            del part[key]
            self._filed -= 1


def indexed(values: "dict[bytes, Value]") -> Indexed | None:
    """Give the table as one whose keys are all in parts; None if it is no such."""
    return values if isinstance(values, Indexed) and values.ready else None


def following(values: "dict[bytes, Value]", at: int) -> tuple[list[bytes], int]:
    """List the keys from a place on, in any order, up to another place, which is given, too; 0: there are no more.

    Of a table with parts that is one part, so it takes little time; of any other it is all. Places are those within the
    partition. Keys may come and go between two calls.
    """
    table = indexed(values)
    if table is None:
        return (list(values) if not at else [key for key in values if crc32(key) >= at]), 0
    number = at >> PART_SHIFT
    part = table.parts[number]
    begun = at & ((1 << PART_SHIFT) - 1)
    keys = [key for key in part if crc32(key) >= at] if begun else list(part)
    return keys, (number + 1) % PARTS << PART_SHIFT
