"""Commands on the bits of strings, and on integers of any width in them."""

import operator
from dataclasses import dataclass
from typing import Final

from respcache.commands import bits
from respcache.commands.arguments import integer, option
from respcache.commands.events import WRITTEN
from respcache.commands.registry import ALL_BUT_FIRST, Flags, key_command, keys_command
from respcache.errors import CommandError, NotAnInteger, SyntaxRefused
from respcache.reply import Reply
from respcache.store.keyspace import Keyspace
from respcache.store.partition import Argv, Partition
from respcache.store.texts import raw
from respcache.store.values import STRING_MAX_BYTES

BITS_MAX: Final = STRING_MAX_BYTES * 8
SIGNED_BITS_MAX: Final = 64
UNSIGNED_BITS_MAX: Final = 63
OPERATORS: Final = {b"AND": operator.and_, b"OR": operator.or_, b"XOR": operator.xor}
OPERANDS: Final = {b"GET": 2, b"SET": 3, b"INCRBY": 3, b"OVERFLOW": 1}
"""How many arguments follow each word of BITFIELD."""
OVERFLOWS: Final = (b"WRAP", b"SAT", b"FAIL")


class NotABitOffset(CommandError):
    """The place of a bit is no number, or one beyond the longest string."""

    def __init__(self) -> None:
        super().__init__("bit offset is not an integer or out of range")


@dataclass(frozen=True, slots=True)
class Operation:
    """One GET, SET or INCRBY of BITFIELD."""

    word: bytes
    signed: bool
    width: int
    """In bits, 1 to 64."""
    at: int
    """The place of its first bit."""
    operand: int
    overflow: bytes
    """One of OVERFLOWS."""

    @property
    def stop(self) -> int:
        """The place of the first byte behind it."""
        return (self.at + self.width + 7) >> 3

    def result(self, old: int) -> int | None:
        """Give what SET or INCRBY puts in the place of a number; None if it does not fit, and FAIL was said."""
        wanted = old + self.operand if self.word == b"INCRBY" else self.operand
        least = -(1 << self.width - 1) if self.signed else 0
        most = least + (1 << self.width) - 1
        if least <= wanted <= most:
            return wanted
        match self.overflow:
            case b"SAT":
                return most if wanted > most else least
            case b"FAIL":
                return None
        return (wanted - least) % (1 << self.width) + least


@key_command("SETBIT", arity=4, flags=Flags.WRITE | Flags.DENYOOM, since="2.2.0")
def setbit(partition: Partition, argv: Argv) -> Reply:
    """Set or clear a bit of a string, and return what it was; zero bytes fill a gap."""
    key, offset = argv[1], _offset(argv[2])
    if argv[3] not in {b"0", b"1"}:
        raise CommandError("bit is not an integer or out of range")
    text = partition.text(key) or b""
    place, mask = offset >> 3, 0x80 >> offset % 8
    byte = text[place] if place < len(text) else 0
    new = byte | mask if argv[3] == b"1" else byte & ~mask
    if new != byte or place >= len(text):
        partition.overwrite(key, place, bytes((new,)))
    else:
        _loosen(partition, key)
    return int(bool(byte & mask))


@key_command("GETBIT", arity=3, flags=Flags.READONLY | Flags.FAST, since="2.2.0")
def getbit(partition: Partition, argv: Argv) -> Reply:
    """Return a bit of a string; 0 behind its end."""
    offset = _offset(argv[2])
    text, place = partition.read_text(argv[1]) or b"", offset >> 3
    return text[place] >> 7 - offset % 8 & 1 if place < len(text) else 0


@key_command("BITCOUNT", arity=-2, flags=Flags.READONLY, since="2.6.0")
def bitcount(partition: Partition, argv: Argv) -> Reply:
    """Count the bits of a string that are set, in a range of bytes or (BIT) of bits."""
    text = partition.read_text(argv[1])
    if text is None:
        return 0
    if len(argv) == 2:
        return bits.ones(text, 0, len(text) * 8)
    if not 4 <= len(argv) <= 5:
        raise SyntaxRefused
    start, end = integer(argv[2]), integer(argv[3])
    if end < start < 0:
        return 0
    return bits.ones(text, *_span(len(text), start, end, _unit(argv, 4)))


@key_command("BITPOS", arity=-3, flags=Flags.READONLY, since="2.8.7")
def bitpos(partition: Partition, argv: Argv) -> Reply:
    """Find the first bit that is set, or clear, in a range of bytes or (BIT) of bits; -1 if there is none."""
    bit = integer(argv[2])
    if bit not in {0, 1}:
        raise CommandError("The bit argument must be 1 or 0.")
    text = partition.read_text(argv[1])
    if text is None:
        return -bit
    if len(argv) > 6:
        raise SyntaxRefused
    start = integer(argv[3]) if len(argv) > 3 else 0
    unit = _unit(argv, 5)
    end = integer(argv[4]) if len(argv) > 4 else -1
    first, stop = _span(len(text), start, end, unit)
    found = bits.position(text, bit, first, stop)
    # Without an end the string goes on with zeros.
    return stop if found < 0 and not bit and len(argv) < 5 and first < stop else found


@keys_command("BITOP", arity=-4, flags=Flags.WRITE | Flags.DENYOOM, since="2.6.0", keys=ALL_BUT_FIRST)
def bitop(space: Keyspace, argv: Argv) -> Reply:
    """Store the AND, OR or XOR of strings, or the NOT of one, and return its length."""
    word, target, keys = option(argv[1]), argv[2], argv[3:]
    if word != b"NOT" and word not in OPERATORS:
        raise SyntaxRefused
    if word == b"NOT" and len(keys) > 1:
        raise CommandError("BITOP NOT must be called with a single source key.")
    texts = [space.at(key).read_string(key) or b"" for key in keys]
    result = texts[0].translate(bits.FLIPPED) if word == b"NOT" else bits.combined(OPERATORS[word], texts)
    space.at(target).place(target, raw(result) if result else None, WRITTEN)
    return len(result)


