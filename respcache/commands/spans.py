"""Ranges of a sorted set: by score and by member, from arguments to ranks."""

import math
from typing import Final, TypeAlias

from respcache.commands.arguments import integer
from respcache.commands.doubles import double
from respcache.errors import CommandError, NotAFloat
from respcache.store.sorted_sets import SortedSet

Span: TypeAlias = tuple[int, int]
"""The ranks of the first and the last entry; first > last: there are none."""

_BLANKS: Final = b" \t\n\v\f\r"
_SHUT: Final = b"("
_OPEN: Final = b"["
_LEAST: Final = b"-"
_MOST: Final = b"+"


class NotAScoreRange(CommandError):
    """A bound is no number."""

    def __init__(self) -> None:
        super().__init__("min or max is not a float")


class NotALexRange(CommandError):
    """A bound is not of the form [member, (member, - or +."""

    def __init__(self) -> None:
        super().__init__("min or max not valid string range item")


class Scores:
    """A range of scores; each bound is part of it or, with a parenthesis in front, not."""

    def __init__(self, least: bytes, most: bytes) -> None:
        """Raises NotAScoreRange."""
        self._least, self._least_excluded = _score_bound(least)
        self._most, self._most_excluded = _score_bound(most)

    def within(self, found: SortedSet) -> Span:
        """Give the ranks of the range in a sorted set."""
        ranking = found.ranking
        first = _rank_above(found, self._least) if self._least_excluded else ranking.rank(self._least)
        beyond = ranking.rank(self._most) if self._most_excluded else _rank_above(found, self._most)
        return first, beyond - 1


class Members:
    """A range of members of one score, by their bytes."""

    def __init__(self, least: bytes, most: bytes) -> None:
        """Raises NotALexRange."""
        self._least, self._most = least, most
        for bound in (least, most):
            if bound not in {_LEAST, _MOST} and bound[:1] not in {_SHUT, _OPEN}:
                raise NotALexRange

    def within(self, found: SortedSet) -> Span:
        """Give the ranks of the range in a sorted set whose members all have one score."""
        first = _lex_rank(found, self._least, beyond=self._least[:1] == _SHUT)
        last = _lex_rank(found, self._most, beyond=self._most[:1] != _SHUT)
        return first, last - 1


class Ranks:
    """A range of ranks, both included; negative ones count from the end."""

    def __init__(self, start: bytes, end: bytes) -> None:
        """Raises NotAnInteger."""
        self._start, self._end = integer(start), integer(end)

    def within(self, found: SortedSet) -> Span:
        """Give the ranks that there are in a sorted set."""
        count = len(found)
        first = max(0, self._start + count if self._start < 0 else self._start)
        return first, min(count - 1, self._end + count if self._end < 0 else self._end)


Range: TypeAlias = Scores | Members | Ranks


def _score_bound(text: bytes) -> tuple[float, bool]:
    """Read a bound as C's strtod does: blanks may stand before it, nothing is 0, and too much is infinite."""
    excluded = text[:1] == _SHUT
    written = (text[1:] if excluded else text).partition(b"\0")[0]
    if not written:
        return 0.0, excluded
    written = written.lstrip(_BLANKS)
    try:
        return double(written, beyond_range=True), excluded
    except NotAFloat:
        raise NotAScoreRange from None


def _rank_above(found: SortedSet, score: float) -> int:
    """Count the entries with this score or a lesser one."""
    return len(found) if score == math.inf else found.ranking.rank(math.nextafter(score, math.inf))


def _lex_rank(found: SortedSet, bound: bytes, *, beyond: bool) -> int:
    """Count the members before a bound; with `beyond`, those that equal it too."""
    if bound == _LEAST:
        return 0
    if bound == _MOST:
        return len(found)
    member, low, high = bound[1:], 0, len(found)
    while low < high:
        middle = (low + high) // 2
        other = found.ranking.at(middle)[1]
        if other < member or (beyond and other == member):
            low = middle + 1
        else:
            high = middle
    return low
