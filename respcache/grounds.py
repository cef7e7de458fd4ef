"""What commands of a script work on: the data of this node, or a scratch store of a transaction."""

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from time import perf_counter_ns
from typing import Final, Protocol

from respcache.acting import act, answer, check_pairs, on_key
from respcache.cluster.ownership.slots import partition_of
from respcache.commands.registry import Command
from respcache.commands.replay import keys_named
from respcache.errors import ClusterDown, CommandError
from respcache.monitors import SCRIPT, Monitors
from respcache.reply import Reply
from respcache.store.copies import StoredKey
from respcache.store.keyspace import Keyspace, Store
from respcache.store.partition import Argv, Log


class Lease(Protocol):
    """Until when this node may serve."""

    lease_ends_ns: int
    """On the clock of `perf_counter_ns`."""

    def end_lease(self) -> None:
        """Serve nothing more, unless the lease turns out to last."""


class OutOfReach(CommandError):
    """A script has named a key that it cannot reach: another node owns it, or it was not declared; nothing was done."""

    def __init__(self) -> None:
        super().__init__("Script attempted to access a non local key in a cluster node")


class WholeDatabase(CommandError):
    """A script has asked for all keys of a database, of which its node has a part; nothing was done."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is about the keys of all nodes, and a script reaches those of one")


class OnData:
    """The keys that this node serves; those of the partitions that the script has declared or reached in any case.

    Its own write can end the serving of a partition, where somebody waits for the key, and the script goes on there.
    Implements `commands.stage.Ground`.
    """

    def __init__(
        self,
        lease: Lease,
        keyspace: Keyspace,
        reached: set[int],
        *,
        whole: Callable[[], bool],
        monitors: Monitors | None = None,
    ) -> None:
        """`reached` has the partitions of the declared keys, and of all that is run as one with this script.

        Those that the script comes to are added, and all are forgotten when the lease ends. `whole` tells
        whether this node has all there are; `monitors` are shown what is called.
        """
        self._lease: Final = lease
        self._store: Final = keyspace.store
        self._whole: Final = whole
        self._monitors: Final = monitors
        self._reached: Final = reached
        self._lapsed = False
        self.database: Final = keyspace.number
        self.logs: Final[list[Log]] = []
        """Until when the reply of the script has to wait."""

    def run(self, row: Command, argv: Argv, database: int) -> Reply:
        """Run a command. Raises CommandError, OutOfReach among them."""
        if perf_counter_ns() >= self._lease.lease_ends_ns:  # the script has been running for long
            self._lease.end_lease()
            self._lapsed = True
            self._reached.clear()
        if self._monitors is not None:
            self._monitors.show(SCRIPT, database, argv)
        space = self._store.keyspace(database)
        if row.key_at:
            partition = space.at(argv[row.key_at])
            if not partition.serving and partition.number not in self._reached:
                raise self._refusal
            self._reached.add(partition.number)
            reply, log = on_key(row, argv, partition)
            if log is not None:
                self.logs.append(log)
            return reply
        reply, unclean = act(row, argv, space, self._partitions(row, argv, space))
        self.logs.extend(unclean)
        return reply

    @property
    def full(self) -> bool:
        """Whether this node has no memory for more."""
        return self._store.ledger.full

    @property
    def _refusal(self) -> CommandError:
        return ClusterDown() if self._lapsed else OutOfReach()

    def _partitions(self, row: Command, argv: Argv, space: Keyspace) -> tuple[int, ...]:
        if not row.keys.names_keys:
            if row.on_keys is None or not self._whole():
                raise WholeDatabase(row.name)
            if self._lapsed:
                raise self._refusal
            partitions = tuple(range(len(space.partitions)))
        else:
            partitions = self._served([partition_of(key) for key in row.keys.of(argv)], space)
            if row.beyond is not None:
                more = [partition_of(key) for key in row.beyond(space, argv)]
                partitions = self._served([*partitions, *more], space)
        return self._served(partitions, space)

    def _served(self, numbers: Iterable[int], space: Keyspace) -> tuple[int, ...]:
        """Give the partitions, each once, that are reached. Raises CommandError if any of them cannot be."""
        partitions = tuple(sorted(set(numbers)))
        if any(not space.partitions[number].serving and number not in self._reached for number in partitions):
            raise self._refusal
        self._reached.update(partitions)
        return partitions


class OnScratch:
    """The locked keys of a transaction, in a store of their own. Implements `commands.stage.Ground`."""

    def __init__(self, store: Store, database: int, keys: AbstractSet[StoredKey]) -> None:
        self._store: Final = store
        self._keys: Final = keys
        self.database: Final = database

    @property
    def full(self) -> bool:
        """Whether there is no memory for more: the owners were asked before, when the keys were locked."""
        return False

    def run(self, row: Command, argv: Argv, database: int) -> Reply:
        """Run a command. Raises CommandError, OutOfReach among them."""
        if not row.keys.names_keys:
            raise WholeDatabase(row.name)
        space = self._store.keyspace(database)
        named = keys_named(row, database, argv, len(self._store))
        if not self._keys >= {*named, *_beyond(row, argv, space)}:
            raise OutOfReach
        if row.key_at:
            return answer(row, argv, space.at(argv[row.key_at]))
        check_pairs(row, argv)
        assert row.on_keys is not None
        return row.on_keys(space, argv)


def _beyond(row: Command, argv: Argv, space: Keyspace) -> list[StoredKey]:
    """List the keys that a command reads besides those that it names."""
    return [] if row.beyond is None else [(space.number, key) for key in row.beyond(space, argv)]
