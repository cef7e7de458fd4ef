"""Forms that other versions of Redis write, earlier and later ones, written here to be read."""

from collections.abc import Sequence

from respcache.store.rdb.crc64 import crc64
from respcache.store.rdb.listpack import packed


def ziplist(words: Sequence[bytes]) -> bytes:
    """Write a ziplist; integers of every width as such."""
    body = bytearray()
    before = place = 0
    for word in words:
        entry = (bytes((before,)) if before < 254 else b"\xfe" + before.to_bytes(4, "little")) + _head(word)
        place = 10 + len(body)
        body += entry
        before = len(entry)
    size = 11 + len(body)
    return size.to_bytes(4, "little") + place.to_bytes(4, "little") + len(words).to_bytes(2, "little") + body + b"\xff"


def _head(word: bytes) -> bytes:
    number = int(word) if word.lstrip(b"-").isdigit() and b"%d" % int(word) == word else None
    if number is not None and 0 <= number <= 12:
        return bytes((0xF1 + number,))
    for head, width in ((0xFE, 1), (0xC0, 2), (0xF0, 3), (0xD0, 4), (0xE0, 8)):
        if number is not None and -1 << 8 * width - 1 <= number < 1 << 8 * width - 1:
            return bytes((head,)) + number.to_bytes(width, "little", signed=True)
    if len(word) < 64:
        return bytes((len(word),)) + word
    if len(word) < 16384:
        return (0x4000 | len(word)).to_bytes(2, "big") + word
    return b"\x80" + len(word).to_bytes(4, "big") + word


def zipmap(words: Sequence[bytes]) -> bytes:
    """Write a zipmap, with some unused bytes behind each value."""
    body = bytearray((len(words) // 2,))
    for at in range(0, len(words), 2):
        for place, word in enumerate(words[at : at + 2]):
            body += bytes((len(word),)) if len(word) < 254 else b"\xfe" + len(word).to_bytes(4, "little")
            body += (b"\x02" + word + b"??") if place else word
    return bytes(body) + b"\xff"


def length(number: int) -> bytes:
    """Write a length."""
    return bytes((number,)) if number < 64 else b"\x80" + number.to_bytes(4, "big")


def string(text: bytes) -> bytes:
    """Write a string as it is."""
    return length(len(text)) + text


def payload(form: int, body: bytes, version: int = 6) -> bytes:
    """Put form, version and checksum around a value."""
    text = bytes((form,)) + body + version.to_bytes(2, "little")
    return text + crc64(text).to_bytes(8, "little")


WORDS = (
    *(b"", b"a", b"01", b"x" * 63, b"y" * 64, b"z" * 260, b"tail" * 5000),
    *(b"%d" % number for number in (0, 12, 13, -1, 127, 128, -129, 40000, -(2**23), 2**23, 2**31, -(2**63))),
)
PAIRS = tuple(word for place, name in enumerate(WORDS) for word in (name, WORDS[-place - 1]))
SCORED = tuple(word for place, name in enumerate(WORDS) for word in (name, (b"1", b"-1.5", b"inf", b"300")[place % 4]))

OLD: dict[str, bytes] = {
    "list": payload(1, length(len(WORDS)) + b"".join(map(string, WORDS))),
    "set": payload(2, length(len(WORDS)) + b"".join(map(string, WORDS))),
    "zset": payload(3, length(4) + b"\x01a\x011\x01b\x05-2.25\x01c\xfe\x01d\xff"),
    "hash": payload(4, length(len(WORDS)) + b"".join(map(string, PAIRS))),
    "zipmap": payload(9, string(zipmap(PAIRS))),
    "list of a ziplist": payload(10, string(ziplist(WORDS))),
    "zset of a ziplist": payload(12, string(ziplist(SCORED))),
    "hash of a ziplist": payload(13, string(ziplist(PAIRS))),
    "quicklist": payload(14, length(2) + string(ziplist(WORDS)) + string(ziplist(WORDS[:3]))),
}
"""Payloads of values in forms that no version since 7.0 writes."""

EARLIEST = 1_795_765_237_150
"""The earliest deadline of a field, in Unix milliseconds."""


def moment(unix_ms: int) -> bytes:
    """Write a time by itself."""
    return unix_ms.to_bytes(8, "little")


_FIELDS = ((EARLIEST, b"a", b"v"), (0, b"b", b"12"), (EARLIEST + 1000, b"c", b""))
_LISTPACK = string(packed([word for at, name, value in _FIELDS for word in (name, value, b"%d" % at)]))


def _table(earliest: int) -> bytes:
    """Write fields behind their deadlines, counted from the earliest as 1."""
    return length(len(_FIELDS)) + b"".join(
        b"\x81" + (at - earliest + 1 if at else 0).to_bytes(8, "big") + string(name) + string(value)
        for at, name, value in _FIELDS
    )


TIMED: dict[str, bytes] = {
    "a table of a candidate": payload(22, _table(1), 12),
    "a listpack of a candidate": payload(23, _LISTPACK, 12),
    "a table": payload(24, moment(EARLIEST) + _table(EARLIEST), 12),
    "a listpack": payload(25, moment(EARLIEST) + _LISTPACK, 12),
}
"""Payloads of one hash, some of whose fields have a lifetime, as Redis 7.4 writes them."""
