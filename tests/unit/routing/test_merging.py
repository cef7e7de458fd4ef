"""The replies of parts, made one: the whole must not tell that there were parts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.commands.registry import Merge
from respcache.reply import Reply
from respcache.resp.encode import NULL_2, NULL_3, bulk, encode, integer
from respcache.routing.merging import Part, elements, merged
from respcache.store import scan

PROTOCOLS = st.sampled_from((2, 3))
TEXTS = st.binary(max_size=8) | st.sampled_from((b"\r\n", b"$-1\r\n", b"*1\r\n"))
VALUES = st.none() | TEXTS | st.integers(-(2**63), 2**63 - 1)
NESTED: st.SearchStrategy[Reply] = st.recursive(VALUES, lambda inner: st.lists(inner, max_size=3), max_leaves=8)


def part(wire: bytes, *places: int) -> Part:
    """Make a part."""
    return Part(wire, places)


@given(st.lists(NESTED, max_size=6), PROTOCOLS)
def test_an_array_is_cut_where_its_elements_end(values: list[Reply], protocol: int) -> None:
    """Whatever they hold: nulls, arrays, and bytes that look like the protocol."""
    assert elements(encode(values, protocol)) == [encode(value, protocol) for value in values]


@given(st.lists(st.tuples(VALUES, st.integers(0, 3)), min_size=1, max_size=12), PROTOCOLS)
def test_elements_go_back_to_the_places_of_their_keys(dealt: list[tuple[Reply, int]], protocol: int) -> None:
    """However the keys were dealt out to owners, the array is that of one node."""
    parts = []
    for owner in {owner for _, owner in dealt}:
        places = tuple(place for place, (_, whose) in enumerate(dealt) if whose == owner)
        parts.append(Part(encode([dealt[place][0] for place in places], protocol), places))
    assert merged(Merge.EACH, parts) == encode([value for value, _ in dealt], protocol)


@given(st.lists(st.lists(TEXTS, max_size=4), min_size=1, max_size=4))
def test_arrays_are_put_behind_each_other(lists: list[list[bytes]]) -> None:
    """Nothing is lost and nothing made up."""
    whole = merged(Merge.CONCAT, [part(encode(list(texts), 2)) for texts in lists])
    assert whole == encode([text for texts in lists for text in texts], 2)


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=5))
def test_counts_add_up(counts: list[int]) -> None:
    """DEL on three nodes deletes what it deletes on each."""
    assert merged(Merge.SUM, [part(integer(count)) for count in counts]) == integer(sum(counts))


def test_ok_of_all_is_ok() -> None:
    """And an error of one is the error of all."""
    fine, wrong = part(b"+OK\r\n", 0), part(b"-TRYAGAIN later\r\n", 1)
    assert merged(Merge.OK, [fine, fine]) == b"+OK\r\n"
    for merge in Merge:
        if merge is not Merge.NONE:
            assert merged(merge, [fine, wrong, fine]) == wrong.wire


@pytest.mark.parametrize("null", [NULL_2, NULL_3])
@given(keys=st.lists(st.binary(max_size=4), max_size=4), empty=st.integers(0, 3))
def test_any_key_is_one_of_those_there(keys: list[bytes], empty: int, null: bytes) -> None:
    """Null only if every node is empty."""
    answers = [part(null)] * empty + [part(bulk(key)) for key in keys]
    if answers:
        chosen = merged(Merge.ANY, answers)
        assert chosen in ({bulk(key) for key in keys} or {null})


def test_nothing_was_done_only_if_no_part_was() -> None:
    """A part that was done, or may have been, leaves the whole in doubt; a command that only reads has done nothing."""
    fine, down, again = (part(wire) for wire in (b"+OK\r\n", b"-CLUSTERDOWN a\r\n", b"-TRYAGAIN b\r\n"))
    lost, wrong = part(b"-UNCERTAIN c\r\n"), part(b"-ERR d\r\n")
    assert merged(Merge.OK, [down, again], writes=True) == down.wire
    for other in (fine, lost, wrong):
        told = merged(Merge.OK, [down, other], writes=True)
        assert told.startswith(b"-UNCERTAIN ")
        assert told.endswith(b"CLUSTERDOWN a\r\n")
    assert merged(Merge.OK, [lost, down], writes=True) == lost.wire
    assert merged(Merge.OK, [wrong, down], writes=True) == wrong.wire
    assert merged(Merge.CONCAT, [fine, down]) == down.wire


def test_any_key_is_not_always_of_the_same_node() -> None:
    """The keys that the nodes have drawn decide."""
    drawn = {merged(Merge.ANY, [part(bulk(b"a%d" % at)), part(bulk(b"b%d" % at))])[4:5] for at in range(50)}
    assert drawn == {b"a", b"b"}
    few = {merged(Merge.ANY, [part(bulk(b"a")), part(bulk(b"b"))], dice=1000.0 + at / 100) for at in range(50)}
    assert few == {bulk(b"a"), bulk(b"b")}, "each has one key, and draws it always"


@given(
    st.lists(
        st.tuples(st.integers(0, 2**42 - 1), st.lists(st.binary(min_size=1, max_size=6), max_size=4)),
        min_size=1,
        max_size=4,
    )
)
def test_a_walk_over_several_nodes_goes_on_where_the_first_stopped(answers: list[tuple[int, list[bytes]]]) -> None:
    """The wire form says what the merge of the walks says, and no cursor is jumped over."""
    whole = merged(Merge.WALK, [part(encode([b"%d" % cursor, list(keys)], 2)) for cursor, keys in answers])
    cursor, keys = scan.merge(answers)
    assert whole == encode([b"%d" % cursor, list(keys)], 2)
    stopped = [following for following, _ in answers if following]
    assert cursor == (min(stopped) if stopped else 0)
