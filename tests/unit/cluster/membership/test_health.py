"""The local health score."""

from respcache.cluster.membership.health import Health


def test_the_score_saturates_at_both_ends() -> None:
    """It never falls below healthy nor rises above the worst."""
    health = Health(worst=3)
    health.improve()
    assert (health.score, health.multiplier) == (0, 1)

    health.worsen(2)
    health.worsen(5)
    assert (health.score, health.multiplier) == (3, 4)

    health.improve()
    assert health.multiplier == 3


def test_zero_switches_it_off() -> None:
    """With a worst score of 0 nothing is ever stretched."""
    health = Health(worst=0)
    health.worsen(9)

    assert health.multiplier == 1
