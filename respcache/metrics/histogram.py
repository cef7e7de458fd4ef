"""Histograms as the node keeps them, and as Prometheus wants them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

FIRST_BOUND: Final = 4
"""The least exported bound is 2**4 = 16 us: nothing is worth telling apart below."""
LAST_BOUND: Final = 21
"""The greatest is 2**21 us = 2.1 s."""

COARSE: Final = 2
"""Histograms that are not of commands have a bucket for each factor of 4, not 2."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """Durations as Prometheus counts them: each bucket includes those before it."""

    bounds_s: tuple[float, ...]
    """Upper bounds, ascending; what lies above the last is in `count` alone."""
    cumulative: tuple[int, ...]
    """Durations up to each bound."""
    count: int
    sum_s: float | None
    """None where the sum is not known."""


def distribution(buckets: Sequence[int], *, sum_s: float | None, step: int = 1) -> Distribution:
    """Make a distribution of plain buckets, of which number i counts from 2**(i-1) to below 2**i microseconds.

    `step` is how many of them go into one exported bucket.
    """
    sums = list(accumulate(buckets))
    exponents = range(FIRST_BOUND, LAST_BOUND + 1, step)
    return Distribution(
        bounds_s=tuple(2**exponent / 1e6 for exponent in exponents),
        cumulative=tuple(sums[min(exponent, len(sums) - 1)] for exponent in exponents),
        count=sums[-1],
        sum_s=sum_s,
    )


def added(histograms: Sequence[Sequence[int]]) -> list[int]:
    """Add histograms of equal length, bucket by bucket."""
    return [sum(column) for column in zip(*histograms, strict=True)]
