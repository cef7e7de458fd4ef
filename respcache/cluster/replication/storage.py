"""What replication asks of a store: partitions of opaque values, and effects that are applied as they come."""

from collections.abc import Sequence
from typing import Final, Protocol
from zlib import crc32

StoredKey = tuple[int, bytes]
"""(database, key): the same key may live in several databases."""


class Pieces(Protocol):
    """A large value on its way out. It must not change meanwhile: whoever cuts it hears of all changes."""

    @property
    def ended(self) -> bool:
        """Whether the last piece was cut."""
        ...

    def next(self) -> tuple[bytes, int]:
        """Cut the next piece, in bounded time; give the number of its words, too, which is what it costs."""
        ...


class Assembly(Protocol):
    """A large value on its way in. Its key knows nothing of it before it is complete."""

    def feed(self, piece: bytes) -> None:
        """Take the next piece in, in bounded time."""
        ...

    def place(self) -> None:
        """Put the value in place of whatever its key holds: that was the last piece."""
        ...


class Storage(Protocol):
    """The data of one node, by partition. The store of the node and the model of the simulator are such.

    No call may fail: what was written by another node is taken as it is, and an effect that
    cannot be applied (on a copy that is still being made its key may be missing) changes nothing.
    """

    def databases(self, partition: int) -> list[int]:
        """Return the databases that have keys of a partition."""
        ...

    def keys(self, partition: int, database: int, place: int) -> tuple[list[bytes], int]:
        """Return the keys from a place on, up to another place, which is returned, too; 0: there are no more.

        In any order, in a new list; expired ones may be among them. The place of a key is its CRC-32. All may come at
        once, or some, so that a partition with a million keys is listed in bounded time; keys may come and go between.
        """
        ...

    def cut(self, partition: int, database: int, key: bytes) -> tuple[bytes, int] | Pieces | None:
        """Return value and expiry of a key, as bytes that `restore` understands and the number of their words.

        A large value is cut into pieces instead, for `assemble`; None when there is no such key.
        """
        ...

    def restore(self, partition: int, database: int, key: bytes, blob: bytes | None) -> None:
        """Put what `cut` returned in place of whatever the key holds; None deletes the key."""
        ...

    def use(self, partition: int, database: int, key: bytes) -> bytes | None:
        """Return how recently or how often a key is used, as bytes that `used` understands; None if nobody keeps that.

        It is no part of what `digest` digests: reading is not told to copies, and changes it.
        """
        ...

    def used(self, partition: int, database: int, key: bytes, use: bytes) -> None:
        """Note what `use` returned. What means nothing here changes nothing."""
        ...

    def assemble(self, partition: int, database: int, key: bytes) -> Assembly:
        """Begin to put a value together from its pieces."""
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

    def databases_of(self, argv: list[bytes]) -> tuple[int, int] | None:
        """Return the two databases of its partition that an effect exchanges; None if it does not."""
        ...


class KeyList:
    """The keys of a partition, to be gone through one after the other.

    A partition may have a million of them. So they are listed as far as it is come, by place, and what a database
    lists is held as it is: a pair for each key would take ten times as long.
    """

    __slots__ = ("_databases", "_partition", "_storage")

    def __init__(self, storage: Storage | None = None, partition: int = 0) -> None:
        """Begin with the first keys of each database; without a storage there are none."""
        self._storage: Final = storage
        self._partition: Final = partition
        self._databases: list[_Listed] = []
        for database in storage.databases(partition) if storage is not None else ():
            listed = _Listed(database)
            self._databases.append(listed)
            self._list(listed)
        self._settle()

    def __bool__(self) -> bool:
        """Whether there may be more. Of those that are to be listed all may turn out to be gone."""
        return bool(self._databases)

    def pop(self) -> StoredKey | None:
        """Take one; None if there was none in what was listed last."""
        listed = self._databases[-1]
        stored = None
        if listed.keys:
            stored = (listed.database, listed.keys.pop())
        if not listed.keys and listed.following:
            self._list(listed)
        self._settle()
        return stored

    def take(self, count: int) -> list[StoredKey]:
        """Take so many, or all."""
        taken: list[StoredKey] = []
        while self._databases and len(taken) < count:
            stored = self.pop()
            if stored is not None:
                taken.append(stored)
        return taken

    def has_yet_to_list(self, stored: StoredKey) -> bool:
        """Tell whether a key would be listed later, if it is there by then."""
        return any(
            listed.database == stored[0] and 0 < listed.following <= crc32(stored[1]) for listed in self._databases
        )

    def exchange(self, one: int, other: int) -> None:
        """Have what was listed of one database, or is to be, be of the other, and the reverse."""
        names = {one: other, other: one}
        for listed in self._databases:
            listed.database = names.get(listed.database, listed.database)

    def _list(self, listed: "_Listed") -> None:
        assert self._storage is not None
        listed.keys, listed.following = self._storage.keys(self._partition, listed.database, listed.following)

    def _settle(self) -> None:
        """Let go of databases of which there is nothing more."""
        while self._databases and not (self._databases[-1].keys or self._databases[-1].following):
            self._databases.pop()


class _Listed:
    """What is listed of one database."""

    __slots__ = ("database", "following", "keys")

    def __init__(self, database: int) -> None:
        self.database = database
        self.keys: list[bytes] = []
        self.following = 0
        """The place from which on it is to be listed; 0: none is left."""
