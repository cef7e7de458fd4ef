"""Copies are counted over the whole cluster, by what the record says and who lives."""

from collections.abc import Sequence
from dataclasses import replace

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.ownership.record import Entry, Node, Record, Standing, found
from respcache.cluster.ownership.redundancy import Redundancy
from respcache.cluster.ownership.slots import PARTITIONS

A, B, C = (Node(name, 1) for name in "abc")


def record(copies: Sequence[Sequence[str]], *, nodes: Sequence[Node] = (A, B, C), replica_count: int = 2) -> Record:
    """Make a record whose partitions have these copies in sync, the given ones by turns."""
    entries = tuple(Entry(primary=in_sync[0], in_sync=tuple(in_sync)) for in_sync in copies)
    repeated = tuple(entries[number % len(entries)] for number in range(PARTITIONS))
    return replace(found("cluster", A, replica_count).with_nodes(nodes), entries=repeated)


def test_nothing_is_missing_while_all_live() -> None:
    """Every partition has as many copies as were agreed on."""
    counted = Redundancy.of(record(["ab", "bc"]), {"a": 1, "b": 1, "c": 1})
    assert counted == Redundancy(
        replica_count=2, wanted=2, missing=0, partitions_short=0, partitions_single=0, under_way=0, surplus=0
    )


def test_the_copies_of_the_dead_are_missing_at_once() -> None:
    """Before the record has been changed, and whether they were primaries or not."""
    counted = Redundancy.of(record(["ab", "ba", "bc", "cb"]), {"b": 1, "c": 1})
    assert (counted.wanted, counted.missing, counted.partitions_short) == (2, PARTITIONS // 2, PARTITIONS // 2)


def test_partitions_without_a_living_copy_are_told_of() -> None:
    """Nothing is in the making of which there is nothing to be made from."""
    made = record(["a", "b"], nodes=(A, B))
    entries = tuple(
        msgspec.structs.replace(entry, learners=("b",)) if entry.primary == "a" else entry for entry in made.entries
    )
    both = Redundancy.of(replace(made, entries=entries), {"a": 1, "b": 1})
    assert (both.partitions_bare, both.under_way) == (0, PARTITIONS // 2)
    one = Redundancy.of(replace(made, entries=entries), {"b": 1})
    assert (one.partitions_bare, one.under_way) == (PARTITIONS // 2, 0)


def test_another_life_of_a_node_has_no_copies() -> None:
    """A node that has restarted begins empty."""
    assert Redundancy.of(record(["ab"]), {"a": 1, "b": 2, "c": 1}).missing == PARTITIONS


def test_no_more_copies_are_wanted_than_there_are_nodes_to_hold_them() -> None:
    """Those that leave or are given up hold none; a node alone is enough for itself."""
    leaving = Node(C.name, C.run, standing=Standing.LEAVING)
    assert Redundancy.of(record(["ab"], nodes=(A, B, leaving), replica_count=3), {"a": 1, "b": 1, "c": 1}).wanted == 2
    alone = Redundancy.of(record(["a"], nodes=(A,)), {"a": 1})
    assert (alone.replica_count, alone.wanted, alone.missing, alone.partitions_single) == (2, 1, 0, PARTITIONS)


def test_a_copy_that_is_to_go_is_surplus_while_it_is_in_sync() -> None:
    """Where keys move there are more copies than agreed on for a while; one that lacks elsewhere is missing still."""
    counted = Redundancy.of(record(["abc", "a"]), {"a": 1, "b": 1, "c": 1})
    assert (counted.surplus, counted.missing) == (PARTITIONS // 2, PARTITIONS // 2)
    assert Redundancy.of(record(["abc"]), {"a": 1, "b": 1}).surplus == 0


def test_copies_in_the_making_do_not_count_yet() -> None:
    """They are told of on their own."""
    made = record(["a"], nodes=(A, B))
    made = replace(made, entries=tuple(msgspec.structs.replace(entry, learners=("b",)) for entry in made.entries))
    counted = Redundancy.of(made, {"a": 1, "b": 1})
    assert (counted.missing, counted.under_way) == (PARTITIONS, PARTITIONS)


@given(
    st.lists(st.permutations("abc").map(lambda names: names[:2]), min_size=1, max_size=4),
    st.sets(st.sampled_from("abc")),
)
def test_nothing_missing_means_that_any_node_may_die(copies: list[list[str]], living: set[str]) -> None:
    """With two copies and two live nodes or more, each partition has a live copy whoever else is taken away."""
    live = dict.fromkeys(living, 1)
    counted = Redundancy.of(record(copies), live)
    if len(living) >= 2 and not counted.missing:
        for dead in living:
            assert all((living - {dead}).intersection(names) for names in copies)
    assert bool(counted.missing) == bool(counted.partitions_short)
