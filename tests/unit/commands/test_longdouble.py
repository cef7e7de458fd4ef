"""80-bit floating point numbers."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.commands.longdouble import MANTISSA_BITS, ZERO, LongDouble, add, nearest, parse, text
from respcache.errors import NotAFloat


def _value(number: LongDouble | None) -> Fraction:
    assert number is not None
    return Fraction(number.mantissa) * Fraction(2) ** number.exponent


DOUBLES = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)


@given(number=DOUBLES)
def test_every_double_is_a_long_double(number: float) -> None:
    """64 bits of mantissa hold 53, so nothing is rounded."""
    assert _value(nearest(*number.as_integer_ratio())) == Fraction(number)


@given(numerator=st.integers(), denominator=st.integers(min_value=1))
def test_rounding_is_to_the_nearest(numerator: int, denominator: int) -> None:
    """The error is at most half a unit of the last bit, and rounding again changes nothing."""
    exact = Fraction(numerator, denominator)
    rounded = _value(nearest(numerator, denominator))
    assert abs(rounded - exact) <= abs(exact) / 2**MANTISSA_BITS
    assert _value(nearest(*rounded.as_integer_ratio())) == rounded


@given(number=st.integers(min_value=-(2**64), max_value=2**64))
def test_integers_up_to_64_bits_are_exact(number: int) -> None:
    """They are read, added to nothing and written as they are."""
    parsed = parse(b"%d" % number)
    assert parsed is not None
    assert _value(add(parsed, ZERO)) == number
    assert text(parsed) == b"%d" % number


@given(number=st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-99, max_value=99))
def test_usual_decimals_come_back_as_they_were(number: Decimal) -> None:
    """Below 128 the error of the format is less than half of the 17th digit behind the point."""
    parsed = parse(str(number).encode())
    assert parsed is not None
    assert Decimal(text(parsed).decode()) == number
    assert not text(parsed).endswith((b".", b".0"))


@given(number=DOUBLES)
def test_hexadecimal_is_exact(number: float) -> None:
    """The notation of C for a double says the same number."""
    assert _value(parse(number.hex().encode())) == Fraction(number)


@pytest.mark.parametrize(
    "written", [b"", b" 1", b"1 ", b"1e", b".", b"-", b"0x", b"0x1p", b"nan", b"1,5", b"1\x00", b"1e99999", b"1e-99999"]
)
def test_what_is_no_number_is_refused(written: bytes) -> None:
    """Blanks, junk and what lies beyond the range, in either direction."""
    with pytest.raises(NotAFloat):
        parse(written)


@pytest.mark.parametrize("written", [b"1" * 5_200, b"1e" + b"9" * 4_000])
def test_long_numbers_cost_nothing(written: bytes) -> None:
    """An absurd length or exponent is refused before it takes memory."""
    with pytest.raises(NotAFloat):
        parse(written)


@given(written=st.from_regex(rb"[+-]?[0-9]{0,5}\.?[0-9]{0,25}(e[+-]?[0-9]{1,6})?", fullmatch=True))
def test_whatever_looks_like_a_number_is_read_or_refused(written: bytes) -> None:
    """Nothing else happens, and what is read is a number of the format."""
    try:
        parsed = parse(written)
    except NotAFloat:
        return
    value = _value(parsed)
    assert _value(nearest(*value.as_integer_ratio())) == value


@given(augend=DOUBLES, addend=DOUBLES)
def test_a_sum_is_the_exact_one_rounded(augend: float, addend: float) -> None:
    """However far apart the numbers are."""
    exact = Fraction(augend) + Fraction(addend)
    total = add(nearest(*augend.as_integer_ratio()), nearest(*addend.as_integer_ratio()))
    assert _value(total) == _value(nearest(*exact.as_integer_ratio()))


def test_sums_beyond_the_range_are_infinite() -> None:
    """Two numbers near the end of the range."""
    largest = parse(b"1.1897314953572317650e4932")
    assert largest is not None
    assert add(largest, largest) is None
    assert parse(b"-Infinity") is None
