"""LCS: what two strings have in common, in order, with other bytes between.

The table of all lengths is the textbook's (and Redis'), but a row of it is one integer, with a bit for each
byte of the second string: clear where the length grows there by one. A row follows from the one before in five
operations on such integers (Hyyrö, "Bit-parallel LCS-length computation revisited", 2004), which is quicker
by far than to go cell by cell, and takes a bit where Redis takes four bytes. The way back through the table asks
for nothing but these bits.
"""

from array import array
from typing import Final

from respcache.commands.arguments import integer, option
from respcache.commands.registry import FIRST_TWO, Flags, keys_command
from respcache.errors import CommandError, SyntaxRefused, WrongType
from respcache.reply import Reply
from respcache.store.keyspace import Keyspace
from respcache.store.partition import Argv
from respcache.store.values import STRING_MAX_BYTES

CELL_BYTES: Final = 4
"""What a cell of the table takes in Redis: longer strings are refused than fill 512 MB with such."""
WORD_BITS: Final = 64
"""Rows as short as that are kept in an array, for there may be millions."""

Range = tuple[int, int]
"""The first place and the last one."""


@keys_command("LCS", arity=-3, flags=Flags.READONLY, since="7.0.0", keys=FIRST_TWO)
def lcs(space: Keyspace, argv: Argv) -> Reply:
    """Return the longest common subsequence of two strings, its length (LEN), or where it is in both (IDX)."""
    try:
        one, other = (space.at(key).read_string(key) or b"" for key in argv[1:3])
    except WrongType:
        raise CommandError("The specified keys must contain string values") from None
    words, least = _options(argv)
    if b"IDX" in words and b"LEN" in words:
        raise CommandError("If you want both the length and indexes, please just use IDX.")
    if (len(one) + 1) * (len(other) + 1) * CELL_BYTES > STRING_MAX_BYTES:
        raise CommandError("Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len")
    if b"LEN" in words:
        return _length(one, other)
    table = Table(one, other)
    if b"IDX" not in words:
        return b"".join([one[start : end + 1] for (start, end), _ in reversed(table.ranges())])
    matches: list[Reply] = []
    for (start, end), (other_start, other_end) in table.ranges():
        length = end - start + 1
        if length >= least:
            match: list[Reply] = [[start, end], [other_start, other_end]]
            matches.append([*match, length] if b"WITHMATCHLEN" in words else match)
    return {b"matches": matches, b"len": table.length}


def _options(argv: Argv) -> tuple[set[bytes], int]:
    """Read the options: those given, and the least length of a match. Raises CommandError."""
    words: set[bytes] = set()
    least, arguments = 0, iter(argv[3:])
    for argument in arguments:
        word = option(argument)
        if word in {b"IDX", b"LEN", b"WITHMATCHLEN"}:
            words.add(word)
            continue
        operand = next(arguments, None)
        if word != b"MINMATCHLEN" or operand is None:
            raise SyntaxRefused
        least = integer(operand)
    return words, least


def _length(one: bytes, other: bytes) -> int:
    """Compute the length alone, which is the same either way round: with as few rows as there can be."""
    short, long = sorted((one, other), key=len)
    places, full = _places(short, long), (1 << len(long)) - 1
    row = full
    for byte in short:
        common = row & places[byte]
        row = (row + common | row - common) & full
    return len(long) - row.bit_count()


class Table:
    """Where the common length grows, for each place in two strings."""

    def __init__(self, one: bytes, other: bytes) -> None:
        self._one: Final = one
        self._other: Final = other
        self._rows: Final[list[int] | array[int]] = [] if len(other) > WORD_BITS else array("Q")
        places, full = _places(one, other), (1 << len(other)) - 1
        row, add = full, self._rows.append
        for byte in one:
            common = row & places[byte]
            row = (row + common | row - common) & full
            add(row)
        self.length: Final = len(other) - row.bit_count()
        """Of the longest common subsequence."""

    def ranges(self) -> list[tuple[Range, Range]]:
        """List the stretches that it consists of, with their places in both strings, from the end.

        Of several that are equally long it is the one that Redis finds.
        """
        one, other, rows = self._one, self._other, self._rows
        found: list[tuple[Range, Range]] = []
        place, other_place = len(one) - 1, len(other) - 1
        end, other_end = -1, -1
        """Where the stretch that is being gone through ends; -1 where there is none."""
        while place >= 0 and other_place >= 0:
            if one[place] == other[other_place]:
                if end < 0:
                    end, other_end = place, other_place
                place -= 1
                other_place -= 1
                continue
            if end >= 0:
                found.append(((place + 1, end), (other_place + 1, other_end)))
                end = -1
            growth = (~rows[place] & (2 << other_place) - 1).bit_length() - 1
            if growth == other_place:
                place -= 1
            else:
                other_place = max(growth, other.rfind(one[place], 0, other_place))
        if end >= 0:
            found.append(((place + 1, end), (other_place + 1, other_end)))
        return found


def _places(one: bytes, other: bytes) -> dict[int, int]:
    """Give, for each byte of the first string, where the second one has it: a bit for each place, the first lowest."""
    backwards = other[::-1]
    found: dict[int, int] = {}
    for byte in set(one):
        digits = bytearray(b"0" * 256)
        digits[byte] = ord("1")
        found[byte] = int(backwards.translate(digits), 2) if other else 0
    return found
