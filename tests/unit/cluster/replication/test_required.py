"""Partitions need the acks of the copies in sync, and of those about to be."""

import msgspec

from respcache.cluster.ownership.record import Entry, Node, Record, found
from respcache.cluster.replication.log import Replication
from respcache.cluster.replication.required import Required, short, thinned

RECORD = found("cluster", Node("a", 1), 2).with_nodes([Node("a", 1), Node("b", 2), Node("c", 3)])


def test_all_copies_but_ones_own_have_to_ack() -> None:
    """Each once, whether it is in sync, joining, or both; by the lives that the record gives."""
    replication = Replication()
    required = Required("a", replication)
    b, c = replication.stream("b", 2), replication.stream("c", 3)
    assert required.streams(RECORD, ("a",), ()) == ()
    assert required.streams(RECORD, ("a", "b"), {c: 7}) == (b, c)
    assert required.streams(RECORD, ("a", "b"), {b: 7}) == (b,)
    assert required.streams(RECORD, ("a", "b"), {c: 7}) is required.streams(RECORD, ("a", "b"), {c: 9})


def test_another_record_may_mean_other_lives() -> None:
    """What was known is asked for anew once it was cleared: a name may stand for another life."""
    replication = Replication()
    required = Required("a", replication)
    assert required.streams(RECORD, ("a", "b"), ()) == (replication.stream("b", 2),)
    restarted = RECORD.with_nodes([Node("a", 1), Node("b", 5)])
    required.clear()
    assert required.streams(restarted, ("a", "b"), ()) == (replication.stream("b", 5),)


def held(*copies: tuple[str, ...]) -> Record:
    """Return a record in which these nodes hold the partitions, the first of each as its primary."""
    entries = (Entry(epoch=1, revision=1, primary=names[0], in_sync=names) for names in copies)
    return RECORD.edited(dict(enumerate(entries)))


def test_partitions_of_a_primary_are_short_of_copies_below_what_is_needed() -> None:
    """Those of others are their business, and one copy there always is."""
    record = held(("a", "b"), ("a",), ("b",), ("a", "b", "c"))
    record = record.edited({p: msgspec.structs.replace(record.entries[p], primary="c") for p in range(4, 1024)})
    assert short(record, "a", 2) == {1}
    assert short(record, "a", 3) == {0, 1}
    assert short(record, "a", 1) == frozenset()


def test_partitions_are_thinned_by_the_loss_of_a_copy_that_was_needed() -> None:
    """Where there never were enough, or still are, nothing was acknowledged too soon."""
    before = held(("a", "b", "c"), ("a", "b"), ("a",), ("a", "b", "c"))
    after = held(("a", "b"), ("a",), ("a",), ("a",))
    assert thinned(before, after, range(4), 2) == [1, 3]
    assert thinned(before, after, range(4), 3) == [0, 1, 3]
    assert thinned(before, after, (0, 1), 2) == [1]
    assert thinned(before, after, range(4), 1) == []
    assert thinned(None, after, range(4), 2) == []
