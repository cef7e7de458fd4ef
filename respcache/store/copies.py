"""The store as replication sees it: partitions of opaque entries.

What arrives here was done by a primary already. Nothing is refused or has an effect of
its own, and what cannot be read is as if absent: a cache may miss, it must not stop.
"""

from typing import Final

from respcache.store.digest import digest
from respcache.store.indexed import following
from respcache.store.keyspace import Store
from respcache.store.partition import Argv, Partition
from respcache.store.pieces import Assembly, Cutter, cut
from respcache.store.snapshot import NotASnapshot, dump_entry, load_entry

ENTRY: Final = b"ENTRY"
"""An effect of this name gives a key the state in its blob, or, without one, deletes it."""

StoredKey = tuple[int, bytes]
"""(database, key)."""


class Copies:
    """All databases of a node, by partition number. `commands.replay` adds the effects that are commands."""

    def __init__(self, store: Store) -> None:
        self.store: Final = store
        self.unreadable = 0
        """Entries that were dropped because nothing here can read them."""

    def databases(self, partition: int) -> list[int]:
        """List the databases that have keys of a partition."""
        return [space.number for space in self.store.used() if space.partitions[partition].values]

    def keys(self, partition: int, database: int, place: int) -> tuple[list[bytes], int]:
        """List keys from a place on, and tell up to which place that is; expired ones may be among them."""
        return following(self.store.keyspace(database).partitions[partition].values, place)

    def dump(self, partition: int, database: int, key: bytes) -> bytes | None:
        """Give value and deadline of a key as bytes, expired or not; None if there is no such key."""
        return _entry(self.store.keyspace(database).partitions[partition], key)

    def cut(self, partition: int, database: int, key: bytes) -> tuple[bytes, int] | Cutter | None:
        """Give the same with the number of its words, or, of a large value, what cuts it into pieces."""
        held = self.store.keyspace(database).partitions[partition]
        value = held.values.get(key)
        return None if value is None else cut(value, held.deadline(key))

    def assemble(self, partition: int, database: int, key: bytes) -> "Arrival":
        """Begin to put a large value together."""
        return Arrival(self, self.store.keyspace(database).partitions[partition], key)

    def restore(self, partition: int, database: int, key: bytes, blob: bytes | None) -> None:
        """Put an entry in place of whatever the key holds; None deletes the key."""
        value, deadline = None, None
        if blob is not None:
            try:
                value, deadline = load_entry(blob)
            except NotASnapshot:
                self.unreadable += 1
        self.store.keyspace(database).partitions[partition].restore(key, value, deadline)

    def use(self, partition: int, database: int, key: bytes) -> bytes | None:
        """Tell how a key that is there is used, as bytes; None if there is nothing to tell."""
        return self.store.ledger.usage.write(self.store.keyspace(database).partitions[partition], key)

    def used(self, partition: int, database: int, key: bytes, use: bytes) -> None:
        """Note how a key was used elsewhere, if it is there and anybody wants to know."""
        held, ledger = self.store.keyspace(database).partitions[partition], self.store.ledger
        if key in held.values:
            ledger.usage.read(held, key, use, ledger.now_unix_ms)

    def digest(self, partition: int, database: int, key: bytes, salt: int) -> int:
        """Digest value and deadline of a key, expired or not; 0 if there is no such key."""
        held = self.store.keyspace(database).partitions[partition]
        value = held.values.get(key)
        return 0 if value is None else digest(value, held.deadline(key), salt)

    def count(self, partition: int) -> int:
        """Count the keys of a partition, expired ones included."""
        return sum(len(space.partitions[partition].values) for space in self.store.used())

    def drop(self, partition: int) -> int:
        """Forget a partition in all databases, and return how many keys went; their memory is freed bit by bit."""
        return sum(space.partitions[partition].clear() for space in self.store.used())


class Arrival(Assembly):
    """An entry that comes in pieces."""

    __slots__ = ("_copies", "_key", "_partition")

    def __init__(self, copies: Copies, partition: Partition, key: bytes) -> None:
        super().__init__()
        self._copies: Final = copies
        self._partition: Final = partition
        self._key: Final = key

    def place(self) -> None:
        """Put it in place of whatever the key holds; what cannot be read deletes the key."""
        value, deadline = None, None
        try:
            value, deadline = self.done()
        except NotASnapshot:
            self._copies.unreadable += 1
        self._partition.restore(self._key, value, deadline)


def entry_effect(partition: Partition, key: bytes) -> Argv:
    """Make the effect that gives a key the state that it has here."""
    blob = _entry(partition, key)
    return [ENTRY, key] if blob is None else [ENTRY, key, blob]


def _entry(partition: Partition, key: bytes) -> bytes | None:
    value = partition.values.get(key)
    return None if value is None else dump_entry(value, partition.deadline(key))
