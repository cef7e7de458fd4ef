"""What commands of a script work on: the data of this node, or a scratch store of a transaction.

A script begins on the data. One that names a key of another node is stopped, what it wrote is undone (`Undo`), and
it is run on a scratch store instead; see `reach`. There whatever it names that is not locked is taken down, and
answered as if it were not there, just to see what it names next.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from time import perf_counter_ns
from typing import Final, Protocol

from respcache.cluster.ownership.slots import partition_of
from respcache.commands.arguments import option
from respcache.commands.registry import Command, Flags
from respcache.commands.replay import keys_named
from respcache.commands.stage import Declared, Wandered
from respcache.engine.acting import act, answer, check_pairs, on_key, unclean
from respcache.engine.reach import Reach
from respcache.errors import ClusterDown, CommandError
from respcache.glob import matcher
from respcache.monitors import SCRIPT, Monitors
from respcache.reply import Reply
from respcache.stats import Stats
from respcache.store.copies import StoredKey, entry_effect
from respcache.store.keyspace import Keyspace, Store
from respcache.store.partition import Argv, Log
from respcache.store.scale import weight
from respcache.store.values import Value, copied
from respcache.strand import Hold

KEPT_MAX_BYTES: Final = 64 * 1024
"""Values that weigh more are not copied before a script writes to them: that could take longer than the script."""
GUESSES_MAX: Final = 10_000
"""Commands that a script may give once it goes on without all its keys."""


class Lease(Protocol):
    """Until when this node may serve."""

    lease_ends_ns: int
    """On the clock of `perf_counter_ns`."""

    def end_lease(self) -> None:
        """Serve nothing more, unless the lease turns out to last."""


class OutOfReach(CommandError):
    """A script has named a key that it cannot reach any more; what it wrote before stays."""

    def __init__(self) -> None:
        super().__init__("Script attempted to access a non local key in a cluster node")


class TooMuchWritten(CommandError):
    """Copies are told of all that a script writes, or of nothing; the write that is refused was certainly not done."""

    def __init__(self) -> None:
        super().__init__("the script writes more than copies can be told at once (see unacked-limit)")


class WholeDatabase(CommandError):
    """A script has asked for all keys of a database, of which its node has a part; nothing was done."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is about the keys of all nodes, and a script reaches those of one node")


class Undo:
    """What keys held before a run wrote to them, so that it can be undone.

    kept --a large value written by scripts that are homely--> spoiled
    """

    __slots__ = ("_before", "_homely", "_noted", "_store", "is_spoiled", "strayed", "wandered")

    def __init__(self, store: Store, *, homely: bool) -> None:
        """`homely` says whether all scripts that take part are; see `commands.stage.Habit`."""
        self._store: Final = store
        self._homely: Final = homely
        self._before: Final[dict[StoredKey, tuple[Value | None, int | None]]] = {}
        self._noted: Final = store.ledger.journal.noted
        self.is_spoiled = False
        """Whether not all that was written can be undone."""
        self.strayed = False
        """Whether a key was named in a partition without any declared key."""
        self.wandered = False
        """Whether a key was named that is out of reach."""

    def note(self, row: Command, argv: Argv, database: int) -> None:
        """Keep what a command is about to change. Raises Wandered if that is too much, unless scripts are homely."""
        for stored in keys_named(row, database, argv, len(self._store)):
            if stored in self._before:
                continue
            number, key = stored
            partition = self._store.keyspace(number).at(key)
            value = partition.values.get(key)
            if value is not None and not isinstance(value, bytes) and weight(value) > KEPT_MAX_BYTES:
                if not self._homely:
                    raise Wandered
                self.is_spoiled = True
                continue
            self._before[stored] = (None if value is None else copied(value), partition.deadline(key))

    def back(self) -> None:
        """Give all keys back what they held, and tell the copies."""
        for (number, key), (value, deadline) in self._before.items():
            partition = self._store.keyspace(number).at(key)
            partition.restore(key, value, deadline)
            partition.rewrite(entry_effect(partition, key))
            partition.ship(None)
        self._before.clear()
        self._store.ledger.journal.cut(self._noted)


