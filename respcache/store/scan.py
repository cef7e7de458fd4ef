"""Walking through all keys by cursor, while they come and go. Pure.

Every key has a fixed *place*: its partition in the upper bits, the CRC-32 of the key in
the lower ones. A cursor is a place, and stands for everything from there on, so each that
was ever given stays valid: a key that is there all the time keeps its place and is seen
once, whatever was written, moved or handed over meanwhile. Keys of one place are never
parted. 0 is where a walk begins, and, given back, that it has ended.

Each node walks through what it serves. `merge` joins their answers into one: it lets the
walk go on where the first of them stopped, and leaves the keys behind that for later.
"""

import heapq
from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Final
from zlib import crc32

from respcache.cluster.ownership.slots import PARTITIONS, partition_of
from respcache.store.field_expiry import is_drained
from respcache.store.indexed import following, indexed
from respcache.store.keyspace import Keyspace
from respcache.store.partition import NEVER_UNIX_MS, Partition

PLACE_BITS: Final = 32
"""Bits of a place within its partition."""
_END: Final = PARTITIONS << PLACE_BITS

Wanted = Callable[[Partition, bytes], bool]
"""Tells whether the walk is for this key."""


def place(key: bytes) -> int:
    """Give the place of a key in every walk."""
    return partition_of(key) << PLACE_BITS | crc32(key)


def scan(space: Keyspace, cursor: int, count: int, wanted: Wanted | None = None) -> tuple[int, list[bytes]]:
    """Look at `count` keys or a few more from the cursor on; give the next cursor and the wanted ones.

    A step costs as much as the partitions have keys that it looks at, however few it takes from the last one: about
    a tenth of a microsecond each. Where the keys of a partition are kept by place it looks at few more than it takes.
    """
    found: list[bytes] = []
    start, within = cursor >> PLACE_BITS, cursor & ((1 << PLACE_BITS) - 1)
    room = count
    for partition in space.served():
        if partition.number < start or not partition.values:
            continue
        if room <= 0:
            return partition.number << PLACE_BITS, found
        stop, keys = _step(partition, within if partition.number == start else 0, room)
        room -= len(keys)
        found += keys if wanted is None else [key for key in keys if wanted(partition, key)]
        if stop is not None:
            return partition.number << PLACE_BITS | stop, found
    return 0, found


def merge(answers: Iterable[tuple[int, list[bytes]]]) -> tuple[int, list[bytes]]:
    """Join what several nodes answered to one cursor and count. Together they must serve every partition."""
    listed = list(answers)
    stop = min((cursor or _END for cursor, _ in listed), default=_END)
    keys = [key for cursor, keys in listed for key in keys if (cursor or _END) == stop or place(key) < stop]
    return stop % _END, keys


def _step(partition: Partition, within: int, room: int) -> tuple[int | None, list[bytes]]:
    """Take the first `room` keys from `within` on, and all of the last one's place; None: there are no more."""
    if indexed(partition.values) is not None:
        return _step_by_parts(partition, within, room)
    keys = list(partition.live_keys())
    if not within and len(keys) <= room:
        return None, keys
    placed = [(at, key) for key in keys if (at := crc32(key)) >= within]
    if len(placed) <= room:
        return None, [key for _, key in placed]
    last = heapq.nsmallest(room, placed)[-1][0]
    rest = [at for at, _ in placed if at > last]
    return min(rest, default=None), [key for at, key in placed if at <= last]


def _step_by_parts(partition: Partition, within: int, room: int) -> tuple[int | None, list[bytes]]:
    """Do the same where keys are listed part by part; the next place may be one of no key."""
    found: list[bytes] = []
    while True:
        keys, following_place = following(partition.values, within)
        placed = sorted([(crc32(key), key) for key in keys if _is_live(partition, key)])
        left = room - len(found)
        if len(placed) > left:
            last = placed[left - 1][0] if left else -1
            taken = bisect_left(placed, (last + 1, b""))
            found += [key for _, key in placed[:taken]]
            if taken < len(placed):
                return placed[taken][0], found
        else:
            found += [key for _, key in placed]
        if not following_place:
            return None, found
        if len(found) >= room:
            return following_place, found
        within = following_place


def _is_live(partition: Partition, key: bytes) -> bool:
    """Tell whether a key has not expired. Nothing is changed."""
    now = partition.ledger.now_unix_ms
    if partition.due_unix_ms > now:
        return True
    if partition.expires.get(key, NEVER_UNIX_MS) <= now:
        return False
    return partition.volatile.get(key, NEVER_UNIX_MS) > now or not is_drained(partition, key)
