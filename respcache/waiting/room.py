"""Who waits for which keys, and whose turn it is. Pure.

A partition with a key that somebody waits for is observed (see `observing`). A change to
such a key makes it *ready*, and its partition serves nobody else until the key has been
offered to those who wait for it, in the order of their arrival. So nobody else sees what
they were waiting for, and a command or a transaction is over before they are served.

    absent --wait--> waiting --its key gets ready, its turn comes--> offered --took it--> absent
                        ^                                               `-- nothing for it --.
                        `--------------------------------------------------------------------'
"""

import enum
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from respcache.cluster.ownership.slots import partition_of
from respcache.commands.replay import changed_keys
from respcache.store.copies import StoredKey
from respcache.store.partition import FLUSH, Argv
from respcache.store.swapping import SWAP, swapped


class Verdict(enum.Enum):
    """What came of offering a key to whoever waits for it."""

    TAKEN = enum.auto()
    """It waits no more; there may be something left for the next one."""
    PASSED = enum.auto()
    """There is nothing for it; perhaps for the next one."""
    NOTHING = enum.auto()
    """There is nothing for anybody."""
    LATER = enum.auto()
    """It cannot be settled now: the key stays ready, and the others wait behind this one."""


class Waiter:
    """Somebody who waits for one of several keys."""

    __slots__ = ("arrived_s", "keys", "present")

    def __init__(self, keys: Sequence[StoredKey], arrived_s: float) -> None:
        self.keys: Final = tuple(dict.fromkeys(keys))
        self.arrived_s: Final = arrived_s
        """When it began to wait, in monotonic seconds; it may have waited elsewhere before."""
        self.present = False
        """Whether it is in the room."""


class Room:
    """Those who wait for keys of the partitions that a node serves."""

    def __init__(self, databases: int, *, remark: Callable[[Iterable[int]], None]) -> None:
        """`remark` is to find out anew whether partitions serve, and which logs they have."""
        self._databases: Final = databases
        self._remark: Final = remark
        self._queues: Final[dict[StoredKey, list[Waiter]]] = {}
        """By arrival."""
        self._ready: dict[StoredKey, None] = {}
        self._observed: Final[dict[int, int]] = {}
        """How many wait in each partition; 0 stays until the next sweep, for a command may be under way that
        needs the log, and who was served often comes back at once."""
        self.pending: set[int] = set()
        """Partitions with keys that are ready."""
        self.wake: Callable[[], None] = _nobody
        """Called when a key has got ready: `serve` is to be called soon."""
        self.dismissed: Callable[[Waiter], None] = _unheard
        """Told of everybody whose key is no longer served here, after it has left."""

    def observes(self, number: int) -> bool:
        """Tell whether somebody waits for a key of a partition, or did until now."""
        return number in self._observed

    def wait(self, waiter: Waiter) -> None:
        """Let somebody in. Among those who wait for the same key the order is that of arrival."""
        waiter.present = True
        for stored in waiter.keys:
            queue = self._queues.setdefault(stored, [])
            place = len(queue)
            while place and queue[place - 1].arrived_s > waiter.arrived_s:
                place -= 1
            queue.insert(place, waiter)
            number = partition_of(stored[1])
            if number not in self._observed:
                self._observed[number] = 0
                self._remark((number,))
            self._observed[number] += 1

    def leave(self, waiter: Waiter) -> None:
        """Let somebody go; a second time is none."""
        if not waiter.present:
            return
        waiter.present = False
        for stored in waiter.keys:
            queue = self._queues[stored]
            queue.remove(waiter)
            if not queue:
                del self._queues[stored]
            self._observed[partition_of(stored[1])] -= 1

    def touched(self, number: int, database: int, argv: Argv) -> None:
        """Take note of an effect on a partition: the keys that it changes are ready, if somebody waits for them.

        A flush changes them all: who waits in a group of a stream is to hear that the stream is gone. So does
        an exchange of two databases.
        """
        if argv[0] in (FLUSH, SWAP):
            databases = (database,) if argv[0] == FLUSH else swapped(argv) or ()
            for stored in self._queues:
                if stored[0] in databases and partition_of(stored[1]) == number:
                    self.touch(stored)
            return
        for stored in changed_keys(database, argv, self._databases):
            if stored in self._queues and partition_of(stored[1]) == number:
                self.touch(stored)

    def touch(self, stored: StoredKey) -> None:
        """Have a key offered to those who wait for it."""
        number = partition_of(stored[1])
        self._ready[stored] = None
        if number not in self.pending:
            self.pending.add(number)
            self._remark((number,))
        self.wake()

    def serve(self, offer: Callable[[Waiter, StoredKey], Verdict]) -> None:
        """Offer the keys that are ready, in the order in which they became so.

        Keys that get ready meanwhile follow. Whoever takes a key up leaves by itself.
        """
        later: dict[StoredKey, None] = {}
        while self._ready:
            stored = next(iter(self._ready))
            del self._ready[stored]
            if not self._offered(stored, offer):
                later[stored] = None
        self._ready = later
        served, self.pending = self.pending, {partition_of(key) for _, key in later}
        self._remark(served - self.pending)

    def _offered(self, stored: StoredKey, offer: Callable[[Waiter, StoredKey], Verdict]) -> bool:
        """Offer a key to one after the other; False if that has to go on later."""
        for waiter in list(self._queues.get(stored, ())):
            if not waiter.present:
                continue
            verdict = offer(waiter, stored)
            if verdict is Verdict.LATER:
                return False
            if verdict is Verdict.NOTHING:
                break
        return True

    def void(self, number: int) -> None:
        """Send those away who wait for keys of a partition that changes hands; its log is the caller's business."""
        if number not in self._observed:
            return
        mine = [stored for stored in self._queues if partition_of(stored[1]) == number]
        gone = list(dict.fromkeys(waiter for stored in mine for waiter in self._queues[stored]))
        for waiter in gone:
            self.leave(waiter)
        self._observed.pop(number)
        self._ready = {stored: None for stored in self._ready if partition_of(stored[1]) != number}
        self.pending.discard(number)
        for waiter in gone:
            self.dismissed(waiter)

    def sweep(self) -> None:
        """Let partitions for which nobody waits be as all others. To be called between commands, now and then."""
        idle = [number for number, waiters in self._observed.items() if not waiters and number not in self.pending]
        for number in idle:
            del self._observed[number]
        self._remark(idle)


def _nobody() -> None:
    """Hear of nothing: there is nobody to serve yet."""


def _unheard(_waiter: Waiter) -> None:
    """Tell nobody."""
