"""Glob patterns as Redis matches them."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.glob import PATTERN_MAX_BYTES, PatternTooLong, matcher

SMALL = st.text(alphabet="ab*?", max_size=8).map(str.encode)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (b"", b"", True),
        (b"", b"a", False),
        (b"*", b"", False),
        (b"**", b"", False),
        (b"*", b"anything\n\xff", True),
        (b"a*", b"a", True),
        (b"*a", b"ba", True),
        (b"?", b"", False),
        (b"?", b"\n", True),
        (b"h[ae]llo", b"hello", True),
        (b"h[^e]llo", b"hello", False),
        (b"[c-a]", b"b", True),
        (b"[a-]", b"-", False),
        (b"[a-]", b"]", True),
        (b"[]", b"]", False),
        (b"[]a]", b"]", False),
        (b"[^]", b"a", True),
        (b"[", b"[", False),
        (b"[a", b"a", True),
        (b"[^", b"x", True),
        (b"[\\]]", b"]", True),
        (b"[a\\", b"\\", True),
        (b"\\*", b"*", True),
        (b"\\*", b"a", False),
        (b"\\", b"\\", True),
        (b"a\\", b"a\\", True),
        (b"[\x80-\xff]", b"\x90", True),
        (b"[a-\xff]", b"b", False),
        (b"[a-\xff]", b"\x00", True),
        (b"A[B-D]", b"ac", False),
    ],
)
def test_corners(pattern: bytes, text: bytes, expected: bool) -> None:  # noqa: FBT001 # a column of the table
    """The corners of stringmatchlen in Redis 7.0."""
    assert matcher(pattern)(text) is expected


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (b"MaxMemory*", b"maxmemory-policy", True),
        (b"[A-C]x", b"bX", True),
        (b"[\\A]", b"a", False),
        (b"\\A", b"a", True),
        (b"[^A]", b"a", False),
    ],
)
def test_case_can_be_ignored(pattern: bytes, text: bytes, expected: bool) -> None:  # noqa: FBT001 # a column of the table
    """As CONFIG GET does; an escaped byte in a set keeps its case, as in Redis."""
    assert matcher(pattern, ignore_case=True)(text) is expected


@given(pattern=SMALL, text=st.text(alphabet="ab", min_size=1, max_size=8).map(str.encode))
def test_stars_and_question_marks_are_those_of_a_regular_expression(pattern: bytes, text: bytes) -> None:
    """Without sets a pattern says what the obvious regular expression says."""
    obvious = pattern.replace(b"?", b".").replace(b"*", b".*")
    assert matcher(pattern)(text) == (re.fullmatch(obvious, text, re.DOTALL) is not None)


@pytest.mark.parametrize("piece", [b"a", b"a*", b"[^a]", b"[\x00-\x7f]", b"[acegikmoqsuwy]?"])
def test_no_pattern_takes_long_to_compile(piece: bytes) -> None:
    """The longest is compiled in well under a second, whatever is in it; one byte more is refused."""
    pattern = (piece * PATTERN_MAX_BYTES)[:PATTERN_MAX_BYTES]
    started_s = time.process_time()
    matcher(pattern)
    assert time.process_time() - started_s < 1
    with pytest.raises(PatternTooLong):
        matcher(pattern + b"a")


@given(pattern=st.binary(max_size=20), text=st.binary(max_size=20))
def test_any_bytes_are_a_pattern(pattern: bytes, text: bytes) -> None:
    """Nothing is refused, whatever stands in a pattern."""
    assert matcher(pattern)(text) in {True, False}


@given(text=st.binary(max_size=20))
def test_an_escaped_text_matches_itself(text: bytes) -> None:
    """A backslash takes the meaning from every byte."""
    escaped = b"".join(b"\\" + bytes([byte]) for byte in text)
    assert matcher(escaped)(text)


def test_evil_patterns_take_no_longer_than_others() -> None:
    """Stars upon stars on a text that almost matches cost what length times length costs."""
    matches = matcher(b"a*" * 200 + b"b")
    started = time.process_time()
    assert not matches(b"a" * 5_000)
    assert time.process_time() - started < 1.0
