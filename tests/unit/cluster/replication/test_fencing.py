"""Who was deposed counts as a rival until it cannot serve any more."""

from dataclasses import replace

from respcache.cluster.ownership.changes import Admit, Dismiss, Enrol
from respcache.cluster.ownership.lease import DRIFT
from respcache.cluster.ownership.record import Node, Record, found
from respcache.cluster.replication.fencing import Fencing

A, B, C = ("a", 1), ("b", 2), ("c", 3)
WAIT_S = 1.0 + DRIFT
AT = (1, 5)


def trio() -> Record:
    """Return a record of which a, b and c are the voters."""
    record = found("cluster", Node(*A), 2)
    for life in (B, C):
        record = Enrol(life).apply(Admit(Node(*life)).apply(record))
    return replace(record, version=AT)


def fenced() -> Fencing:
    """Return what a node knows that saw a deposed of partition 7 at 10.0, long after it learned who votes."""
    fencing = Fencing(1.0)
    fencing.learn(0.0, trio(), leap=False)
    fencing.learn(10.0, trio(), leap=False)
    fencing.depose(10.0, 7, A, AT)
    return fencing


def test_a_rival_is_harmless_after_a_lease() -> None:
    """Without anybody's word, counted from when this node learned of the change."""
    fencing = fenced()
    assert fencing.harmless_s(7) == 10.0 + WAIT_S
    assert fencing.harmless_s(8) < 10.0
    fencing.learn(12.0, trio(), leap=False)
    assert fencing.rivals(7) == set()


def test_it_is_harmless_as_soon_as_it_knows() -> None:
    """And not because it knows something older."""
    fencing = fenced()
    fencing.knows(10.1, A, (1, 4))
    assert fencing.harmless_s(7) == 10.0 + WAIT_S
    fencing.knows(10.2, A, AT)
    assert fencing.harmless_s(7) <= 10.2
    assert fencing.rivals(7) == set()


def test_what_is_taken_from_it_later_does_not_hold_up_what_it_knows_of() -> None:
    """Partitions move one after the other, and each waits for its own record to be known."""
    fencing = fenced()
    fencing.depose(10.1, 8, A, (1, 6))
    fencing.knows(10.2, A, AT)
    assert fencing.harmless_s(7) <= 10.2
    assert fencing.harmless_s(8) == 10.1 + WAIT_S
    fencing.knows(10.3, A, (1, 6))
    assert fencing.harmless_s(8) <= 10.3


def test_it_is_harmless_once_what_a_majority_granted_has_ended() -> None:
    """Two of three have to say so; the later of them counts."""
    fencing = fenced()
    fencing.ask(7)
    assert fencing.questions() == (AT, (A,))
    fencing.answered(10.1, B, AT, [(A, 0.2)])
    fencing.answered(10.1, ("d", 4), AT, [(A, 0.0)])
    assert fencing.harmless_s(7) == 10.0 + WAIT_S
    fencing.answered(10.1, C, AT, [(A, 0.0)])
    assert fencing.harmless_s(7) == 10.1 + 0.2 * (1 + DRIFT)


def test_two_changes_of_the_voters_within_a_lease_take_the_short_cut_away() -> None:
    """Majorities before and after need not have a voter in common."""
    fencing = fenced()
    fewer = Dismiss(C).apply(trio())
    fencing.learn(10.1, fewer, leap=False)
    fencing.learn(10.2, Dismiss(B).apply(fewer), leap=False)
    fencing.answered(10.3, A, AT, [(A, 0.0)])
    assert fencing.harmless_s(7) == 10.0 + WAIT_S


def test_after_a_leap_anybody_may_be_a_rival() -> None:
    """What was skipped may have deposed anyone, so a lease has to pass."""
    fencing = Fencing(1.0)
    fencing.learn(10.0, trio(), leap=True)
    assert fencing.harmless_s(3) == 10.0 + WAIT_S


def test_who_hands_over_has_waited_for_all_before_it() -> None:
    """A newcomer that saw that need only hear that this one has stopped; other partitions still wait."""
    fencing = Fencing(1.0)
    fencing.learn(10.0, trio(), leap=True)
    fencing.depose(10.1, 7, A, (1, 6))
    fencing.depose(10.2, 7, B, (1, 7), willing=True)
    assert fencing.rivals(7) == {B}
    fencing.knows(10.3, B, (1, 7))
    assert fencing.harmless_s(7) <= 10.3
    assert fencing.harmless_s(8) == 10.0 + WAIT_S


def test_what_was_handed_over_before_a_leap_may_have_been_taken_away_in_it() -> None:
    """Nobody knows what was skipped."""
    fencing = Fencing(1.0)
    fencing.depose(10.0, 7, A, AT, willing=True)
    fencing.learn(10.1, trio(), leap=True)
    assert fencing.harmless_s(7) == 10.1 + WAIT_S
