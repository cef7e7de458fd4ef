"""The record as the executor reads it: flat lists from partition to owner."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from respcache.cluster.ownership.slots import PARTITIONS, SLOTS_PER_PARTITION

if TYPE_CHECKING:
    from respcache.cluster.ownership.record import Record, Version

NO_VERSION: Final = (0, 0)


class Table:
    """Who serves what, by the newest record known here. The lists are edited in place, so they may be kept."""

    __slots__ = ("_alone", "_record", "changed", "primary", "since", "version")

    def __init__(self, partitions: int = PARTITIONS) -> None:
        self.primary: list[str] = [""] * partitions
        """The name of each partition's primary; empty while there is none."""
        self.version: Version = NO_VERSION
        """To be sent along with a relayed command."""
        self.since: list[Version] = [NO_VERSION] * partitions
        """The version by which each partition's primary was first seen here in its present epoch."""
        self.changed: Version = NO_VERSION
        """The newest of these."""
        self._record: Record | None = None
        self._alone = (NO_VERSION, "")
        """Of which version it is known which node is the primary of all, empty for none."""

    def show(self, record: "Record") -> None:
        """Take over a record."""
        before = record if self._record is None else self._record
        self._record = record
        self.version = record.version
        for number, entry in enumerate(record.entries):
            # Of the same name with another epoch: it was somebody else's in a version that was not heard of here.
            if self.primary[number] != entry.primary or before.entries[number].epoch != entry.epoch:
                self.primary[number], self.since[number] = entry.primary, record.version
                self.changed = record.version

    @property
    def quorum(self) -> str:
        """Who goes on in a split, in the words of the setting; empty without a record."""
        return "" if self._record is None else self._record.quorum.name.lower()

    def is_all_of(self, name: str) -> bool:
        """Whether a node is the primary of all partitions. Asked for with each script, found out once a version."""
        version, only = self._alone
        if version != self.version:
            names = set(self.primary)
            only = names.pop() if len(names) == 1 else ""
            self._alone = (self.version, only)
        return only == name

    def behind(self, version: "Version") -> bool:
        """Whether whoever sent `version` has seen a newer record than this node."""
        return version > self.version

    def changed_since(self, version: "Version", partitions: Iterable[int]) -> bool:
        """Whether the primary of any of these partitions has changed since a version.

        To the primary it means that whoever goes by that version took it for the primary, which it was not in
        between: of commands that were sent one after the other it may have refused the first ones.
        """
        return any(self.since[partition] > version for partition in partitions)

    def copies(self, partition: int) -> tuple[str, ...]:
        """Return the names of the copies in sync, the primary first."""
        if self._record is None:
            return ()
        entry = self._record.entries[partition]
        return (entry.primary, *(name for name in entry.in_sync if name != entry.primary)) if entry.primary else ()

    def ranges(self) -> list[tuple[int, int, tuple[str, ...]]]:
        """Return (first slot, last slot, copies) of neighbouring partitions with equal copies, in order of slots.

        Partitions without a primary are left out.
        """
        ranges: list[tuple[int, int, tuple[str, ...]]] = []
        for partition in range(len(self.primary)):
            copies = self.copies(partition)
            first = partition * SLOTS_PER_PARTITION
            last = first + SLOTS_PER_PARTITION - 1
            if not copies:
                continue
            if ranges and ranges[-1][1] == first - 1 and ranges[-1][2] == copies:
                ranges[-1] = (ranges[-1][0], last, copies)
            else:
                ranges.append((first, last, copies))
        return ranges
