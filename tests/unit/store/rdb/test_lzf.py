"""LZF: what was compressed comes back, and what nobody compressed is refused."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.store.rdb.lzf import compressed, decompressed
from respcache.store.rdb.wrong import BadFormat

WORDS = st.sampled_from([b"a", b"ab", b"abc" * 100, b"\x00" * 300, b"some words "])
REPETITIVE = st.lists(WORDS, max_size=20).map(b"".join)
LONG = st.lists(WORDS, min_size=10, max_size=20).map(lambda words: b"".join(words) * 10)
TEXTS = st.binary(min_size=4, max_size=400) | REPETITIVE.filter(lambda text: len(text) >= 4)


@settings(deadline=None)
@given(text=TEXTS)
def test_what_was_compressed_comes_back(text: bytes) -> None:
    """Whatever it is; and it is shorter by as much as was asked for, or not compressed."""
    body = compressed(text, len(text) - 4)
    if body is not None:
        assert len(body) <= len(text) - 4
        assert decompressed(body, len(text)) == text


@settings(deadline=None, max_examples=20)
@given(text=LONG)
def test_repetition_is_noticed(text: bytes) -> None:
    """Texts of few words lose a quarter at least: the shortest of them find short repetitions only."""
    body = compressed(text, len(text) - 4)
    assert body is not None
    assert len(body) < len(text) * 3 // 4


@given(body=st.binary(max_size=60), length=st.integers(min_value=0, max_value=3000))
def test_nothing_else_than_a_refusal_comes_of_bytes_by_chance(body: bytes, length: int) -> None:
    """And never more bytes than were announced."""
    with contextlib.suppress(BadFormat):
        assert len(decompressed(body, length)) == length


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\x20\x00", id="before the beginning"),
        pytest.param(b"\x00a\x40", id="cut off"),
        pytest.param(b"\xe0", id="cut off in the length"),
        pytest.param(b"\x05ab", id="too few literals"),
        pytest.param(b"\x00a" + b"\xe0\xff\x00" * 5, id="too long"),
    ],
)
def test_what_is_wrong_is_refused(body: bytes) -> None:
    """Whatever it announces."""
    with pytest.raises(BadFormat):
        decompressed(body, 5)
