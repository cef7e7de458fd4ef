"""The store as replication sees it."""

from respcache.store.copies import FREED_KEYS, Copies
from respcache.store.keyspace import Store


def test_what_is_dropped_is_gone_at_once_and_freed_bit_by_bit() -> None:
    """In all databases; the memory of a large partition takes several steps."""
    store = Store()
    copies = Copies(store)
    for database in (0, 3):
        for number in range(FREED_KEYS):
            store.keyspace(database).partitions[5].put(b"%d" % number, b"v")
    assert copies.count(5) == 2 * FREED_KEYS
    assert [(number, len(keys)) for number, keys in copies.keys(5)] == [(0, FREED_KEYS), (3, FREED_KEYS)]
    assert copies.drop(5) == 2 * FREED_KEYS
    assert copies.count(5) == copies.drop(5) == 0
    steps = 0
    while copies.unfreed:
        before = copies.unfreed
        copies.free()
        assert before - copies.unfreed <= FREED_KEYS
        steps += 1
    assert steps >= 2
    copies.free()
