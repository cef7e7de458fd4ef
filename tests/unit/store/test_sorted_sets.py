"""Sorted sets: scores and ranks agree, small and large."""

from hypothesis import given
from hypothesis import strategies as st

from respcache.store.limits import DEFAULT
from respcache.store.sorted_sets import SortedSet, of

CHANGES = st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c", b"d"]), st.none() | st.sampled_from([0.0, -1.0, 2.5])))


@given(changes=CHANGES)
def test_scores_and_ranks_are_those_of_a_dict(changes: list[tuple[bytes, float | None]]) -> None:
    """None takes a member out."""
    found, model = SortedSet(), dict[bytes, float]()
    for member, score in changes:
        if score is None:
            assert found.remove(member) == (model.pop(member, None) is not None)
        else:
            assert found.set(member, score) == (member not in model)
            model[member] = score
    expected = sorted((score, member) for member, score in model.items())
    assert found.ranking.slice(0, len(found) - 1) == expected
    for rank, (score, member) in enumerate(expected):
        assert (found.rank(member), found.score(member)) == (rank, score)
    assert found.rank(b"none") is None


def test_many_or_long_members_make_a_skiplist_for_good() -> None:
    """As in Redis; one that is stored anew is small again."""
    found = of((float(number), b"%d" % number) for number in range(DEFAULT.zset_entries))
    assert found.encoding() == b"listpack"
    found.set(b"one more", 0.0)
    found.remove(b"one more")
    assert found.encoding() == b"skiplist"
    assert of([(1.0, b"x" * (DEFAULT.zset_value_bytes + 1))]).encoding() == b"skiplist"
    assert of(found.ranking.slice(0, 5)).encoding() == b"listpack"


def test_a_copy_is_equal_and_apart() -> None:
    """Ranks included."""
    found = of([(1.0, b"a"), (2.0, b"b")])
    other = found.copy()
    other.set(b"a", 3.0)
    assert (found.rank(b"a"), other.rank(b"a")) == (0, 1)
    assert other.size_bytes(0) > SortedSet().size_bytes(0)
