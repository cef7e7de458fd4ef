"""A store of the plainest kind, with the commands that scenarios use."""

from collections.abc import Sequence
from zlib import crc32

from respcache.cluster.replication.storage import StoredKey


class ModelStore:
    """Partitions of keys in dicts. SET, APPEND, INCR, DEL, RENAME and FLUSHDB are its commands."""

    def __init__(self) -> None:
        self.partitions: dict[int, dict[StoredKey, bytes]] = {}

    def keys(self, partition: int) -> list[tuple[int, list[bytes]]]:
        """List a partition."""
        by_database: dict[int, list[bytes]] = {}
        for database, key in self.partitions.get(partition, ()):
            by_database.setdefault(database, []).append(key)
        return list(by_database.items())

    def dump(self, partition: int, database: int, key: bytes) -> bytes | None:
        """Return a value."""
        return self.partitions.get(partition, {}).get((database, key))

    def restore(self, partition: int, database: int, key: bytes, blob: bytes | None) -> None:
        """Put or delete a value."""
        values = self.partitions.setdefault(partition, {})
        if blob is None:
            values.pop((database, key), None)
        else:
            values[database, key] = blob

    def apply(self, partition: int, database: int, argv: list[bytes]) -> None:
        """Execute a command; one that does not fit changes nothing."""
        values = self.partitions.setdefault(partition, {})
        at = (database, argv[1]) if len(argv) > 1 else (database, b"")
        match argv[0]:
            case b"SET":
                values[at] = argv[2]
            case b"APPEND":
                values[at] = values.get(at, b"") + argv[2]
            case b"INCR":
                values[at] = b"%d" % (int(values.get(at, b"0")) + 1)
            case b"DEL":
                values.pop(at, None)
            case b"RENAME":
                if at in values:
                    values[database, argv[2]] = values.pop(at)
            case b"FLUSHDB":
                for stored in [stored for stored in values if stored[0] == database]:
                    del values[stored]
            case _:
                raise AssertionError(argv)

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
