"""The library `struct` of scripts: Roberto Ierusalimschy's, version 0.2, as Redis has it. Pure.

A function gives a tuple: True and the results; False and an error; or the position of a bad argument, and what was
expected there. Numbers of scripts are doubles; those that are whole arrive as int.
"""

import math
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from respcache.scripting import values

Outcome: TypeAlias = tuple[object, ...]

ALIGNMENT_MAX: Final = 8
INTEGER_SIZE_MAX: Final = 32
"""Bytes that an integer in a format may have."""
INT_MAX: Final = 2**31 - 1
EXACT: Final = 2**53
"""Doubles hold all integers up to here."""
OTHER: Final = " "
"""Stands for any option that does not stand for a value."""
_64_BITS: Final = 2**64 - 1
_SIZES: Final = {"b": 1, "h": 2, "l": 8, "t": 8, "f": 4, "d": 8, "x": 1, "s": 0}
"""Of options with one size, in bytes, as on 64-bit machines; of integers both spellings, of the others this one."""


class _Refused(Exception):
    """The arguments do not go together."""

    def __init__(self, where: int, text: str) -> None:
        """`where` is the position of the bad argument, or False."""
        super().__init__(text)
        self.outcome: Final[Outcome] = (where, text.encode("latin-1"))


@dataclass(slots=True)
class _Layout:
    """What a format has said so far of byte order and alignment."""

    big: bool = False
    align: int = 1

    def padding(self, position: int, option: str, size: int) -> int:
        """Tell how many bytes stand in front of a value."""
        if size == 0 or option == "c":
            return 0
        size = min(size, self.align)
        return (size - (position & (size - 1))) & (size - 1)  # for odd sizes too, whatever it means


def pack(*arguments: object) -> Outcome:
    """Put values into a string."""
    return _guarded(_pack, arguments)


def unpack(*arguments: object) -> Outcome:
    """Take values from a string; behind them, where the next one would begin."""
    return _guarded(_unpack, arguments)


def size(*arguments: object) -> Outcome:
    """Tell how long the string of a format is."""
    return _guarded(_size, arguments)


def _guarded(function: Callable[[Sequence[object]], Outcome], arguments: Sequence[object]) -> Outcome:
    try:
        return function(arguments)
    except _Refused as refused:
        return refused.outcome


def _pack(arguments: Sequence[object]) -> Outcome:
    layout, packed, at = _Layout(), bytearray(), 1
    for option, length in _options(_text(arguments, 0), layout):
        packed += bytes(layout.padding(len(packed), option, length))
        if option == "x":
            packed.append(0)
        elif option in "cs":
            text = _text(arguments, at)
            at += 1
            if len(text) < length:
                raise _Refused(at + 1, "string too short")
            packed += text[:length] if length else text
            packed += b"\0" if option == "s" else b""
        elif option in "fd":
            packed += _floating(_number(arguments, at), option, big=layout.big)
            at += 1
        else:
            number = _whole(_number(arguments, at)).to_bytes(max(length, 8), "little")[:length]
            packed += number[::-1] if layout.big else number
            at += 1
    return True, bytes(packed)


def _unpack(arguments: Sequence[object]) -> Outcome:
    layout, found = _Layout(), list[object]()
    form, text = _text(arguments, 0), _text(arguments, 1)
    position = _cast(_number(arguments, 2)) - 1 if len(arguments) > 2 and arguments[2] is not None else 0
    if position == -1:
        raise _Refused(3, "offset must be 1 or greater")
    for option, length in _options(form, layout, others=True):
        position += layout.padding(position, option, length)
        _require(text, position, length)
        if option == "s":
            end = text.find(b"\0", position)
            if end < 0:
                raise _Refused(False, "unfinished string in data")
            found.append(text[position:end])
            length = end - position + 1  # noqa: PLW2901 # the format does not say it
        elif option == "c":
            if not length:
                if not found or isinstance(found[-1], bytes):
                    raise _Refused(False, "format 'c0' needs a previous size")
                length = _cast(_number(found, -1))  # noqa: PLW2901 # nor here
                found.pop()
                _require(text, position, length)
            found.append(text[position : position + length])
        elif option in "fd":
            order = ">" if layout.big else "<"
            found.append(struct.unpack_from(order + option, text, position)[0])
        elif option not in {"x", OTHER}:
            found.append(_integer(text[position : position + length], signed=option.islower(), big=layout.big))
        position += length
    return True, *found, position + 1


