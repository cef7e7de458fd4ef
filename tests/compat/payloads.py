"""What payloads of DUMP mean."""

from typing import Final

from respcache.store.hashes import Hash
from respcache.store.limits import DEFAULT
from respcache.store.lists import List
from respcache.store.rdb.payload import load
from respcache.store.sets import Set
from respcache.store.sorted_sets import SortedSet
from respcache.store.stream_blocks import ID_MAX
from respcache.store.streams import Stream
from respcache.store.values import encoding

HASH: Final = 4
"""The form of a hash table, which a hash has in Redis once it had a long value; small ones are packed when restored."""


def meaning(payload: bytes | None) -> object:
    """Give what two payloads of equal values have in common: all but the order in hash tables, and the clock."""
    if payload is None:
        return None
    value = load(payload, DEFAULT)
    match value:
        case List():
            return list(value)
        case Hash() if value.table.compact and payload[0] != HASH:
            return encoding(value), list(value.table.items())
        case Hash():
            return encoding(value), dict(value.table.items())
        case Set():
            return encoding(value), frozenset(value.members())
        case SortedSet():
            return encoding(value), [(repr(score), member) for score, member in value.ranking.slice(0, len(value) - 1)]
        case Stream():
            groups = {
                name: (
                    group.last,
                    group.read,
                    [(number, one.consumer, one.count) for number, one in group.pending.following(0)],
                    sorted(group.consumers),
                )
                for name, group in value.groups.items()
            }
            return value.range(0, ID_MAX), value.last, value.added, value.deleted, groups
        case _:
            return value
