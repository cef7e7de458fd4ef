"""The limit of a node's memory: what to do when it is reached, and for how long at once.

    below the limit --over--> keys are deleted until there is room --none left to delete--> full
          ^                                  |                                                |
          '----------------------------------'----- keys were deleted, or the limit raised ---'

Before a batch of commands is run there is room made for it; while a node is full the executor refuses
commands that take memory.
"""

from collections.abc import Callable
from time import perf_counter_ns, time
from typing import Final

from respcache.config import ServerConfig
from respcache.latency import EVICTION_CYCLE, LatencyMonitor
from respcache.store.eviction import POLICIES, Evictor
from respcache.store.keyspace import Store
from respcache.store.ledger import UNLIMITED
from respcache.store.limits import STREAM_NODE_BYTES_MAX, STREAM_NODE_ENTRIES_MAX
from respcache.store.scale import Scale
from respcache.store.usage import Tracking

STEP_NS: Final = 500_000
"""How long keys are deleted before a batch is run (Redis' default): there is no hurry, the next one goes on."""
HURRY_NS: Final = 4_000_000
RUSH_NS: Final = 8_000_000
"""The same when the limit is exceeded by a 64th, and by a 32nd: writes come in faster than keys go."""
WALK_NS: Final = 200_000
"""How long partitions are weighed at each tick while there is no limit: 100,000 keys take two or three seconds then."""
LIMITED_WALK_NS: Final = 1_000_000
"""The same while there is one."""
WALK_PARTITIONS: Final = 256
"""How many are, at most."""
SLACK_BITS: Final = 10
"""Where keys are deleted, then as many that a part of 1/2**10 of the limit is free: not a few before each batch."""
SLACK_BYTES: Final = 1024 * 1024
"""More than this is not freed in advance."""
FREE_NS: Final = 1_000_000
"""How long memory of what is gone is freed before other work gets its turn."""
FREED_ELEMENTS: Final = 500
"""Elements freed from one look at the clock to the next."""


class Memory:
    """Keeps the weight of a store within a limit. One per node, on its event loop."""

    def __init__(
        self, store: Store, *, deleted: Callable[[], None], soon: Callable[[Callable[[], None]], object]
    ) -> None:
        """`deleted` is told that copies have to be told; `soon` calls back, after whatever else there is to do."""
        self._store: Final = store
        self._ledger: Final = store.ledger
        self._scale: Final = Scale(store)
        self.evictor: Final = Evictor(store, store.ledger.usage)
        self._deleted: Final = deleted
        self._soon: Final = soon
        self._going_on = False
        """Whether `soon` has been asked to call back."""
        self._freeing = False
        """The same, to go on freeing."""
        self._futile = False
        """Whether nothing could be deleted since the last tick."""
        self.latency = LatencyMonitor()
        """Told how long it took to delete keys."""

    def configure(self, server: ServerConfig) -> None:
        """Take up settings."""
        ledger, usage = self._ledger, self._ledger.usage
        limits = ledger.limits
        limits.hash_entries, limits.hash_value_bytes = (
            server.hash_max_listpack_entries,
            server.hash_max_listpack_value_bytes,
        )
        limits.set_integers = server.set_max_intset_entries
        limits.zset_entries, limits.zset_value_bytes = (
            server.zset_max_listpack_entries,
            server.zset_max_listpack_value_bytes,
        )
        limits.list_size = server.list_max_listpack_size
        limits.stream_entries = server.stream_node_max_entries or STREAM_NODE_ENTRIES_MAX
        limits.stream_bytes = server.stream_node_max_bytes or STREAM_NODE_BYTES_MAX
        limits.hll_sparse_max_bytes = server.hll_sparse_max_bytes
        policy = POLICIES[server.maxmemory_policy]
        usage.log_factor, usage.decay_minutes = server.lfu_log_factor, server.lfu_decay_time_min
        if usage.follow(Tracking.NOTHING if policy is None else policy.tracking, int(time() * 1000)):
            for space in self._store.used():
                for partition in space.partitions:
                    partition.marks = {}
        self.evictor.follow(policy, server.maxmemory_samples)
        ledger.limit_bytes = server.maxmemory_bytes or UNLIMITED
        ledger.weighing = bool(server.maxmemory_bytes) or usage.tracking is not Tracking.NOTHING
        ledger.note_what_is_wanted()
        ledger.full = self._futile = False
        self._scale.count()
        self.make_room()

    def make_room(self) -> None:
        """Delete keys if there is too much, for a while; find out whether the node is full."""
        ledger = self._ledger
        over = ledger.weight_bytes - ledger.limit_bytes
        ledger.full = over > 0 and (self._futile or self.evictor.policy is None)
        if over <= 0 or ledger.full or ledger.still:
            return
        self._scale.count()  # keys may have expired, or gone to other nodes
        limit = ledger.limit_bytes
        over = ledger.weight_bytes - limit
        if over <= 0:
            return
        began_ns = perf_counter_ns()
        ends_ns = began_ns + (STEP_NS if over < limit >> 6 else HURRY_NS if over < limit >> 5 else RUSH_NS)
        target = limit - min(limit >> SLACK_BITS, SLACK_BYTES)
        before = ledger.evicted
        self.evictor.survey()
        while ledger.weight_bytes > target:
            if not self.evictor.round(target):
                self._futile = ledger.full = ledger.weight_bytes > limit
                break
            if perf_counter_ns() >= ends_ns:
                self._go_on()
                break
        if ledger.evicted > before:
            self._deleted()
        elapsed_us = (perf_counter_ns() - began_ns) // 1000
        self.latency.record(EVICTION_CYCLE, elapsed_us, ledger.now_unix_ms // 1000)

    def tick(self) -> None:
        """Put the estimate right, free what is gone, and go on deleting. To be called several times a second."""
        ledger = self._ledger
        now_unix_ms = int(time() * 1000)
        ledger.usage.tick(now_unix_ms)
        ledger.now_unix_ms = now_unix_ms
        if not self._freeing:
            self._free()
        self._scale.count()
        limited = ledger.limit_bytes != UNLIMITED
        ends_ns = perf_counter_ns() + (LIMITED_WALK_NS if limited else WALK_NS)
        for _ in range(WALK_PARTITIONS):
            self._scale.walk()
            if perf_counter_ns() >= ends_ns:
                break
        ledger.peak_bytes = max(ledger.peak_bytes, ledger.weight_bytes)
        self._futile = False
        self.make_room()

    def _free(self) -> None:
        """Free some of what is gone, and go on when others had their turn."""
        rubbish = self._ledger.rubbish
        ends_ns = perf_counter_ns() + FREE_NS
        while rubbish and perf_counter_ns() < ends_ns:
            rubbish.free(FREED_ELEMENTS)
        self._freeing = bool(rubbish)
        if self._freeing:
            self._soon(self._free)

    def _go_on(self) -> None:
        if not self._going_on:
            self._going_on = True
            self._soon(self._again)

    def _again(self) -> None:
        self._going_on = False
        self.make_room()