@key_command("BITFIELD", arity=-2, flags=Flags.WRITE | Flags.DENYOOM, since="3.2.0")
def bitfield(partition: Partition, argv: Argv) -> Reply:
    """Read, set and add to integers of any width in a string; what does not fit wraps, saturates or fails."""
    key, operations = argv[1], _operations(argv)
    written = max((operation.stop for operation in operations if operation.word != b"GET"), default=0)
    if not written:
        return _read(partition, key, operations)
    if written > STRING_MAX_BYTES:
        raise NotABitOffset
    old = partition.text(key) or b""
    # The part of the string that matters. A number that fails to be written makes room for itself all the same.
    start = min(operation.at for operation in operations) >> 3
    stop = max(written, min(len(old), max(operation.stop for operation in operations)))
    before = bytes(old[start:stop])
    part = bytearray(before.ljust(stop - start, b"\0"))
    replies = [_done(part, start * 8, operation) for operation in operations]
    if part != before:
        partition.overwrite(key, start, bytes(part))
    else:
        _loosen(partition, key)
    return list(replies)


@key_command("BITFIELD_RO", arity=-2, flags=Flags.READONLY | Flags.FAST, since="6.0.0")
def bitfield_ro(partition: Partition, argv: Argv) -> Reply:
    """Read integers of any width in a string."""
    operations = _operations(argv)
    if any(operation.word != b"GET" for operation in operations):
        raise CommandError("BITFIELD_RO only supports the GET subcommand")
    return _read(partition, argv[1], operations)


def _loosen(partition: Partition, key: bytes) -> None:
    """Keep a string that was to be changed, and is as it was, like one that was. As in Redis no copy is told."""
    found = partition.values.get(key)
    if type(found) is bytes:
        partition.values[key] = raw(found)


def _offset(text: bytes, width: int = 0) -> int:
    """Read the place of a bit; for a number of some width also (#3) how many such numbers stand before it."""
    counted = bool(width) and text[:1] == b"#"
    try:
        offset = integer(text[1:]) * width if counted else integer(text)
    except NotAnInteger:
        raise NotABitOffset from None
    if not 0 <= offset < BITS_MAX:
        raise NotABitOffset
    return offset


def _unit(argv: Argv, at: int) -> int:
    """Read what a range counts, as a number of bits: BYTE or BIT."""
    word = option(argv[at]) if len(argv) > at else b"BYTE"
    if word not in {b"BYTE", b"BIT"}:
        raise SyntaxRefused
    return 8 if word == b"BYTE" else 1


def _span(length: int, start: int, end: int, unit: int) -> tuple[int, int]:
    """From a range of units, both ends included: the first bit of so many bytes, and the one behind the last."""
    units = length * 8 // unit
    first = start if start >= 0 else max(0, units + start)
    last = min(end if end >= 0 else max(0, units + end), units - 1)
    return first * unit, (last + 1) * unit


def _operations(argv: Argv) -> list[Operation]:
    """Read the operations of BITFIELD. Raises CommandError."""
    operations: list[Operation] = []
    overflow, at = OVERFLOWS[0], 2
    while at < len(argv):
        word = option(argv[at])
        operands = argv[at + 1 : at + 1 + OPERANDS.get(word, 0)]
        if not operands or len(operands) < OPERANDS[word]:
            raise SyntaxRefused
        if word == b"OVERFLOW":
            overflow = option(operands[0])
            if overflow not in OVERFLOWS:
                raise CommandError("Invalid OVERFLOW type specified")
        else:
            operations.append(_operation(word, operands, overflow))
        at += 1 + len(operands)
    return operations


def _operation(word: bytes, operands: Argv, overflow: bytes) -> Operation:
    signed, width = _kind(operands[0])
    at = _offset(operands[1], width)
    operand = integer(operands[2]) if word != b"GET" else 0
    if word == b"SET" and not signed:
        operand %= 1 << 64  # as Redis takes it: a negative number is a large one
    return Operation(word, signed, width, at, operand, overflow)


def _kind(text: bytes) -> tuple[bool, int]:
    """Read the kind of an integer, as in i16 or u8: whether it has a sign, and how many bits."""
    signed, digits = text[:1] == b"i", text[1:].partition(b"\0")[0]
    try:
        width = integer(digits) if text[:1] in {b"i", b"u"} else 0
    except NotAnInteger:
        width = 0
    if not 1 <= width <= (SIGNED_BITS_MAX if signed else UNSIGNED_BITS_MAX):
        raise CommandError(
            "Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
        )
    return signed, width


def _read(partition: Partition, key: bytes, operations: list[Operation]) -> Reply:
    text = partition.read_text(key) or b""
    return [_number(text, 0, operation) for operation in operations]


def _number(text: bytes | bytearray, start: int, operation: Operation) -> int:
    """Read the number from a part of a string that starts with so many bits left out."""
    found = bits.number(text, operation.at - start, operation.width)
    return found - (1 << operation.width) if operation.signed and found >> operation.width - 1 else found


def _done(text: bytearray, start: int, operation: Operation) -> int | None:
    """Do one operation on a part of a string, and give its reply."""
    old = _number(text, start, operation)
    if operation.word == b"GET":
        return old
    new = operation.result(old)
    if new is None:
        return None
    bits.put_number(text, operation.at - start, operation.width, new % (1 << operation.width))
    return new if operation.word == b"INCRBY" else old
