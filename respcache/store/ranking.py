"""Entries in order, each found by its rank, and its rank by it. Pure.

A list of sorted runs, each short enough that a C `insort` into it costs little, and a
binary indexed tree (P. Fenwick, 1994) over their lengths, so that the rank of an entry
and the entry of a rank cost a few steps more than the bisection of one run.
"""

from bisect import bisect_left, insort
from typing import Final, TypeAlias

Entry: TypeAlias = tuple[float, bytes]
"""Score and member: entries are ordered by score, those of one score by the bytes of the member."""
Bound: TypeAlias = tuple[float] | Entry
"""(score,) stands before all entries of a score."""

RUN: Final = 512
"""Entries of a run after it was split; it is split when it has twice as many."""


class Ranking:
    """Distinct entries, ascending."""

    __slots__ = ("_count", "_lasts", "_runs", "_tree")

    def __init__(self, entries: list[Entry] | None = None) -> None:
        """`entries` need not be in order."""
        ordered = sorted(entries) if entries else []
        self._count = len(ordered)
        self._runs: list[list[Entry]] = [ordered[at : at + RUN] for at in range(0, len(ordered), RUN)]
        self._lasts: list[Entry] = []
        self._tree: list[int] = []
        self._index()

    def __len__(self) -> int:
        return self._count

    def add(self, entry: Entry) -> None:
        """Take an entry in that is not there."""
        self._count += 1
        runs, lasts = self._runs, self._lasts
        if not runs:
            runs.append([entry])
            self._index()
            return
        at = bisect_left(lasts, entry)
        if at == len(runs):
            at -= 1
            runs[at].append(entry)
            lasts[at] = entry
        else:
            insort(runs[at], entry)
        if len(runs[at]) >= 2 * RUN:
            run = runs[at]
            runs[at : at + 1] = [run[:RUN], run[RUN:]]
            self._index()
        else:
            self._grow(at, 1)

    def remove(self, entry: Entry) -> None:
        """Take out an entry that is there."""
        self._count -= 1
        at = bisect_left(self._lasts, entry)
        run = self._runs[at]
        del run[bisect_left(run, entry)]
        if not run:
            del self._runs[at]
            self._index()
            return
        self._lasts[at] = run[-1]
        self._grow(at, -1)

    def rank(self, bound: Bound) -> int:
        """Count the entries before a bound, or an entry."""
        at = bisect_left(self._lasts, bound)
        if at == len(self._runs):
            return self._count
        before, node = bisect_left(self._runs[at], bound), at
        while node > 0:
            before += self._tree[node]
            node -= node & -node
        return before

    def at(self, rank: int) -> Entry:
        """Give the entry of a rank, from 0."""
        at, within = self._find(rank)
        return self._runs[at][within]

    def slice(self, first: int, last: int) -> list[Entry]:
        """List the entries from one rank to another, both included and both there."""
        found: list[Entry] = []
        wanted = last - first + 1
        if wanted <= 0:
            return found
        at, within = self._find(first)
        while wanted > 0:
            piece = self._runs[at][within : within + wanted]
            found += piece
            wanted -= len(piece)
            at, within = at + 1, 0
        return found

    def waste(self, count: int) -> None:
        """Free so many entries or some more; the ranking is of no use any more."""
        del self._runs[max(0, len(self._runs) - 1 - count // RUN) :]

    def _find(self, rank: int) -> tuple[int, int]:
        """Give the run that holds the entry of a rank, and its place there."""
        tree = self._tree
        size = len(tree)
        node, step = 0, 1
        while step * 2 < size:
            step *= 2
        while step:
            further = node + step
            if further < size and tree[further] <= rank:
                node = further
                rank -= tree[further]
            step //= 2
        return node, rank

    def _grow(self, at: int, by: int) -> None:
        tree, node = self._tree, at + 1
        while node < len(tree):
            tree[node] += by
            node += node & -node

    def _index(self) -> None:
        """Make the tree anew: node i (from 1) counts the entries of the runs below i, from its lowest bit on."""
        self._lasts = [run[-1] for run in self._runs]
        tree = [0, *(len(run) for run in self._runs)]
        for node in range(1, len(tree)):
            parent = node + (node & -node)
            if parent < len(tree):
                tree[parent] += tree[node]
        self._tree = tree
