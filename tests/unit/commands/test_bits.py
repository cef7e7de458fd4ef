"""Bits of byte strings, beside the same done bit by bit."""

import operator
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.commands.bits import combined, number, ones, position, put_number

RUNS = st.tuples(st.sampled_from((b"\0", b"\xff", b"\x10", b"\x80\x01")), st.sampled_from((1, 2, 3, 4_095, 8_190)))
TEXTS = st.lists(RUNS, max_size=4).map(lambda runs: b"".join(piece * count for piece, count in runs))
"""Long enough for several blocks, and with long runs of equal bits."""


def _bits(text: bytes | bytearray) -> str:
    """Write a text in ones and zeros."""
    return "".join(f"{byte:08b}" for byte in text)


def _span(data: st.DataObject, text: bytes) -> tuple[int, int]:
    places = st.integers(0, len(text) * 8)
    return data.draw(places), data.draw(places)


@given(text=TEXTS, data=st.data())
def test_ones_are_counted(text: bytes, data: st.DataObject) -> None:
    """Between any two bits of any text."""
    first, stop = _span(data, text)
    assert ones(text, first, stop) == _bits(text)[first:stop].count("1")


@given(text=TEXTS, data=st.data(), bit=st.sampled_from((0, 1)))
def test_the_first_bit_of_a_value_is_found(text: bytes, data: st.DataObject, bit: int) -> None:
    """Between any two bits of any text, behind any run of others."""
    first, stop = _span(data, text)
    found = _bits(text)[first:stop].find(str(bit))
    assert position(text, bit, first, stop) == (found + first if found >= 0 else -1)


@pytest.mark.parametrize("operation", [operator.and_, operator.or_, operator.xor])
@given(texts=st.lists(TEXTS, min_size=1, max_size=3))
def test_texts_are_combined_bit_by_bit(operation: Callable[[int, int], int], texts: list[bytes]) -> None:
    """Texts of any lengths, the shorter ones with zeros behind them."""
    length = max(map(len, texts))
    first, *others = (int.from_bytes(text.ljust(length, b"\0"), "big") for text in texts)
    for other in others:
        first = operation(first, other)
    assert combined(operation, texts) == first.to_bytes(length, "big")


@given(text=st.binary(max_size=20), at=st.integers(0, 200), width=st.integers(1, 64), data=st.data())
def test_a_number_is_read_as_it_was_written(text: bytes, at: int, width: int, data: st.DataObject) -> None:
    """At any place, of any width; the bits around it stay."""
    value = data.draw(st.integers(0, (1 << width) - 1))
    before = text.ljust((at + width + 7) // 8, b"\0")
    written = bytearray(before)
    put_number(written, at, width, value)
    bits = _bits(before)
    assert _bits(written) == f"{bits[:at]}{value:0{width}b}{bits[at + width :]}"
    assert number(written, at, width) == value
    assert number(text, at, width) == int(_bits(text).ljust(300, "0")[at : at + width], 2)
