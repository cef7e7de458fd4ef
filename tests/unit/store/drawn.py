"""Values of every kind, drawn by hypothesis."""

from hypothesis import strategies as st

from respcache.store.hashes import Hash
from respcache.store.lists import List
from respcache.store.lists import of as list_of
from respcache.store.sets import Set, of
from respcache.store.sorted_sets import SortedSet
from respcache.store.sorted_sets import of as sorted_set_of
from respcache.store.stream_blocks import ID_MAX
from respcache.store.stream_groups import Group
from respcache.store.streams import Stream
from respcache.store.texts import EMBEDDED_MAX_BYTES, Text
from respcache.store.values import Value
from respcache.store.volatile_hashes import VolatileHash

WORDS = st.binary(max_size=70)


def _hash(fields: dict[bytes, bytes]) -> Hash:
    found = Hash()
    for field, value in fields.items():
        found.set(field, value)
    return found


def _volatile(data: tuple[dict[bytes, tuple[bytes, int]], int]) -> VolatileHash:
    """Make a hash some of whose fields have a deadline, and some are overdue; one more lasts."""
    fields, horizon = data
    found = VolatileHash()
    found.set(b"lasts", b"")
    for field, (value, deadline) in fields.items():
        found.set(field, value)
        if deadline:
            found.expire(field, deadline)
    found.set(b"lasts", b"")
    found.advance(horizon)
    return found


def _stream(data: tuple[list[tuple[int, list[bytes]]], list[int]]) -> Stream:
    """Make a stream with gaps, and a group that has read all of it."""
    entries, dropped = data
    found, group = Stream(), Group(0, -1)
    for step, words in entries:
        found.append(found.last + step, words * 2)
    consumer = group.consumer(b"c", 5)
    for number, _ in found.range(0, ID_MAX):
        group.give(number, consumer, 7, 2)
    for number in dropped:
        found.remove(number)
    found.groups[b"g"] = group
    return found


VALUES: dict[type, st.SearchStrategy[Value]] = {
    bytes: st.binary(max_size=200),
    Text: st.binary(max_size=EMBEDDED_MAX_BYTES).map(bytearray).map(Text),
    Hash: st.dictionaries(WORDS, WORDS, min_size=1, max_size=20).map(_hash),
    VolatileHash: st.tuples(
        st.dictionaries(WORDS, st.tuples(WORDS, st.sampled_from((0, 5, 6, 2**63 - 1))), max_size=20),
        st.sampled_from((0, 5, 7)),
    ).map(_volatile),
    List: st.lists(WORDS, min_size=1, max_size=20).map(list_of),
    Stream: st.tuples(
        st.lists(st.tuples(st.sampled_from((1, 2, 1 << 64)), st.lists(WORDS, min_size=1, max_size=3)), max_size=250),
        st.lists(st.integers(1, 200), max_size=20),
    ).map(_stream),
    SortedSet: st.lists(st.tuples(st.floats(allow_nan=False), WORDS), min_size=1, max_size=20).map(sorted_set_of),
    Set: st.lists(WORDS | st.integers(-5, 5).map(lambda number: b"%d" % number), min_size=1, max_size=20).map(of),
}
"""Values of every kind."""
