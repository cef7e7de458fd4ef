"""The list: elements in an order, under one key."""

import sys
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import ClassVar, Final

from respcache.store.aggregate import Aggregate, taken_bytes

FEW: Final = 256
"""Elements up to which it is quicker to look each up than to walk to the first one: a deque finds
an element by going over blocks of 64."""


class List(Aggregate):
    """Elements that come and go at both ends in constant time."""

    __slots__ = ("elements",)

    kind: ClassVar[bytes] = b"list"

    def __init__(self) -> None:
        self.elements: deque[bytes] = deque()

    def __len__(self) -> int:
        return len(self.elements)

    def slice(self, first: int, last: int) -> list[bytes]:
        """List the elements from one position to another, both included and both within the list."""
        elements = self.elements
        if first == 0 and last == len(elements) - 1:
            return list(elements)
        if last - first < FEW:
            return [elements[position] for position in range(first, last + 1)]
        return list(islice(elements, first, last + 1))

    def keep(self, first: int, last: int) -> None:
        """Drop all elements but those from one position to another, both within the list."""
        elements = self.elements
        if last - first < len(elements) // 2:
            self.elements = deque(self.slice(first, last))
            return
        for _ in range(len(elements) - 1 - last):
            elements.pop()
        for _ in range(first):
            elements.popleft()

    def remove(self, element: bytes, count: int) -> int:
        """Drop up to `count` equal elements, from the end if that is negative, all if it is 0; return how many."""
        most = abs(count) or len(self.elements)
        backwards = count < 0
        kept: deque[bytes] = deque()
        removed = 0
        for candidate in reversed(self.elements) if backwards else self.elements:
            if removed < most and candidate == element:
                removed += 1
            elif backwards:
                kept.appendleft(candidate)
            else:
                kept.append(candidate)
        if removed:
            self.elements = kept
        return removed

    def places(self, element: bytes, *, backwards: bool, most: int) -> Iterator[int]:
        """Go through the positions of equal elements among the first `most` that are looked at."""
        count = len(self.elements)
        for steps, candidate in enumerate(islice(reversed(self.elements) if backwards else iter(self.elements), most)):
            if candidate == element:
                yield count - 1 - steps if backwards else steps

    def encoding(self) -> bytes:
        """Name the one encoding of lists in Redis 7.0."""
        return b"quicklist"

    def copy(self) -> "List":
        """Give another list that is equal and shares nothing that changes."""
        return of(self.elements)

    def size_bytes(self, samples: int) -> int:
        """Estimate the memory that this takes, from so many of its elements; 0: from all."""
        count = len(self.elements)
        seen = min(samples, count) if samples else count
        sampled = sum([taken_bytes(element) for element in islice(self.elements, seen)])
        return sys.getsizeof(self.elements) + (sampled * count // seen if seen else 0)

    def waste(self, count: int) -> int:
        """Free so many elements, or all; nobody uses this any more."""
        freed = min(count, len(self.elements))
        for _ in range(freed):
            self.elements.pop()
        return freed


def of(elements: Iterable[bytes]) -> List:
    """Make a list."""
    made = List()
    made.elements.extend(elements)
    return made


def words(value: List) -> Iterator[bytes]:
    """Write a list: nothing, then its elements."""
    yield b""
    yield from value.elements


def begin(_: bytes) -> List:
    """Begin to read a list."""
    return List()


def extend(value: List, some: list[bytes]) -> None:
    """Go on with some of its elements."""
    value.elements.extend(some)
