"""A dict by names that grows and goes bit by bit, however many names there are. Pure."""

import sys
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from mypy_extensions import i64

V = TypeVar("V")

SPLIT: Final = 8_192
"""Names from which on they are in many dicts: one dict of a million takes 20 ms to grow, in one go.

To spread so many takes a millisecond; at four times as many it was the longest turn of a node that was given a copy.
"""
SHARDS: Final = 256
"""So many, which is enough for some tens of millions of names."""
SHARD_SHIFT: Final = 48
"""The bits of a name's hash that choose the dict are others than those by which the dict finds its place."""


class Spread(Generic[V]):
    """Values by name: in one dict, and in many once there are many names."""

    __slots__ = ("_shards", "_whole")

    def __init__(self) -> None:
        self._whole: dict[bytes, V] = {}
        self._shards: list[dict[bytes, V]] | None = None
        """What takes the place of `_whole`."""

    def where(self, name: bytes) -> dict[bytes, V]:
        """Give the dict in which the value of a name is, or would be. To put in a name that is new there is `put`."""
        shards = self._shards
        if shards is None:
            return self._whole
        code: i64 = hash(name)
        return shards[code >> SHARD_SHIFT & SHARDS - 1]

    def put(self, name: bytes, value: V) -> None:
        """Give a value to a name, be it there or not."""
        self.where(name)[name] = value
        if self._shards is None and len(self._whole) == SPLIT:
            self._split()

    def take_from(self, other: "Spread[V]") -> None:
        """Become equal to another one, and share nothing with it but the values."""
        whole, shards = other._whole, other._shards  # noqa: SLF001 # one of its own kind
        self._whole = dict(whole)
        self._shards = None if shards is None else [dict(shard) for shard in shards]

    def dicts_bytes(self) -> int:
        """Estimate the memory that the dicts take."""
        return sys.getsizeof(self._whole) + (0 if self._shards is None else sys.getsizeof(self._shards[0]) * SHARDS)

    def waste(self, count: int) -> int:
        """Free so many values, or all; return how many. This is of no use any more."""
        freed = 0
        dicts = [self._whole] if self._shards is None else self._shards
        while dicts and freed < count:  # one by one: all dicts of a million names take 5 ms, in one go
            last = dicts[-1]
            some = min(count - freed, len(last))
            for _ in range(some):
                last.popitem()
            if not last:
                dicts.pop()
            freed += some
        return freed

    def _split(self) -> None:
        whole, self._whole = self._whole, {}
        self._shards = [{} for _ in range(SHARDS)]
        for name, value in whole.items():
            self.where(name)[name] = value
