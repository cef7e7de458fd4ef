"""Items are what was put in, and what a peer sent is looked at before it is used."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.ownership.record import NUMBER_MAX
from respcache.cluster.ownership.slots import PARTITIONS
from respcache.cluster.replication.items import DATABASE_MAX, KIND_MIN, Item, Items, items_of

ITEMS = st.lists(
    st.tuples(
        st.integers(0, PARTITIONS - 1),
        st.integers(0, NUMBER_MAX),
        st.integers(0, 2**60),
        st.integers(KIND_MIN, DATABASE_MAX),
        st.lists(st.binary(max_size=5), min_size=1, max_size=4),
    ),
    max_size=6,
)
NUMBERS = st.integers(KIND_MIN, 2**63 - 1)


@given(ITEMS)
def test_what_comes_out_is_what_was_put_in(items: list[Item]) -> None:
    """In order, and countable."""
    made = items_of(*items)
    assert list(made) == items
    assert len(made) == len(items)
    assert made.sound


@given(ITEMS, st.data())
def test_what_is_sound_has_all_of_its_words(items: list[Item], data: st.DataObject) -> None:
    """Whatever a number was changed to: either that is found, or these are other items, with the same words in all."""
    made = items_of(*items)
    if made.numbers:
        place = data.draw(st.integers(0, len(made.numbers) - 1))
        made.numbers[place] = data.draw(st.integers(KIND_MIN, 9) | NUMBERS)
    if made.sound:
        read = list(made)
        assert len(read) == len(made)
        assert [word for *_, argv in read for word in argv] == [word for *_, argv in items for word in argv]


def test_effects_that_follow_each_other_are_stamped_once() -> None:
    """On one partition, in one database and epoch; steps of copies stand alone, for they have the same sequence."""
    one, two = [b"SET", b"k", b"v"], [b"DEL", b"k"]
    made = items_of((7, 3, 11, 0, one), (7, 3, 12, 0, two), (7, 3, 12, KIND_MIN, []), (7, 3, 13, 0, two))
    assert made.numbers == [7, 3, 11, 0, 2, 3, 2, 7, 3, 12, KIND_MIN, 1, 0, 7, 3, 13, 0, 1, 2]
    for other in ((8, 3, 12, 0, two), (7, 4, 12, 0, two), (7, 3, 12, 1, two), (7, 3, 13, 0, two)):
        assert items_of((7, 3, 11, 0, one), other).numbers == [7, 3, 11, 0, 1, 3, *other[:4], 1, 2]


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ([1, 1, 1, 0, 1], 0),
        ([1, 1, 1, 0, 1, 1, 2], 1),
        ([1, 1, 1, 0, 2, 1], 1),
        ([1, 1, 1, 0, 0], 0),
        ([1, 1, 1, 0, -1, 0], 0),
        ([1, 1, 1, 0, 1, 2], 1),
        ([1, 1, 1, 0, 1, 0], 0),
        ([1, NUMBER_MAX + 1, 1, 0, 1, 1], 1),
        ([1, 1, 1, 0, 1, 1], 2),
        ([1, 1, 1, 0, 2, 2, -1], 1),
        ([PARTITIONS, 1, 1, 0, 1, 1], 1),
        ([-1, 1, 1, 0, 1, 1], 1),
        ([1, -1, 1, 0, 1, 1], 1),
        ([1, 1, -1, 0, 1, 1], 1),
        ([1, 1, 1, KIND_MIN - 1, 1, 1], 1),
        ([1, 1, 1, -1, 2, 1, 1], 2),
        ([1, 1, 1, DATABASE_MAX + 1, 1, 1], 1),
    ],
)
def test_what_is_no_list_of_items_is_found_out(numbers: list[int], words: int) -> None:
    """Too few numbers or too many, words for another count, and numbers that nothing has."""
    assert not Items(numbers, [b"x"] * words).sound
