"""What stands still while a script rests in its midst: nobody else sees what it has written, or changes what it reads.

A script that works on the data of its node has all partitions of the node locked meanwhile. What it writes is told to
the copies when it has ended, in one frame for each: so they have all of it or nothing. Keys do not expire, and none
are evicted. One that works on a scratch store, in a transaction, has its keys locked wherever they are, and nothing
else stands still.
"""

from collections.abc import Callable, Collection
from typing import Final, TypeAlias

from respcache.routing.internal import BLOCK, COMMIT, SCRIPT, TICKETS, UNITS
from respcache.routing.locking import Locks
from respcache.routing.order import Order, Peers
from respcache.store.keyspace import Store
from respcache.tracking.readers import Writer

Ambience: TypeAlias = tuple[int, Writer | None]
"""What work finds without being told: the time of the batch, and the client that it is for."""


class Standstill:
    """Implements `strand.Hold`."""

    def __init__(
        self,
        store: Store,
        locks: Locks,
        peers: Peers,
        *,
        untold_max_bytes: int,
        on_data: bool,
        over: Callable[[], None],
    ) -> None:
        """`on_data` says whether the work is on the data of this node; `over` is called when all goes on."""
        self._ledger: Final = store.ledger
        self._locks: Final = locks
        self._on_data: Final = on_data
        self._peers: Final = peers
        self.untold_max_bytes: Final = untold_max_bytes
        """How much the work may write of which copies are still to be told."""
        self._over: Final = over
        self._work: Ambience = (0, None)
        self._others: Ambience = (0, None)

    @property
    def is_intact(self) -> bool:
        """Whether all is still locked that was, when the work rested."""
        return self._locks.intact

    def has(self, number: int) -> bool:
        """Tell whether a partition is locked for the work, and it may go on with it."""
        return self._locks.seized(number)

    @property
    def untold_bytes(self) -> int:
        """How much has been written of which copies are still to be told: it grows until the work has ended."""
        return self._peers.untold_bytes()

    def lacks_copies(self, numbers: Collection[int]) -> bool:
        """Tell whether any of these partitions has too few copies by now for what the work may have written to it."""
        return self._locks.scarce(numbers)

    def begin(self) -> None:
        """Stand still: the work rests, for the first time."""
        self._work = (self._ledger.now_unix_ms, self._locks.readers.writer)
        if self._on_data:
            self._locks.seize()
            self._peers.withhold(True)
            self._ledger.still = True
            self._ledger.journal.hold_back()

    def resume(self) -> None:
        """Let the work go on, at the time at which it was begun."""
        self._others = self._exchange(self._work)

    def pause(self) -> None:
        """Let others have their turn: it rests once more."""
        self._exchange(self._others)

    def end(self) -> None:
        """Go on as before: the work has ended."""
        self.pause()
        if self._on_data:
            self._ledger.still = False
            self._ledger.journal.go_on()
            self._locks.unseize()
            self._peers.withhold(False)
        self._over()

    def _exchange(self, ambience: Ambience) -> Ambience:
        ledger, readers = self._ledger, self._locks.readers
        before = (ledger.now_unix_ms, readers.writer)
        ledger.now_unix_ms, readers.writer = ambience
        return before


def waits_for_script(order: Order, locks: Locks) -> bool:
    """Tell whether an order of which this node is the owner has to wait for the script that rests.

    What ends locks and waits that were there before does not.
    """
    row = order.row
    if row is COMMIT or row is SCRIPT or (row.name in TICKETS and row is not BLOCK):
        return False
    if row in UNITS:
        calls = None if order.unit is None else order.unit.calls
        has_scripts = calls is None or any(call.row.on_script is not None for call in calls)
    else:
        has_scripts = row.on_script is not None
    return has_scripts or not locks.readable(order.partitions)
