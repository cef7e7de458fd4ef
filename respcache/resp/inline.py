"""Lines of words to requests: what people with telnet send instead of arrays. Pure.

The rules of quoting, and the refusals, are those of Redis' inline commands.
"""

from typing import Final

from respcache.errors import ProtocolError

_BLANKS: Final = b" \n\r\t\v\f\0"
_ESCAPES: Final = {ord("n"): b"\n", ord("r"): b"\r", ord("t"): b"\t", ord("b"): b"\b", ord("a"): b"\a"}
_HEX: Final = b"0123456789abcdefABCDEF"


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
