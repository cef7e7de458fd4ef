"""How commands on the bits of strings are called."""

from random import Random
from typing import Final

from compat.forms.words import (
    HUGE,
    ODD_NUMBERS,
    Argument,
    integer,
    key,
    one_of,
    position,
    some,
)

_bit: Final = one_of((*5 * (b"0", b"1"), b"2", b"-1", b"", b"01", b"x"))
_good: Final = (b"u1", b"u8", b"i8", b"u13", b"i5", b"i64", b"u63")
_kind: Final = one_of((*_good, *_good, b"i1", b"u64", b"i65", b"u0", b"U8", b"u8\0x", b"i", b"u08", b""))
_overflow: Final = one_of((b"WRAP", b"SAT", b"FAIL", b"sat", b"FAIL\0", b"x"))
_operator: Final = one_of((b"AND", b"OR", b"XOR", b"and", b"Xor", b"OR\0", b"NAND", b"NOT"))


def _offset(rng: Random) -> list[bytes]:
    """Small or absurd, nothing between, as for bytes."""
    if rng.random() < 0.9:
        return [b"%d" % rng.randrange(400)]
    return [rng.choice((*HUGE, *ODD_NUMBERS, b"-1", b"4294967296", b"#1", b"#"))]


def _counted_offset(rng: Random) -> list[bytes]:
    return [b"#%d" % rng.randrange(10)] if rng.random() < 0.3 else _offset(rng)


def _range(rng: Random) -> list[bytes]:
    """Nothing, or one, two or three arguments."""
    arguments = [*position(rng), *position(rng), rng.choice((b"BIT", b"BYTE", b"bit", b"BYTE\0", b"x"))]
    return arguments[: rng.choice((0, 1, 2, 2, 3, 3, 3))]


def _operation(rng: Random) -> list[bytes]:
    """One part of BITFIELD, with a word about overflow before it now and then."""
    word = rng.choice((b"GET", b"SET", b"INCRBY", b"incrby", b"SET"))
    parts: tuple[Argument, ...] = (_kind, _counted_offset, integer)
    before = [b"OVERFLOW", *_overflow(rng)] if rng.random() < 0.5 else []
    return [*before, word, *(operand for part in parts[: 2 if word == b"GET" else 3] for operand in part(rng))]


def _reading(rng: Random) -> list[bytes]:
    return [b"GET", *_kind(rng), *_counted_offset(rng)]


FORMS: Final[dict[bytes, tuple[Argument, ...]]] = {
    b"SETBIT": (key, _offset, _bit),
    b"GETBIT": (key, _offset),
    b"BITCOUNT": (key, _range),
    b"BITPOS": (key, _bit, _range),
    b"BITOP": (_operator, key, some(key, most=3)),
    b"BITFIELD": (key, some(_operation, most=3)),
    b"BITFIELD_RO": (key, some(_reading, most=3)),
}  # fmt: skip
