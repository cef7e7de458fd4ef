"""The 80-bit floating point numbers in which Redis does INCRBYFLOAT. Pure, and exact.

On x86 a `long double` has 64 bits of mantissa, which no type of Python has; results
differ from those of a double in the digits that Redis shows. So a number is kept as the
fraction that it exactly is, and rounded to the 80-bit format after each step, half to even.
"""

import re
from fractions import Fraction
from typing import Final

from respcache.errors import NotAFloat

TEXT_MAX_BYTES: Final = 5 * 1024
"""Longer numbers are refused unread (MAX_LONG_DOUBLE_CHARS in Redis)."""
MANTISSA_BITS: Final = 64
EXPONENT_MAX: Final = 16_383
EXPONENT_MIN: Final = -16_382
"""Of the smallest normal number; below it the mantissa gets shorter."""
SHOWN_DIGITS: Final = 17
"""Digits behind the point in a result."""

ZERO: Final = Fraction(0)
_LARGEST: Final = Fraction(2) ** EXPONENT_MAX * (2 - Fraction(1, 2 ** (MANTISSA_BITS - 1)))
_DECIMAL: Final = re.compile(rb"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:e([+-]?[0-9]+))?", re.IGNORECASE)
_HEXADECIMAL: Final = re.compile(rb"([+-]?)0x([0-9a-f]*)(?:\.([0-9a-f]*))?(?:p([+-]?[0-9]+))?", re.IGNORECASE)
_INFINITE: Final = re.compile(rb"[+-]?inf(?:inity)?", re.IGNORECASE)

_DECIMAL_SCALE_MAX: Final = 5_000
"""No 80-bit number has a decimal exponent beyond this."""
_BINARY_SCALE_MAX: Final = 17_000
_SCALE_DIGITS_MAX: Final = 12
"""An exponent with more digits is beyond any range anyway."""


def parse(written: bytes) -> Fraction | None:
    """Read a number as C's strtold does; None stands for an infinity.

    Raises NotAFloat for blanks, for what is no number, and beyond the range on either side.
    """
    number = written if len(written) < TEXT_MAX_BYTES else b""
    if _INFINITE.fullmatch(number):
        return None
    exact = _exact(_DECIMAL, number, base=10, scale=10, scale_max=_DECIMAL_SCALE_MAX)
    if exact is None:
        exact = _exact(_HEXADECIMAL, number, base=16, scale=2, scale_max=_BINARY_SCALE_MAX)
    if exact is None:
        raise NotAFloat
    rounded = nearest(exact)
    if abs(rounded) > _LARGEST or (exact and not rounded):
        raise NotAFloat
    return rounded


def nearest(exact: Fraction) -> Fraction:
    """Round to 64 bits of mantissa, half to even. The result may be beyond the largest number."""
    if not exact:
        return exact
    exponent = abs(exact.numerator).bit_length() - exact.denominator.bit_length()
    if abs(exact) < Fraction(2) ** exponent:
        exponent -= 1
    unit = Fraction(2) ** (max(exponent, EXPONENT_MIN) - MANTISSA_BITS + 1)
    return round(exact / unit) * unit


def add(augend: Fraction, addend: Fraction) -> Fraction | None:
    """Add two numbers of the format; None if the sum is infinite."""
    total = nearest(augend + addend)
    return None if abs(total) > _LARGEST else total


def text(number: Fraction) -> bytes:
    """Write a number as C's %.17Lf does, without the zeros behind the last digit."""
    digits = round(abs(number) * 10**SHOWN_DIGITS)
    whole, behind = divmod(digits, 10**SHOWN_DIGITS)
    sign = b"-" if number < 0 and digits else b""
    shown = b"%0*d" % (SHOWN_DIGITS, behind)
    return (sign + _decimal_digits(whole) + b"." + shown).rstrip(b"0").rstrip(b".")


def _decimal_digits(number: int) -> bytes:
    """Write an integer in decimal: Python refuses to do that for more than 4300 digits at once."""
    chunk = 10**4_000
    high, low = divmod(number, chunk)
    return b"%d%04000d" % (high, low) if high else b"%d" % low


def _exact(form: re.Pattern[bytes], written: bytes, *, base: int, scale: int, scale_max: int) -> Fraction | None:
    """Read a number in one of the two notations; None if it is not written in it.

    The scale is cut where the number has left the range already, so that a huge
    exponent costs nothing.
    """
    found = form.fullmatch(written)
    if found is None:
        return None
    sign, whole, behind, exponent = found.groups(default=b"")
    digits = whole + behind
    if not digits:
        return None
    number = _integer(digits, base)
    if not number:
        return ZERO
    power = _scale(exponent)
    margin = scale_max + 4 * len(digits)
    power = max(-margin, min(margin, power))
    value = Fraction(number, base ** len(behind)) * (
        Fraction(scale**power) if power > 0 else Fraction(1, scale**-power)
    )
    return -value if sign == b"-" else value


def _integer(digits: bytes, base: int) -> int:
    """Read up to TEXT_MAX_BYTES digits, past Python's limit of 4300 at once."""
    half = 4_000
    if len(digits) <= half:
        return int(digits, base)
    head, tail = digits[:-half], digits[-half:]
    shift: int = base ** len(tail)
    return int(head, base) * shift + int(tail, base)


def _scale(exponent: bytes) -> int:
    size = int(exponent.lstrip(b"+-").lstrip(b"0")[:_SCALE_DIGITS_MAX] or b"0")
    return -size if exponent[:1] == b"-" else size
