"""The store as replication sees it."""

from respcache.store.copies import Copies
from respcache.store.keyspace import Store
from respcache.store.usage import TICK_MS, Tracking

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


def test_how_a_key_was_used_is_noted_where_it_is() -> None:
    """A key that did not come, as of a value that nobody here can read, has no mark."""
    now_unix_ms = 1_700_000_000_000
    here, there = Copies(Store()), Copies(Store())
    for copies in (here, there):
        copies.store.ledger.now_unix_ms = now_unix_ms
        copies.store.ledger.usage.follow(Tracking.RECENCY, now_unix_ms)
    held = here.store.keyspace(3).partitions[5]
    held.put(b"k", b"v")
    held.marks[b"k"] = now_unix_ms // TICK_MS - 600
    use = here.use(5, 3, b"k")
    assert use is not None
    there.used(5, 3, b"k", use)
    assert not there.store.keyspace(3).partitions[5].marks
    before = here.digest(5, 3, b"k", 1)
    there.restore(5, 3, b"k", here.dump(5, 3, b"k"))
    assert there.digest(5, 3, b"k", 1) == before
    there.used(5, 3, b"k", use)
    assert there.store.keyspace(3).partitions[5].marks == held.marks
    assert there.digest(5, 3, b"k", 1) == before
