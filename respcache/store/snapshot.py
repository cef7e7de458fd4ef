"""Values as bytes and back, for copies of a key on other nodes. Pure.

A value is a tag byte, which names its kind, and the words that its kind makes of it; a string is its own
and only word. The *entry* of a key is its deadline in front of its value. What comes in may have been sent by
another version or by nobody honest: everything that cannot be read raises NotASnapshot. Large values do not travel
whole (see `pieces`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from respcache.store import hashes, lists, sets, sorted_sets, stream_snapshots, volatile_hashes
from respcache.store.hashes import Hash
from respcache.store.lists import List
from respcache.store.packing import NotASnapshot, pack, unpack
from respcache.store.partition import NEVER_UNIX_MS
from respcache.store.sets import Set
from respcache.store.sorted_sets import SortedSet
from respcache.store.streams import Stream
from respcache.store.texts import EMBEDDED_MAX_BYTES, Text
from respcache.store.values import STRING_MAX_BYTES, Value
from respcache.store.volatile_hashes import VolatileHash

DEADLINE_BYTES: Final = 8
"""Of Unix milliseconds, big-endian."""
NO_DEADLINE: Final = 2 ** (8 * DEADLINE_BYTES) - 1
"""Stands for none. NEVER_UNIX_MS does not: clients may set that one."""


@dataclass(frozen=True, slots=True)
class Form:
    """How one kind of value is written: as words, the first of which is about all of it."""

    kind: type
    tag: int
    words: Callable[[Any], Iterator[bytes]]
    """Gives the words of a value of this kind, which must not change until the last of them was taken."""
    begin: Callable[[bytes], Any]
    """Makes a value of the first word. Raises NotASnapshot."""
    extend: Callable[[Any, list[bytes]], None]
    """Adds some of the others to it, in order. Raises NotASnapshot."""
    step: int = 1
    """So many words belong together, after the first: `extend` gets no part of them."""
    weight: int = 1
    """A word is as much work to read as so many words of other kinds."""


def dump(value: Value) -> bytes:
    """Write a value."""
    return _dump(value, b"")


def load(blob: bytes) -> Value:
    """Read a value. Raises NotASnapshot."""
    return _load(blob, 0)


def dump_entry(value: Value, deadline_unix_ms: int | None) -> bytes:
    """Write a value and when it expires; None for never."""
    return _dump(value, write_deadline(deadline_unix_ms))


def load_entry(blob: bytes) -> tuple[Value, int | None]:
    """Read a value and when it expires. Raises NotASnapshot."""
    deadline = read_deadline(blob)
    return _load(blob, DEADLINE_BYTES), deadline


def write_deadline(deadline_unix_ms: int | None) -> bytes:
    """Write when a key expires; None for never."""
    deadline = NO_DEADLINE if deadline_unix_ms is None else deadline_unix_ms
    return deadline.to_bytes(DEADLINE_BYTES, "big")


def read_deadline(blob: bytes) -> int | None:
    """Read when a key expires, from the beginning of its entry. Raises NotASnapshot."""
    deadline = int.from_bytes(blob[:DEADLINE_BYTES], "big")
    if len(blob) < DEADLINE_BYTES or NEVER_UNIX_MS < deadline < NO_DEADLINE:
        raise NotASnapshot("no deadline")
    return None if deadline == NO_DEADLINE else deadline


def _dump(value: Value, before: bytes) -> bytes:
    """Write a value behind something: a large string is copied once."""
    form = form_of(value)
    if isinstance(value, Text):
        return b"".join((before, bytes((form.tag,)), value.body))
    whole = value if isinstance(value, bytes) else pack(list(form.words(value)))
    return b"".join((before, bytes((form.tag,)), whole))


def _load(blob: bytes, at: int) -> Value:
    """Read the value that begins there. Raises NotASnapshot."""
    form = form_tagged(blob[at]) if len(blob) > at else None
    if form is None:
        raise NotASnapshot("no value of a known kind")
    written = blob[at + 1 :]
    if form.kind is bytes:
        return _load_string(written)
    if form is RAW:
        return _load_raw(written)
    head, *words = unpack(written) or [b""]
    if len(words) % form.step:
        raise NotASnapshot("a value that ends within its words")
    value: Value = form.begin(head)
    form.extend(value, words)
    if not value:
        raise NotASnapshot("a value without elements")
    return value


def _string_words(value: bytes | Text) -> Iterator[bytes]:
    yield bytes(value.body) if isinstance(value, Text) else value


def _load_string(written: bytes) -> bytes:
    if len(written) > STRING_MAX_BYTES:
        raise NotASnapshot("a string beyond the size limit")
    return written


def _load_raw(written: bytes) -> Text:
    return Text(bytearray(_load_string(written)))


def _extend_string(_: bytes | Text, words: list[bytes]) -> None:
    if words:
        raise NotASnapshot("a string of several words")


RAW: Final = Form(Text, 7, _string_words, _load_raw, _extend_string)
"""A short string that was changed in part: that it was shows (OBJECT ENCODING). Long ones are written as any string."""

FORMS: Final = (
    Form(bytes, 0, _string_words, _load_string, _extend_string),
    Form(Hash, 1, hashes.words, hashes.begin, hashes.extend, step=2),
    Form(Set, 2, sets.words, sets.begin, sets.extend),
    Form(List, 3, lists.words, lists.begin, lists.extend),
    Form(SortedSet, 4, sorted_sets.words, sorted_sets.begin, sorted_sets.extend, step=2),
    Form(
        Stream,
        5,
        stream_snapshots.words,
        stream_snapshots.begin,
        stream_snapshots.extend,
        weight=stream_snapshots.WEIGHT,
    ),
    Form(VolatileHash, 6, volatile_hashes.words, volatile_hashes.begin, volatile_hashes.extend, step=3),
    RAW,
)
"""Tags are for ever: a node of the next version reads what this one wrote."""

_BY_KIND: Final = {form.kind: form for form in FORMS}
_BY_TAG: Final = {form.tag: form for form in FORMS}


def form_of(value: Value) -> Form:
    """Give the form of a value."""
    if isinstance(value, Text) and len(value) > EMBEDDED_MAX_BYTES:
        return FORMS[0]
    return _BY_KIND[type(value)]


def form_tagged(tag: int) -> Form | None:
    """Give the form with a tag; None if no kind of value has it."""
    return _BY_TAG.get(tag)


__all__ = [
    "DEADLINE_BYTES",
    "FORMS",
    "RAW",
    "Form",
    "NotASnapshot",
    "dump",
    "dump_entry",
    "form_of",
    "form_tagged",
    "load",
    "load_entry",
    "read_deadline",
    "write_deadline",
]