def _size(arguments: Sequence[object]) -> Outcome:
    layout, position = _Layout(), 0
    for option, length in _options(_text(arguments, 0), layout, lenient=True):
        if option == "s" or (option == "c" and not length):
            raise _Refused(1, f"option '{option}{'0' if option == 'c' else ''}' has no fixed size")
        position += layout.padding(position, option, length) + length
    return True, position


def _options(form: bytes, layout: _Layout, *, lenient: bool = False, others: bool = False) -> Iterator[tuple[str, int]]:
    """Go through the options that stand for values, each with its size; the others change the layout.

    With `others` each of those is announced, before anything is done about it.
    """
    text, at = form.decode("latin-1"), 0
    while at < len(text):
        option, at = text[at], at + 1
        if option in "bBhHlLTfdxs":
            yield option, _SIZES[option.lower()]
            continue
        if option in "ciI":
            length, at = _count(text, at, 1 if option == "c" else 4)
            if option != "c" and length > INTEGER_SIZE_MAX:
                raise _Refused(False, f"integral size {length} is larger than limit of {INTEGER_SIZE_MAX}")
            yield option, length
            continue
        if others:
            yield OTHER, 0
        if option == "!":
            layout.align, at = _count(text, at, ALIGNMENT_MAX)
            if layout.align < 1 or layout.align & (layout.align - 1):
                raise _Refused(False, f"alignment {layout.align} is not a power of 2")
        elif option in "<>":
            layout.big = option == ">"
        elif option != " " and not (lenient and option.isascii() and option.isalnum()):
            raise _Refused(1, f"invalid format option '{option}'")


def _count(text: str, at: int, default: int) -> tuple[int, int]:
    """Read the number at a position, if there is one; give where it ends."""
    end = at
    while end < len(text) and text[end] in "0123456789":
        end += 1
    if end == at:
        return default, at
    if end - at > len(str(INT_MAX)) + 20 or int(text[at:end]) > INT_MAX:
        raise _Refused(False, "integral size overflow")
    return int(text[at:end]), end


def _require(text: bytes, position: int, length: int) -> None:
    if position < 0 or length < 0 or position + length > len(text):
        raise _Refused(2, "data string too short")


def _text(arguments: Sequence[object], at: int) -> bytes:
    if at >= len(arguments):
        raise _Refused(at + 1, "string expected, got no value" if at < 2 else "string expected, got nil")
    value = arguments[at]
    if isinstance(value, bytes):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return b"-nan" if math.isnan(value) and math.copysign(1.0, value) < 0 else b"%.14g" % value
    raise _Refused(at + 1, f"string expected, got {values.kind(value)}")


def _number(arguments: Sequence[object], at: int) -> float:
    value = arguments[at] if at < len(arguments) else None
    if isinstance(value, bytes):
        if (read := values.number(value)) is None:
            raise _Refused(at + 1, "number expected, got string")
        return read
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Refused(at + 1, f"number expected, got {values.kind(value)}")
    return value


def _cast(number: float) -> int:
    """Cut the fraction off, as a cast in C does on x86."""
    return int(number) if -(2.0**63) <= number < 2.0**63 else -(2**63)


def _whole(number: float) -> int:
    """Cast a number to 64 bits without a sign, as C does on x86."""
    if math.isnan(number) or number <= -(2**63):
        return 2**63
    if number >= 2**64:
        return 0
    return int(number) & _64_BITS


def _floating(number: float, option: str, *, big: bool) -> bytes:
    order = ">" if big else "<"
    try:
        return struct.pack(order + option, number)
    except OverflowError:
        return struct.pack(order + option, math.copysign(math.inf, number))


def _integer(digits: bytes, *, signed: bool, big: bool) -> float:
    number = int.from_bytes(digits, "big" if big else "little") & _64_BITS
    if signed and digits:
        mask = _64_BITS << ((8 * len(digits) - 1) % 64) & _64_BITS
        if number & mask:
            number |= mask
        number -= 2**64 if number >= 2**63 else 0
    return number if abs(number) <= EXACT else float(number)
