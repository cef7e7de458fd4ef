"""Which keys go when memory is short."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.cluster.ownership.slots import PARTITIONS, partition_of
from respcache.store import lists, sets, sorted_sets
from respcache.store.aggregate import Aggregate
from respcache.store.eviction import POLICIES, POOL, ROUND, Evictor
from respcache.store.hashes import Hash
from respcache.store.keyspace import Store
from respcache.store.ledger import Ledger
from respcache.store.rubbish import HUGE
from respcache.store.scale import Scale
from respcache.store.usage import TICK_MS
from unit.alone import NotedLog

NOW_UNIX_MS = 1_700_000_000_000
VOLATILE = sorted(name for name in POLICIES if name.startswith("volatile"))
ALL_KEYS = sorted(name for name in POLICIES if name.startswith("allkeys"))


class Short:
    """A store of a node that is short of memory."""

    def __init__(self, policy: str, *, seed: int = 1, samples: int = 5) -> None:
        self.store = Store(ledger=Ledger(Random(seed)))
        self.space = self.store.keyspace(0)
        self.ledger = self.store.ledger
        self.ledger.now_unix_ms = NOW_UNIX_MS
        self.scale = Scale(self.store)
        self.evictor = Evictor(self.store, self.ledger.usage)
        chosen = POLICIES[policy]
        assert chosen is not None
        self.ledger.usage.follow(chosen.tracking, NOW_UNIX_MS)
        self.evictor.follow(chosen, samples)

    def put(self, key: bytes, deadline_unix_ms: int | None = None, size: int = 100) -> None:
        """Set a key."""
        partition = self.space.at(key)
        partition.put(key, bytes(size))
        if deadline_unix_ms is not None:
            partition.expire_at(key, deadline_unix_ms)
        partition.ship(None)
        self.ledger.usage.mark(partition, key, new=True)

    def held(self) -> set[bytes]:
        """List all keys."""
        return {key for partition in self.space.partitions for key in partition.values}

    def evict(self, keys: int) -> int:
        """Delete so many keys, or some more; return how many."""
        self.scale.count()
        self.evictor.survey()
        deleted = 0
        while deleted < keys and (some := self.evictor.round(0)):
            deleted += some
        return deleted


@pytest.mark.parametrize("policy", [*ALL_KEYS, *VOLATILE])
@given(plain=st.integers(0, 40), expiring=st.integers(0, 40), seed=st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_all_goes_that_may_go_and_nothing_else(policy: str, plain: int, expiring: int, seed: int) -> None:
    """However few keys there are, rounds end only when none is left; volatile policies keep keys without deadline."""
    short = Short(policy, seed=seed)
    for number in range(plain):
        short.put(b"plain:%d" % number)
    for number in range(expiring):
        short.put(b"expiring:%d" % number, NOW_UNIX_MS + 1000 + number)
    going = expiring if policy in VOLATILE else plain + expiring
    assert short.evict(10**6) == going == short.ledger.evicted
    assert len(short.held()) == plain + expiring - going
    assert not any(partition.expires for partition in short.space.partitions)


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "volatile-ttl", "volatile-lru", "volatile-lfu"])
def test_mostly_the_right_keys_go(policy: str) -> None:
    """Of a quarter of the keys that went at most one in ten is of the half that should stay."""
    short = Short(policy)
    for number in range(8000):
        short.put(b"old:%d" % number, NOW_UNIX_MS + 1000 + number)
    short.ledger.usage.tick(NOW_UNIX_MS + 100 * TICK_MS)
    for number in range(8000):
        short.put(b"new:%d" % number, NOW_UNIX_MS + 10**9)
        for _ in range(3):
            partition = short.space.at(b"new:%d" % number)
            short.ledger.usage.mark(partition, b"new:%d" % number, new=False)
    short.ledger.now_unix_ms += 200 * TICK_MS
    gone = short.evict(4000)
    assert 4000 <= gone < 4000 + ROUND
    wrong = 8000 - sum(key.startswith(b"new") for key in short.held())
    assert wrong <= gone // 10


def test_more_samples_choose_better() -> None:
    """With ten samples fewer keys go by mistake than with one, which is pure chance."""
    wrong = []
    for samples in (1, 10):
        short = Short("volatile-ttl", samples=samples)
        for number in range(4000):
            short.put(b"key:%d" % number, NOW_UNIX_MS + 1000 + number)
        short.evict(1000)
        wrong.append(sum(b"key:%d" % number not in short.held() for number in range(2000, 4000, 40)))
    assert wrong[1] * 3 < wrong[0]


def test_the_pool_keeps_the_best_that_were_not_deleted() -> None:
    """As many as in Redis, ascending; keys that have gone meanwhile do no harm."""
    short = Short("volatile-ttl")
    for number in range(2000):
        short.put(b"key:%d" % number, NOW_UNIX_MS + 1000 + number)
    short.evict(1)
    pool = short.evictor.pool
    assert len(pool) == POOL
    urgencies = [urgency for urgency, _, _ in pool]
    assert urgencies == sorted(urgencies)
    for _, partition, key in list(pool):
        partition.remove(key)
        partition.ship(None)
    before = len(short.held())
    gone = short.evict(50)
    assert len(short.held()) == before - gone


def test_copies_are_told_and_decide_nothing() -> None:
    """A served key goes with a DEL to its copies; one that is not served here is never looked at."""
    short = Short("allkeys-random")
    log = NotedLog()
    short.put(b"served")
    short.put(b"copied")
    short.store.mark(partition_of(b"served"), serving=True, log=log)
    short.store.mark(partition_of(b"copied"), serving=False, log=None)
    assert short.evict(10) == 1
    assert log.effects == [(0, [b"DEL", b"served"])]
    assert short.space.at(b"served").awaits() is log
    assert short.held() == {b"copied"}


def test_what_has_gone_weighs_nothing() -> None:
    """The estimate goes down with the keys, and ends with that of empty databases."""
    short = Short("allkeys-random")
    for number in range(5000):
        short.put(b"key:%d" % number)
    short.scale.count()
    while not short.scale.walk():
        pass
    full = short.ledger.weight_bytes
    short.evict(2500)
    assert short.ledger.weight_bytes < full * 0.7
    short.evict(10**6)
    for _ in range(PARTITIONS):
        short.scale.walk()
    empty = Short("allkeys-random")
    empty.scale.count()
    assert short.ledger.weight_bytes == empty.ledger.weight_bytes


WORDS = [b"%d" % number for number in range(HUGE * 5)]


def _hash(words: list[bytes]) -> Hash:
    """Make a hash of fields that are their own values."""
    made = Hash()
    for word in words:
        made.set(word, word)
    return made


@pytest.mark.parametrize(
    "value",
    [
        lists.of(WORDS),
        sets.of(WORDS),
        _hash(WORDS),
        sorted_sets.of([(float(word), word) for word in WORDS]),
    ],
    ids=["list", "set", "hash", "zset"],
)
def test_a_huge_value_is_freed_little_by_little(value: Aggregate) -> None:
    """It is out of the way at once; each step frees as much as it is told to, elements or what says where they are."""
    short = Short("allkeys-random")
    whole = len(value)
    partition = short.space.at(b"k")
    partition.put(b"k", value)
    partition.ship(None)
    assert short.evict(1) == 1
    steps = 0
    while short.ledger.rubbish:
        short.ledger.rubbish.free(HUGE)
        steps += 1
    assert steps >= whole // HUGE
    assert len(value) == 0
