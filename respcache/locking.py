"""Which partitions a node serves: those that ownership lets it, less the locked ones, and none without a lease.

A locked partition serves nobody: commands for it wait, as they do while it moves. So what a
transaction has read stays true until it commits. Locks live in the memory of the primary; a
partition that moves or fails over, or whose transaction's node is gone, is unlocked. While a lease
has lapsed they stay, but nothing can be done by them.
"""

from collections.abc import Sequence
from typing import Final

from respcache.store.keyspace import Store
from respcache.store.partition import Log


class Locks:
    """The one place that decides what `Partition.serving` is.

    closed --open--> served --lock--> locked --release--> served
       ^----close------'-------close----'
    and, whichever it is, it is not served from `suspend` to `resume`.
    """

    def __init__(self, store: Store) -> None:
        self._store: Final = store
        self._holders: Final[dict[int, bytes]] = {}
        """Transaction by locked partition."""
        self._logs: Final[dict[int, Log | None]] = {}
        """By partition that ownership lets this node serve."""
        self.leased = True
        """Whether anything may be served at all."""

    def suspend(self) -> None:
        """Serve nothing: this node has no lease."""
        self.leased = False
        for number, log in self._logs.items():
            self._store.mark(number, serving=False, log=log)

    def resume(self) -> None:
        """Serve again what was served before, and what was opened meanwhile."""
        self.leased = True
        for number, log in self._logs.items():
            self._store.mark(number, serving=number not in self._holders, log=log)

    def open(self, number: int, log: Log | None) -> None:
        """Serve a partition; `log` takes its effects if it has other copies."""
        self._logs[number] = log
        self._store.mark(number, serving=self.leased and number not in self._holders, log=log)

    def close(self, number: int) -> None:
        """Serve a partition no more; a lock on it is void."""
        self._logs.pop(number, None)
        self._holders.pop(number, None)
        self._store.mark(number, serving=False, log=None)

    def lock(self, transaction: bytes, numbers: Sequence[int]) -> bool:
        """Lock partitions, all or none; False if one of them is not served now."""
        if not self.leased or any(number not in self._logs or number in self._holders for number in numbers):
            return False
        for number in numbers:
            self._holders[number] = transaction
            self._store.mark(number, serving=False, log=self._logs[number])
        return True

    def holds(self, transaction: bytes, numbers: Sequence[int]) -> bool:
        """Tell whether the transaction still has all these partitions locked."""
        return self.leased and all(self._holders.get(number) == transaction for number in numbers)

    def release(self, numbers: Sequence[int]) -> None:
        """Unlock partitions."""
        for number in numbers:
            if self._holders.pop(number, None) is not None and number in self._logs:
                self._store.mark(number, serving=self.leased, log=self._logs[number])

    def release_of(self, node: str) -> None:
        """Unlock what the transactions of a node hold that is gone."""
        self.release([number for number, holder in self._holders.items() if node_of(holder) == node])


def node_of(transaction: bytes) -> str:
    """Tell which node runs a transaction, by its name (`node:number`)."""
    return transaction.rpartition(b":")[0].decode("utf-8", "surrogateescape")
