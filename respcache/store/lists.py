"""The list: elements in an order, under one key."""

import sys
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import ClassVar, Final

from respcache.store.aggregate import Aggregate, taken_bytes

RUN: Final = 1_024
"""Elements of a run that is filled from the ends of the list; one with twice as many is split.

To find a place in the middle takes a step for each run, from the nearer end on, and then one for each 64 elements
in a run. One deque of a million elements took 30 us.
"""
FEW: Final = 256
"""Elements up to which it is quicker to look each up than to walk to the first one: a deque finds
an element by going over blocks of 64."""


class List(Aggregate):
    """Elements that come and go at both ends in constant time: a run of runs, as Redis' quicklist is.

    None of the runs is empty, but for the only one of an empty list.
    """

    __slots__ = ("_count", "_runs")

    kind: ClassVar[bytes] = b"list"

    def __init__(self) -> None:
        self._runs: list[deque[bytes]] = [deque()]
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[bytes]:
        """Go through the elements; nothing may change meanwhile."""
        return chain.from_iterable(self._runs)

    def push_left(self, element: bytes) -> None:
        """Put an element at the head."""
        run = self._runs[0]
        if len(run) >= RUN:
            run = deque()
            self._runs.insert(0, run)
        run.appendleft(element)
        self._count += 1

    def push_right(self, element: bytes) -> None:
        """Put an element at the end."""
        run = self._runs[-1]
        if len(run) >= RUN:
            run = deque()
            self._runs.append(run)
        run.append(element)
        self._count += 1

    def extend_left(self, elements: list[bytes]) -> None:
        """Put elements at the head, one after the other: the last of them comes first then."""
        at = 0
        while at < len(elements):
            run = self._runs[0]
            if len(run) >= RUN:
                run = deque()
                self._runs.insert(0, run)
            some = elements[at : at + RUN - len(run)]
            run.extendleft(some)
            at += len(some)
        self._count += len(elements)

    def extend(self, elements: list[bytes]) -> None:
        """Put elements at the end."""
        at = 0
        while at < len(elements):
            run = self._runs[-1]
            if len(run) >= RUN:
                run = deque()
                self._runs.append(run)
            some = elements[at : at + RUN - len(run)]
            run.extend(some)
            at += len(some)
        self._count += len(elements)

    def pop_left(self) -> bytes:
        """Take the first element; there is one."""
        run = self._runs[0]
        element = run.popleft()
        self._count -= 1
        if not len(run) and len(self._runs) > 1:
            del self._runs[0]
        return element

    def pop_right(self) -> bytes:
        """Take the last element; there is one."""
        run = self._runs[-1]
        element = run.pop()
        self._count -= 1
        if not len(run) and len(self._runs) > 1:
            self._runs.pop()
        return element

    def at(self, position: int) -> bytes:
        """Give the element at a position from 0, which is within the list."""
        at, within = self._find(position)
        return self._runs[at][within]

    def replace(self, position: int, element: bytes) -> None:
        """Put an element in place of the one at a position from 0, which is within the list."""
        at, within = self._find(position)
        self._runs[at][within] = element

    def insert(self, pivot: bytes, element: bytes, *, behind: bool) -> bool:
        """Put an element before or behind the first one that equals a pivot; False if there is none."""
        for at in range(len(self._runs)):
            run = self._runs[at]
            if pivot in run:
                run.insert(run.index(pivot) + behind, element)
                self._count += 1
                if len(run) >= 2 * RUN:
                    self._runs[at : at + 1] = [deque(islice(run, RUN)), deque(islice(run, RUN, None))]
                return True
        return False

    def slice(self, first: int, last: int) -> list[bytes]:
        """List the elements from one position to another, both included and both within the list."""
        found: list[bytes] = []
        wanted = last - first + 1
        at, within = self._find(first)
        while wanted > 0:
            run = self._runs[at]
            here = min(wanted, len(run) - within)
            if here == len(run):
                found += run
            elif here < FEW:
                found += [run[place] for place in range(within, within + here)]
            else:
                found += islice(run, within, within + here)
            wanted -= here
            at, within = at + 1, 0
        return found

    def keep(self, first: int, last: int) -> "List":
        """Drop all elements but those from one position to another, both within the list.

        Gives a list of most of what was dropped, to be freed in whatever time that takes.
        """
        dropped = List()
        behind = self._count - 1 - last
        while behind >= len(self._runs[-1]):
            behind -= len(self._runs[-1])
            dropped._take(self._runs.pop())  # one of its own kind
        while first >= len(self._runs[0]):
            first -= len(self._runs[0])
            dropped._take(self._runs.pop(0))  # as above
        self._count -= len(dropped)
        for _ in range(behind):
            self.pop_right()
        for _ in range(first):
            self.pop_left()
        return dropped

    def remove(self, element: bytes, count: int) -> int:
        """Drop up to `count` equal elements, from the end if that is negative, all if it is 0; return how many."""
        left, backwards = abs(count) or self._count, count < 0
        places = range(len(self._runs) - 1, -1, -1) if backwards else range(len(self._runs))
        before = left
        for at in places:
            run = self._runs[at]
            if element not in run:
                continue
            here = run.count(element)
            if here <= left:
                self._runs[at] = deque([other for other in run if other != element])
                left -= here
            else:
                _remove_some(run, element, left, backwards=backwards)
                left = 0
            if not left:
                break
        removed = before - left
        if removed:
            self._runs = [run for run in self._runs if len(run)] or [deque()]
            self._count -= removed
        return removed

    def places(self, element: bytes, *, backwards: bool, most: int) -> Iterator[int]:
        """Go through the positions of equal elements among the first `most` that are looked at."""
        looked = 0
        for run in reversed(self._runs) if backwards else iter(self._runs):
            if looked >= most:
                return
            if element in run:
                for steps, candidate in enumerate(islice(reversed(run) if backwards else iter(run), most - looked)):
                    if candidate == element:
                        yield self._count - 1 - looked - steps if backwards else looked + steps
            looked += len(run)

    def encoding(self) -> bytes:
        """Name the one encoding of lists in Redis 7.0."""
        return b"quicklist"

    def copy(self) -> "List":
        """Give another list that is equal and shares nothing that changes."""
        other = List()
        other._runs = [run.copy() for run in self._runs]  # one of its own kind
        other._count = self._count  # as above
        return other

    def size_bytes(self, samples: int) -> int:
        """Estimate the memory that this takes, from so many of its elements; 0: from all."""
        count = self._count
        seen = min(samples, count) if samples else count
        sampled = sum([taken_bytes(element) for element in islice(self, seen)])
        runs = sys.getsizeof(self._runs[len(self._runs) // 2]) * len(self._runs)
        return sys.getsizeof(self._runs) + runs + (sampled * count // seen if seen else 0)

    def waste(self, count: int) -> int:
        """Free so many elements, or all; nobody uses this any more."""
        freed = min(count, self._count)
        for _ in range(freed):
            self.pop_right()
        return freed

    def _find(self, position: int) -> tuple[int, int]:
        """Find the run that an element is in, and its place there, from the nearer end on."""
        runs = self._runs
        if position * 2 < self._count:
            at = 0
            while position >= len(runs[at]):
                position -= len(runs[at])
                at += 1
            return at, position
        at, position = len(runs) - 1, position - self._count
        while -position > len(runs[at]):
            position += len(runs[at])
            at -= 1
        return at, len(runs[at]) + position

    def _take(self, run: deque[bytes]) -> None:
        """Take a run over, of which the order does not matter."""
        self._runs.append(run)
        self._count += len(run)


def _remove_some(run: deque[bytes], element: bytes, count: int, *, backwards: bool) -> None:
    """Drop so many elements that are there, from the end if so asked."""
    if backwards:
        run.reverse()
    for _ in range(count):
        run.remove(element)
    if backwards:
        run.reverse()


def of(elements: Iterable[bytes]) -> List:
    """Make a list."""
    made = List()
    made.extend(list(elements))
    return made


def words(value: List) -> Iterator[bytes]:
    """Write a list: nothing, then its elements."""
    yield b""
    yield from value


def begin(_: bytes) -> List:
    """Begin to read a list."""
    return List()


def extend(value: List, some: list[bytes]) -> None:
    """Go on with some of its elements."""
    value.extend(some)
