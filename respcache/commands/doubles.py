"""Doubles as Redis reads them: scores, weights, coordinates. Pure."""

import math
import re
from typing import Final

from respcache.errors import NotAFloat

_DECIMAL: Final = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?", re.IGNORECASE)
_HEXADECIMAL: Final = re.compile(rb"[+-]?0x(?:[0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)(?:p[+-]?[0-9]+)?", re.IGNORECASE)
_INFINITE: Final = re.compile(rb"[+-]?inf(?:inity)?", re.IGNORECASE)
_ZERO: Final = re.compile(rb"[+-]?(?:0x)?[0.]*(?:[ep].*)?", re.IGNORECASE | re.DOTALL)

DIGITS_SURE: Final = 16
"""Fewer of them are always within the range of a double."""


def double(text: bytes, *, beyond_range: bool = False) -> float:
    """Read a double as C's strtod does, infinities included.

    Raises NotAFloat; numbers too large or too small for a double are infinite or 0 with `beyond_range`.
    """
    if text.isdigit() and len(text) < DIGITS_SURE:  # the usual ones, in a third of the time
        return float(text)
    if _DECIMAL.fullmatch(text):
        number = float(text)
    elif _INFINITE.fullmatch(text):
        return float(text)
    elif _HEXADECIMAL.fullmatch(text):
        try:
            number = float.fromhex(text.decode("ascii"))
        except OverflowError:
            number = -math.inf if text[:1] == b"-" else math.inf
    else:
        raise NotAFloat
    if not beyond_range and (math.isinf(number) or (number == 0 and not _ZERO.fullmatch(text))):
        raise NotAFloat
    return number
