"""Entries by rank against a sorted list."""

from bisect import bisect_left, insort
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.store.ranking import LATE_MAX, RUN, Entry, Ranking

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


def test_a_copy_is_equal_and_apart() -> None:
    """Whatever becomes of either; it has nothing yet of the tree that finds ranks."""
    entries = [(float(number % 7), b"%06d" % number) for number in range(5 * RUN)]
    ranking = Ranking(entries)
    assert ranking.rank(*entries[0]) == 0
    other = ranking.copy()
    for entry in entries[::2]:
        ranking.remove(*entry)
    for entry in entries[1::2]:
        other.remove(*entry)
    other.add(9.0, b"new")
    _check(ranking, sorted(entries[1::2]))
    _check(other, sorted([*entries[::2], (9.0, b"new")]))


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


@pytest.mark.parametrize("between", [1, LATE_MAX, LATE_MAX + 1, 5 * LATE_MAX])
def test_ranks_are_right_however_much_has_changed_since_the_last_question(between: int) -> None:
    """Entries come and go in many runs, and runs are split and vanish, before somebody asks."""
    rng = Random(between)
    expected = sorted((float(number % 50), b"%06d" % number) for number in range(8 * RUN))
    ranking = Ranking(expected)
    number = len(expected)
    for _ in range(20):
        for _ in range(between):
            if rng.random() < 0.5 and expected:
                ranking.remove(*expected.pop(rng.randrange(len(expected))))
            else:
                number += 1
                entry = (float(rng.randrange(50)), b"%06d" % number)
                insort(expected, entry)
                ranking.add(*entry)
        places = [0, len(expected) - 1, *(rng.randrange(len(expected)) for _ in range(10))]
        assert [ranking.at(place) for place in places] == [expected[place] for place in places]
        assert [ranking.rank(*expected[place]) for place in places] == places
