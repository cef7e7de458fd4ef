"""Streams against a plain list of entries."""

from hypothesis import given
from hypothesis import strategies as st

from respcache.store.limits import STREAM_NODE_ENTRIES as BLOCK_ENTRIES
from respcache.store.limits import Limits
from respcache.store.stream_blocks import ID_MAX, SEQUENCE_BITS
from respcache.store.stream_groups import Group
from respcache.store.streams import Entry, Stream

STEPS = st.lists(
    st.tuples(st.sampled_from(("add", "add", "delete", "length", "below")), st.integers(0, 60)), max_size=40
)
SPANS = st.tuples(st.integers(0, 1500), st.integers(0, 1500), st.integers(0, 150))


@given(steps=STEPS, spans=st.lists(SPANS, min_size=1, max_size=5), size=st.sampled_from((1, 1500)))
def test_any_range_is_that_of_a_list(
    steps: list[tuple[str, int]], spans: list[tuple[int, int, int]], size: int
) -> None:
    """Whatever was added, deleted and trimmed, with entries that fill blocks by number or by size."""
    found, expected = Stream(), list[Entry]()
    for what, number in steps:
        if what == "add":
            for _ in range(number):
                expected.append((found.last + 3, [b"f", b"v" * size]))
                found.append(*expected[-1])
        elif what == "delete" and expected:
            gone = expected.pop(number % len(expected))[0]
            assert (found.remove(gone), found.remove(gone), found.get(gone)) == (True, False, None)
        elif what == "length":
            assert found.trim_length(number * 3, whole=False) == max(0, len(expected) - number * 3)
            expected = expected[-number * 3 :] if number else []
        elif what == "below":
            kept = [entry for entry in expected if entry[0] >= number * 20]
            assert found.trim_below(number * 20, whole=False) == len(expected) - len(kept)
            expected = kept
        assert len(found) == len(expected)
    assert found.range(0, ID_MAX) == expected
    assert (found.first, found.top) == ((expected[0][0], expected[-1][0]) if expected else (0, 0))
    for start, end, count in spans:
        within = [entry for entry in expected if start <= entry[0] <= end]
        assert found.range(start, end, count) == (within[:count] if count else within)
        assert found.backwards(start, end, count) == (within[::-1][:count] if count else within[::-1])
    assert all(found.get(number) == fields for number, fields in expected)


def test_an_approximate_trim_drops_whole_blocks_up_to_its_limit() -> None:
    """What stays is at least what was asked for."""
    found = Stream()
    for number in range(1, 10 * BLOCK_ENTRIES + 1):
        found.append(number, [b"f", b"v"])
    assert found.trim_length(550, whole=True) == 4 * BLOCK_ENTRIES
    assert found.trim_below(ID_MAX, whole=True, limit=250) == 2 * BLOCK_ENTRIES
    assert len(found) == 4 * BLOCK_ENTRIES


def filled(blocks: int) -> Stream:
    """Give a stream of so many blocks, two entries a millisecond."""
    found = Stream()
    for number in range(blocks * BLOCK_ENTRIES):
        found.append((number // 2) << SEQUENCE_BITS | number % 2 + 1, [b"f", b"%d" % number])
    return found


def opened(stream: Stream) -> int:
    """Count the blocks that are open."""
    return sum(not block.packed for block in stream.each_block())


@given(places=st.lists(st.integers(0, 8 * BLOCK_ENTRIES - 1), min_size=1, max_size=60, unique=True))
def test_whatever_is_taken_out_two_blocks_are_open_at_most(places: list[int]) -> None:
    """The last one, and one that several entries in a row were taken out of: so a stream stays small."""
    found = filled(8)
    ids = [number for number, _ in found.range(0, ID_MAX)]
    left = found.range(0, ID_MAX)
    for place in places:
        assert found.remove(ids[place])
        assert not found.remove(ids[place])
        assert opened(found) <= 2
    gone = {ids[place] for place in places}
    assert found.range(0, ID_MAX) == [entry for entry in left if entry[0] not in gone]


@given(places=st.lists(st.integers(0, BLOCK_ENTRIES - 1), min_size=1, max_size=8, unique=True))
def test_equal_blocks_are_written_alike(places: list[int]) -> None:
    """However entries were taken out of them: by one who had it open, or out of the string that it was packed in."""
    one, other = filled(3), filled(3)
    ids = [number for number, _ in one.range(0, ID_MAX)]
    for place in places:
        one.remove(ids[place])
        one.get(ids[-BLOCK_ENTRIES - 1])
        other.remove(ids[place])
        other.remove(ids[place + BLOCK_ENTRIES])
    for number in range(BLOCK_ENTRIES):
        other.remove(ids[BLOCK_ENTRIES + number])
        one.remove(ids[BLOCK_ENTRIES + number])
    assert [block.blob() for block in one.each_block()] == [block.blob() for block in other.each_block()]


def test_a_stream_whose_last_block_went_begins_another_one() -> None:
    """Nothing is added to one that was packed, though the limits would let it be longer by now."""
    found = filled(2)
    for number, _ in found.range(0, ID_MAX)[BLOCK_ENTRIES:]:
        found.remove(number)
    limits = Limits()
    limits.stream_entries = 10 * BLOCK_ENTRIES
    found.append(found.last + 1, [b"f", b"v"], limits)
    assert len(found) == BLOCK_ENTRIES + 1
    assert found.blocks == 2


def test_blocks_have_the_sizes_that_are_set() -> None:
    """So many entries or bytes, whichever comes first; an approximate trim takes whole blocks."""
    limits = Limits()
    limits.stream_entries = 3
    found = Stream()
    for number in range(1, 11):
        found.append(number, [b"f", b"v"], limits)
    assert [block.count for block in found.each_block()] == [3, 3, 3, 1]
    assert (found.trim_length(5, whole=True), found.first) == (3, 4)
    limits.stream_bytes = 100
    for number in range(11, 14):
        found.append(number, [b"f", bytes(90)], limits)
    assert [block.count for block in found.each_block()][-3:] == [1, 1, 1]


def test_a_copy_is_equal_and_apart() -> None:
    """Changes of one are not seen by the other, nor by its groups."""
    found = Stream()
    found.append(1, [b"f", b"v"])
    found.groups[b"g"] = Group(0, -1)
    other = found.copy()
    other.append(2, [b"f", b"w"])
    other.remove(1)
    other.groups[b"g"].give(2, other.groups[b"g"].consumer(b"c", 0), 0, 1)
    assert found.range(0, ID_MAX) == [(1, [b"f", b"v"])]
    assert not len(found.groups[b"g"].pending)


@given(steps=st.lists(st.tuples(st.booleans(), st.integers(1, 300)), max_size=300), start=st.integers(0, 300))
def test_deliveries_are_kept_in_order(steps: list[tuple[bool, int]], start: int) -> None:
    """In whatever order they are given and acknowledged."""
    group, expected = Group(0, -1), set[int]()
    consumer = group.consumer(b"c", 0)
    for gives, number in steps:
        if gives:
            group.give(number, consumer, 0, 1)
            expected.add(number)
        else:
            assert group.forget(number) == (number in expected)
            expected.discard(number)
    for deliveries in (group.pending, consumer.pending):
        assert [number for number, _ in deliveries.following(start)] == sorted(one for one in expected if one >= start)
        if expected:
            assert deliveries.edges() == (min(expected), max(expected))
