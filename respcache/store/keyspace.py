"""The databases of one node, each cut into partitions."""

from typing import Final

from respcache.cluster.ownership.slots import PARTITIONS, partition_of
from respcache.store.ledger import Ledger
from respcache.store.partition import Log, Partition

DATABASES: Final = 16
"""Databases that SELECT reaches, unless configured otherwise."""


class Keyspace:
    """One database: all its partitions, served by this node or not."""

    __slots__ = ("ledger", "number", "partitions")

    def __init__(self, number: int, ledger: Ledger) -> None:
        self.number: Final = number
        self.ledger: Final = ledger
        self.partitions: Final = [Partition(partition, number, ledger) for partition in range(PARTITIONS)]

    def at(self, key: bytes) -> Partition:
        """Find the partition that a key belongs to."""
        return self.partitions[partition_of(key)]

    def served(self) -> list[Partition]:
        """List the partitions whose keys this node answers for."""
        return [partition for partition in self.partitions if partition.serving]


class Store:
    """All databases of a node. A database takes memory once it is used."""

    def __init__(self, databases: int = DATABASES) -> None:
        self.ledger: Final = Ledger()
        self._keyspaces: Final[list[Keyspace | None]] = [None] * databases
        self._serving: Final = [True] * PARTITIONS
        self._logs: Final[list[Log | None]] = [None] * PARTITIONS

    def __len__(self) -> int:
        """Count the databases, used or not."""
        return len(self._keyspaces)

    def keyspace(self, database: int) -> Keyspace:
        """Give a database. Raises IndexError beyond the last one."""
        keyspace = self._keyspaces[database]
        if keyspace is None:
            keyspace = self._keyspaces[database] = Keyspace(database, self.ledger)
            for partition in keyspace.partitions:
                partition.serving = self._serving[partition.number]
                partition.log = self._logs[partition.number]
        return keyspace

    def used(self) -> list[Keyspace]:
        """List the databases that were ever used, by number."""
        return [keyspace for keyspace in self._keyspaces if keyspace is not None]

    def mark(self, number: int, *, serving: bool, log: Log | None) -> None:
        """Say of one partition, in every database, whether it is served and where effects go."""
        self._serving[number], self._logs[number] = serving, log
        for keyspace in self.used():
            partition = keyspace.partitions[number]
            partition.serving, partition.log = serving, log
