"""Values as bytes and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.store.hashes import Hash
from respcache.store.lists import List
from respcache.store.lists import of as list_of
from respcache.store.partition import NEVER_UNIX_MS
from respcache.store.sets import Set, of
from respcache.store.snapshot import FORMS, Form, NotASnapshot, dump, dump_entry, load, load_entry
from respcache.store.sorted_sets import SortedSet
from respcache.store.sorted_sets import of as sorted_set_of
from respcache.store.stream_groups import Group
from respcache.store.streams import ID_MAX, Stream
from respcache.store.values import KINDS, Value, encoding

DEADLINES = st.none() | st.integers(min_value=0, max_value=NEVER_UNIX_MS - 1)
WORDS = st.binary(max_size=70)


def _hash(fields: dict[bytes, bytes]) -> Hash:
    found = Hash()
    for field, value in fields.items():
        found.set(field, value)
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
    Hash: st.dictionaries(WORDS, WORDS, min_size=1, max_size=20).map(_hash),
    List: st.lists(WORDS, min_size=1, max_size=20).map(list_of),
    Stream: st.tuples(
        st.lists(st.tuples(st.sampled_from((1, 2, 1 << 64)), st.lists(WORDS, min_size=1, max_size=3)), max_size=250),
        st.lists(st.integers(1, 200), max_size=20),
    ).map(_stream),
    SortedSet: st.lists(st.tuples(st.floats(allow_nan=False), WORDS), min_size=1, max_size=20).map(sorted_set_of),
    Set: st.lists(WORDS | st.integers(-5, 5).map(lambda number: b"%d" % number), min_size=1, max_size=20).map(of),
}
"""Values of every kind."""


@pytest.mark.parametrize("kind", VALUES)
@given(data=st.data(), deadline=DEADLINES)
def test_what_was_written_is_read_back(kind: type, data: st.DataObject, deadline: int | None) -> None:
    """Value, encoding and deadline survive the way to bytes and back."""
    value = data.draw(VALUES[kind])
    blob = dump_entry(value, deadline)
    again, until = load_entry(blob)
    assert (type(again), encoding(again), until) == (kind, encoding(value), deadline)
    assert dump_entry(again, until) == blob


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.kind.__name__)
@given(blob=st.binary(max_size=60))
def test_bytes_under_any_tag_are_read_or_refused(form: Form, blob: bytes) -> None:
    """What is read is no empty aggregate."""
    try:
        value = load(bytes((form.tag,)) + blob)
    except NotASnapshot:
        return
    assert type(value) is form.kind
    assert value or form.kind is bytes


@given(blob=st.binary(max_size=40))
def test_bytes_from_anywhere_are_read_or_refused(blob: bytes) -> None:
    """No bytes raise anything else than NotASnapshot."""
    for reader in (load, load_entry):
        try:
            reader(blob)
        except NotASnapshot:
            continue


@pytest.mark.parametrize("blob", [b"", b"\xff", b"\xffvalue"])
def test_unknown_kinds_are_refused(blob: bytes) -> None:
    """A value without a tag, or with that of a later version, is no value."""
    with pytest.raises(NotASnapshot):
        load(blob)


@pytest.mark.parametrize("blob", [b"", b"\x00" * 7, b"\x00" * 8, b"\xff" * 8 + dump(b"v")])
def test_cut_entries_are_refused(blob: bytes) -> None:
    """An entry has a whole deadline within 63 bits, and a value."""
    with pytest.raises(NotASnapshot):
        load_entry(blob)


def test_every_kind_of_value_has_a_form_of_its_own() -> None:
    """No kind is forgotten, and no two share a tag."""
    assert {form.kind for form in FORMS} == set(KINDS) == set(VALUES)
    assert len({form.tag for form in FORMS}) == len(FORMS)
