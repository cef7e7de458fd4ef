"""Large values in pieces: wherever they are cut, they come together again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.store.lists import of as list_of
from respcache.store.packing import pack_piece
from respcache.store.pieces import PIECE_BYTES, PIECE_WORDS, Assembly, Cutter, cut
from respcache.store.sets import of as set_of
from respcache.store.snapshot import NotASnapshot, dump_entry, form_of, load_entry, write_deadline
from respcache.store.sorted_sets import SortedSet
from respcache.store.streams import Stream
from respcache.store.values import Value, encoding
from unit.store.drawn import VALUES

HEAD = write_deadline(None) + b"\x00"
"""Of a string that never expires."""


def assemble(cutter: Cutter) -> tuple[Value, int | None]:
    """Cut a value to the end, and put it together."""
    assembly = Assembly()
    while not cutter.ended:
        assembly.feed(cutter.next()[0])
    return assembly.done()


@pytest.mark.parametrize("kind", VALUES)
@given(
    data=st.data(),
    deadline=st.none() | st.integers(min_value=0, max_value=2**62),
    bytes_max=st.integers(1, 100),
    words_max=st.integers(1, 30),
)
def test_a_value_comes_together_however_it_is_cut(
    kind: type, data: st.DataObject, deadline: int | None, bytes_max: int, words_max: int
) -> None:
    """Value, order within it, encoding and deadline survive pieces of any size."""
    value = data.draw(VALUES[kind])
    again, until = assemble(Cutter(value, deadline, bytes_max=bytes_max, words_max=words_max))

    assert (type(again), encoding(again), until) == (kind, encoding(value), deadline)
    assert dump_entry(again, until) == dump_entry(value, deadline)


@given(
    value=VALUES[SortedSet],
    bytes_max=st.integers(1, 100),
)
def test_members_of_an_assembled_sorted_set_have_their_ranks(value: SortedSet, bytes_max: int) -> None:
    """The ranking is the same, though it was not sorted at once."""
    again, _ = assemble(Cutter(value, None, bytes_max=bytes_max))

    assert isinstance(again, SortedSet)
    assert again.ranking.slice(0, len(again) - 1) == value.ranking.slice(0, len(value) - 1)


@given(value=st.one_of(*VALUES.values()), bytes_max=st.integers(1, 200), words_max=st.integers(1, 30))
def test_a_piece_keeps_within_its_limits(value: Value, bytes_max: int, words_max: int) -> None:
    """It has so many words, or one that is worth as many, and so many bytes, and a few for their lengths."""
    cutter = Cutter(value, None, bytes_max=bytes_max, words_max=words_max)
    while not cutter.ended:
        piece, words = cutter.next()
        assert words <= max(words_max, form_of(value).weight)
        assert len(piece) <= bytes_max + 5 * words + 15


@given(value=st.one_of(*VALUES.values()), lost=st.integers(0, 1_000), bytes_max=st.integers(1, 60))
def test_without_one_of_its_pieces_a_value_is_none_or_another(value: Value, lost: int, bytes_max: int) -> None:
    """What is left is refused, unless it happens to be a value, too; it raises nothing else."""
    cutter = Cutter(value, None, bytes_max=bytes_max)
    pieces = []
    while not cutter.ended:
        pieces.append(cutter.next()[0])
    del pieces[lost % len(pieces)]
    assembly = Assembly()
    for piece in pieces:
        assembly.feed(piece)
    try:
        again, _ = assembly.done()
    except NotASnapshot:
        return
    assert dump_entry(again, None)


@given(pieces=st.lists(st.binary(max_size=40), max_size=5))
def test_pieces_from_anywhere_are_refused(pieces: list[bytes]) -> None:
    """No bytes raise anything else than NotASnapshot, and that only at the end."""
    assembly = Assembly()
    for piece in pieces:
        assembly.feed(piece)
    with pytest.raises(NotASnapshot):
        assembly.done()


@pytest.mark.parametrize(
    "pieces",
    [
        [pack_piece(0, [HEAD])],
        [pack_piece(0, [HEAD, b"one", b"two"])],
        [pack_piece(3, [HEAD, b"one"])],
        [pack_piece(6, [HEAD, b"one"])],
        [pack_piece(6, [HEAD, b"one"]), pack_piece(0, [b"four"])],
        [pack_piece(6, [HEAD, b"one"]), pack_piece(0, [b"t", b"two"])],
        [pack_piece(6, [HEAD, b"one"]), pack_piece(0, [])],
        [pack_piece(2**40, [HEAD, b"one"])],
        [pack_piece(0, [HEAD[:-1] + b"\x63", b"word"])],
        [pack_piece(0, [HEAD[:-1] + b"\x01", b"", b"field"])],
        [pack_piece(0, [HEAD[:-1] + b"\x03", b""])],
    ],
    ids=str,
)
def test_what_is_no_value_is_refused(pieces: list[bytes]) -> None:
    """Words too many or too few, that do not end, that are too long; no such kind; no elements."""
    assembly = Assembly()
    for piece in pieces:
        assembly.feed(piece)
    with pytest.raises(NotASnapshot):
        assembly.done()


def test_a_piece_of_a_stream_has_no_more_entries_than_words_of_others() -> None:
    """A word of a stream is a block of a hundred entries: 200 of them fit into the bytes of a piece, and take 30 ms."""
    stream = Stream()
    for number in range(1, 20_001):
        stream.append(number, [b"f", b"v"])
    cutter, pieces = Cutter(stream, None), 0
    assembly, held = Assembly(), 0
    while not cutter.ended:
        piece, _ = cutter.next()
        assembly.feed(piece)
        grown = len(assembly._grown or ())
        assert grown - held <= PIECE_WORDS
        held, pieces = grown, pieces + 1
    assert dump_entry(*assembly.done()) == dump_entry(stream, None)
    assert pieces >= 20


def test_only_large_values_are_cut() -> None:
    """What fits in one piece is an entry, as ever, with the number of its words."""
    assert cut(b"v" * PIECE_BYTES, 7) == (dump_entry(b"v" * PIECE_BYTES, 7), 1)
    assert isinstance(cut(b"v" * (PIECE_BYTES + 1), 7), Cutter)
    assert isinstance(cut(list_of([b"v"] * PIECE_WORDS), 7), Cutter)
    assert isinstance(cut(list_of([b"v" * PIECE_BYTES, b"v"]), 7), Cutter)
    small = cut(set_of([b"1", b"2"]), None)
    assert isinstance(small, tuple)
    assert small[1] == 3
    again, _ = load_entry(small[0])
    assert encoding(again) == b"intset"


def test_a_long_string_is_not_copied_when_its_last_piece_comes() -> None:
    """The pieces are written where the string stays."""
    string = bytes(range(256)) * 1_000
    cutter, assembly = Cutter(string, None, bytes_max=1_000), Assembly()
    while not cutter.ended:
        assembly.feed(cutter.next()[0])
    first, _ = assembly.done()
    second, _ = assembly.done()
    assert first == string
    assert first is second
