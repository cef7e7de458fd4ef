"""The 80-bit floating point numbers in which Redis does INCRBYFLOAT. Pure, and exact.

On x86 a `long double` has 64 bits of mantissa, which no type of Python has; results
differ from those of a double in the digits that Redis shows. So sums are made in integers,
and rounded to the 80-bit format after each step, half to even.
"""

import re
from dataclasses import dataclass
from typing import Final

from respcache.errors import NotAFloat

TEXT_MAX_BYTES: Final = 5 * 1024
"""Longer numbers are refused unread (MAX_LONG_DOUBLE_CHARS in Redis)."""
MANTISSA_BITS: Final = 64
TOP_MAX: Final = 16_384
"""All numbers are below 2 ** TOP_MAX."""
UNIT_MIN: Final = -16_445
"""The smallest number is 2 ** UNIT_MIN: near zero the mantissa gets shorter."""
SHOWN_DIGITS: Final = 17
"""Digits behind the point in a result."""

_DECIMAL: Final = re.compile(rb"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:e([+-]?[0-9]+))?", re.IGNORECASE)
_HEXADECIMAL: Final = re.compile(rb"([+-]?)0x([0-9a-f]*)(?:\.([0-9a-f]*))?(?:p([+-]?[0-9]+))?", re.IGNORECASE)
_INFINITE: Final = re.compile(rb"[+-]?inf(?:inity)?", re.IGNORECASE)

_SCALE_MAX: Final = 20_000
"""No number of the format has a larger exponent, to the base of two or of ten."""
_SCALE_DIGITS_MAX: Final = 12
"""An exponent with more digits is beyond any range anyway."""
_DIGITS_AT_ONCE: Final = 4_000
"""Python converts no more than 4300 digits in one step."""


@dataclass(frozen=True, slots=True)
class LongDouble:
    """The number mantissa * 2 ** exponent."""

    mantissa: int
    exponent: int


ZERO: Final = LongDouble(0, 0)


def parse(written: bytes) -> LongDouble | None:
    """Read a number as C's strtold does; None stands for an infinity.

    Raises NotAFloat for blanks, for what is no number, and beyond the range on either side.
    """
    number = written if len(written) < TEXT_MAX_BYTES else b""
    if _INFINITE.fullmatch(number):
        return None
    found, base, radix, digit_scale = _DECIMAL.fullmatch(number), 10, 10, 1
    if found is None:
        found, base, radix, digit_scale = _HEXADECIMAL.fullmatch(number), 16, 2, 4
    if found is None:
        raise NotAFloat
    sign, whole, behind, exponent = found.groups(default=b"")
    digits = whole + behind
    if not digits:
        raise NotAFloat
    count = _integer(digits, base)
    if not count:
        return ZERO
    # A huge exponent is cut where the number has left the range already, so that it costs nothing.
    limit = _SCALE_MAX + digit_scale * len(digits)
    power = max(-limit, min(limit, _scale(exponent))) - digit_scale * len(behind)
    rounded = nearest(count * radix**power, 1) if power >= 0 else nearest(count, radix**-power)
    if _is_infinite(rounded) or not rounded.mantissa:
        raise NotAFloat
    return LongDouble(-rounded.mantissa, rounded.exponent) if sign == b"-" else rounded


def nearest(numerator: int, denominator: int) -> LongDouble:
    """Round a fraction to 64 bits of mantissa, half to even. The result may be beyond the largest number."""
    size = abs(numerator)
    unit = max(size.bit_length() - denominator.bit_length() - MANTISSA_BITS, UNIT_MIN)
    mantissa, rest, divisor = _divided(size, denominator, unit)
    if mantissa >> MANTISSA_BITS:
        unit += 1
        mantissa, rest, divisor = _divided(size, denominator, unit)
    if 2 * rest > divisor or (2 * rest == divisor and mantissa & 1):
        mantissa += 1
    return LongDouble(-mantissa if numerator < 0 else mantissa, unit)


def add(augend: LongDouble, addend: LongDouble) -> LongDouble | None:
    """Add two numbers of the format; None if the sum is infinite."""
    unit = min(augend.exponent, addend.exponent)
    exact = (augend.mantissa << augend.exponent - unit) + (addend.mantissa << addend.exponent - unit)
    total = nearest(exact << max(unit, 0), 1 << max(-unit, 0))
    return None if _is_infinite(total) else total


def text(number: LongDouble) -> bytes:
    """Write a number as C's %.17Lf does, without the zeros behind the last digit."""
    scaled = abs(number.mantissa) * 10**SHOWN_DIGITS << max(number.exponent, 0)
    divisor = 1 << max(-number.exponent, 0)
    digits, rest = divmod(scaled, divisor)
    if 2 * rest > divisor or (2 * rest == divisor and digits & 1):
        digits += 1
    whole, behind = divmod(digits, 10**SHOWN_DIGITS)
    sign = b"-" if number.mantissa < 0 and digits else b""
    shown = b"%0*d" % (SHOWN_DIGITS, behind)
    return (sign + _decimal_digits(whole) + b"." + shown).rstrip(b"0").rstrip(b".")


def _divided(numerator: int, denominator: int, unit: int) -> tuple[int, int, int]:
    """Divide by the denominator in units of 2 ** unit; give quotient, rest and divisor."""
    divisor = denominator << max(unit, 0)
    return (*divmod(numerator << max(-unit, 0), divisor), divisor)


def _is_infinite(number: LongDouble) -> bool:
    return number.mantissa.bit_length() + number.exponent > TOP_MAX


def _decimal_digits(number: int) -> bytes:
    high, low = divmod(number, 10**_DIGITS_AT_ONCE)
    return b"%d%0*d" % (high, _DIGITS_AT_ONCE, low) if high else b"%d" % low


def _integer(digits: bytes, base: int) -> int:
    if len(digits) <= _DIGITS_AT_ONCE:
        return int(digits, base)
    head, tail = digits[:-_DIGITS_AT_ONCE], digits[-_DIGITS_AT_ONCE:]
    shift: int = base**_DIGITS_AT_ONCE
    return int(head, base) * shift + int(tail, base)


def _scale(exponent: bytes) -> int:
    size = int(exponent.lstrip(b"+-").lstrip(b"0")[:_SCALE_DIGITS_MAX] or b"0")
    return -size if exponent[:1] == b"-" else size
