"""How much memory the values of a node take: an estimate that is always at hand, and put right again and again.

An allocator that counts, as Redis' does, is not to be had in Python, and to weigh what each command
does would cost each command. So there are three sources, the cheapest first:

    the numbers of keys, compared many times a second: more or fewer of them, at the mean weight
    the values that commands on keys put or grow, while there is a limit to be kept (`acting`)
    a walk that weighs one partition after the other, all strings and samples of the rest
"""

from itertools import islice
from sys import getsizeof
from typing import Final

from respcache.cluster.ownership.slots import PARTITIONS
from respcache.store.aggregate import Aggregate
from respcache.store.indexed import MANY as MANY_KEYS
from respcache.store.indexed import Indexed
from respcache.store.keyspace import Store
from respcache.store.partition import Partition
from respcache.store.values import Value

HEADER_BYTES: Final = 48
"""What a string takes besides its bytes, and what makes up for the allocator, which rounds down then to 16."""
ROUNDING: Final = ~15
COLLECTION_BYTES: Final = 96
"""Objects that an aggregate consists of, apart from what grows with its elements."""
AGENDA_BYTES: Final = 70
"""What an agenda takes for each key with a deadline."""
DEADLINE_BYTES: Final = 32
"""An integer as large as a deadline."""
SAMPLES: Final = 8
"""Elements of an aggregate that are weighed for all of it."""
KEYSPACE_BYTES: Final = 520 * PARTITIONS
"""A database without keys: partitions, each with four dicts and a list."""
MEAN_BYTES: Final = 128
"""What a key and its value are taken for while none has been weighed."""
PART_BYTES: Final = 70
"""What a key takes in a part, of those that are kept in parts."""
FILLED: Final = 2_500
"""Keys that are put in parts in one go: a millisecond of work."""
WINDOW: Final = 20_000
"""Keys of one partition that are weighed for all of it, some milliseconds of work."""
MANY: Final = 1_000
"""Elements from which on an aggregate is weighed by itself."""
WEIGHED_COLLECTIONS: Final = 32
"""Smaller aggregates of a partition that are weighed for all of them."""
SPARSE_BYTES: Final = 192
"""Bytes of a dict for each key in it from which on it is made anew: dicts do not shrink by themselves."""
SMALL_BYTES: Final = 512
"""Dicts that are not worth it."""
ENTRY_BYTES: Final = 64
"""What a key takes in a dict, on average."""


def weight(value: Value | None) -> int:
    """Estimate the bytes of a value, in constant time."""
    if value is None:
        return 0
    if isinstance(value, Aggregate):
        return COLLECTION_BYTES + value.size_bytes(SAMPLES)
    return (len(value) + HEADER_BYTES) & ROUNDING


def entry_bytes(key: bytes) -> int:
    """Estimate what a key takes apart from its value."""
    return ((len(key) + HEADER_BYTES) & ROUNDING) + ENTRY_BYTES


class Scale:
    """Weighs what is in a store, and keeps `Ledger.weight_bytes` right."""

    def __init__(self, store: Store) -> None:
        self._store: Final = store
        self._next = 0
        """The partition that the walk comes to next, counted through all databases."""
        self._filling: Final[list[Indexed]] = []
        """Tables whose keys are being put in parts."""

    def count(self) -> None:
        """Take into account the keys that came or went without being weighed: some 30 us for each database used."""
        self._fill()
        ledger = self._store.ledger
        used = self._store.used()
        ledger.weight_bytes += KEYSPACE_BYTES * (len(used) - ledger.databases_weighed)
        ledger.databases_weighed = len(used)
        keys = weighed = 0
        is_right = True
        for space in used:
            for partition in space.partitions:
                known = partition.keys_weighed
                keys += known
                weighed += partition.weight_bytes
                if known != len(partition.values):
                    is_right = False
        if is_right:
            return
        mean = weighed // keys if keys else MEAN_BYTES
        for space in used:
            for partition in space.partitions:
                missed = len(partition.values) - partition.keys_weighed
                if missed:
                    known = partition.keys_weighed
                    each = partition.weight_bytes // known if known else mean
                    self._set(partition, max(0, partition.weight_bytes + missed * each))
                    if known + missed > MANY_KEYS and not isinstance(partition.values, Indexed):
                        partition.values = table = Indexed(partition.values)
                        self._filling.append(table)

    def _fill(self) -> None:
        """Go on with putting keys in parts that were there before."""
        filling = self._filling
        if filling:
            filling[0].advance(FILLED)
            if filling[0].is_filled:
                del filling[0]

    def walk(self) -> bool:
        """Weigh the next partition; True at the end of a round."""
        used = self._store.used()
        if not used:
            return True
        self._next = (self._next + 1) % (len(used) * PARTITIONS)
        space = used[self._next // PARTITIONS]
        self.weigh(space.partitions[self._next % PARTITIONS])
        return self._next == 0

    def weigh(self, partition: Partition) -> None:
        """Weigh what a partition holds, marks of keys that are gone and empty places dropped before."""
        count = len(partition.values)
        if not count:
            partition.clear()  # tables of keys that were there take memory, too
            self._set(partition, 0)
            return
        if len(partition.marks) > count:
            held = partition.values
            partition.marks = {key: mark for key, mark in partition.marks.items() if key in held}
        if SPARSE_BYTES * count + SMALL_BYTES < getsizeof(partition.values) and count <= WINDOW:
            partition.values = dict(partition.values)
        tables = getsizeof(partition.values) + getsizeof(partition.expires) + getsizeof(partition.marks)
        if isinstance(partition.values, Indexed):
            tables += PART_BYTES * count
        tables += DEADLINE_BYTES * (len(partition.expires) + len(partition.volatile)) + getsizeof(partition.volatile)
        if partition.agenda is not None:
            tables += AGENDA_BYTES * len(partition.expires)
        self._set(partition, tables + self._entries(partition, count))

    def _entries(self, partition: Partition, count: int) -> int:
        """Weigh keys and values, or as many of them as there is time for."""
        first = 0
        if count > WINDOW:
            first = int(self._store.ledger.rng.random() * min(count - WINDOW, WINDOW))
        strings = elements = weighed = weighed_elements = single = collections = 0
        for key, value in islice(partition.values.items(), first, first + WINDOW):
            strings += (len(key) + HEADER_BYTES) & ROUNDING
            if isinstance(value, Aggregate):
                size = len(value)
                if size >= MANY:
                    single += weight(value)
                    continue
                elements += size
                if collections < WEIGHED_COLLECTIONS:
                    collections += 1
                    weighed += weight(value)
                    weighed_elements += size
            else:
                strings += (len(value) + HEADER_BYTES) & ROUNDING
        looked_at = strings + single + (weighed * elements // weighed_elements if weighed_elements else 0)
        return looked_at * count // min(count, WINDOW)

    def _set(self, partition: Partition, weight_bytes: int) -> None:
        partition.ledger.weight_bytes += weight_bytes - partition.weight_bytes
        partition.weight_bytes, partition.keys_weighed = weight_bytes, len(partition.values)
