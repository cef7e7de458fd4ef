"""The sweep: deletes what has expired and nobody asks for, some partitions at a time, so that no round takes long."""

from collections import deque
from collections.abc import Callable
from time import perf_counter_ns, time
from typing import Final

from respcache.cluster.ownership.slots import PARTITIONS
from respcache.latency import EXPIRE_CYCLE, LatencyMonitor
from respcache.store.key_expiry import is_behind
from respcache.store.keyspace import Store
from respcache.store.partition import Partition

SWEEP_PARTITIONS: Final = 128
"""Partitions of each database looked through in a round: all of them within 0.8 s, at 10 rounds a second."""
STEP_NS: Final = 2_000_000
"""How long that lasts, or little longer, before other work gets its turn."""


class Expiry:
    """Sweeps the partitions that a node serves: keys, and fields of hashes. One per node, on its event loop.

    idle --round--> sweeping --nothing is left of these partitions--> idle
                    |    ^
                    `----' `soon`, when others had their turn
    """

    def __init__(
        self,
        store: Store,
        latency: LatencyMonitor,
        *,
        swept: Callable[[], None],
        soon: Callable[[Callable[[], None]], object],
    ) -> None:
        """`swept` is told after a step in which something went: copies have to be told. `soon` calls back then."""
        self._store: Final = store
        self._latency: Final = latency
        self._swept: Final = swept
        self._soon: Final = soon
        self._at = 0
        """The partition that is next."""
        self._left: Final[deque[Partition]] = deque()
        """Those of this round that are not done with."""

    @property
    def busy(self) -> bool:
        """Whether something is left of the last round."""
        return bool(self._left)

    def round(self) -> None:
        """Begin with the next few partitions, unless some are left of the last round."""
        if self._left:
            return
        first = self._at
        self._at = (first + SWEEP_PARTITIONS) % PARTITIONS
        for keyspace in self._store.used():
            self._left.extend(keyspace.partitions[first : first + SWEEP_PARTITIONS])
        self._step()

    def _step(self) -> None:
        """Delete for a while what has expired in the partitions that are served here."""
        started_ns = now_ns = perf_counter_ns()
        ledger, left, swept = self._store.ledger, self._left, False
        ledger.now_unix_ms = now_unix_ms = int(time() * 1000)
        if not ledger.active_expiry or ledger.keeps_expired:
            left.clear()
        while left and now_ns - started_ns < STEP_NS:
            partition = left[0]
            if partition.serving and partition.due_unix_ms <= now_unix_ms:
                partition.sweep()
                if partition.changed:
                    partition.ship(None)
                    swept = True
            if not partition.serving or not is_behind(partition, now_unix_ms):
                left.popleft()
            now_ns = perf_counter_ns()
        self._latency.record(EXPIRE_CYCLE, (now_ns - started_ns) // 1000, now_unix_ms // 1000)
        if swept:
            self._swept()
        if left:
            self._soon(self._step)
