"""A store of the plainest kind, with the commands that scenarios use."""

from collections.abc import Sequence
from typing import Final
from zlib import crc32

from respcache.cluster.replication.storage import StoredKey

PART: Final = 2**30
"""A quarter of all places: so there are keys that are listed later than others, and may change before."""


class ModelStore:
    """Partitions of keys in dicts. SET, SETNX, APPEND, INCR, DEL, RENAME, FLUSHDB and SWAPDB are its commands."""

    def __init__(self) -> None:
        self.partitions: dict[int, dict[StoredKey, bytes]] = {}
        self.uses: dict[tuple[int, int, bytes], bytes] = {}
        """How keys are used, by partition, database and key: no command here changes that."""

    def databases(self, partition: int) -> list[int]:
        """List the databases that have keys of a partition."""
        return sorted({database for database, _ in self.partitions.get(partition, ())})

    def keys(self, partition: int, database: int, place: int) -> tuple[list[bytes], int]:
        """List a part of a partition."""
        ends = place + PART
        listed = [key for number, key in self.partitions.get(partition, ()) if number == database]
        return [key for key in listed if place <= crc32(key) < ends], ends % 2**32

    def dump(self, partition: int, database: int, key: bytes) -> bytes | None:
        """Return a value."""
        return self.partitions.get(partition, {}).get((database, key))

    def cut(self, partition: int, database: int, key: bytes) -> "tuple[bytes, int] | Slices | None":
        """Return a value with the number of its words, or, if it has several bytes, in pieces."""
        value = self.dump(partition, database, key)
        if value is None:
            return None
        return Slices(value) if len(value) > 1 else (value, 1)

    def use(self, partition: int, database: int, key: bytes) -> bytes | None:
        """Return how a key is used, for those that have been told."""
        return self.uses.get((partition, database, key))

    def used(self, partition: int, database: int, key: bytes, use: bytes) -> None:
        """Note how a key is used."""
        self.uses[partition, database, key] = use

    def assemble(self, partition: int, database: int, key: bytes) -> "Joined":
        """Begin to put a value together."""
        return Joined(self, (partition, database, key))

    def restore(self, partition: int, database: int, key: bytes, blob: bytes | None) -> None:
        """Put or delete a value."""
        values = self.partitions.setdefault(partition, {})
        if blob is None:
            values.pop((database, key), None)
        else:
            values[database, key] = blob

    def apply(self, partition: int, database: int, argv: list[bytes]) -> None:
        """Execute a command for its effect."""
        self.execute(partition, database, argv)

    def execute(self, partition: int, database: int, argv: list[bytes]) -> int | bool:
        """Execute a command and return its reply; one that does not fit changes nothing."""
        values = self.partitions.setdefault(partition, {})
        at = (database, argv[1]) if len(argv) > 1 else (database, b"")
        reply: int | bool = True
        match argv[0]:
            case b"SET":
                values[at] = argv[2]
            case b"SETNX":
                reply = at not in values
                values.setdefault(at, argv[2])
            case b"APPEND":
                values[at] = values.get(at, b"") + argv[2]
                reply = len(values[at])
            case b"INCR":
                reply = int(values.get(at, b"0")) + 1
                values[at] = b"%d" % reply
            case b"DEL":
                reply = values.pop(at, None) is not None
            case b"RENAME":
                reply = at in values
                if reply:
                    values[database, argv[2]] = values.pop(at)
            case b"FLUSHDB" | b"SWAPDB":
                _rearrange(values, database, argv)
            case _:
                raise AssertionError(argv)
        return reply

    def digest(self, partition: int, database: int, key: bytes, salt: int) -> int:
        """Digest a value."""
        value = self.dump(partition, database, key)
        return 0 if value is None else crc32(value, salt)

    def count(self, partition: int) -> int:
        """Count the keys."""
        return len(self.partitions.get(partition, ()))

    def drop(self, partition: int) -> int:
        """Forget a partition."""
        return len(self.partitions.pop(partition, ()))

    def keys_of(self, database: int, argv: list[bytes]) -> Sequence[StoredKey]:
        """Return the keys of a command."""
        match argv[0]:
            case b"RENAME":
                return [(database, argv[1]), (database, argv[2])]
            case b"FLUSHDB":
                return []
            case _:
                return [(database, argv[1])]

    def databases_of(self, argv: list[bytes]) -> tuple[int, int] | None:
        """Return the databases that SWAPDB exchanges."""
        return (int(argv[1]), int(argv[2])) if argv[0] == b"SWAPDB" else None


def _rearrange(values: dict[StoredKey, bytes], database: int, argv: list[bytes]) -> None:
    """Empty a database, or exchange two."""
    if argv[0] == b"FLUSHDB":
        for stored in [stored for stored in values if stored[0] == database]:
            del values[stored]
        return
    one, other = int(argv[1]), int(argv[2])
    names = {one: other, other: one}
    exchanged = {(names.get(number, number), key): value for (number, key), value in values.items()}
    values.clear()
    values.update(exchanged)


class Slices:
    """A value in two to four pieces."""

    def __init__(self, value: bytes) -> None:
        size = -(-len(value) // 4)
        self._left = [value[at : at + size] for at in reversed(range(0, len(value), size))]

    @property
    def ended(self) -> bool:
        """Whether all are out."""
        return not self._left

    def next(self) -> tuple[bytes, int]:
        """Give one of them, which costs as much as a real one."""
        return self._left.pop(), 1_000


class Joined:
    """A value that comes in pieces."""

    def __init__(self, store: ModelStore, at: tuple[int, int, bytes]) -> None:
        self._store, self._at, self._value = store, at, b""

    def feed(self, piece: bytes) -> None:
        """Take a piece."""
        self._value += piece

    def place(self) -> None:
        """Put it in place."""
        self._store.restore(*self._at, self._value)
