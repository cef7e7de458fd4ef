"""The reference parser of requests: what Redis accepts, and how it words a refusal. Pure.

A request is an array of bulk strings, or one line of words ("inline", for people
with telnet). Slow beside hiredis, and asked only where hiredis cannot answer.
"""

from typing import Final

from respcache.errors import ProtocolError, echoed

ARGUMENTS_MAX: Final = 1024 * 1024
"""Arguments in one request (Redis' own limit)."""
BULK_MAX_BYTES: Final = 512 * 1024 * 1024
"""Bytes in one argument (the default of Redis' `proto-max-bulk-len`)."""
LINE_MAX_BYTES: Final = 64 * 1024
"""Bytes in an inline command, or in the line that announces a length."""

ARRAY: Final = ord("*")
_BLANKS: Final = b" \n\r\t\v\f\0"
_ESCAPES: Final = {ord("n"): b"\n", ord("r"): b"\r", ord("t"): b"\t", ord("b"): b"\b", ord("a"): b"\a"}
_HEX: Final = b"0123456789abcdefABCDEF"

Parsed = tuple[list[bytes] | None, int]
"""A request (None where the bytes end within it) and the offset behind it."""


FOREIGN_WORDS: Final = frozenset({b"POST", b"HOST:"})
"""What HTTP requests have on a line of their own, and no command is called (as Redis has it)."""


def parse(stream: bytes, start: int) -> Parsed:
    """Parse the request at `start`. Empty requests are empty lists.

    Raises ProtocolError with Redis' own text.
    """
    return _array(stream, start) if stream[start] == ARRAY else _inline(stream, start)


def _array(stream: bytes, start: int) -> Parsed:
    count, position = _length(stream, start, too_long="too big mbulk count string")
    if position == start:
        return None, start
    if count is None or count > ARGUMENTS_MAX:
        raise ProtocolError("Protocol error: invalid multibulk length")
    argv: list[bytes] = []
    while len(argv) < count:
        if position >= len(stream):
            return None, start
        if stream[position] != ord("$"):
            raise ProtocolError(f"Protocol error: expected '$', got '{echoed(stream[position : position + 1])}'")
        size, after = _length(stream, position, too_long="too big bulk count string")
        if after == position:
            return None, start
        if size is None or not 0 <= size <= BULK_MAX_BYTES:
            raise ProtocolError("Protocol error: invalid bulk length")
        position = after + size + 2
        if position > len(stream):
            return None, start
        argv.append(stream[after : after + size])
    return argv, position


def _length(stream: bytes, start: int, *, too_long: str) -> tuple[int | None, int]:
    """Read the number behind a type byte; the offset stays at `start` where the line has no end yet."""
    end = stream.find(b"\r", start, start + LINE_MAX_BYTES)
    if end < 0 and len(stream) - start > LINE_MAX_BYTES:
        raise ProtocolError(f"Protocol error: {too_long}")
    if end < 0 or end + 2 > len(stream):
        return None, start
    return _decimal(stream[start + 1 : end]), end + 2


def _decimal(digits: bytes) -> int | None:
    unsigned = digits[1:] if digits[:1] == b"-" else digits
    if not unsigned.isdigit() or len(unsigned) > 19 or (unsigned[:1] == b"0" and digits != b"0"):
        return None
    return int(digits)


def _inline(stream: bytes, start: int) -> Parsed:
    end = stream.find(b"\n", start)
    if end < 0:
        if len(stream) - start > LINE_MAX_BYTES:
            raise ProtocolError("Protocol error: too big inline request")
        return None, start
    found = words(stream[start:end].removesuffix(b"\r"))
    if found and found[0].upper() in FOREIGN_WORDS:
        raise ProtocolError("this is a RESP port, not HTTP")
    return found, end + 1


def words(line: bytes) -> list[bytes]:
    r"""Split a line as a shell would: "double" quotes know \n, \r, \t, \b, \a, \xHH; 'single' ones only \'.

    Raises ProtocolError where a quote is not closed, or is followed by no blank.
    """
    found: list[bytes] = []
    position = 0
    while True:
        while position < len(line) and line[position] in _BLANKS:
            position += 1
        if position == len(line):
            return found
        word, position = _word(line, position)
        found.append(word)


def _word(line: bytes, position: int) -> tuple[bytes, int]:
    word = bytearray()
    while position < len(line) and line[position] not in _BLANKS:
        if line[position] in b"\"'":
            piece, position = _quoted(line, position)
            word += piece
            if position < len(line) and line[position] not in _BLANKS:
                break
            return bytes(word), position
        word.append(line[position])
        position += 1
    else:
        return bytes(word), position
    raise ProtocolError("Protocol error: unbalanced quotes in request")


def _quoted(line: bytes, position: int) -> tuple[bytes, int]:
    quote = line[position]
    piece = bytearray()
    position += 1
    while position < len(line):
        byte = line[position]
        if byte == quote:
            return bytes(piece), position + 1
        if byte == ord("\\") and position + 1 < len(line):
            unescaped, position = _escape(line, position, quote)
            piece += unescaped
            continue
        piece.append(byte)
        position += 1
    raise ProtocolError("Protocol error: unbalanced quotes in request")


def _escape(line: bytes, position: int, quote: int) -> tuple[bytes, int]:
    following = line[position + 1]
    if quote == ord("'"):
        return (b"'", position + 2) if following == quote else (b"\\", position + 1)
    digits = line[position + 2 : position + 4]
    if following == ord("x") and len(digits) == 2 and digits[0] in _HEX and digits[1] in _HEX:
        return bytes([int(digits, 16)]), position + 4
    return _ESCAPES.get(following, bytes([following])), position + 2
