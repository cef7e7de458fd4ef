"""Commands on keys of several owners: all locked, run on one node, committed to each.

The node that has the client runs the transaction:

    lock the partitions at their primaries, in ascending order, and read the keys
    run the handler on a scratch store that holds just these keys
    write the changed keys back, which unlocks

Nobody sees the keys in between: their partitions serve no other command while locked.
There is no deadlock: everyone locks in ascending order, so whoever holds the highest of
the wanted partitions waits for nobody, and every wait has a deadline. Until the first
write goes out a failure changes nothing and the command is tried again. An owner that
dies while the writes are under way may leave some keys written and others not: the
client is told that the outcome is uncertain.
"""

import sys
from collections.abc import Callable, Sequence
from itertools import groupby
from time import time
from typing import Final

from respcache.cluster.ownership.slots import partition_of
from respcache.commands.registry import NO_KEYS, Command, Flags, Merge
from respcache.commands.replay import keys_of
from respcache.errors import CommandError, Uncertain
from respcache.locking import Locks
from respcache.merging import elements
from respcache.order import Order
from respcache.reply import OK, Reply
from respcache.resp.encode import encode, error
from respcache.store.copies import Copies, StoredKey, entry_effect
from respcache.store.keyspace import Store
from respcache.store.partition import Argv, Log, Partition


class Participant:
    """The side of a partition's primary."""

    def __init__(self, store: Store, locks: Locks, copies: Copies) -> None:
        self._store: Final = store
        self._locks: Final = locks
        self._copies: Final = copies

    def lock(self, order: Order) -> bool:
        """Run `LOCK transaction (database key)...`: answer with the keys' entries. False if it must wait."""
        _, transaction, *words = order.argv
        if not self._locks.lock(transaction, order.partitions):
            return False
        pairs = zip(words[::2], words[1::2], strict=True)
        order.resolve(encode([self._copies.dump(partition_of(key), int(number), key) for number, key in pairs], 2))
        return True

    def commit(self, order: Order) -> list[Log]:
        """Run `COMMIT transaction (database key entry)...`: write (no entry deletes) and unlock.

        The logs are those whose acks the answer waits for. An order whose locks are void
        is refused.
        """
        _, transaction, *words = order.argv
        if not self._locks.holds(transaction, order.partitions):
            order.refuse()
            return []
        logs: list[Log] = []
        for number, key, entry in zip(words[::3], words[1::3], words[2::3], strict=True):
            database = int(number)
            partition = self._store.keyspace(database).at(key)
            self._copies.restore(partition.number, database, key, entry or None)
            partition.rewrite(entry_effect(partition, key))
            partition.ship(None)
            if (log := partition.awaits()) is not None:
                logs.append(log)
        self._locks.release(order.partitions)
        return logs


