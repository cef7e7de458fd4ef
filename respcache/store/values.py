"""The kinds of value a key can hold, and what each is called.

A string is plain bytes: the commonest value gets no wrapper, but for those that are changed in part (`texts`).
A new kind of value is a class of its own, derived from Aggregate, in a module that also dumps and loads it; one
line in KINDS, and one in `store.snapshot.FORMS`.
"""

import sys
from typing import Final, TypeAlias

from respcache.store.aggregate import Aggregate
from respcache.store.digits import is_int64
from respcache.store.hashes import Hash
from respcache.store.lists import List
from respcache.store.sets import Set
from respcache.store.sorted_sets import SortedSet
from respcache.store.streams import Stream
from respcache.store.texts import EMBEDDED_MAX_BYTES, Text
from respcache.store.volatile_hashes import VolatileHash

Value: TypeAlias = bytes | Aggregate

KINDS: Final[dict[type, bytes]] = {
    bytes: b"string",
    Text: Text.kind,
    Hash: Hash.kind,
    VolatileHash: Hash.kind,
    List: List.kind,
    Set: Set.kind,
    SortedSet: SortedSet.kind,
    Stream: Stream.kind,
}
"""What TYPE answers, by the class of the value."""

STRING_MAX_BYTES: Final = 512 * 1024 * 1024
"""No command makes a longer string (the default of Redis' `proto-max-bulk-len`)."""
INTEGER_DIGITS_MAX: Final = 20
SHARED_INTEGERS: Final = 10_000
SHARED_REFERENCES: Final = 2**31 - 1


def encoding(value: Value) -> bytes:
    """Name the encoding that Redis would choose (OBJECT ENCODING)."""
    if isinstance(value, Aggregate):
        return value.encoding()
    if len(value) <= INTEGER_DIGITS_MAX and is_int64(value):
        return b"int"
    return b"embstr" if len(value) <= EMBEDDED_MAX_BYTES else b"raw"


def references(value: Value) -> int:
    """Count the references that Redis would hold (OBJECT REFCOUNT): it shares small numbers for ever."""
    if isinstance(value, Aggregate):
        return 1
    return SHARED_REFERENCES if is_int64(value) and 0 <= int(value) < SHARED_INTEGERS else 1


def copied(value: Value) -> Value:
    """Give a value that is equal, and that no change of the other one reaches."""
    return value.copy() if isinstance(value, Aggregate) else value


def size_bytes(value: Value, samples: int) -> int:
    """Estimate the memory that a value takes, from so many of its elements; 0: from all."""
    return value.size_bytes(samples) if isinstance(value, Aggregate) else sys.getsizeof(value)
