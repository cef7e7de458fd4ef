"""Which keys go when memory is short: the best of a sample, and of those that were nearly chosen before. Pure.

Redis' method. Of every `samples` keys that are looked at one is deleted, and a pool keeps the best
of the others for the next round. Only keys that this node serves are looked at: the copies are told what
was deleted, as of any other write, and delete nothing by themselves.
"""

import enum
from collections.abc import Collection
from dataclasses import dataclass
from itertools import accumulate, islice
from operator import itemgetter
from typing import Final, TypeAlias

from respcache.store.keyspace import Store
from respcache.store.partition import Partition
from respcache.store.scale import entry_bytes, weight
from respcache.store.usage import Tracking, Usage

POOL: Final = 16
"""Candidates that are kept from one round to the next, as in Redis."""
ROUND: Final = 16
"""Keys deleted in one round, at most."""
WINDOW: Final = 20_000
"""Keys of one partition among which a round looks for candidates; beyond, among the older ones."""
PARTITIONS_TRIED: Final = 128
"""Partitions that a round looks into, at most: where there are few keys each has one or none."""


class Order(enum.Enum):
    """Which of two keys goes first."""

    IDLE = "idle"
    """The one that was not used for longer."""
    RARE = "rare"
    """The one that is used less often."""
    SOON = "soon"
    """The one that would expire sooner."""
    CHANCE = "chance"


@dataclass(frozen=True, slots=True)
class Policy:
    """What `maxmemory-policy` says."""

    order: Order
    volatile: bool
    """Whether only keys with a deadline may go."""
    tracking: Tracking


POLICIES: Final[dict[str, Policy | None]] = {
    "volatile-lru": Policy(Order.IDLE, volatile=True, tracking=Tracking.RECENCY),
    "volatile-lfu": Policy(Order.RARE, volatile=True, tracking=Tracking.FREQUENCY),
    "volatile-random": Policy(Order.CHANCE, volatile=True, tracking=Tracking.NOTHING),
    "volatile-ttl": Policy(Order.SOON, volatile=True, tracking=Tracking.NOTHING),
    "allkeys-lru": Policy(Order.IDLE, volatile=False, tracking=Tracking.RECENCY),
    "allkeys-lfu": Policy(Order.RARE, volatile=False, tracking=Tracking.FREQUENCY),
    "allkeys-random": Policy(Order.CHANCE, volatile=False, tracking=Tracking.NOTHING),
    "noeviction": None,
}
"""By name; None where nothing may go."""

Candidate: TypeAlias = tuple[int, Partition, bytes]
"""How much it should go rather than others, where it is, and its key."""


class Evictor:
    """Deletes keys. One per node."""

    def __init__(self, store: Store, usage: Usage) -> None:
        self._store: Final = store
        self._usage: Final = usage
        self.policy: Policy | None = None
        self.samples = 5
        """Keys looked at for each that goes (`maxmemory-samples`)."""
        self.pool: list[Candidate] = []
        """The best that were not deleted yet, the best of all last."""
        self._sources: list[Partition] = []
        self._shares: list[int] = []
        """Keys of the sources, added up: the chance of each to be looked into."""

    def follow(self, policy: Policy | None, samples: int) -> None:
        """Judge by another policy."""
        self.policy, self.samples = policy, samples
        self.pool.clear()

    def survey(self) -> bool:
        """Find out which partitions have keys that may go, for the rounds to come; False if there are none."""
        self._sources, self._shares = [], []
        policy = self.policy
        if policy is None:
            return False
        sizes: list[int] = []
        for space in self._store.used():
            for partition in space.partitions:
                size = len(partition.expires) if policy.volatile else len(partition.values)
                if size and partition.serving:
                    self._sources.append(partition)
                    sizes.append(size)
        self._shares = list(accumulate(sizes))
        return bool(sizes)

    def round(self, target_bytes: int) -> int:
        """Delete up to ROUND keys, until the store weighs no more than that; return how many.

        None is left that may go if that is 0, and the store weighs more.
        """
        policy = self.policy
        if policy is None or not self._shares:
            return 0
        deleted = self._choose(policy, target_bytes)
        if not deleted and self._store.ledger.weight_bytes > target_bytes and self.survey():
            deleted = self._choose(policy, target_bytes)  # what was surveyed before had gone
        self._store.ledger.evicted += deleted
        return deleted

    def _choose(self, policy: Policy, target_bytes: int) -> int:
        drawn = self._draw(policy)
        most = max(1, len(drawn) // self.samples)
        pool = self.pool
        pool += drawn
        pool.sort(key=itemgetter(0))
        deleted = 0
        ledger = self._store.ledger
        while pool and deleted < most and ledger.weight_bytes > target_bytes:
            _, partition, key = pool.pop()
            deleted += self._evict(partition, key, volatile=policy.volatile)
        del pool[:-POOL]
        return deleted

    def _draw(self, policy: Policy) -> list[Candidate]:
        """Look at the keys of partitions drawn by chance, until there are enough."""
        wanted = ROUND * self.samples
        drawn: list[Candidate] = []
        now_unix_ms = self._store.ledger.now_unix_ms
        for partition in self._store.ledger.rng.choices(
            self._sources, cum_weights=self._shares, k=min(PARTITIONS_TRIED, 2 * len(self._sources))
        ):
            if not partition.serving:
                continue
            keys = self._some(partition.expires if policy.volatile else partition.values, wanted - len(drawn))
            drawn += [(self._urgency(policy, partition, key, now_unix_ms), partition, key) for key in keys]
            if len(drawn) >= wanted:
                break
        return drawn

    def _some(self, keys: Collection[bytes], wanted: int) -> list[bytes]:
        """Draw keys: evenly spread from a place drawn by chance on."""
        chance = self._store.ledger.rng.random()
        count = len(keys)
        if count <= wanted:
            return list(keys)
        first = int(chance * min(count - WINDOW, WINDOW)) if count > WINDOW else 0
        window = list(islice(keys, first, first + WINDOW))
        step = len(window) // wanted
        return window[int(chance * step) :: step][:wanted]

    def _urgency(self, policy: Policy, partition: Partition, key: bytes, now_unix_ms: int) -> int:
        match policy.order:
            case Order.IDLE:
                return self._usage.idle_ms(partition, key, now_unix_ms)
            case Order.RARE:
                return -self._usage.frequency(partition, key)
            case Order.SOON:
                return -(partition.deadline(key) or 0)
            case Order.CHANCE:
                return int(self._store.ledger.rng.random() * (1 << 30))

    def _evict(self, partition: Partition, key: bytes, *, volatile: bool) -> int:
        """Delete a key, here and on the copies; 0 if it may not go, or is gone."""
        value = partition.values.get(key)
        if value is None or not partition.serving or (volatile and key not in partition.expires):
            return 0
        partition.evict(key)
        partition.gain(-weight(value) - entry_bytes(key), -1)
        return 1
