"""Transitions and flaps, counted."""

from dataclasses import replace

from respcache.cluster.membership import Died, Joined, Left, Member, MemberState, Meta, Recovered, Suspected, Updated
from respcache.cluster.membership.tally import DEATHS_REMEMBERED_MAX, Tally

B = Member("b", 1, 0, MemberState.ALIVE, ("10.0.0.2", 16379), Meta(client_port=6379, http_port=0), 0.0)


def test_transitions_are_counted_by_the_new_state() -> None:
    """A member that joins or recovers is alive; other news are no transitions."""
    tally = Tally()
    for event in (Joined(B), Updated(B), Suspected(B), Recovered(B), Suspected(B), Died(B), Joined(B), Left(B)):
        tally.count(event)
    assert tally.transitions == {"alive": 3, "suspect": 2, "dead": 1, "left": 1}


def test_a_flap_is_a_death_that_was_none() -> None:
    """The same run of the node is back; a restarted one had really been dead."""
    tally = Tally()
    for event in (Joined(B), Died(B), Joined(B)):
        tally.count(event)
    assert tally.flaps == 1
    for event in (Died(B), Joined(replace(B, epoch_unix_ms=2))):
        tally.count(event)
    assert tally.flaps == 1


def test_deaths_are_not_remembered_for_ever() -> None:
    """Names may be new for every pod; the latest ones count."""
    tally = Tally()
    for number in range(DEATHS_REMEMBERED_MAX + 1):
        tally.count(Died(replace(B, name=f"b{number}")))
    tally.count(Joined(replace(B, name="b0")))
    assert tally.flaps == 0
    tally.count(Joined(replace(B, name="b1")))
    assert tally.flaps == 1