class OnData:
    """The keys that this node serves; those of the partitions that the script has declared or reached in any case.

    Its own write can end the serving of a partition, where somebody waits for the key, and the script goes on there.
    Implements `commands.stage.Ground`.
    """

    is_astray: Final = False

    def __init__(
        self,
        lease: Lease,
        keyspace: Keyspace,
        reached: set[int],
        *,
        hold: Hold,
        whole: Callable[[], bool],
        undo: Undo | None,
        monitors: Monitors | None,
        stats: Stats,
    ) -> None:
        """`reached` has the partitions of the declared keys, and of all that is run as one with this script.

        Those that the script comes to are added, and all are forgotten when the lease ends. `hold` has what was
        locked for the script if it has rested. `whole` tells
        whether this node has all there are; then there is no `undo`. `monitors` are shown what is called.
        """
        self._lease: Final = lease
        self._hold: Final = hold
        self._store: Final = keyspace.store
        self._whole: Final = whole
        self._monitors: Final = monitors
        self._stats: Final = stats
        self._reached: Final = reached
        self._declared: Final = frozenset(reached) if undo is not None else frozenset()
        self._undo: Final = undo
        self._afterwards: list[Callable[[], object]] = []
        self._lapsed = False
        self._untold_before: Final = hold.untold_bytes
        self.declared: Declared | None = None
        """Told when the script reads and writes, if its client caches what it reads."""
        self.database: Final = keyspace.number
        self.written: Final[set[int]] = set()
        """The partitions that the script has written to."""
        self.logs: Final[list[Log]] = []
        """Until when the reply of the script has to wait."""

    def afterwards(self, say: Callable[[], object]) -> None:
        """Say something once the script has ended, unless it is undone."""
        self._afterwards.append(say)

    def ended(self) -> None:
        """Take note that the script has ended, and counts."""
        for say in self._afterwards:
            say()

    def run(self, row: Command, argv: Argv, database: int) -> Reply:
        """Run a command. Raises CommandError, OutOfReach and TooMuchWritten among them, or Wandered."""
        if perf_counter_ns() >= self._lease.lease_ends_ns:  # the script has been running for long
            self._lease.end_lease()
            self._lapsed = True
            self._reached.clear()
        if row.writes and self._hold.untold_bytes - self._untold_before > self._hold.untold_max_bytes:
            self._stats.writes_rejected["unacked"] += 1
            raise TooMuchWritten
        if self.declared is not None:
            self._tell(self.declared, row)
        monitors = self._monitors
        if monitors is not None and monitors.is_on:
            if self._undo is None:
                monitors.show(SCRIPT, database, argv)
            else:
                self.afterwards(lambda: monitors.show(SCRIPT, database, argv))
        space = self._store.keyspace(database)
        return self._on_key(row, argv, space) if row.key_at else self._on_keys(row, argv, space)

    def _on_key(self, row: Command, argv: Argv, space: Keyspace) -> Reply:
        partition = space.at(argv[row.key_at])
        if not partition.serving and not self._is_mine(partition.number):
            raise self._refusal()
        self._reached.add(partition.number)
        if self._undo is not None:
            self._note(self._undo, row, argv, space.number, (partition.number,))
        try:
            reply, log = on_key(row, argv, partition)
        except CommandError:
            self.logs.extend(unclean(space, (partition.number,)))
            raise
        if row.writes:
            self.written.add(partition.number)
        if log is not None:
            self.logs.append(log)
        return reply

    def _on_keys(self, row: Command, argv: Argv, space: Keyspace) -> Reply:
        partitions = self._partitions(row, argv, space)
        if self._undo is not None:
            self._note(self._undo, row, argv, space.number, partitions)
        try:
            reply, logs = act(row, argv, space, partitions)
        except CommandError:
            self.logs.extend(unclean(space, partitions))
            raise
        if row.writes:
            self.written.update(partitions)
        self.logs.extend(logs)
        return reply

    def _tell(self, declared: Declared, row: Command) -> None:
        if row.writes:
            declared.writes()
        elif Flags.READONLY in row.flags:
            declared.reads()

    @property
    def is_lost(self) -> bool:
        """Whether keys went to another node while the script rested."""
        return not self._hold.is_intact

    @property
    def full(self) -> bool:
        """Whether this node has no memory for more."""
        return self._store.ledger.full

    def _note(self, undo: Undo, row: Command, argv: Argv, database: int, partitions: tuple[int, ...]) -> None:
        if not self._declared.issuperset(partitions):
            undo.strayed = True
        if row.writes:
            undo.note(row, argv, database)

    def _is_mine(self, number: int) -> bool:
        return number in self._reached or self._hold.has(number)

    def _refusal(self) -> Exception:
        if self._lapsed:
            return ClusterDown()
        if self._undo is None:
            return OutOfReach()
        self._undo.wandered = True
        return OutOfReach() if self._undo.is_spoiled else Wandered()

    def _partitions(self, row: Command, argv: Argv, space: Keyspace) -> tuple[int, ...]:
        if not row.keys.names_keys:
            partitions = self._of_database(row, argv, space)
        else:
            partitions = self._served([partition_of(key) for key in row.keys.of(argv)], space)
            if row.beyond is not None:
                more = [partition_of(key) for key in row.beyond(space, argv)]
                partitions = self._served([*partitions, *more], space)
        return self._served(partitions, space)

    def _served(self, numbers: Iterable[int], space: Keyspace) -> tuple[int, ...]:
        """Give the partitions, each once, that are reached. Raises CommandError if any of them cannot be."""
        partitions = tuple(sorted(set(numbers)))
        if any(not space.partitions[number].serving and not self._is_mine(number) for number in partitions):
            raise self._refusal()
        self._reached.update(partitions)
        return partitions

    def _of_database(self, row: Command, argv: Argv, space: Keyspace) -> tuple[int, ...]:
        """Tell which partitions a command on a whole database is about: the one that all keys it means must be in."""
        if row.on_keys is not None and self._whole():
            if self._lapsed:
                raise self._refusal()
            return tuple(range(len(space.partitions)))
        tagged = tagged_partition(row, argv)
        if tagged is None and row.name == "KEYS":
            raise self._refusal()
        if tagged is None:
            raise WholeDatabase(row.name)
        return (tagged,)


