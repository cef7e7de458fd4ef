"""The partitions that take no writes are those with copies that have yet to confirm too many."""

from respcache.cluster.congestion import Congestion
from respcache.cluster.replication.log import Log, Replication


def test_partitions_follow_the_pressure_and_the_copies() -> None:
    """Of their own streams alone."""
    replication = Replication()
    full, free = replication.stream("b", 1), replication.stream("c", 1)
    logs = {number: Log(replication, number, 1, 0) for number in range(3)}
    logs[0].attach((), (full,))
    logs[1].attach((), (free,))
    congestion = Congestion(peer_bytes_max=100, bytes_max=1_000, withheld=set())
    assert not congestion.measure(replication.streams.values(), logs)
    full.unacked_bytes = 101
    assert congestion.measure(replication.streams.values(), logs)
    assert congestion
    assert congestion.partitions == {0}
    logs[1].attach((full,), (free,))
    assert congestion.review(logs)
    assert congestion.partitions == {0, 1}
    del logs[0]
    assert congestion.review(logs)
    full.unacked_bytes = 0
    assert congestion.measure(replication.streams.values(), logs) or congestion.review(logs)
    assert not congestion
    assert congestion.partitions == frozenset()


def test_a_partition_that_is_withheld_takes_no_writes() -> None:
    """Though nothing presses, and until it is withheld no more."""
    replication = Replication()
    logs = {number: Log(replication, number, 1, 0) for number in range(3)}
    withheld = {1}
    congestion = Congestion(peer_bytes_max=100, bytes_max=1_000, withheld=withheld)
    assert congestion.review(logs)
    assert congestion.partitions == {1}
    withheld.clear()
    assert congestion.review(logs)
    assert congestion.partitions == frozenset()
