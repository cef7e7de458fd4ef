"""Values as bytes and back, for copies of a key on other nodes. Pure.

A value is a tag byte, which names its kind, and what the kind makes of it. The *entry*
of a key is its deadline in front of its value. What comes in may have been sent by
another version or by nobody honest: everything that cannot be read raises NotASnapshot.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from respcache.store import hashes, lists, sets, sorted_sets, stream_snapshots, streams
from respcache.store.packing import NotASnapshot
from respcache.store.partition import NEVER_UNIX_MS
from respcache.store.values import STRING_MAX_BYTES, Value

DEADLINE_BYTES: Final = 8
"""Of Unix milliseconds, big-endian; NEVER_UNIX_MS stands for no deadline."""


@dataclass(frozen=True, slots=True)
class Form:
    """How one kind of value is written."""

    kind: type
    tag: int
    dump: Callable[[Any], bytes]
    """Takes a value of this kind; `dump` below sees to that."""
    load: Callable[[bytes], Value]
    """Raises NotASnapshot."""


def dump(value: Value) -> bytes:
    """Write a value."""
    return _dump(value, b"")


def load(blob: bytes) -> Value:
    """Read a value. Raises NotASnapshot."""
    return _load(blob, 0)


def dump_entry(value: Value, deadline_unix_ms: int | None) -> bytes:
    """Write a value and when it expires; None for never."""
    deadline = NEVER_UNIX_MS if deadline_unix_ms is None else deadline_unix_ms
    return _dump(value, deadline.to_bytes(DEADLINE_BYTES, "big"))


def load_entry(blob: bytes) -> tuple[Value, int | None]:
    """Read a value and when it expires. Raises NotASnapshot."""
    deadline = int.from_bytes(blob[:DEADLINE_BYTES], "big")
    if len(blob) < DEADLINE_BYTES or deadline > NEVER_UNIX_MS:
        raise NotASnapshot("no deadline")
    return _load(blob, DEADLINE_BYTES), None if deadline == NEVER_UNIX_MS else deadline


def _dump(value: Value, before: bytes) -> bytes:
    """Write a value behind something: a large one is copied once."""
    form = _BY_KIND[type(value)]
    return b"".join((before, bytes((form.tag,)), form.dump(value)))


def _load(blob: bytes, at: int) -> Value:
    """Read the value that begins there. Raises NotASnapshot."""
    form = _BY_TAG.get(blob[at]) if len(blob) > at else None
    if form is None:
        raise NotASnapshot("no value of a known kind")
    return form.load(blob[at + 1 :])


def _dump_string(value: bytes) -> bytes:
    return value


def _load_string(blob: bytes) -> bytes:
    if len(blob) > STRING_MAX_BYTES:
        raise NotASnapshot("a string beyond the size limit")
    return blob


FORMS: Final = (
    Form(bytes, 0, _dump_string, _load_string),
    Form(hashes.Hash, 1, hashes.dump, hashes.load),
    Form(sets.Set, 2, sets.dump, sets.load),
    Form(lists.List, 3, lists.dump, lists.load),
    Form(sorted_sets.SortedSet, 4, sorted_sets.dump, sorted_sets.load),
    Form(streams.Stream, 5, stream_snapshots.dump, stream_snapshots.load),
)
"""Tags are for ever: a node of the next version reads what this one wrote."""

_BY_KIND: Final = {form.kind: form for form in FORMS}
_BY_TAG: Final = {form.tag: form for form in FORMS}

__all__ = ["FORMS", "Form", "NotASnapshot", "dump", "dump_entry", "load", "load_entry"]
