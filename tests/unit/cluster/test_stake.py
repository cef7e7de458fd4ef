"""What goes with a node, by who else has it."""

from dataclasses import replace
from typing import Final

from msgspec import structs

from respcache.cluster.ownership.record import Entry, Node, Record, Standing, found
from respcache.cluster.stake import Stake

A, B, C = (Node(name, 1) for name in "abc")
ALL: Final = [A.life, B.life, C.life]
ENTRIES: Final = tuple(
    Entry(1, 1, 1, in_sync[0], tuple(in_sync), tuple(learners))
    for in_sync, learners in (("a", "b"), ("ab", ""), ("bac", ""), ("bc", "a"))
)


def record() -> Record:
    """Return three members and four partitions: only a has 0, b has 1 too, all have 2, a has no whole copy of 3."""
    return replace(found("id", A, 2, partitions=4).with_nodes((A, B, C)), entries=ENTRIES)


def test_what_nobody_else_has_goes_with_the_node() -> None:
    """A copy in the making is none, be it here or elsewhere."""
    assert Stake.of(record(), ALL, A.life) == Stake(held=(0, 1, 2), alone=(0,), paired=1, heirs=True, learning=True)


def test_a_node_that_is_not_reached_or_has_begun_a_new_life_has_nothing() -> None:
    """Nobody knows whether it comes back."""
    assert Stake.of(record(), [A.life, C.life], A.life) == Stake((0, 1, 2), alone=(0, 1), paired=1, heirs=True)
    reborn = [A.life, ("b", 2)]
    assert Stake.of(record(), reborn, A.life) == Stake((0, 1, 2), alone=(0, 1, 2), paired=0, heirs=False)


def test_a_node_that_leaves_as_well_is_no_heir() -> None:
    """What only such nodes have goes with the last of them, and a node that was given up counts as one."""
    leaving = [A, structs.replace(B, standing=Standing.LEAVING), structs.replace(C, standing=Standing.GONE)]
    stake = Stake.of(record().with_nodes(leaving), ALL, A.life)
    assert (stake.alone, stake.parting, stake.paired, stake.heirs) == ((0,), (1, 2), 0, False)
    leaving[2] = C
    stake = Stake.of(record().with_nodes(leaving), ALL, A.life)
    assert (stake.alone, stake.parting, stake.paired, stake.heirs) == ((0,), (1,), 1, True)


def test_who_is_not_of_the_record_has_nothing_at_stake() -> None:
    """Nor has an earlier life of its name."""
    assert Stake.of(record(), ALL, ("a", 2)) == Stake()
