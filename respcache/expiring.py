"""The sweep: deletes the keys whose time is over, some partitions at a time, so that no round takes long."""

from collections.abc import Callable
from time import perf_counter_ns, time
from typing import Final

from respcache.cluster.ownership.slots import PARTITIONS
from respcache.latency import EXPIRE_CYCLE, LatencyMonitor
from respcache.store.keyspace import Store

SWEEP_PARTITIONS: Final = 64
"""Partitions of each database looked through for expired keys before other work gets its turn."""


class Expiry:
    """Sweeps the partitions that a node serves. One per node, on its event loop."""

    def __init__(self, store: Store, latency: LatencyMonitor, *, swept: Callable[[], None]) -> None:
        """`swept` is told after each round: copies may have to be told of keys that went."""
        self._store: Final = store
        self._latency: Final = latency
        self._swept: Final = swept
        self._at = 0
        """The partition that is next."""

    def round(self) -> None:
        """Delete the expired keys of the next few partitions that are served here."""
        started_ns = perf_counter_ns()
        ledger = self._store.ledger
        ledger.now_unix_ms = int(time() * 1000)
        first = self._at
        self._at = (first + SWEEP_PARTITIONS) % PARTITIONS
        for keyspace in self._store.used():
            for partition in keyspace.partitions[first : first + SWEEP_PARTITIONS]:
                if partition.serving and partition.sweep():
                    partition.ship(None)
        elapsed_us = (perf_counter_ns() - started_ns) // 1000
        self._latency.record(EXPIRE_CYCLE, elapsed_us, ledger.now_unix_ms // 1000)
        self._swept()
