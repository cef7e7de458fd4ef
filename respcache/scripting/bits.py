"""The library `bit` of scripts: LuaBitOp's functions on numbers of 32 bits. Pure.

A function gives a tuple: True and the result; or the position of a bad argument, and what was expected there.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from operator import and_, or_, xor
from struct import pack, unpack
from typing import Final, TypeAlias

from respcache.scripting import values

Outcome: TypeAlias = tuple[bool | int, object]
Native: TypeAlias = Callable[..., Outcome]

_MASK: Final = 0xFFFFFFFF
_SIGN: Final = 0x80000000
_TO_FRACTION: Final = 6755399441055744.0
"""2^52 + 2^51: added to a number it leaves the number's lowest 32 bits as the last of the fraction, rounded to even."""


class _Bad(Exception):
    """An argument is missing, or no number."""

    def __init__(self, position: int, text: str) -> None:
        super().__init__(text)
        self.outcome: Final[Outcome] = (position, text.encode())


def signed(number: int) -> int:
    """Take the lowest 32 bits as a number with a sign."""
    number &= _MASK
    return number - (_SIGN << 1) if number & _SIGN else number


def _bits(arguments: Sequence[object], at: int) -> int:
    if at >= len(arguments):
        raise _Bad(at + 1, "number expected, got no value")
    value = arguments[at]
    found = values.number(value) if isinstance(value, bytes) else value
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise _Bad(at + 1, f"number expected, got {values.kind(value)}")
    low: int = unpack("<I", pack("<d", float(found) + _TO_FRACTION)[:4])[0]
    return low


def _rotated(number: int, count: int) -> int:
    count &= 31
    return number << count | number >> (32 - count)


def _swapped(number: int) -> int:
    return int.from_bytes(number.to_bytes(4, "little"), "big")


def _native(function: Callable[[Sequence[object]], object]) -> Native:
    def native(*arguments: object) -> Outcome:
        try:
            return True, function(arguments)
        except _Bad as bad:
            return bad.outcome

    return native


def _one(function: Callable[[int], int]) -> Native:
    return _native(lambda arguments: signed(function(_bits(arguments, 0))))


def _all(function: Callable[[int, int], int]) -> Native:
    def fold(arguments: Sequence[object]) -> int:
        first = _bits(arguments, 0)
        return signed(reduce(function, [_bits(arguments, at) for at in range(len(arguments) - 1, 0, -1)], first))

    return _native(fold)


def _shift(function: Callable[[int, int], int]) -> Native:
    return _native(lambda arguments: signed(function(_bits(arguments, 0), _bits(arguments, 1))))


def _hexadecimal(arguments: Sequence[object]) -> bytes:
    number, digits = _bits(arguments, 0), signed(_bits(arguments, 1)) if len(arguments) > 1 else 8
    form = "%08X" if digits < 0 else "%08x"
    count = min(abs(digits), 8)
    return (form % number)[8 - count :].encode()


LIBRARY: Final[dict[str, Native]] = {
    "tobit": _one(lambda number: number),
    "tohex": _native(_hexadecimal),
    "bnot": _one(lambda number: ~number),
    "band": _all(and_),
    "bor": _all(or_),
    "bxor": _all(xor),
    "lshift": _shift(lambda number, count: number << (count & 31)),
    "rshift": _shift(lambda number, count: number >> (count & 31)),
    "arshift": _shift(lambda number, count: signed(number) >> (count & 31)),
    "rol": _shift(_rotated),
    "ror": _shift(lambda number, count: _rotated(number, -count)),
    "bswap": _one(_swapped),
}
