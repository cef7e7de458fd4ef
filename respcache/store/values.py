"""The kinds of value a key can hold, and what each is called.

A string is plain bytes: the commonest value gets no wrapper. A new kind of value is a
class of its own, one line in KINDS, and one pair of functions in `store.snapshot`.
"""

from typing import Final, TypeAlias

Value: TypeAlias = bytes

KINDS: Final[dict[type, bytes]] = {bytes: b"string"}
"""What TYPE answers, by the class of the value."""

STRING_MAX_BYTES: Final = 512 * 1024 * 1024
"""No command makes a longer string (the default of Redis' `proto-max-bulk-len`)."""
INTEGER_DIGITS_MAX: Final = 20
EMBEDDED_MAX_BYTES: Final = 44
SHARED_INTEGERS: Final = 10_000
SHARED_REFERENCES: Final = 2**31 - 1


def encoding(value: Value) -> bytes:
    """Name the encoding that Redis would choose (OBJECT ENCODING)."""
    if len(value) <= INTEGER_DIGITS_MAX and is_int64(value):
        return b"int"
    return b"embstr" if len(value) <= EMBEDDED_MAX_BYTES else b"raw"


def references(value: Value) -> int:
    """Count the references that Redis would hold (OBJECT REFCOUNT): it shares small numbers for ever."""
    return SHARED_REFERENCES if is_int64(value) and 0 <= int(value) < SHARED_INTEGERS else 1


def is_int64(text: bytes) -> bool:
    """Tell whether text is the one way to write a signed 64-bit integer."""
    digits = text[1:] if text[:1] == b"-" else text
    if not digits.isdigit() or (digits[0] == ord("0") and text != b"0"):
        return False
    return -(2**63) <= int(text) < 2**63
