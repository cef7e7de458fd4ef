"""What a key holds, in 32 bits: equal on copies that are equal. Pure, and bounded in time for values of any size.

Small values count whole. Of large ones so many parts count that digesting takes about as long as for a
small one; which parts is up to a salt, so that different ones cover different parts.
"""

from collections.abc import Iterator
from typing import Final
from zlib import crc32

from respcache.store.hashes import Hash
from respcache.store.lists import List
from respcache.store.packing import pack
from respcache.store.sets import Set
from respcache.store.snapshot import form_of
from respcache.store.sorted_sets import SortedSet
from respcache.store.streams import Stream
from respcache.store.texts import Readable, Text
from respcache.store.values import Value
from respcache.store.volatile_hashes import VolatileHash

WHOLE_BYTES: Final = 16 * 1024
"""Size up to which a value counts whole. It is that of its words, for what memory a value takes is another matter on
each copy: a hash that was large once keeps its tables."""
WORD_BYTES: Final = 16
"""What a word counts for besides its bytes."""
SLICES: Final = 8
SLICE_BYTES: Final = 1024
"""Of a longer string: so many slices of so many bytes."""
NONE: Final = -1
"""Stands for no deadline; no key has one before 1970."""
ELEMENTS: Final = 16
"""Of a larger collection: so many elements, up to SLICE_BYTES of each."""


def digest(value: Value, deadline_unix_ms: int | None, salt: int) -> int:
    """Digest a value and when it expires."""
    state = crc32(b"%d %d" % (NONE if deadline_unix_ms is None else deadline_unix_ms, len(value)))
    for part in _parts(value, salt):
        state = crc32(part, state)
    return state


def _parts(value: Value, salt: int) -> Iterator[Readable]:
    if isinstance(value, bytes | Text):
        text = value.body if isinstance(value, Text) else value
        return iter((text,)) if len(text) <= WHOLE_BYTES else _slices(text, salt)
    words: list[bytes] = []
    left = WHOLE_BYTES
    for word in form_of(value).words(value):
        left -= len(word) + WORD_BYTES
        if left < 0:
            return _blocks(value, salt) if isinstance(value, Stream) else _elements(value, salt)
        words.append(word)
    return iter((pack(words),))


def _slices(value: Readable, salt: int) -> Iterator[Readable]:
    for at in _positions(len(value), SLICES, salt):
        yield value[at : at + SLICE_BYTES]


def _elements(value: Value, salt: int) -> Iterator[bytes]:
    for at in _positions(len(value), ELEMENTS, salt):
        match value:
            case List():
                element = value.at(at)
            case Set():
                element = value.table.names[at]
            case Hash():
                name = value.table.names[at]
                yield name[:SLICE_BYTES]
                if isinstance(value, VolatileHash):
                    deadline = value.deadline(name)
                    yield b"%d" % (NONE if deadline is None else deadline)
                element = value.table.values[at]
            case SortedSet():
                yield repr(value.table.values[at]).encode()
                element = value.table.names[at]
            case _:
                raise AssertionError(f"no kind of value: {type(value)}")
        yield element[:SLICE_BYTES]


def _blocks(value: Stream, salt: int) -> Iterator[bytes]:
    """Give some blocks of a stream, and what its groups come to, if they are few."""
    yield b"%d %d %d %d" % (value.last, value.added, value.deleted, len(value.groups))
    for at in _positions(value.blocks, ELEMENTS, salt):
        yield value.block(at).blob()[:SLICE_BYTES]
    if len(value.groups) <= ELEMENTS:
        for name in sorted(value.groups):
            group = value.groups[name]
            yield b"%d %d %d %d" % (group.last, group.read, len(group.pending), len(group.consumers))


def _positions(length: int, count: int, salt: int) -> Iterator[int]:
    """Spread positions over a length, all moved by a salt."""
    step = max(1, length // count)
    count = min(count, length)
    return ((salt + number * step) % length for number in range(count))
