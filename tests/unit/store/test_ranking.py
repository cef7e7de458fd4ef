"""Entries by rank against a sorted list."""

from bisect import bisect_left
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.store.ranking import RUN, Entry, Ranking

ENTRIES = st.tuples(st.sampled_from([0.0, 1.0, -1.5, float("inf"), float("-inf")]), st.binary(max_size=2))


def _check(ranking: Ranking, expected: list[Entry]) -> None:
    count = len(expected)
    assert len(ranking) == count
    assert ranking.slice(0, count - 1) == expected
    assert ranking.members(0, count - 1) == [member for _, member in expected]
    for rank in {0, count // 3, count // 2, count - 1} if count else ():
        assert ranking.at(rank) == expected[rank]
        assert ranking.rank(*expected[rank]) == rank
        assert ranking.rank(expected[rank][0]) == bisect_left(expected, (expected[rank][0],))


@given(entries=st.lists(ENTRIES, unique=True, max_size=40), data=st.data())
def test_it_is_a_sorted_list(entries: list[Entry], data: st.DataObject) -> None:
    """Whatever comes and goes."""
    ranking, expected = Ranking(), list[Entry]()
    for entry in entries:
        ranking.add(*entry)
        expected = sorted([*expected, entry])
        if data.draw(st.booleans()):
            gone = data.draw(st.sampled_from(expected))
            ranking.remove(*gone)
            expected.remove(gone)
        _check(ranking, expected)


@pytest.mark.parametrize("seed", range(3))
def test_runs_are_split_and_vanish(seed: int) -> None:
    """Many entries, in several orders, all taken out again."""
    rng = Random(seed)
    expected = [(float(number % 7), b"%06d" % number) for number in range(5 * RUN)]
    rng.shuffle(expected)
    ranking = Ranking(expected[:RUN])
    for entry in expected[RUN:]:
        ranking.add(*entry)
    _check(ranking, sorted(expected))
    while expected:
        ranking.remove(*expected.pop())
        if len(expected) % 500 == 0:
            _check(ranking, sorted(expected))


def test_the_order_of_insertion_does_not_matter() -> None:
    """Ascending and descending ones split at their ends."""
    entries = [(float(number), b"") for number in range(4 * RUN)]
    for order in (entries, entries[::-1]):
        ranking = Ranking()
        for entry in order:
            ranking.add(*entry)
        _check(ranking, entries)
        assert ranking.rank(float("inf")) == len(entries)
        assert ranking.slice(5, 4) == []
