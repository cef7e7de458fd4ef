"""What goes with a node that leaves, in words."""

from dataclasses import replace
from typing import Final

import pytest

from respcache.cluster.health import Health
from respcache.cluster.ownership.slots import partition_of
from respcache.cluster.stake import Stake
from respcache.leaving import Losses, refusal
from respcache.store.keyspace import Store
from unit.commands.front import HEALTH

ALONE, SHARED = b"a", b"b"
HELD: Final = (partition_of(ALONE), partition_of(SHARED))


def health(stake: Stake, *, leased: bool = True, voters_spare: int = 1) -> Health:
    """Describe a cluster of three, as one node sees it."""
    return replace(HEALTH, leased=leased, voters_spare=voters_spare, stake=stake)


def filled() -> Store:
    """Return a store with a key of each of two partitions, the first of them in two databases."""
    store = Store()
    for database, key in ((0, ALONE), (3, ALONE), (0, SHARED)):
        store.keyspace(database).at(key).put(key, b"x")
    return store


def test_the_last_node_is_refused_with_the_number_of_its_keys() -> None:
    """And told how it leaves all the same; an empty one may leave."""
    last = health(Stake(HELD, alone=HELD))
    told = refusal(last, filled())
    assert told is not None
    assert "3 keys would be gone" in told
    assert "CLUSTER LEAVE FORCE" in told
    assert refusal(last, Store()) is None


@pytest.mark.parametrize(("leased", "spare"), [(False, 1), (True, -1)])
def test_a_node_without_a_majority_is_refused(leased: bool, spare: int) -> None:  # noqa: FBT001 # what it lacks
    """However many others it reaches, nobody can make them owners; what only it has is counted apart."""
    told = refusal(health(Stake(HELD, HELD[:1], heirs=True), leased=leased, voters_spare=spare), filled())
    assert told is not None
    assert "a copy of 2 of its 3 keys" in told
    assert "CLUSTER FAILOVER TAKEOVER" in told
    assert "CLUSTER LEAVE FORCE" in told


def test_others_may_leave() -> None:
    """They hand over what only they have; who belongs to no cluster has nothing."""
    assert refusal(health(Stake(HELD, HELD, heirs=True)), filled()) is None
    assert refusal(None, filled()) is None


def test_what_is_gone_and_what_has_one_copy_are_told_apart() -> None:
    """With numbers of each; and who has no majority cannot count on owners."""
    both = Losses.of(health(Stake(HELD, HELD[:1], paired=1)), filled())
    assert (both.keys, both.partitions, both.paired) == (2, 1, 1)
    assert "2 keys are gone: of 1 partitions no other node in reach has a copy" in str(both)
    assert "1 partitions have one copy for now" in str(both)
    assert "TAKEOVER" not in str(both)
    cut_off = Losses.of(health(Stake(HELD, HELD[:1], paired=1), leased=False), filled())
    assert "CLUSTER FAILOVER TAKEOVER" in str(cut_off)
    paired = str(Losses.of(health(Stake(HELD, (), paired=2)), filled()))
    assert "gone" not in paired
    learning = str(Losses.of(health(Stake(HELD, HELD[:1], heirs=True, learning=True)), filled()))
    assert "up to 2 keys are gone" in learning
    leaving = Losses.of(health(Stake(HELD, (), parting=HELD[:1])), filled())
    assert (leaving.keys, leaving.parting_keys, leaving.leaves_keys) == (0, 2, True)
    assert str(leaving).startswith("2 keys have copies only on nodes that leave as well, and will be gone with")
    inherited = Losses.of(health(Stake(HELD, (), parting=HELD[:1], heirs=True)), filled())
    assert "will be gone unless these hand them over" in str(inherited)
    empty = str(Losses.of(health(Stake(HELD, HELD)), Store()))
    assert empty == "no other node in reach has a copy of 2 partitions, which are empty"
    assert str(Losses.of(None, filled())) == "all keys have copies elsewhere"
