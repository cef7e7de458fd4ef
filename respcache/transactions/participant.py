"""The side of a partition's primary in commands on keys of several owners: it locks, reads, writes and unlocks.

`transaction` has the other side, and what holds for both.
"""

from collections.abc import Sequence
from time import time
from typing import Final

from respcache.cluster.ownership.slots import partition_of
from respcache.commands.resolving import resolve
from respcache.errors import CommandError, OutOfMemory
from respcache.reply import NULL_ARRAY
from respcache.resp.encode import bulk, encode
from respcache.routing.internal import COMMIT, UNITS
from respcache.routing.locking import Locks
from respcache.routing.order import Order
from respcache.store.copies import Copies, StoredKey, entry_effect
from respcache.store.events import Event
from respcache.store.keyspace import Store
from respcache.store.partition import Log
from respcache.store.swapping import swap
from respcache.transactions.unit import Call, MalformedUnit, Unit, read_tokens, read_unit

HAPPENED: Final = b"!"
"""Marks an event among what a commit writes."""
EXCHANGED: Final = b"="
"""Marks the first of two databases that a commit exchanges."""
AT_ONCE: Final = b"!"
"""In front of the count of a lock: it locks what it can, and does not wait."""
CHANGED: Final = encode(NULL_ARRAY, 2)
"""Answers a unit, or a lock, if a watched key has changed; nothing was run."""


class Participant:
    """The side of a partition's primary."""

    def __init__(self, store: Store, locks: Locks, copies: Copies) -> None:
        self._store: Final = store
        self._locks: Final = locks
        self._copies: Final = copies

    def lock(self, order: Order) -> bool:
        """Run `LOCK transaction count (database key)*count (database key token)*`.

        The count has a + in front where the commands may take memory, and before that AT_ONCE if it is not to wait.
        The answer is how many partitions are locked now, from the lowest on, and the entries of the keys in these:
        all of them unless it is not to wait. Or null, and nothing is locked, if a token stands for a state that has
        changed. False if it must wait.
        """
        try:
            _, transaction, how, *words = order.argv
            count = how.removeprefix(AT_ONCE)
            split = 2 * int(count)
            read = [(int(words[at]), words[at + 1]) for at in range(0, split, 2)]
            tokens = read_tokens(words[split:], len(self._store))
        except (ValueError, IndexError):
            order.fail(MalformedUnit())
            return True
        if count.startswith(b"+") and self._store.ledger.full:
            order.fail(OutOfMemory())
            return True
        locked: Sequence[int] = order.partitions
        if count is not how:
            locked = self._locks.lock_lowest(transaction, order.partitions)
        elif not self._locks.lock(transaction, order.partitions):
            return False
        self._store.ledger.now_unix_ms = int(time() * 1000)
        if not self._locks.watches.unchanged(tokens):
            self._locks.release(locked)
            order.resolve(CHANGED)
        else:
            order.resolve(encode([len(locked), *self._entries(read, frozenset(locked))], 2))
        return True

    def _entries(self, keys: Sequence[StoredKey], partitions: frozenset[int]) -> list[bytes | None]:
        """Write down what is under those of some keys that are in some partitions."""
        return [
            self._copies.dump(number, database, key)
            for database, key in keys
            if (number := partition_of(key)) in partitions
        ]

    def watch(self, order: Order, now_s: float) -> None:
        """Run `WATCH key`: answer with a token of the key's state."""
        if len(order.argv) != 2:
            order.fail(MalformedUnit())
            return
        self._store.ledger.now_unix_ms = int(time() * 1000)
        order.resolve(bulk(self._locks.watches.token(order.database, order.argv[1], now_s)))

    def unit(self, order: Order) -> Unit | None:
        """Read what is to be run here as one; None, and the order is answered, if that is not to be."""
        self._store.ledger.now_unix_ms = int(time() * 1000)
        try:
            unit = unit_of(order, len(self._store))
        except CommandError as refusal:
            order.fail(refusal)
            return None
        if not self._locks.watches.unchanged(unit.tokens):
            order.resolve(CHANGED)
            return None
        return unit

    def commit(self, order: Order) -> list[Log] | None:
        """Run `COMMIT transaction (database key entry)... (!database key event)...`: write (no entry deletes), unlock.

        Or `COMMIT transaction =database database nothing`: exchange two databases in these partitions.

        The logs are those whose acks the answer waits for, of keys that were only read as well: what was seen must
        not be lost any more. None if it must wait for a lease. An order whose locks are void is refused, and what is
        left of them unlocked; so is one that writes nothing, if there is no lease: a node that is cut off keeps nothing
        locked, but cannot say that nobody else has served the keys meanwhile.
        """
        _, transaction, *words = order.argv
        if not self._locks.holds(transaction, order.partitions) or not (words or self._locks.leased):
            self.abandon(order)
            order.refuse()
            return []
        if not self._locks.leased:
            return None
        for number, key, entry in zip(words[::3], words[1::3], words[2::3], strict=True):
            if number.startswith(EXCHANGED):
                swap(self._store, order.partitions, int(number.removeprefix(EXCHANGED)), int(key))
                self._store.flushed()
                continue
            database = int(number.removeprefix(HAPPENED))
            partition = self._store.keyspace(database).at(key)
            if number.startswith(HAPPENED):
                kind, _, name = entry.partition(b" ")
                partition.happened(Event(int(kind), name), key)
                continue
            self._copies.restore(partition.number, database, key, entry or None)
            partition.rewrite(entry_effect(partition, key))
            partition.ship(None)
        self._locks.release(order.partitions)
        partitions = [space.partitions[number] for space in self._store.used() for number in order.partitions]
        return [log for partition in partitions if (log := partition.awaits()) is not None]

    def abandon(self, order: Order) -> None:
        """Unlock what a commit that is never carried out would have unlocked. Other orders have locked nothing."""
        if order.row is COMMIT:
            self._locks.unlock(order.argv[1], order.partitions)


def unit_of(order: Order, databases: int) -> Unit:
    """Give what an order is to run: what a client has queued, or its one command. Raises CommandError."""
    if order.unit is not None:
        return order.unit
    if order.row in UNITS:
        return read_unit(order.argv[1:], resolve, databases)
    return Unit([Call(order.row, order.argv, order.database, order.protocol)], {})
