"""The store as replication sees it."""

from respcache.store.copies import Copies
from respcache.store.keyspace import Store

KEYS = 2_000


def test_what_is_dropped_is_gone_at_once_and_freed_bit_by_bit() -> None:
    """In all databases; the memory of a large partition takes several steps."""
    store = Store()
    copies = Copies(store)
    for database in (0, 3):
        for number in range(KEYS):
            store.keyspace(database).partitions[5].put(b"%d" % number, b"v")
    assert copies.count(5) == 2 * KEYS
    assert copies.databases(5) == [0, 3]
    assert [len(copies.keys(5, number, 0)[0]) for number in (0, 3)] == [KEYS, KEYS]
    assert copies.drop(5) == 2 * KEYS
    assert copies.count(5) == copies.drop(5) == 0
    rubbish = store.ledger.rubbish
    for left in (2 * KEYS, KEYS + 1, 2):
        assert len(rubbish) == left
        rubbish.free(KEYS - 1)
    assert not rubbish
