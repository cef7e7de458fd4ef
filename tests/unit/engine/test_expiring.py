"""What has expired goes though nobody asks for it."""

from collections.abc import Callable

import pytest

from respcache.cluster.ownership.slots import PARTITIONS
from respcache.engine.expiring import SWEEP_PARTITIONS, Expiry
from respcache.latency import LatencyMonitor
from respcache.store.field_expiry import note_fields
from respcache.store.keyspace import Store
from respcache.store.partition import Partition
from respcache.store.volatile_hashes import VolatileHash

MANY = 5_000


def _held(partition: Partition) -> int:
    found = partition.values[b"k"]
    assert isinstance(found, VolatileHash)
    return len(found.table.names)


@pytest.mark.parametrize("switch", ["active_expiry", "keeps_expired"])
def test_a_round_that_may_delete_nothing_ends_at_once(switch: str) -> None:
    """It does not come back again and again for what it has to leave."""
    store, later = Store(), list[Callable[[], None]]()
    setattr(store.ledger, switch, switch == "keeps_expired")
    expiry = Expiry(store, LatencyMonitor(), swept=lambda: None, soon=later.append)
    partition = store.keyspace(0).partitions[0]
    partition.put(b"k", b"v")
    partition.expire_at(b"k", 1)
    expiry.round()
    assert (expiry.busy, later, len(partition.values)) == (False, [], 1)


def test_a_round_goes_on_until_nothing_is_left_of_its_partitions() -> None:
    """Other work gets its turn meanwhile, and nothing is swept where another node serves."""
    store, later, told = Store(), list[Callable[[], None]](), list[None]()
    expiry = Expiry(store, LatencyMonitor(), swept=lambda: told.append(None), soon=later.append)
    mine, other, second = (store.keyspace(0).partitions[number] for number in (0, 1, SWEEP_PARTITIONS))
    for partition in (mine, other, second):
        found = VolatileHash()
        for number in range(MANY):
            found.set(b"%d" % number, b"v")
            found.expire(b"%d" % number, 1)
        found.set(b"lasts", b"v")
        partition.values[b"k"] = found
        note_fields(partition, b"k", found)
    other.serving = False

    expiry.round()
    while later:
        expiry.round()
        later.pop()()
    assert [_held(partition) for partition in (mine, other, second)] == [1, MANY + 1, MANY + 1]
    assert told
    for _ in range(PARTITIONS // SWEEP_PARTITIONS):
        expiry.round()
        while later:
            later.pop()()
    assert len(second.values[b"k"]) == 1
    assert second.due_unix_ms > mine.ledger.now_unix_ms


def test_nobody_is_told_of_a_round_in_which_nothing_goes() -> None:
    """An idle node would wake up twice as often."""
    told: list[None] = []
    expiry = Expiry(Store(), LatencyMonitor(), swept=lambda: told.append(None), soon=lambda _call: None)
    expiry.round()
    assert told == []
