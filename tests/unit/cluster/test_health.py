"""When the next node may be restarted, and when not."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from respcache.cluster.health import Health, examine
from respcache.cluster.ownership.changes import Admit, Bury, Enrol, InSync, Learn
from respcache.cluster.ownership.record import Node, Record, found
from respcache.cluster.progress import Progress

NAMES = ("a", "b", "c")
ALL = dict.fromkeys(NAMES, 1)


def examined(record: Record, live: Mapping[str, int], reached: Collection[str], *, leased: bool) -> Health:
    """Judge while nothing is being copied."""
    rebalance = Progress("a", ()).report(0.0, record, ((),) * len(record.entries), live)
    return examine(record, live, reached, me=("a", 1), leased=leased, rebalance=rebalance)


def trio() -> Record:
    """Return three voting members that all have a copy of everything, of which two are asked for."""
    record = found("cluster", Node("a", 1), 2, partitions=4)
    for name in "bc":
        record = Enrol((name, 1)).apply(Admit(Node(name, 1)).apply(record))
        record = Learn(tuple((p, name) for p in range(4))).apply(record)
        record = InSync(name, 1, tuple((p, 1) for p in range(4))).apply(record)
    return record


def test_a_whole_cluster_can_do_without_any_one_node() -> None:
    """Every key has another copy, and two of three voters are a majority."""
    health = examined(trio(), ALL, ALL, leased=True)
    assert health.restart_is_safe
    assert (health.voters, health.voters_reached, health.voters_spare) == (3, 3, 1)


def test_without_a_lease_nothing_is_safe() -> None:
    """This node may be the one that is cut off."""
    assert not examined(trio(), ALL, ALL, leased=False).restart_is_safe


def test_a_dead_voter_leaves_none_to_spare() -> None:
    """However many copies there are."""
    health = examined(trio(), {"a": 1, "b": 1}, {"a", "b"}, leased=True)
    assert (health.redundancy.partitions_single, health.redundancy.partitions_short) == (0, 0)
    assert (health.voters_reached, health.voters_spare) == (2, 0)
    assert not health.restart_is_safe


def test_a_last_copy_is_not_to_be_stopped() -> None:
    """Nor is one that is only being copied."""
    record = Bury((("b", 1), ("c", 1)), ((),) * 4, frozenset("a")).apply(trio())
    health = examined(record, ALL, ALL, leased=True)
    assert (health.redundancy.partitions_single, health.redundancy.partitions_short, health.unowned) == (4, 4, 0)
    assert not health.restart_is_safe
    learning = examined(Learn(((0, "b"),)).apply(record), ALL, ALL, leased=True)
    assert learning.redundancy.under_way == 1


def test_either_of_a_pair_may_go_where_every_side_goes_on() -> None:
    """The other one goes on alone."""
    record = trio()
    pair = replace(record, voters=record.voters[:2], widest=2)
    assert examined(pair, ALL, ALL, leased=True).restart_is_safe
    assert not examined(replace(pair, widest=3), ALL, ALL, leased=True).restart_is_safe
