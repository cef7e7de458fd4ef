"""Data that lies here though the record gives it to others: deleted bit by bit."""

from collections.abc import Container, Iterable
from typing import Final

from respcache.cluster.effects import Dropped
from respcache.cluster.replication.storage import Storage

DROP_KEYS: Final = 2_000
"""Keys of surplus copies deleted in one step, exceeded by at most one partition."""


class Surplus:
    """The partitions of one node that are to go, and the count of what went."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._doomed: dict[int, bool] = {}
        """Partitions whose data is to go: whether this node was the primary."""
        self.dropped_keys = 0
        self.orphaned_keys = 0
        """Those of them that this node was the primary of when the record took them away."""

    def __len__(self) -> int:
        """How many partitions there are to delete."""
        return len(self._doomed)

    def doom(self, partition: int, *, was_primary: bool) -> None:
        """Delete a partition soon."""
        self._doomed[partition] = was_primary

    def spare(self, partition: int) -> bool:
        """Keep a partition after all; tell whether it was to go and this node had been its primary."""
        return self._doomed.pop(partition, False)

    def drop_some(self, *held: Container[int]) -> list[Dropped]:
        """Delete some of it, but nothing that is held again."""
        partitions: list[int] = []
        keys = orphaned = 0
        while self._doomed and keys < DROP_KEYS:
            partition, was_primary = self._doomed.popitem()
            if any(partition in holding for holding in held):
                continue
            dropped = self._storage.drop(partition)
            if dropped:
                partitions.append(partition)
                keys += dropped
                orphaned += dropped if was_primary else 0
        self.dropped_keys += keys
        self.orphaned_keys += orphaned
        return [Dropped(tuple(partitions), keys, orphaned)] if partitions else []

    def replaced(self, orphans: Iterable[tuple[int, int]]) -> list[Dropped]:
        """Take note of (partition, keys) that were deleted because a copy was made afresh over them."""
        gone = list(orphans)
        keys = sum(keys for _, keys in gone)
        self.dropped_keys += keys
        self.orphaned_keys += keys
        return [Dropped(tuple(partition for partition, _ in gone), keys, keys)] if gone else []
