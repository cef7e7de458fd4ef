"""Strings that are written to in place."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.commands import families  # noqa: F401 # it fills the table
from respcache.commands.registry import TABLE
from respcache.errors import WrongType
from respcache.store.digest import digest
from respcache.store.keyspace import Keyspace, Store
from respcache.store.lists import of as list_of
from respcache.store.partition import Argv
from respcache.store.pieces import Assembly, Cutter
from respcache.store.snapshot import dump_entry, load_entry
from respcache.store.texts import EMBEDDED_MAX_BYTES, LONG_BYTES, Text, overwritten, raw, string_of, whole
from respcache.store.values import copied, encoding

K = b"k"
LONG = bytes(Random(1).choices(range(256), k=LONG_BYTES))

PLACES = st.sampled_from((0, 1, 7, LONG_BYTES // 2, LONG_BYTES - 2, LONG_BYTES, LONG_BYTES + 40)).map(
    lambda at: b"%d" % at
)
BITS = PLACES.map(lambda at: b"%d" % (int(at) * 8 + 3))
CALLS = st.one_of(
    st.tuples(st.just(b"APPEND"), st.just(K), st.binary(max_size=9)),
    st.tuples(st.just(b"SETRANGE"), st.just(K), PLACES, st.binary(max_size=9)),
    st.tuples(st.just(b"SETBIT"), st.just(K), BITS, st.sampled_from((b"0", b"1"))),
    st.tuples(st.just(b"BITFIELD"), st.just(K), st.just(b"INCRBY"), st.just(b"u13"), BITS, st.just(b"777")),
    st.tuples(st.just(b"GETRANGE"), st.just(K), PLACES, st.just(b"-1")),
    st.tuples(st.just(b"BITCOUNT"), st.just(K), PLACES, st.just(b"-3")),
    st.tuples(st.just(b"BITPOS"), st.just(K), st.just(b"0"), PLACES),
    st.tuples(st.just(b"GETBIT"), st.just(K), BITS),
    st.tuples(st.just(b"STRLEN"), st.just(K)),
    st.tuples(st.just(b"GET"), st.just(K)),
)


def _space(value: bytes | Text) -> Keyspace:
    space = Store().keyspace(0)
    space.at(K).put(K, value)
    return space


@given(text=st.binary(max_size=20), offset=st.integers(0, 30), piece=st.binary(min_size=1, max_size=20))
@pytest.mark.parametrize("before", [b"", b"x" * EMBEDDED_MAX_BYTES, LONG])
def test_a_piece_overwrites_what_was_there(before: bytes, text: bytes, offset: int, piece: bytes) -> None:
    """All else stays, and zeros fill a gap; strings between those that show it and long ones stay bytes."""
    offset += len(before)
    expected = bytearray((before + text).ljust(offset + len(piece), b"\0"))
    expected[offset : offset + len(piece)] = piece
    made = overwritten(before + text, offset, piece)
    assert string_of(made) == bytes(expected)
    assert isinstance(made, Text) != (EMBEDDED_MAX_BYTES < len(expected) < LONG_BYTES)


@settings(deadline=None, max_examples=60)
@given(st.lists(CALLS, max_size=12))
def test_commands_answer_as_they_do_for_a_string_that_is_copied_each_time(calls: list[tuple[bytes, ...]]) -> None:
    """Whatever has been changed in place before; the copies get the same from the same effects."""
    in_place, anew = _space(Text(bytearray(LONG))), _space(LONG)
    for call in calls:
        argv: Argv = list(call)
        row = TABLE[argv[0]]
        reply = row.on_key(in_place.at(K), list(argv))
        assert row.on_key(anew.at(K), list(argv)) == reply
        text = anew.at(K).string(K)
        assert text is not None
        assert in_place.at(K).string(K) == text
        anew.at(K).put(K, text)  # bytes again


def test_a_change_in_place_copies_nothing() -> None:
    """What the key holds is the same object before and after, and is no longer than Redis allows."""
    space = _space(LONG)
    partition = space.at(K)
    assert TABLE[b"APPEND"].on_key(partition, [b"APPEND", K, b"x"]) == LONG_BYTES + 1
    held = partition.values[K]
    assert isinstance(held, Text)
    for argv in ([b"SETBIT", K, b"%d" % (LONG_BYTES * 8), b"1"], [b"SETRANGE", K, b"5", b"abc"], [b"APPEND", K, b"y"]):
        partition.changed = False
        TABLE[argv[0]].on_key(partition, argv)
        assert partition.values[K] is held
        assert partition.changed


@given(st.binary(min_size=EMBEDDED_MAX_BYTES + 1, max_size=3 * LONG_BYTES // 2), st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_it_counts_as_the_string_that_it_is(text: bytes, salt: int) -> None:
    """Written whole, in pieces, and digested: what another copy holds may be one or the other."""
    value = Text(bytearray(text))
    assert dump_entry(value, 7) == dump_entry(text, 7)
    assert load_entry(dump_entry(value, 7)) == (text, 7)
    assert digest(value, None, salt) == digest(text, None, salt)
    cutter, assembly = Cutter(value, None, bytes_max=1_000), Assembly()
    while not cutter.ended:
        assembly.feed(cutter.next()[0])
    assert assembly.done() == (text, None)


def test_a_copy_shares_nothing() -> None:
    """COPY gives a string of its own."""
    value = Text(bytearray(LONG))
    other = copied(value)
    value.write(0, b"changed")
    assert string_of(other) == LONG
    assert encoding(other) == b"raw"


def test_other_kinds_are_no_strings() -> None:
    """They are refused, or passed over."""
    with pytest.raises(WrongType):
        whole(list_of([b"a"]))
    assert string_of(list_of([b"a"])) is None
    assert string_of(None) is None


@given(st.binary(max_size=2 * EMBEDDED_MAX_BYTES), st.sampled_from((None, 17)))
def test_that_a_short_string_was_changed_goes_with_it_to_other_nodes(text: bytes, deadline: int | None) -> None:
    """And into copies of it; an empty one is a string like any other."""
    made = raw(text)
    loaded, until = load_entry(dump_entry(made, deadline))
    assert (string_of(loaded), until) == (text, deadline)
    assert encoding(loaded) == encoding(made) == encoding(copied(made)) == b"raw"
    assert isinstance(loaded, Text) == (len(text) <= EMBEDDED_MAX_BYTES)
    assert digest(loaded, deadline, 7) == digest(text, deadline, 7)
