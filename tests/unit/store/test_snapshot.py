"""Values as bytes and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.store.partition import NEVER_UNIX_MS
from respcache.store.snapshot import FORMS, Form, NotASnapshot, dump, dump_entry, form_of, load, load_entry
from respcache.store.texts import Text
from respcache.store.values import KINDS, encoding
from unit.store.drawn import VALUES

DEADLINES = st.none() | st.integers(min_value=0, max_value=NEVER_UNIX_MS)


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
    assert value or form.kind in {bytes, Text}


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


@pytest.mark.parametrize("blob", [b"", b"\x00" * 7, b"\x00" * 8, b"\x80" + b"\x00" * 7 + dump(b"v")])
def test_cut_entries_are_refused(blob: bytes) -> None:
    """An entry has a whole deadline within 63 bits, and a value."""
    with pytest.raises(NotASnapshot):
        load_entry(blob)


def test_every_kind_of_value_has_a_form_of_its_own() -> None:
    """No kind is forgotten, and no two share a tag."""
    assert {form.kind for form in FORMS} == set(KINDS) == set(VALUES)
    assert form_of(Text(bytearray(45))) is form_of(b"")
    assert len({form.tag for form in FORMS}) == len(FORMS)
