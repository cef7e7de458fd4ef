"""Fields of hashes whose deadline has passed: when they are over, and how many are taken out at once. Pure.

The primary of a hash decides, when a command comes upon it or the sweep does, and tells the copies up to which time
fields are over, be there a million of them; the copies take out the same ones at the same place in the order of all
changes. The key goes with the last field that is not over.
"""

from typing import TYPE_CHECKING, Final

from respcache.store.events import DELETED, FIELDS_EXPIRED
from respcache.store.hashes import Hash
from respcache.store.volatile_hashes import LATEST_UNIX_MS, VolatileHash, volatile

if TYPE_CHECKING:
    from respcache.store.partition import Partition
    from respcache.store.values import Value

FIELDS_GONE: Final = b"FIELDSGONE"
"""An effect of this name lets fields of the hash at a key be over that were due by a time, and takes out so many."""
TAKEN_OUT: Final = 100
"""Overdue fields of a hash that are taken out at once when a command comes upon them: a fifth of a millisecond of work.
The others are only hidden until it is their turn."""
SWEPT_OUT: Final = 250
"""Overdue fields of hashes, and keys of a partition, that the sweep deletes from one look at the clock to the next."""


def with_deadlines(partition: "Partition", key: bytes, found: Hash) -> VolatileHash:
    """Give the hash at key as one whose fields may have deadlines; what changes of them is said by `note_fields`."""
    if isinstance(found, VolatileHash):
        return found
    made = partition.values[key] = volatile(found)
    return made


def note_fields(partition: "Partition", key: bytes, value: VolatileHash) -> None:
    """Note when the fields of the hash at key are due."""
    due = value.due_unix_ms()
    if due is None:
        partition.volatile.pop(key, None)
    else:
        partition.volatile[key] = due
        partition.note_due(due)


def expire_fields(partition: "Partition", key: bytes, count: int) -> bool:
    """Let fields be over whose deadline has passed, and take out up to so many; whether the key went with them."""
    found = partition.values.get(key)
    if not isinstance(found, VolatileHash):
        partition.volatile.pop(key, None)  # a string has taken its place
        return False
    now_unix_ms = partition.ledger.now_unix_ms
    due = found.due_unix_ms()
    if due is None or due > now_unix_ms:
        note_fields(partition, key, found)
        return False
    gone = found.advance(now_unix_ms)
    if gone:
        partition.ledger.expired_fields += gone
        partition.happened(FIELDS_EXPIRED, key)
    if not len(found):
        drain(partition, key, found)
        partition.detach(key)
        partition.happened(DELETED, key)
        partition.tell_gone(key)
        return True
    taken = found.take_out(count)
    partition.changed = True
    partition.ledger.gone.add(key)
    partition.tell([FIELDS_GONE, key, b"%d" % found.horizon_unix_ms, b"%d" % taken])
    note_fields(partition, key, found)
    return False


def sweep_fields(partition: "Partition") -> None:
    """Let fields of hashes be over whose deadline has passed, and take out up to SWEPT_OUT."""
    room, now_unix_ms = SWEPT_OUT, partition.ledger.now_unix_ms
    for key in [key for key, due in partition.volatile.items() if due <= now_unix_ms]:
        found = partition.values.get(key)
        held = len(found.table.names) if isinstance(found, VolatileHash) else 0
        if not expire_fields(partition, key, room) and isinstance(found, VolatileHash):
            room -= held - len(found.table.names)
        room -= 1
        if room <= 0:
            return


def fields_gone(partition: "Partition", key: bytes, horizon_unix_ms: int, count: int) -> None:
    """Let fields be over on a copy as they are on the primary, and take so many out."""
    found = partition.values.get(key)
    if isinstance(found, VolatileHash):
        found.advance(horizon_unix_ms)
        found.take_out(count)
        note_fields(partition, key, found)


def seen(partition: "Partition", value: "Value") -> "Value | None":
    """Give what is seen of a value while nothing may be deleted: of a hash, a copy without the fields that are over."""
    now_unix_ms = partition.ledger.now_unix_ms
    if not isinstance(value, VolatileHash) or (value.due_unix_ms() or LATEST_UNIX_MS) > now_unix_ms:
        return value
    if value.over_by(now_unix_ms):
        return None
    shown = value.copy()
    shown.advance(now_unix_ms)
    return shown


def is_drained(partition: "Partition", key: bytes) -> bool:
    """Tell whether a key holds a hash without a field whose deadline has not passed."""
    found = partition.values.get(key)
    return isinstance(found, VolatileHash) and found.over_by(partition.ledger.now_unix_ms)


def drain(partition: "Partition", key: bytes, value: object) -> None:
    """Have a hash freed bit by bit that has overdue fields only; the key is about to go."""
    if isinstance(value, VolatileHash):
        partition.volatile.pop(key, None)
        value.reveal()
        partition.ledger.rubbish.add(value)
