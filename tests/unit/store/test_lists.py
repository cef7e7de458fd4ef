"""Lists against Python's own."""

from collections.abc import Callable
from random import Random
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.store.lists import FEW, RUN, List, of

Do = Callable[[List, list[bytes], Random], None]
"""Does the same to a list and to Python's own, and compares what they say."""
ELEMENTS = st.lists(st.sampled_from([b"a", b"b", b"c"]), min_size=1, max_size=30)


@given(data=st.data(), size=st.integers(min_value=1, max_value=3 * FEW))
def test_any_slice_is_what_a_list_gives(data: st.DataObject, size: int) -> None:
    """Short and long ones, at the ends and in the middle."""
    expected = [b"%d" % number for number in range(size)]
    first = data.draw(st.integers(min_value=0, max_value=size - 1))
    last = data.draw(st.integers(min_value=first, max_value=size - 1))
    assert of(expected).slice(first, last) == expected[first : last + 1]
    kept = of(expected)
    kept.keep(first, last)
    assert list(kept) == expected[first : last + 1]


@given(elements=ELEMENTS, count=st.integers(min_value=-4, max_value=4))
def test_as_many_equal_elements_are_removed_as_asked_for(elements: list[bytes], count: int) -> None:
    """From the head, or from the end; the others stay in their order."""
    found = of(elements)
    expected = list(elements) if count >= 0 else elements[::-1]
    for _ in range(abs(count) or len(elements)):
        if b"a" in expected:
            expected.remove(b"a")
    expected = expected if count >= 0 else expected[::-1]
    assert found.remove(b"a", count) == len(elements) - len(expected)
    assert list(found) == expected


@given(elements=ELEMENTS, backwards=st.booleans(), most=st.integers(min_value=1, max_value=40))
def test_places_are_those_of_equal_elements(elements: list[bytes], backwards: bool, most: int) -> None:  # noqa: FBT001 # drawn
    """Among the first that are looked at, from either end."""
    looked = list(enumerate(elements))[::-1][:most] if backwards else list(enumerate(elements))[:most]
    expected = [place for place, element in looked if element == b"a"]
    assert list(of(elements).places(b"a", backwards=backwards, most=most)) == expected


def test_a_copy_is_equal_and_apart() -> None:
    """Changes of one are not seen by the other."""
    found = of([b"a"])
    other = found.copy()
    other.push_right(b"b")
    assert (list(found), list(other)) == ([b"a"], [b"a", b"b"])
    assert found.encoding() == b"quicklist"
    assert other.size_bytes(0) > List().size_bytes(0)


def _word(rng: Random) -> bytes:
    return b"%d" % rng.randrange(3_000)


def _push_left(found: List, expected: list[bytes], rng: Random) -> None:
    found.push_left(word := _word(rng))
    expected.insert(0, word)


def _push_right(found: List, expected: list[bytes], rng: Random) -> None:
    found.push_right(word := _word(rng))
    expected.append(word)


def _extend(found: List, expected: list[bytes], rng: Random) -> None:
    found.extend(words := [_word(rng) for _ in range(rng.choice((1, 5, RUN, 2 * RUN)))])
    expected += words


def _extend_left(found: List, expected: list[bytes], rng: Random) -> None:
    found.extend_left(words := [_word(rng) for _ in range(rng.choice((1, 5, RUN, 2 * RUN)))])
    expected[:0] = words[::-1]


def _pop_left(found: List, expected: list[bytes], rng: Random) -> None:
    for _ in range(min(len(expected), rng.choice((1, RUN)))):
        assert found.pop_left() == expected.pop(0)


def _pop_right(found: List, expected: list[bytes], rng: Random) -> None:
    for _ in range(min(len(expected), rng.choice((1, RUN)))):
        assert found.pop_right() == expected.pop()


def _replace(found: List, expected: list[bytes], rng: Random) -> None:
    if expected:
        at = rng.randrange(len(expected))
        assert found.at(at) == expected[at]
        expected[at] = _word(rng)
        found.replace(at, expected[at])


def _insert(found: List, expected: list[bytes], rng: Random) -> None:
    pivot, behind = _word(rng), rng.random() < 0.5
    for _ in range(rng.choice((1, 50))):
        assert found.insert(pivot, b"new", behind=behind) == (pivot in expected)
        if pivot in expected:
            expected.insert(expected.index(pivot) + behind, b"new")


def _remove(found: List, expected: list[bytes], rng: Random) -> None:
    word, count = rng.choice((_word(rng), b"new")), rng.choice((-2, -1, 0, 1, 2))
    ordered = expected[::-1] if count < 0 else expected[:]
    for _ in range(abs(count) or len(expected)):
        if word in ordered:
            ordered.remove(word)
    assert found.remove(word, count) == len(expected) - len(ordered)
    expected[:] = ordered[::-1] if count < 0 else ordered


def _slice(found: List, expected: list[bytes], rng: Random) -> None:
    if expected:
        first, last = sorted(rng.randrange(len(expected)) for _ in range(2))
        assert found.slice(first, last) == expected[first : last + 1]
        word, most = expected[first], rng.choice((1, RUN, len(expected)))
        assert list(found.places(word, backwards=False, most=most)) == [
            place for place, other in enumerate(expected[:most]) if other == word
        ]
        looked = list(enumerate(expected))[::-1][:most]
        assert list(found.places(word, backwards=True, most=most)) == [
            place for place, other in looked if other == word
        ]


def _keep(found: List, expected: list[bytes], rng: Random) -> None:
    if len(expected) > RUN:
        first, last = rng.choice(((1, len(expected) - 2), (RUN, len(expected) - 1), (0, len(expected) - RUN)))
        dropped = found.keep(first, last)
        expected[:] = expected[first : last + 1]
        assert dropped.waste(RUN * 100) < RUN * 100


DOINGS: Final[tuple[Do, ...]] = (
    _push_left,
    _push_right,
    _extend,
    _extend_left,
    _pop_left,
    _pop_right,
    _replace,
    _insert,
    _remove,
    _slice,
    _keep,
)


@pytest.mark.parametrize("seed", range(6))
def test_a_list_of_many_runs_does_what_a_list_does(seed: int) -> None:
    """Whatever is done to it, in any order; runs are split, and go when they are empty."""
    rng = Random(seed)
    expected = [_word(rng) for _ in range(rng.choice((0, 5, 3 * RUN)))]
    found = of(expected)
    for _ in range(120):
        rng.choice(DOINGS)(found, expected, rng)
        assert len(found) == len(expected)
        assert list(found) == expected
    while expected:
        _pop_left(found, expected, rng)
    found.push_right(b"again")
    assert list(found.copy()) == [b"again"]
