"""What replication asks of a store: partitions of opaque values, and effects that are applied as they come."""

from collections.abc import Iterable, Sequence
from typing import Protocol

StoredKey = tuple[int, bytes]
"""(database, key): the same key may live in several databases."""


class KeyList:
    """Keys to be gone through one after the other.

    It holds what a database lists of a partition as it is: a pair for each key would take ten times as long, and
    a partition may have a million keys.
    """

    __slots__ = ("_databases",)

    def __init__(self, databases: Iterable[tuple[int, list[bytes]]] = ()) -> None:
        self._databases = [(number, keys) for number, keys in databases if keys]

    def __bool__(self) -> bool:
        """Whether any are left."""
        return bool(self._databases)

    def pop(self) -> StoredKey:
        """Take one."""
        number, keys = self._databases[-1]
        key = keys.pop()
        if not keys:
            self._databases.pop()
        return number, key

    def take(self, count: int) -> list[StoredKey]:
        """Take so many, or all."""
        taken: list[StoredKey] = []
        while self._databases and len(taken) < count:
            taken.append(self.pop())
        return taken


class Storage(Protocol):
    """The data of one node, by partition. The store of the node and the model of the simulator are such.

    No call may fail: what was written by another node is taken as it is, and an effect that
    cannot be applied (on a copy that is still being made its key may be missing) changes nothing.
    """

    def keys(self, partition: int) -> list[tuple[int, list[bytes]]]:
        """Return all keys of a partition by database, in any order, in new lists; expired ones may be among them."""
        ...

    def dump(self, partition: int, database: int, key: bytes) -> bytes | None:
        """Return value and expiry of a key as bytes that `restore` understands; None when there is no such key."""
        ...

    def restore(self, partition: int, database: int, key: bytes, blob: bytes | None) -> None:
        """Put what `dump` returned in place of whatever the key holds; None deletes the key."""
        ...

    def apply(self, partition: int, database: int, argv: list[bytes]) -> None:
        """Execute an effect. One that names no key (FLUSHDB) is about this partition alone."""
        ...

    def digest(self, partition: int, database: int, key: bytes, salt: int) -> int:
        """Digest value and expiry of a key in 32 bits, in bounded time; 0 when there is no such key.

        Equal on equal copies, for the same salt. Of large values only parts need count, which the salt chooses.
        """
        ...

    def count(self, partition: int) -> int:
        """Count the keys of a partition in all databases."""
        ...

    def drop(self, partition: int) -> int:
        """Forget a partition in all databases and return how many keys that were."""
        ...

    def keys_of(self, database: int, argv: list[bytes]) -> Sequence[StoredKey]:
        """Return the keys that an effect reads or writes, those in another database (COPY ... DB) included."""
        ...
