"""Libraries of functions as FUNCTION DUMP writes them, in Redis' format for files (RDB, version 10). Pure.

    (245 string)* version:2 checksum:8        both little-endian

A string has its length in front (rdb.c, `rdbLoadLen`), or is an integer, or packed by LZF. The checksum is the CRC-64
of Jones over all before it. Written is what every Redis from 7.0 on reads; strings are not packed.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from respcache.errors import CommandError
from respcache.store.rdb.crc64 import crc64
from respcache.store.rdb.lzf import decompressed
from respcache.store.rdb.wrong import BadFormat

VERSION: Final = 10
"""Of Redis 7.0; a payload of a later one may hold what is not known here."""
FUNCTION: Final = 245
PRERELEASE_FUNCTION: Final = 246
"""As release candidates of 7.0 wrote them, which Redis refuses as well."""
FOOTER_BYTES: Final = 10
TEXT_MAX_BYTES: Final = 64 * 1024 * 1024
"""What a packed text may say that it unpacks to."""
_LENGTH_6, _LENGTH_14, _LENGTH_LONG, _ENCODED = range(4)
_LENGTH_32, _LENGTH_64 = 0x80, 0x81
_LZF: Final = 3


class BadPayload(CommandError):
    """These bytes were not written by FUNCTION DUMP; nothing was restored."""


def dumped(codes: Sequence[bytes]) -> bytes:
    """Write libraries."""
    body = b"".join([bytes((FUNCTION,)) + _length(len(code)) + code for code in codes])
    body += VERSION.to_bytes(2, "little")
    return body + crc64(body).to_bytes(8, "little")


def loaded(payload: bytes) -> Iterator[bytes]:
    """Read libraries one by one. Raises BadPayload at the first that is none."""
    body, footer = payload[:-FOOTER_BYTES], payload[-FOOTER_BYTES:]
    is_whole = int.from_bytes(payload[-8:], "little") == crc64(payload[:-8])
    if len(footer) < FOOTER_BYTES or int.from_bytes(footer[:2], "little") > VERSION or not is_whole:
        raise BadPayload("DUMP payload version or checksum are wrong")
    at = 0
    while at < len(body):
        if body[at] == PRERELEASE_FUNCTION:
            raise BadPayload("Failed loading engine name")
        if body[at] != FUNCTION:
            raise BadPayload("given type is not a function")
        try:
            code, at = _string(body, at + 1)
        except (IndexError, ValueError, BadFormat):
            raise BadPayload("Failed loading library payload") from None
        yield code


def _length(count: int) -> bytes:
    if count < 1 << 6:
        return bytes((count,))
    if count < 1 << 14:
        return (count | 1 << 14).to_bytes(2, "big")
    if count < 1 << 32:
        return bytes((_LENGTH_32,)) + count.to_bytes(4, "big")
    return bytes((_LENGTH_64,)) + count.to_bytes(8, "big")


def _read_length(body: bytes, at: int) -> tuple[int, int]:
    """Give a length and where it ends. Raises IndexError or ValueError."""
    first = body[at]
    kind = first >> 6
    if kind == _LENGTH_6:
        return first, at + 1
    if kind == _LENGTH_14:
        return (first & 0x3F) << 8 | body[at + 1], at + 2
    size = {_LENGTH_32: 4, _LENGTH_64: 8}.get(first, 0)
    if not size:
        raise ValueError("no length")
    return int.from_bytes(_bytes(body, at + 1, size), "big"), at + 1 + size


def _string(body: bytes, at: int) -> tuple[bytes, int]:
    """Give a string and where it ends. Raises IndexError or ValueError."""
    if body[at] >> 6 != _ENCODED:
        length, at = _read_length(body, at)
        return _bytes(body, at, length), at + length
    kind = body[at] & 0x3F
    if kind == _LZF:
        packed, at = _read_length(body, at + 1)
        length, at = _read_length(body, at)
        if length > TEXT_MAX_BYTES:
            raise ValueError("too long")
        return decompressed(_bytes(body, at, packed), length), at + packed
    if kind > _LZF:
        raise ValueError("no string")
    size = 1 << kind
    return b"%d" % int.from_bytes(_bytes(body, at + 1, size), "little", signed=True), at + 1 + size


def _bytes(body: bytes, at: int, count: int) -> bytes:
    found = body[at : at + count]
    if len(found) != count:
        raise ValueError("cut short")
    return found
