"""Partitions need the acks of the copies in sync, and of those about to be."""

from respcache.cluster.ownership.record import Node, found
from respcache.cluster.replication.log import Replication
from respcache.cluster.replication.required import Required

RECORD = found("cluster", Node("a", 1), 2).with_nodes([Node("a", 1), Node("b", 2), Node("c", 3)])


def test_all_copies_but_ones_own_have_to_ack() -> None:
    """Each once, whether it is in sync, joining, or both; by the lives that the record gives."""
    replication = Replication()
    required = Required("a", replication)
    b, c = replication.stream("b", 2), replication.stream("c", 3)
    assert required.streams(RECORD, ("a",), ()) == ()
    assert required.streams(RECORD, ("a", "b"), {"c": 7}) == (b, c)
    assert required.streams(RECORD, ("a", "b"), {"b": 7}) == (b,)
    assert required.streams(RECORD, ("a", "b"), {"c": 7}) is required.streams(RECORD, ("a", "b"), {"c": 9})


def test_another_record_may_mean_other_lives() -> None:
    """What was known is asked for anew once it was cleared: a name may stand for another life."""
    replication = Replication()
    required = Required("a", replication)
    assert required.streams(RECORD, ("a", "b"), ()) == (replication.stream("b", 2),)
    restarted = RECORD.with_nodes([Node("a", 1), Node("b", 5)])
    required.clear()
    assert required.streams(restarted, ("a", "b"), ()) == (replication.stream("b", 5),)
