"""Databases and their partitions."""

import pytest

from respcache.cluster.ownership.slots import PARTITIONS, partition_of
from respcache.store.keyspace import Store


def test_keys_with_one_tag_share_a_partition() -> None:
    """What hashes to one slot lives together, in every database."""
    store = Store()
    for number in (0, 3):
        space = store.keyspace(number)
        assert space.at(b"{tag}a") is space.at(b"{tag}b") is space.partitions[partition_of(b"tag")]
        assert space.at(b"k").database == number


def test_a_mark_holds_in_databases_used_before_and_after() -> None:
    """Whether a partition is served is said once, for all databases."""
    store = Store()
    before = store.keyspace(0)
    store.mark(7, serving=False, log=None)
    assert [before.partitions[7].serving, store.keyspace(1).partitions[7].serving] == [False, False]
    assert len(before.served()) == PARTITIONS - 1


def test_a_view_sees_its_partitions_alone() -> None:
    """A command that is run in parts meets every key in one of them."""
    store = Store(databases=2)
    space = store.keyspace(0)
    store.keyspace(1)
    view = space.only((3, 5))
    assert [partition.number for partition in view.served()] == [3, 5]
    assert [[partition.number for partition in database.served()] for database in view.databases()] == [[3, 5], [3, 5]]
    assert view.at(b"k") is space.at(b"k")


def test_partitions_are_served_together_or_not() -> None:
    """One that is not is enough."""
    space = Store().keyspace(0)
    space.partitions[7].serving = False
    assert space.serves((1, 2))
    assert space.serves(())
    assert not space.serves((7,))
    assert not space.serves((1, 7, 9))


def test_databases_end_where_they_were_configured_to() -> None:
    """There is no database beyond the last one."""
    store = Store(databases=2)
    assert len(store) == 2
    assert [space.number for space in store.used()] == []
    with pytest.raises(IndexError):
        store.keyspace(2)
