"""The schedule of join attempts."""

import random

import pytest

from respcache.cluster.membership.profile import LAN
from respcache.cluster.membership.seeds import CALLS_PER_ATTEMPT_MAX, Seeds

OWN = ("10.0.0.1", 1)
OTHER = ("10.0.0.2", 1)
THIRD = ("10.0.0.3", 1)


def fresh(*addresses: tuple[str, int]) -> Seeds:
    """Make a schedule that begins at 0."""
    seeds = Seeds(0.0, own=OWN, profile=LAN, rng=random.Random(1))
    seeds.replace(0.0, addresses)
    return seeds


def test_our_own_address_is_never_called() -> None:
    """Neither the one we know, nor an alias found out later."""
    seeds = fresh(OWN, OTHER, THIRD)
    seeds.ignore(THIRD)

    assert seeds.tick(0.0, live=(), dead=()) == [OTHER]


def test_a_lonely_node_calls_more_and_more_rarely_up_to_the_reseed_interval() -> None:
    """The first calls follow each other quickly; they never end."""
    seeds = fresh(OTHER)
    gaps = []
    for _ in range(10):
        now = seeds.deadline
        assert seeds.tick(now, live=(), dead=()) == [OTHER]
        gaps.append(seeds.deadline - now)

    assert 0.45 <= gaps[0] <= 0.5
    assert all(9.0 <= gap <= 10.0 for gap in gaps[5:])


def test_live_seeds_are_left_alone_and_one_dead_member_is_retried() -> None:
    """Once in a cluster only what is missing is called, once per reseed interval."""
    seeds = fresh(OTHER, THIRD)

    assert seeds.tick(0.0, live={OTHER}, dead=[("10.0.0.7", 1)]) == [THIRD, ("10.0.0.7", 1)]
    assert seeds.deadline == pytest.approx(9.5, abs=0.5)
    assert seeds.tick(1.0, live={OTHER}, dead=()) == []


def test_an_address_taken_over_by_a_live_member_is_not_retried() -> None:
    """A dead member whose address belongs to another one now has nobody there to answer."""
    assert fresh().tick(0.0, live={OTHER}, dead=[OTHER, OWN]) == []


def test_the_calls_of_one_attempt_are_bounded() -> None:
    """However many addresses a name resolves to."""
    crowd = [(f"10.1.0.{number}", 1) for number in range(50)]

    assert len(set(fresh(*crowd).tick(0.0, live=(), dead=()))) == CALLS_PER_ATTEMPT_MAX
