"""Which partitions a node serves: those that ownership lets it, less the locked ones, and none without a lease.

A locked partition serves nobody: commands for it wait, as they do while it moves. (So do those for
one with a key that others have waited for, until these have been served.) So what a transaction
 has read stays true until it commits. Locks live in the memory of the primary; a
partition that fails over, or whose transaction's node is gone, is unlocked. One that is to move is
frozen: nobody else can lock it, and it moves once it is unlocked. While a lease has lapsed locks
stay, but nothing can be done by them.
"""

from collections.abc import Collection, Container, Iterable, Sequence
from typing import Final

from respcache.routing.observing import Observer, observed
from respcache.store.keyspace import Store
from respcache.store.partition import Log
from respcache.tracking.readers import Readers
from respcache.transactions.watching import Watches
from respcache.waiting.room import Room


class Locks:
    """The one place that decides what `Partition.serving` and `Partition.log` are.

    closed --open--> served --lock--> locked --release--> served
       ^----close------'-------close----'
    and, whichever it is, it is not served from `suspend` to `resume`, nor from `freeze` to
    `open` or `close`; what is locked when it is frozen stays so until it is released. From `seize` to `unseize` nothing
    is served.
    """

    def __init__(self, store: Store, *, run: bytes) -> None:
        """`run` names this run of this node as no other."""
        self._store: Final = store
        self.watches: Final = Watches(store, run, remark=self._mark)
        """The watched keys of the partitions that are served."""
        self.room: Final = Room(len(store), remark=self._mark)
        """Who waits for keys of the partitions that are served."""
        self.readers: Final = Readers(store, remark=self._mark)
        """Who caches keys of the partitions that are served."""
        self._observers: Final[tuple[Observer, ...]] = (self.room, self.watches, self.readers)
        self._holders: Final[dict[int, bytes]] = {}
        """Transaction by locked partition."""
        self._logs: Final[dict[int, Log | None]] = {}
        """By partition that ownership lets this node serve."""
        self.is_seized = False
        """Whether a script is alone: what it does not have is not served either."""
        self.intact = True
        """Whether it still has all that it had when it seized it."""
        self._frozen: Final[set[int]] = set()
        """Those of them that are about to move."""
        self.leased = True
        """Whether anything may be served at all."""
        self._scarce: frozenset[int] = frozenset()
        self._congested: frozenset[int] = frozenset()

    @property
    def held(self) -> Container[int]:
        """The partitions that are locked: a view, not a copy."""
        return self._holders.keys()

    def suspend(self) -> None:
        """Serve nothing: this node has no lease."""
        self.leased = False
        self._mark(self._logs)

    def resume(self) -> None:
        """Serve again what was served before, and what was opened meanwhile."""
        self.leased = True
        self._mark(self._logs)

    def ration(self, numbers: frozenset[int]) -> None:
        """Serve these partitions for reads alone, which is for whoever asks `readable`; and all others again."""
        changed, self._scarce = self._scarce ^ numbers, numbers
        self._mark([number for number in changed if number in self._logs])

    def congest(self, numbers: frozenset[int]) -> None:
        """Serve these partitions for reads alone, which is for whoever asks `congested`; and all others again."""
        changed, self._congested = self._congested ^ numbers, numbers
        self._mark([number for number in changed if number in self._logs])

    def readable(self, numbers: Sequence[int]) -> bool:
        """Tell whether partitions may at least be read from."""
        return self.leased and all(self._free(number) for number in numbers)

    def scarce(self, numbers: Collection[int]) -> bool:
        """Tell whether too few copies of any of these partitions are in sync for writes."""
        return bool(self._scarce) and not self._scarce.isdisjoint(numbers)

    def congested(self, numbers: Sequence[int]) -> bool:
        """Tell whether writes to any of these partitions wait until copies have confirmed earlier ones."""
        return not self._congested.isdisjoint(numbers)

    def open(self, number: int, log: Log | None) -> None:
        """Serve a partition; `log` takes its effects if it has other copies.

        A lock stays only if the log is the same: else the partition may have been another node's meanwhile.
        """
        if self._logs.get(number) is not log:
            self._void(number)
            self.readers.void(number)
        self._logs[number] = log
        self._frozen.discard(number)
        self.watches.void(number)
        self._mark((number,))

    def freeze(self, number: int) -> None:
        """Serve a partition no more, for it is to move; who has locked it can still commit."""
        self._frozen.add(number)
        self.watches.void(number)
        self.room.void(number)
        self._mark((number,))

    def close(self, number: int) -> None:
        """Serve a partition no more; a lock on it is void, and all others of the same transaction."""
        self._logs.pop(number, None)
        self._void(number)
        self._frozen.discard(number)
        self.watches.void(number)
        self._store.mark(number, serving=False, log=None)
        self.room.void(number)
        self.readers.void(number)

    def lock(self, transaction: bytes, numbers: Sequence[int]) -> bool:
        """Lock partitions, all or none; False if one of them is not served now."""
        if not self.readable(numbers):
            return False
        self._holders.update(dict.fromkeys(numbers, transaction))
        self._mark(numbers)
        return True

    def lock_lowest(self, transaction: bytes, numbers: Sequence[int]) -> Sequence[int]:
        """Lock partitions up to the first that is not served now; return those that are locked."""
        count = 0
        if self.leased:
            count = next((place for place, number in enumerate(numbers) if not self._free(number)), len(numbers))
        locked = numbers[:count]
        self._holders.update(dict.fromkeys(locked, transaction))
        self._mark(locked)
        return locked

    def seize(self) -> None:
        """Lock all that is free, for a script, and let nothing else get free."""
        free = [number for number in self._logs if self._free(number)]
        self.is_seized = self.intact = True
        self._holders.update(dict.fromkeys(free, SCRIPT))
        self._mark(self._logs)

    def unseize(self) -> None:
        """Unlock what the script has seized and still has."""
        self.is_seized = False
        for number in [number for number, holder in self._holders.items() if holder == SCRIPT]:
            del self._holders[number]
        self._mark(self._logs)

    def seized(self, number: int) -> bool:
        """Tell whether a script has seized a partition, and may go on with it."""
        limited = number in self._scarce or number in self._congested or number in self.room.pending
        return self.leased and not limited and self._holders.get(number) == SCRIPT

    def holds(self, transaction: bytes, numbers: Sequence[int]) -> bool:
        """Tell whether the transaction still has all these partitions locked, be there a lease or not."""
        return all(self._holders.get(number) == transaction for number in numbers)

    def release(self, numbers: Sequence[int]) -> None:
        """Unlock partitions."""
        self._mark([number for number in numbers if self._holders.pop(number, None) is not None])

    def unlock(self, transaction: bytes, numbers: Sequence[int]) -> bool:
        """Unlock those of some partitions that the transaction still has locked; False if there are none."""
        held = [number for number in numbers if self._holders.get(number) == transaction]
        self.release(held)
        return bool(held)

    def sweep(self, now_s: float) -> None:
        """Let partitions be as all others in which nobody is interested any more. To be called between commands."""
        self.watches.sweep(now_s)
        self.room.sweep()
        self.readers.sweep()

    def logs(self, numbers: Iterable[int]) -> list[Log]:
        """List the true logs of those partitions among some that ownership lets this node serve."""
        return [log for number in numbers if (log := self._logs.get(number)) is not None]

    def _void(self, number: int) -> None:
        """Unlock a partition, and whatever its holder has locked here besides: it cannot commit that any more.

        Nor would it have to say so: it may see another owner by now, whom it asks instead.
        """
        holder = self._holders.pop(number, None)
        if holder is not None:
            if holder == SCRIPT:
                self.intact = False
            self.release([other for other, name in self._holders.items() if name == holder])

    def _free(self, number: int) -> bool:
        if self.is_seized or number in self._holders:
            return False
        return number in self._logs and number not in self._frozen

    def _mark(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            if number in self._logs:
                free = self._free(number) and number not in self._scarce and number not in self._congested
                served = self.leased and free and number not in self.room.pending
                log = observed(self._observers, number, self._logs[number])
                self._store.mark(number, serving=served, log=log)

    def release_of(self, node: str) -> None:
        """Unlock what the transactions of a node hold that is gone."""
        self.release([number for number, holder in self._holders.items() if node_of(holder) == node])


SCRIPT: Final = b"\xff:script"
"""Holds what a script has seized; no node has such a name."""


def node_of(transaction: bytes) -> str:
    """Tell which node runs a transaction, by its name (`node:number`)."""
    return transaction.rpartition(b":")[0].decode("utf-8", "surrogateescape")
