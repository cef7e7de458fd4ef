"""Partitions move one after the other, and go back where nothing comes of it."""

from respcache.cluster.handovers import HANDOVERS_MAX, Handovers


def test_a_partition_is_frozen_proposed_and_gone() -> None:
    """Or served again, if the proposal came to nothing."""
    handovers = Handovers()
    handovers.want(1)
    assert not handovers
    assert handovers.freeze() == handovers.unproposed() == [1]
    handovers.want(1)
    assert handovers.freeze() == []
    handovers.proposed(1, 7)
    assert handovers.unproposed() == []
    assert not handovers.decided(1, 6)
    assert handovers.decided(1, 7)
    assert not handovers
    assert not handovers.decided(1, 7)


def test_a_partition_may_stay_until_its_move_is_proposed() -> None:
    """Afterwards nobody knows whether it has moved."""
    handovers = Handovers()
    handovers.want(1)
    assert not handovers.settle(1)
    assert handovers.freeze() == []
    handovers.want(1)
    handovers.freeze()
    assert handovers.settle(1)
    handovers.want(1)
    handovers.freeze()
    handovers.proposed(1, 7)
    assert not handovers.settle(1)
    handovers.forget(1)
    assert not handovers


def test_few_are_frozen_at_a_time() -> None:
    """The others are served meanwhile."""
    handovers = Handovers()
    for partition in range(HANDOVERS_MAX + 3):
        handovers.want(partition)
    assert len(handovers.freeze()) == HANDOVERS_MAX
    assert handovers.freeze() == []
    handovers.forget(0)
    assert handovers.freeze() == [HANDOVERS_MAX]
