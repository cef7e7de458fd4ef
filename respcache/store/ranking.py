"""Entries in order, each found by its rank, and its rank by it. Pure.

Two sequences of sorted runs, the scores as C doubles and the members, each run short enough that to
insert into it costs little; and a binary indexed tree (P. Fenwick, 1994) over their lengths, so that the
rank of an entry and the entry of a rank cost a few steps more than the bisection of one run. The tree is brought up to
date when somebody asks for a rank: sets that are written to more than that need it least.

A search looks at doubles that lie side by side. With a tuple for each entry every step of it went to a tuple and a
float somewhere in memory: ZADD took 1.4 times as long with 100,000 members, and each of them 88 bytes more.
"""

from array import array
from bisect import bisect_left, bisect_right
from typing import Final, TypeAlias

Entry: TypeAlias = tuple[float, bytes]
"""Score and member: entries are ordered by score, those of one score by the bytes of the member."""
Scores: TypeAlias = "array[float]"

RUN: Final = 256
"""Entries of a run after it was split; it is split when it has twice as many."""
LATE_MAX: Final = 64
"""Runs that the tree does not know to have grown or shrunk; with more it is made anew, when it is asked."""


class Ranking:
    """Distinct entries, ascending."""

    __slots__ = ("_count", "_last_members", "_last_scores", "_late", "_members", "_scores", "_tree")

    def __init__(self, entries: list[Entry] | None = None) -> None:
        """`entries` need not be in order."""
        ordered = sorted(entries) if entries else []
        runs = [ordered[at : at + RUN] for at in range(0, len(ordered), RUN)]
        self._count = len(ordered)
        self._scores: list[Scores] = [array("d", [score for score, _ in run]) for run in runs]
        self._members: list[list[bytes]] = [[member for _, member in run] for run in runs]
        self._last_scores: Scores = array("d", [scores[-1] for scores in self._scores])
        self._last_members: list[bytes] = [members[-1] for members in self._members]
        self._tree: list[int] = []
        """Empty while it is to be made anew."""
        self._late: list[int] = []
        """The runs that have grown by one since, and, as ~run, those that have shrunk."""

    def __len__(self) -> int:
        return self._count

    def add(self, score: float, member: bytes) -> None:
        """Take an entry in that is not there."""
        self._count += 1
        last_scores, last_members = self._last_scores, self._last_members
        at = _place(last_scores, last_members, score, member)
        if at < len(last_members):
            scores, members = self._scores[at], self._members[at]
            within = _place(scores, members, score, member)
            scores.insert(within, score)
            members.insert(within, member)
        elif at:
            at -= 1
            scores, members = self._scores[at], self._members[at]
            scores.append(score)
            members.append(member)
            last_scores[at], last_members[at] = score, member
        else:
            self._scores.append(array("d", [score]))
            self._members.append([member])
            last_scores.append(score)
            last_members.append(member)
            self._tree = []
            return
        if len(members) >= 2 * RUN:
            self._split(at)
        elif self._tree:
            self._note(at)

    def remove(self, score: float, member: bytes) -> None:
        """Take out an entry that is there."""
        self._count -= 1
        at = _place(self._last_scores, self._last_members, score, member)
        scores, members = self._scores[at], self._members[at]
        within = _place(scores, members, score, member)
        del scores[within], members[within]
        if not members:
            del self._scores[at], self._members[at], self._last_scores[at], self._last_members[at]
            self._tree = []
            return
        if within == len(members):
            self._last_scores[at], self._last_members[at] = scores[-1], members[-1]
        if self._tree:
            self._note(~at)

    def rank(self, score: float, member: bytes = b"") -> int:
        """Count the entries before one, be it there or not; without a member, those of lesser scores."""
        at = _place(self._last_scores, self._last_members, score, member)
        if at == len(self._members):
            return self._count
        self._catch_up()
        before, node = _place(self._scores[at], self._members[at], score, member), at
        while node > 0:
            before += self._tree[node]
            node -= node & -node
        return before

    def at(self, rank: int) -> Entry:
        """Give the entry of a rank, from 0."""
        at, within = self._find(rank)
        return self._scores[at][within], self._members[at][within]

    def slice(self, first: int, last: int) -> list[Entry]:
        """List the entries from one rank to another, both included and both there."""
        found: list[Entry] = []
        wanted = last - first + 1
        if wanted <= 0:
            return found
        at, within = self._find(first)
        while wanted > 0:
            stop = within + wanted
            members = self._members[at][within:stop]
            found += zip(self._scores[at][within:stop], members, strict=True)
            wanted -= len(members)
            at, within = at + 1, 0
        return found

    def members(self, first: int, last: int) -> list[bytes]:
        """List the members from one rank to another, both included and both there."""
        found: list[bytes] = []
        wanted = last - first + 1
        if wanted <= 0:
            return found
        at, within = self._find(first)
        while wanted > 0:
            members = self._members[at][within : within + wanted]
            found += members
            wanted -= len(members)
            at, within = at + 1, 0
        return found

    def copy(self) -> "Ranking":
        """Give another ranking of the same entries that shares nothing that changes."""
        other = Ranking()
        other._count = self._count
        other._scores = [scores[:] for scores in self._scores]
        other._members = [members[:] for members in self._members]
        other._last_scores, other._last_members = self._last_scores[:], self._last_members[:]
        return other

    def waste(self, count: int) -> None:
        """Free so many entries or some more; the ranking is of no use any more."""
        kept = max(0, len(self._members) - 1 - count // RUN)
        del self._scores[kept:], self._members[kept:]

    def _find(self, rank: int) -> tuple[int, int]:
        """Give the run that holds the entry of a rank, and its place there."""
        self._catch_up()
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

    def _split(self, at: int) -> None:
        """Make two runs of one."""
        scores, members = self._scores[at], self._members[at]
        self._scores.insert(at + 1, scores[RUN:])
        self._members.insert(at + 1, members[RUN:])
        del scores[RUN:], members[RUN:]
        self._last_scores.insert(at, scores[-1])
        self._last_members.insert(at, members[-1])
        self._tree = []

    def _note(self, change: int) -> None:
        """Remember that a run has become longer, or (~run) shorter, by one."""
        self._late.append(change)
        if len(self._late) > LATE_MAX:
            self._tree = []

    def _catch_up(self) -> None:
        """Have the tree say how long the runs are: node i (from 1) counts those below i, from its lowest bit on."""
        tree = self._tree
        if not tree:
            tree = [0, *[len(members) for members in self._members]]
            for node in range(1, len(tree)):
                parent = node + (node & -node)
                if parent < len(tree):
                    tree[parent] += tree[node]
            self._tree, self._late = tree, []
        elif self._late:
            for change in self._late:
                node, by = (change + 1, 1) if change >= 0 else (~change + 1, -1)
                while node < len(tree):
                    tree[node] += by
                    node += node & -node
            self._late = []


def _place(scores: Scores, members: list[bytes], score: float, member: bytes) -> int:
    """Count the entries before one, in scores and members side by side."""
    low = bisect_left(scores, score)
    if low == len(members) or scores[low] != score:
        return low
    return bisect_left(members, member, low, bisect_right(scores, score, low))
