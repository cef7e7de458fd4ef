"""What DEBUG DIGEST-VALUE tells of a value: 160 bits that are equal where values are, whatever their encoding. Pure.

They are those of Redis (debug.c). What has an order is mixed in, one part after the other; what has none is combined by
XOR.
"""

import hashlib
from collections.abc import Iterator
from typing import Final

from respcache.store.hashes import Hash
from respcache.store.lists import List
from respcache.store.sets import Set
from respcache.store.sorted_sets import SortedSet
from respcache.store.stream_blocks import ID_MAX, SEQUENCE_BITS, SEQUENCE_MAX
from respcache.store.streams import Stream
from respcache.store.texts import Text
from respcache.store.values import Value
from respcache.store.volatile_hashes import VolatileHash

BYTES: Final = 20
KINDS: Final[dict[type, int]] = {bytes: 0, List: 1, Set: 2, SortedSet: 3, Hash: 4, VolatileHash: 4, Stream: 6}
"""Redis' numbers of types."""
EXPIRES: Final = b"!!expire!!"


def fingerprint(value: Value, deadline_unix_ms: int | None) -> int:
    """Give the number of a value; that it expires counts, not when."""
    state = mixed(0, KINDS[type(value)].to_bytes(4, "big"))
    for part in _ordered(value):
        state = mixed(state, part)
    for part in _unordered(value):
        state ^= _sha1(part)
    return state if deadline_unix_ms is None else state ^ _sha1(EXPIRES)


def _ordered(value: Value) -> Iterator[bytes]:
    match value:
        case bytes():
            yield value
        case Text():
            yield bytes(value.body)
        case List():
            yield from value
        case Stream():
            for number, fields in value.range(0, ID_MAX):
                yield b"%d.%d" % (number >> SEQUENCE_BITS, number & SEQUENCE_MAX)
                yield from fields


def _unordered(value: Value) -> Iterator[bytes]:
    match value:
        case Set():
            yield from value.table.names
        case SortedSet():
            for member, score in value.table.items():
                yield _pair(member, b"%.17g" % score)
        case Hash():
            for name, content in value.items():
                yield _pair(name, content)


def of_key(database: int, key: bytes, value: Value, deadline_unix_ms: int | None) -> int:
    """Give the number of a key in a database, with all that it holds."""
    state = mixed(mixed(0, b"%d" % database), key)
    return mixed(state, fingerprint(value, deadline_unix_ms).to_bytes(BYTES, "big"))


def mixed(state: int, part: bytes) -> int:
    """Take in a part that has its place in an order."""
    return _sha1((state ^ _sha1(part)).to_bytes(BYTES, "big"))


def _pair(one: bytes, other: bytes) -> bytes:
    return mixed(mixed(0, one), other).to_bytes(BYTES, "big")


def _sha1(part: bytes) -> int:
    return int.from_bytes(hashlib.sha1(part, usedforsecurity=False).digest(), "big")
