"""The databases of one node, each cut into partitions."""

from collections.abc import Callable, Iterable
from typing import Final

from respcache.cluster.ownership.slots import PARTITIONS, partition_of
from respcache.store.ledger import Ledger
from respcache.store.partition import Log, Partition

DATABASES: Final = 16
"""Databases that SELECT reaches, unless configured otherwise."""


class Keyspace:
    """One database: all its partitions, served by this node or not."""

    __slots__ = ("_scope", "ledger", "number", "partitions", "store")

    def __init__(self, number: int, store: "Store", partitions: list[Partition] | None = None) -> None:
        ledger = store.ledger
        self.number: Final = number
        self.store: Final = store
        """For the few commands that reach into other databases (COPY, MOVE, FLUSHALL)."""
        self.ledger: Final = ledger
        self.partitions: Final = partitions or [Partition(partition, number, ledger) for partition in range(PARTITIONS)]
        self._scope: tuple[int, ...] | None = None

    def only(self, partitions: tuple[int, ...]) -> "Keyspace":
        """Give the same database, of which a command shall see these partitions and no others."""
        view = Keyspace(self.number, self.store, self.partitions)
        view._scope = partitions
        return view

    def databases(self) -> "list[Keyspace]":
        """List all databases that were ever used, each to the same extent as this one."""
        used = self.store.used()
        return used if self._scope is None else [database.only(self._scope) for database in used]

    def at(self, key: bytes) -> Partition:
        """Find the partition that a key belongs to."""
        return self.partitions[partition_of(key)]

    def serves(self, numbers: tuple[int, ...]) -> bool:
        """Tell whether this node serves all these partitions."""
        partitions = self.partitions
        for number in numbers:  # noqa: SIM110 # most often one, and a generator is a fiftieth of a short script
            if not partitions[number].serving:
                return False
        return True

    def served(self) -> list[Partition]:
        """List the partitions that a command is about; for one that was given none, all that this node serves.

        Whoever gave some has seen to it that they may be read: not all of these are served to everybody.
        """
        if self._scope is None:
            return [partition for partition in self.partitions if partition.serving]
        return [self.partitions[number] for number in self._scope]


class Store:
    """All databases of a node. A database takes memory once it is used."""

    def __init__(self, databases: int = DATABASES, *, ledger: Ledger | None = None) -> None:
        self.ledger: Final = ledger or Ledger()
        self._keyspaces: Final[list[Keyspace | None]] = [None] * databases
        self._serving: Final = [True] * PARTITIONS
        self._logs: Final[list[Log | None]] = [None] * PARTITIONS
        self.flushed: Callable[[], None] = _unheard
        """Called when a command has deleted all keys of a database, be there any or not."""

    def scratch(self) -> "Store":
        """Make an empty store with as many databases and the same limits, for what is not to be seen yet.

        What goes there is freed with what goes here.
        """
        return Store(len(self), ledger=Ledger(limits=self.ledger.limits, rubbish=self.ledger.rubbish))

    def __len__(self) -> int:
        """Count the databases, used or not."""
        return len(self._keyspaces)

    def keyspace(self, database: int) -> Keyspace:
        """Give a database. Raises IndexError beyond the last one."""
        keyspace = self._keyspaces[database]
        if keyspace is None:
            keyspace = self._keyspaces[database] = Keyspace(database, self)
            for partition in keyspace.partitions:
                partition.serving = self._serving[partition.number]
                partition.log = self._logs[partition.number]
                partition.unsafe = partition.log is not None
        return keyspace

    def used(self) -> list[Keyspace]:
        """List the databases that were ever used, by number."""
        return [keyspace for keyspace in self._keyspaces if keyspace is not None]

    def count(self, partitions: Iterable[int]) -> int:
        """Count the keys of partitions in all databases, those of copies among them."""
        used = self.used()
        return sum(len(keyspace.partitions[number].values) for number in partitions for keyspace in used)

    def mark(self, number: int, *, serving: bool, log: Log | None) -> None:
        """Say of one partition, in every database, whether it is served and where effects go."""
        self._serving[number], self._logs[number] = serving, log
        for keyspace in self.used():
            partition = keyspace.partitions[number]
            partition.serving, partition.log = serving, log
            partition.unsafe = log is not None


def _unheard() -> None:
    """Tell nobody."""