class Transaction:
    """One command on keys of several owners, on the node that has the client.

    locking (one owner after the other) --> running --> committing --> answered
       `-- refused --> releasing --> tried again   `-- owner lost --> uncertain
    """

    def __init__(
        self,
        order: Order,
        name: bytes,
        *,
        owner_of: Sequence[str],
        scratch: Copies,
        dispatch: Callable[[Order], None],
        again: Callable[[Order], None],
    ) -> None:
        """`dispatch` sends an order on its way; `again` takes the command back, to try it later."""
        self._order: Final = order
        self._name: Final = name
        self._scratch: Final = scratch
        self._dispatch: Final = dispatch
        self._again: Final = again
        keys = set(keys_of(order.database, order.argv, len(scratch.store)))
        self._steps: Final = [
            list(run)
            for _, run in groupby(sorted(keys, key=_partition), key=lambda stored: owner_of[_partition(stored)])
        ]
        """The keys in the order of locking; each step's have one owner."""
        self._before: Final[dict[StoredKey, bytes]] = {}
        """Entries of the keys read so far; empty for a key that is not there."""
        self._locked = 0

    def begin(self) -> None:
        """Lock the next step's partitions; run the command when all are locked."""
        if self._locked == len(self._steps):
            self._run()
            return
        step = self._steps[self._locked]
        lock = self._send(LOCK, [word for number, key in step for word in (b"%d" % number, key)], step)
        lock.then(lambda: self._answered(lock, step))

    def _answered(self, lock: Order, step: list[StoredKey]) -> None:
        wire = lock.wire or b""
        if lock.refused or wire.startswith(b"-"):
            self._finish({}, None)
            return
        for stored, element in zip(step, elements(wire), strict=True):
            self._before[stored] = b"" if element.startswith(b"$-1") else element[element.index(b"\n") + 1 : -2]
        self._locked += 1
        self.begin()

    def _run(self) -> None:
        order, scratch = self._order, self._scratch
        for (database, key), entry in self._before.items():
            scratch.restore(partition_of(key), database, key, entry or None)
        scratch.store.ledger.now_unix_ms = int(time() * 1000)
        try:
            assert order.row.on_keys is not None
            reply = order.row.on_keys(scratch.store.keyspace(order.database), order.argv)
        except CommandError as refusal:
            self._finish({}, error(refusal))
            return
        finally:
            after = {stored: scratch.dump(partition_of(stored[1]), *stored) or b"" for stored in self._before}
            for database, key in self._before:
                scratch.restore(partition_of(key), database, key, None)
        changed = {stored: entry for stored, entry in after.items() if entry != self._before[stored]}
        self._finish(changed, encode(reply, order.protocol))

    def _finish(self, changed: dict[StoredKey, bytes], wire: bytes | None) -> None:
        """Write and unlock everywhere. Without a reply the command is tried again afterwards."""
        commits: list[Order] = []
        for step in self._steps[: self._locked]:
            written = [stored for stored in step if stored in changed]
            words = [word for stored in written for word in (b"%d" % stored[0], stored[1], changed[stored])]
            commits.append(self._send(COMMIT, words, step))
        missing = len(commits)

        def arrived() -> None:
            nonlocal missing
            missing -= 1
            if missing <= 0:
                self._end(commits, wire, wrote=bool(changed))

        for commit in commits:
            commit.then(arrived)
        if not commits:
            arrived()

    def _end(self, commits: list[Order], wire: bytes | None, *, wrote: bool) -> None:
        if wire is None:
            self._again(self._order)
        elif wrote and any(commit.wire != OK.wire for commit in commits):
            self._order.fail(Uncertain("An owner was lost while the command was committed to several"))
        else:
            self._order.resolve(wire)

    def _send(self, row: Command, words: list[bytes], step: list[StoredKey]) -> Order:
        order = Order(
            row,
            [row.name.encode(), self._name, *words],
            database=self._order.database,
            protocol=2,
            partitions=tuple(sorted({partition_of(key) for _, key in step})),
            deadline_s=self._order.deadline_s,
            once=True,
        )
        self._dispatch(order)
        return order


def _partition(stored: StoredKey) -> int:
    return partition_of(stored[1])


def _no_handler(_partition: Partition, _argv: Argv) -> Reply:
    raise AssertionError("orders between nodes are run by the participant")


def _internal(name: str) -> Command:
    return Command(
        name=name,
        arity=-2,
        argc_min=2,
        argc_max=sys.maxsize,
        flags=Flags.WRITE,
        keys=NO_KEYS,
        since="",
        group="internal",
        categories=(),
        summary="",
        merge=Merge.NONE,
        index=0,
        key_at=0,
        writes=True,
        no_auth=False,
        on_key=_no_handler,
        on_keys=None,
        on_session=None,
    )


LOCK: Final = _internal("RESPCACHE.LOCK")
COMMIT: Final = _internal("RESPCACHE.COMMIT")
INTERNAL: Final = {row.name.encode(): row for row in (LOCK, COMMIT)}
"""What nodes ask of each other and no client can."""