class OnScratch:
    """The locked keys of a transaction, in a store of their own. Implements `commands.stage.Ground`.

    A key that is not among them is noted, and answered as if it did not exist: such a run only tells which keys
    are missing. KEYS is answered by what all owners have listed before, and for the locked keys by what they are now.
    """

    is_lost: Final = False
    """The owners tell when it is to be committed."""
    full: Final = False
    """There is memory: the owners were asked, when the keys were locked."""

    def __init__(
        self,
        store: Store,
        database: int,
        keys: AbstractSet[StoredKey],
        listed: Mapping[StoredKey, list[bytes]],
        missing: Reach,
    ) -> None:
        """`listed` are the keys that match a pattern in a database; `missing` takes what is asked for and not there."""
        self._store: Final = store
        self._keys: Final = keys
        self._listed: Final = listed
        self._missing: Final = missing
        self._afterwards: list[Callable[[], object]] = []
        self._guesses = 0
        self.database: Final = database

    @property
    def is_astray(self) -> bool:
        """Whether keys are missing."""
        return self._missing.is_any

    def afterwards(self, say: Callable[[], object]) -> None:
        """Say something once the transaction is committed."""
        self._afterwards.append(say)

    def ended(self) -> None:
        """Take note that what the script did counts."""
        for say in self._afterwards:
            say()

    def run(self, row: Command, argv: Argv, database: int) -> Reply:
        """Run a command. Raises CommandError, or Wandered."""
        if row.name == "KEYS":
            return self._matching(database, argv[1])
        if not row.keys.names_keys:
            raise WholeDatabase(row.name)
        space = self._store.keyspace(database)
        named = keys_named(row, database, argv, len(self._store))
        if row.beyond is not None:
            named = [*named, *((database, key) for key in row.beyond(space, argv))]
        self._missing.keys.update([stored for stored in named if stored not in self._keys])
        if self._missing.is_any:
            self._guesses += 1
            if self._guesses > GUESSES_MAX:
                raise Wandered
        if row.key_at:
            return answer(row, argv, space.at(argv[row.key_at]))
        check_pairs(row, argv)
        assert row.on_keys is not None
        return row.on_keys(space, argv)

    def _matching(self, database: int, pattern: bytes) -> Reply:
        """List the keys that match a pattern: those that others own as they were a moment ago."""
        listed = self._listed.get((database, pattern))
        if listed is None:
            self._missing.patterns.add((database, pattern))
            listed = []
        matches, space = matcher(pattern), self._store.keyspace(database)
        found: list[Reply] = [key for key in listed if (database, key) not in self._keys]
        own = [key for number, key in self._keys if number == database and matches(key)]
        found += [key for key in own if space.at(key).value(key) is not None]
        return found


def tagged_partition(row: Command, argv: Argv) -> int | None:
    """Give the one partition that KEYS or SCAN can find keys in, if the pattern says a hash tag."""
    pattern = b""
    if row.name == "KEYS":
        pattern = argv[1]
    elif row.name == "SCAN":
        places = [at for at in range(2, len(argv) - 1, 2) if option(argv[at]) == b"MATCH"]
        pattern = argv[places[-1] + 1] if places else b""
    tag = TAGGED.match(pattern)
    return None if tag is None else partition_of(tag[0])


TAGGED: Final = re.compile(rb"[^{*?[\\]*\{[^}*?[\\]+\}")
"""How a pattern begins all of whose matches have the same hash tag."""
