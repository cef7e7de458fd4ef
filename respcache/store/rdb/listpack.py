"""The listpack: a run of strings and integers in one string, in which Redis keeps what is small. Pure.

    length in bytes (4, little-endian), number of entries (2; 65535: not known), entries, 0xff

An entry is a head, what it announces, and the length of both, to be read backwards. The heads:

    0nnnnnnn             an integer from 0 to 127     110nnnnn and 1 byte     one of 13 bits
    10nnnnnn             a string of up to 63 bytes   1110nnnn and 1 byte     of up to 4095 bytes
    11110000 and 4       a string of any length       11110001 to 11110100    integers of 2, 3, 4, 8 bytes

After the description that comes with Redis (listpack.c).
"""

from collections.abc import Iterable
from typing import Final

from respcache.store.digits import is_int64
from respcache.store.rdb.wrong import BadFormat

HEADER_BYTES: Final = 6
END: Final = 0xFF
COUNT_UNKNOWN: Final = 0xFFFF
ENTRIES_MAX: Final = 1 << 20
"""Of what is packed into one string and does not say how many it has: 100 KB of LZF can stand for 20 million of them,
which takes 1.3 GB and seconds to find out. Redis keeps some hundreds in one unless it is told to keep more."""
INT64_TEXT_MAX: Final = 20
SHORT_MAX: Final = 64
MEDIUM_MAX: Final = 4096
INTEGER_13: Final = 1 << 12
LONG_STRING: Final = 0xF0
INTEGER_BYTES: Final = (0, 2, 3, 4, 8)
"""Of the heads from LONG_STRING on."""
BACK_BOUNDS: Final = (127, 16383, 2097151, 268435455)
"""Lengths below each of which, the first included, so many bytes and one more say how long an entry is."""


def unpacked(blob: bytes) -> list[bytes]:
    """List the entries, integers as texts. Raises BadFormat."""
    size = len(blob)
    if size <= HEADER_BYTES or int.from_bytes(blob[:4], "little") != size:
        raise BadFormat("a listpack of another length than it says")
    announced = int.from_bytes(blob[4:HEADER_BYTES], "little")
    most = ENTRIES_MAX if announced == COUNT_UNKNOWN else announced
    found: list[bytes] = []
    at, last = HEADER_BYTES, size - 1
    while at < last:
        if len(found) == most:
            raise BadFormat("a listpack of more entries than it says, or than are read")
        start = at
        head = blob[at]
        if head < 0x80:
            found.append(b"%d" % head)
            at += 1
        elif head < 0xC0:
            at += 1 + (head & 63)
            found.append(blob[start + 1 : at])
        else:
            entry, at = _larger(blob, at, last)
            found.append(entry)
        length = at - start
        if length > BACK_BOUNDS[0]:
            at = _back_end(blob, at, length)
        elif at >= last or blob[at] != length:
            raise BadFormat("an entry of another length than is written behind it")
        else:
            at += 1
    if at != last or blob[last] != END or announced not in {len(found), COUNT_UNKNOWN}:
        raise BadFormat("a listpack of other entries than it says")
    return found


def _larger(blob: bytes, at: int, last: int) -> tuple[bytes, int]:
    """Read an entry with a head of more than one byte, or a longer integer; give it and where it ends."""
    head = blob[at]
    if head < 0xE0:
        number = (head & 31) << 8 | blob[at + 1]
        return b"%d" % (number - 2 * INTEGER_13 if number >= INTEGER_13 else number), at + 2
    if head < LONG_STRING:
        start = at + 2
        end = start + ((head & 15) << 8 | blob[at + 1])
    elif head == LONG_STRING:
        start = at + 5
        end = start + int.from_bytes(blob[at + 1 : start], "little")
    elif head - LONG_STRING < len(INTEGER_BYTES):
        end = at + 1 + INTEGER_BYTES[head - LONG_STRING]
        return b"%d" % int.from_bytes(blob[at + 1 : end], "little", signed=True), end
    else:
        raise BadFormat("no entry of a listpack")
    if end > last:
        raise BadFormat("an entry beyond the end of its listpack")
    return blob[start:end], end


def _back_end(blob: bytes, at: int, length: int) -> int:
    """Check the length behind a long entry; give where that ends. Raises BadFormat."""
    body = bytearray()
    _add_length(body, length)
    end = at + len(body)
    if blob[at:end] != body:
        raise BadFormat("an entry of another length than is written behind it")
    return end


def _back_bytes(length: int) -> int:
    """Count the bytes in which the length of an entry is written behind it."""
    if length <= BACK_BOUNDS[0]:
        return 1
    return 2 + sum([length >= bound for bound in BACK_BOUNDS[1:]])


def packed(entries: Iterable[bytes]) -> bytes:
    """Write a listpack. Texts of integers become integers."""
    body = bytearray()
    count = 0
    for value in entries:
        add(body, value)
        count += 1
    return wrapped(body, count)


def wrapped(body: bytearray, count: int) -> bytes:
    """Make a listpack of so many entries, which were written by `add`."""
    size = HEADER_BYTES + len(body) + 1
    announced = min(count, COUNT_UNKNOWN)
    return b"%b%b%b\xff" % (size.to_bytes(4, "little"), announced.to_bytes(2, "little"), bytes(body))


def add(body: bytearray, value: bytes) -> None:
    """Append an entry."""
    start, size = len(body), len(value)
    if size <= INT64_TEXT_MAX and is_int64(value):
        _add_integer(body, int(value))
    else:
        if size < SHORT_MAX:
            body.append(0x80 | size)
        elif size < MEDIUM_MAX:
            body += (0xE000 | size).to_bytes(2, "big")
        else:
            body.append(LONG_STRING)
            body += size.to_bytes(4, "little")
        body += value
    _add_length(body, len(body) - start)


def _add_length(body: bytearray, length: int) -> None:
    """Append the length of an entry."""
    place = _back_bytes(length) - 1
    body.append(length >> 7 * place)
    while place:
        place -= 1
        body.append(length >> 7 * place & 127 | 0x80)


def _add_integer(body: bytearray, number: int) -> None:
    if 0 <= number < 0x80:
        body.append(number)
    elif -INTEGER_13 <= number < INTEGER_13:
        body += (0xC000 | number & 2 * INTEGER_13 - 1).to_bytes(2, "big")
    else:
        kind = 1
        while not -1 << 8 * INTEGER_BYTES[kind] - 1 <= number < 1 << 8 * INTEGER_BYTES[kind] - 1:
            kind += 1
        body.append(LONG_STRING + kind)
        body += number.to_bytes(INTEGER_BYTES[kind], "little", signed=True)
