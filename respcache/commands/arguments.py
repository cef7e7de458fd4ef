"""From bytes in a request to numbers, options and deadlines, refused in Redis' words."""

import math
from typing import Final

from respcache.commands.doubles import double
from respcache.errors import CommandError, InvalidExpiry, NotAFloat, NotAnInteger
from respcache.store.keyspace import Keyspace
from respcache.store.partition import Argv

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1
INT64_DIGITS_MAX: Final = 20
"""Of the longest 64-bit integer, sign included."""
INT64_SURE_DIGITS: Final = 19
"""Fewer digits than these are always within 64 bits."""
ZERO: Final = ord("0")
INT32_MIN: Final = -(2**31)
INT32_MAX: Final = 2**31 - 1

CLOCKS: Final[dict[bytes, tuple[int, bool]]] = {
    b"EX": (1000, True),
    b"PX": (1, True),
    b"EXAT": (1000, False),
    b"PXAT": (1, False),
}
"""Options that take a time: milliseconds in its unit, and whether it counts from now."""


def integer(text: bytes) -> int:
    """Read a signed 64-bit integer in its one canonical form: no plus, blanks or leading zeros.

    Raises NotAnInteger.
    """
    if len(text) < INT64_SURE_DIGITS and text.isdigit() and text[0] != ZERO:  # the usual ones, in half the time
        return int(text)
    if len(text) > INT64_DIGITS_MAX:
        raise NotAnInteger
    try:
        number = int(text)
    except ValueError:
        raise NotAnInteger from None
    if b"%d" % number != text or not INT64_MIN <= number <= INT64_MAX:
        raise NotAnInteger
    return number


def ranged(text: bytes, least: int, most: int) -> int:
    """Read an integer within bounds. Raises NotAnInteger, or CommandError that names the bounds."""
    number = integer(text)
    if not least <= number <= most:
        raise CommandError(f"value is out of range, value must between {least} and {most}")
    return number


def bounded(text: bytes, *, least: int, refusal: str) -> int:
    """Read an integer that is not less than `least`. Raises CommandError with this text for anything else."""
    try:
        number = integer(text)
    except NotAnInteger:
        raise CommandError(refusal) from None
    if number < least:
        raise CommandError(refusal)
    return number


def counted_keys(
    argv: Argv, at: int, *, refusal: str, too_many: str = "Number of keys can't be greater than number of args"
) -> tuple[list[bytes], list[bytes]]:
    """Read the number of keys at a position: the keys that follow it, and what follows them.

    Raises CommandError with the text of `refusal` for a number that is none, or less than one,
    and with that of `too_many` where so many arguments do not follow.
    """
    count = bounded(argv[at], least=1, refusal=refusal)
    if count > len(argv) - at - 1:
        raise CommandError(too_many)
    return argv[at + 1 : at + 1 + count], argv[at + 1 + count :]


def option(argument: bytes) -> bytes:
    """Give an option in capitals; Redis compares options as C strings, which end at a zero byte."""
    return argument.partition(b"\0")[0].upper()


def deadline_unix_ms(text: bytes, clock: bytes, *, now_unix_ms: int, command: str) -> int:
    """Read the time that belongs to one of CLOCKS; the deadline may be past, if it was given absolutely.

    Raises NotAnInteger, or InvalidExpiry for what is not positive or too far away.
    """
    unit_ms, relative = CLOCKS[clock]
    amount = integer(text)
    deadline = amount * unit_ms + (now_unix_ms if relative else 0)
    if amount <= 0 or deadline > INT64_MAX:
        raise InvalidExpiry(command)
    return deadline


def other_database(space: Keyspace, text: bytes) -> Keyspace:
    """Find the database that COPY or MOVE names. Raises CommandError."""
    number = ranged(text, INT32_MIN, INT32_MAX)
    if not 0 <= number < len(space.store):
        raise CommandError("DB index is out of range")
    return space.store.keyspace(number)


def patience_ms(text: bytes) -> int:
    """Read how many seconds, or fractions of them, a command waits at most; 0 is for ever. Raises CommandError.

    Redis rounds up to milliseconds first: any part of the last one before 0 is 0, too.
    """
    try:
        amount_s = double(text, beyond_range=True)
    except NotAFloat:
        raise CommandError("timeout is not a float or out of range") from None
    amount_ms = amount_s * 1000
    if not -1 < amount_ms <= INT64_MAX:  # what is beyond 64 bits is negative there, for it wraps around
        raise CommandError("timeout is negative")
    return math.ceil(amount_ms)
