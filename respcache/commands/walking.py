"""What the commands that walk by a cursor (SCAN, HSCAN ...) or pick by chance have in common."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from respcache.commands.arguments import integer, option
from respcache.errors import CommandError, SyntaxRefused
from respcache.glob import matcher
from respcache.reply import Reply
from respcache.store.partition import Argv

COUNT: Final = 10
"""Elements that a step looks at unless told otherwise."""
REPEATED_MAX: Final = 1_000_000
"""Elements that are picked at most when they may repeat: any number of them could be asked for."""
CURSOR_MAX: Final = 2**64 - 1
CURSOR_DIGITS_MAX: Final = 20
CURSOR_SIGNS: Final = b"+-"
ENDED: Final[list[Reply]] = [b"0", []]
"""The answer about a key that does not exist."""


@dataclass(slots=True)
class ScanOptions:
    """What stands behind the cursor."""

    count: int = COUNT
    matches: Callable[[bytes], bool] | None = None
    """None where every name matches."""
    kind: bytes | None = None
    """Of values, as TYPE names them; None for all."""
    names_alone: bool = False
    """Whether fields are wanted without their values."""


def cursor(text: bytes) -> int:
    """Read a cursor as C's strtoul does: a sign may stand before it, and no digits are 0. Raises CommandError."""
    number = text.partition(b"\0")[0]
    digits = number[1:] if number[:1] and number[0] in CURSOR_SIGNS else number
    significant = digits.lstrip(b"0")
    if number and (
        not digits.isdigit() or len(significant) > CURSOR_DIGITS_MAX or int(significant or b"0") > CURSOR_MAX
    ):
        raise CommandError("invalid cursor")
    value = int(significant or b"0")
    return -value % (CURSOR_MAX + 1) if number[:1] == b"-" else value


def scan_options(argv: Argv, start: int, *, with_type: bool = False, with_values: bool = False) -> ScanOptions:
    """Read COUNT, MATCH and, for SCAN, TYPE, or, where there are values, NOVALUES.

    Raises SyntaxRefused, NotAnInteger for a count that is none, or CommandError.
    """
    options = ScanOptions()
    arguments = iter(argv[start:])
    for argument in arguments:
        word = option(argument)
        if word == b"NOVALUES":
            if not with_values:
                raise CommandError("NOVALUES option can only be used in HSCAN")
            options.names_alone = True
            continue
        operand = next(arguments, None)
        if operand is None:
            raise SyntaxRefused
        if word == b"COUNT":
            options.count = integer(operand)
            if options.count < 1:
                raise SyntaxRefused
        elif word == b"MATCH":
            options.matches = matcher(operand) if operand != b"*" else None
        elif word == b"TYPE" and with_type:
            options.kind = option(operand).lower()
        else:
            raise SyntaxRefused
    return options
