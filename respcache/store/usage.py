"""How recently, or how often, keys are used: one mark a key, kept while a policy asks for it. Pure.

A mark is an object that all keys share which are used at the same time: so it costs a place in
a dict, and no memory of its own. Keys without one were not used since marks are kept. A copy in the making is
given the marks of its keys, as bytes: what they count, ticks and minutes since 1970, means the same on all nodes.
"""

import enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from respcache.store.ledger import Ledger
    from respcache.store.partition import Partition

TICK_MS: Final = 100
"""Keys that are used within such a time are used at the same time."""
NEW_COUNT: Final = 5
"""What a new key begins with, so that it is not evicted before it could be used (Redis' LFU_INIT_VAL)."""
COUNT_MAX: Final = 255
COUNT_BITS: Final = 8
MS_PER_MINUTE: Final = 60_000
SHARED_MAX: Final = 4_096
"""Marks that came from other nodes are shared among so many times or counts that came last."""
MARK_BYTES: Final = 8


class Tracking(enum.Enum):
    """What marks say."""

    NOTHING = "nothing"
    RECENCY = "recency"
    """When a key was used last."""
    FREQUENCY = "frequency"
    """How often it is used: a count that grows ever more slowly, and the minute as of which it holds."""


TAGS: Final = {Tracking.RECENCY: b"R", Tracking.FREQUENCY: b"F"}
"""What a mark begins with that is written for other nodes."""


class Usage:
    """Makes and reads the marks in `Partition.marks`. One per node."""

    __slots__ = ("_counts", "_minute", "_now", "_shared", "_since", "decay_minutes", "ledger", "log_factor", "tracking")

    def __init__(self, ledger: "Ledger") -> None:
        self.ledger: Final = ledger
        self.tracking = Tracking.NOTHING
        self.log_factor = 10
        """The greater, the more uses a count stands for: 10 has a million uses reach 255 (`lfu-log-factor`)."""
        self.decay_minutes = 1
        """Minutes in which a count goes down by one; 0 for never (`lfu-decay-time`)."""
        self._now: object = 0
        """The mark of keys used now, in ticks since 1970: one object, which is why it is not typed as a number."""
        self._since = 0
        """Ticks since when marks are kept."""
        self._minute = 0
        self._counts: list[object] = []
        """The marks of this minute, by count."""
        self._shared: dict[int, object] = {}
        """Marks that came from other nodes."""

    def follow(self, tracking: Tracking, now_unix_ms: int) -> bool:
        """Keep marks of this kind from now on; whether there may be marks of another kind, to be dropped."""
        before, self.tracking = self.tracking, tracking
        if before is tracking:
            return False
        self._minute = -1
        self.tick(now_unix_ms)
        self._since = now_unix_ms // TICK_MS
        return True

    def tick(self, now_unix_ms: int) -> None:
        """Take note of the time; to be called every TICK_MS or so."""
        self._now = now_unix_ms // TICK_MS
        minute = now_unix_ms // MS_PER_MINUTE
        if minute != self._minute and self.tracking is Tracking.FREQUENCY:
            self._minute = minute
            self._counts = [(minute << COUNT_BITS) + count for count in range(COUNT_MAX + 1)]

    def mark(self, partition: "Partition", key: bytes, *, new: bool) -> None:
        """Note that a key which is there is used."""
        if self.tracking is Tracking.RECENCY:
            partition.marks[key] = self._now
        elif self.tracking is Tracking.FREQUENCY:
            count = NEW_COUNT if new else self._used_again(self.frequency(partition, key))
            partition.marks[key] = self._counts[count]

    def restore(self, partition: "Partition", key: bytes, *, idle_ms: int, count: int, now_unix_ms: int) -> None:
        """Note how a key was used elsewhere: for how long not, or how often; below 0 is not known, and new."""
        if self.tracking is Tracking.RECENCY and idle_ms >= 0:
            partition.marks[key] = max(0, now_unix_ms - idle_ms) // TICK_MS
        elif self.tracking is Tracking.FREQUENCY and count >= 0:
            partition.marks[key] = self._counts[count]
        else:
            self.mark(partition, key, new=True)

    def write(self, partition: "Partition", key: bytes) -> bytes | None:
        """Write the mark of a key that is there for another node; None if there is nothing to tell."""
        if self.tracking is Tracking.NOTHING:
            return None
        mark = partition.marks.get(key)
        if not isinstance(mark, int):
            if self.tracking is Tracking.FREQUENCY:
                return None
            mark = self._since
        return TAGS[self.tracking] + mark.to_bytes(MARK_BYTES, "big")

    def read(self, partition: "Partition", key: bytes, written: bytes, now_unix_ms: int) -> None:
        """Give a key that is there the mark that another node has written.

        One of another kind than is kept here is left out, as is what is none; nothing was used later than now.
        """
        tracking = self.tracking
        if tracking is Tracking.NOTHING or len(written) != 1 + MARK_BYTES or written[:1] != TAGS[tracking]:
            return
        mark = int.from_bytes(written[1:], "big")
        if tracking is Tracking.RECENCY:
            mark = min(mark, now_unix_ms // TICK_MS)
        else:
            mark = (min(mark >> COUNT_BITS, now_unix_ms // MS_PER_MINUTE) << COUNT_BITS) + (mark & COUNT_MAX)
        if mark not in self._shared:
            if len(self._shared) >= SHARED_MAX:
                self._shared = {}
            self._shared[mark] = mark
        partition.marks[key] = self._shared[mark]

    def idle_ms(self, partition: "Partition", key: bytes, now_unix_ms: int) -> int:
        """Tell for how long a key was not used; 0 if that is not recorded."""
        if self.tracking is not Tracking.RECENCY:
            return 0
        mark = partition.marks.get(key)
        ticks = mark if isinstance(mark, int) else self._since
        return max(0, now_unix_ms - ticks * TICK_MS)

    def frequency(self, partition: "Partition", key: bytes) -> int:
        """Give the count of a key, less what it has lost by time since it was used."""
        mark = partition.marks.get(key)
        if not isinstance(mark, int):
            return NEW_COUNT
        count = mark & COUNT_MAX
        if not self.decay_minutes:
            return count
        return max(0, count - max(0, self._minute - (mark >> COUNT_BITS)) // self.decay_minutes)

    def _used_again(self, count: int) -> int:
        """Count one use, the less likely the more there were: as Redis does (LFULogIncr)."""
        if count >= COUNT_MAX:
            return COUNT_MAX
        above = max(0, count - NEW_COUNT)
        return count + 1 if not above or self.ledger.rng.random() * (above * self.log_factor + 1) < 1 else count
