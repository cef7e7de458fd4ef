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

    def exchange(self, one: int, other: int) -> None:
        """Have what was listed of one database be of the other, and the reverse."""
        names = {one: other, other: one}
        self._databases = [(names.get(number, number), keys) for number, keys in self._databases]

    def take(self, count: int) -> list[StoredKey]:
        """Take so many, or all."""
        taken: list[StoredKey] = []
        while self._databases and len(taken) < count:
            taken.append(self.pop())
        return taken


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

    def keys(self, partition: int) -> list[tuple[int, list[bytes]]]:
        """Return all keys of a partition by database, in any order, in new lists; expired ones may be among them."""
        ...

    def cut(self, partition: int, database: int, key: bytes) -> tuple[bytes, int] | Pieces | None:
        """Return value and expiry of a key, as bytes that `restore` understands and the number of their words.

        A large value is cut into pieces instead, for `assemble`; None when there is no such key.
        """
        ...

    def restore(self, partition: int, database: int, key: bytes, blob: bytes | None) -> None:
        """Put what `cut` returned in place of whatever the key holds; None deletes the key."""
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
