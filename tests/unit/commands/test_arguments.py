"""Numbers, options and deadlines of requests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.commands.arguments import INT64_MAX, INT64_MIN, deadline_unix_ms, integer, option
from respcache.errors import InvalidExpiry, NotAnInteger

NOW_UNIX_MS = 1_700_000_000_000


@given(number=st.integers(min_value=INT64_MIN, max_value=INT64_MAX))
def test_every_64_bit_integer_is_read(number: int) -> None:
    """In its decimal form."""
    assert integer(b"%d" % number) == number


@given(text=st.text(alphabet="+-0123456789 _.e\n٣", max_size=22).map(str.encode))
def test_only_the_canonical_form_is_read(text: bytes) -> None:
    """Blanks, plus, leading zeros, underscores and foreign digits, all read by Python, are refused."""
    try:
        number = integer(text)
    except NotAnInteger:
        return
    assert text == str(number).encode()


@pytest.mark.parametrize("text", [b"9223372036854775808", b"-9223372036854775809", b"", b"-", b"-0", b"1" * 10_000])
def test_what_is_none_is_refused(text: bytes) -> None:
    """Beyond 64 bits, and what Redis does not take for a number."""
    with pytest.raises(NotAnInteger):
        integer(text)


@pytest.mark.parametrize(
    ("text", "clock", "expected"),
    [
        (b"10", b"EX", NOW_UNIX_MS + 10_000),
        (b"10", b"PX", NOW_UNIX_MS + 10),
        (b"10", b"EXAT", 10_000),
        (b"10", b"PXAT", 10),
        (b"9223372036854775807", b"PXAT", INT64_MAX),
    ],
)
def test_deadlines_are_in_unix_milliseconds(text: bytes, clock: bytes, expected: int) -> None:
    """Whatever the unit, and whether the time counts from now."""
    assert deadline_unix_ms(text, clock, now_unix_ms=NOW_UNIX_MS, command="set") == expected


@pytest.mark.parametrize(
    ("text", "clock"),
    [(b"0", b"EX"), (b"-1", b"PXAT"), (b"9223372036854775807", b"PX"), (b"9223372036854776", b"EXAT")],
)
def test_deadlines_must_be_positive_and_within_64_bits(text: bytes, clock: bytes) -> None:
    """The error names the command."""
    with pytest.raises(InvalidExpiry, match="invalid expire time in 'getex' command"):
        deadline_unix_ms(text, clock, now_unix_ms=NOW_UNIX_MS, command="getex")


def test_options_end_at_a_zero_byte() -> None:
    """As strings in C do."""
    assert option(b"nx\0junk") == b"NX"
