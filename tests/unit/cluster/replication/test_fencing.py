"""Who was deposed counts as a rival until it cannot serve any more."""

from dataclasses import replace

from respcache.cluster.ownership.changes import Admit, Dismiss, Enrol, InSync, Learn, Move
from respcache.cluster.ownership.lease import DRIFT
from respcache.cluster.ownership.record import Node, Record, found, same_line
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
    fencing.learn(0.0, trio(), leap=False, traced=True)
    fencing.learn(10.0, trio(), leap=False, traced=True)
    fencing.depose(10.0, 7, A, AT)
    return fencing


def test_a_rival_is_harmless_after_a_lease() -> None:
    """Without anybody's word, counted from when this node learned of the change."""
    fencing = fenced()
    assert fencing.harmless_s(7) == 10.0 + WAIT_S
    assert fencing.harmless_s(8) < 10.0
    fencing.learn(12.0, trio(), leap=False, traced=True)
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
    fencing.learn(10.1, fewer, leap=False, traced=True)
    fencing.learn(10.2, Dismiss(B).apply(fewer), leap=False, traced=True)
    fencing.answered(10.3, A, AT, [(A, 0.0)])
    assert fencing.harmless_s(7) == 10.0 + WAIT_S


def test_after_a_leap_anybody_may_be_a_rival() -> None:
    """What was skipped may have deposed anyone, so a lease has to pass."""
    fencing = Fencing(1.0)
    fencing.learn(10.0, trio(), leap=True, traced=False)
    assert fencing.harmless_s(3) == 10.0 + WAIT_S


def test_who_hands_over_has_waited_for_all_before_it() -> None:
    """A newcomer that saw that need only hear that this one has stopped; other partitions still wait."""
    fencing = Fencing(1.0)
    fencing.learn(10.0, trio(), leap=True, traced=False)
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
    fencing.learn(10.1, trio(), leap=True, traced=False)
    assert fencing.harmless_s(7) == 10.1 + WAIT_S


def heirs(old: Record, primaries: list[str]) -> Record:
    """Return what a record becomes if partition 7 is handed from one to the next."""
    record = old
    for name in primaries:
        entry = record.entries[7]
        record = Move(((7, entry.revision, name),)).apply(record)
        record = replace(record, version=(record.version[0], record.version[1] + 1), parent=record.version)
    return record


def shared() -> Record:
    """Return a record in which a is the primary of partition 7, and b and c have copies."""
    record = Learn(((7, "b"), (7, "c"))).apply(trio())
    at = ((7, record.entries[7].revision),)
    copied = InSync(*C, at).apply(InSync(*B, at).apply(record))
    assert copied.entries[7].in_sync == ("a", "b", "c")
    return copied


def test_a_missed_version_of_the_same_line_hides_no_rival_where_one_epoch_began() -> None:
    """The primary of the one before is all there is to wait for, and other partitions need not wait at all."""
    old = shared()
    new = replace(heirs(old, ["b"]), version=(1, 9), parent=(1, 8))
    assert same_line(old, new)
    fencing = Fencing(1.0)
    fencing.learn(0.0, old, leap=False, traced=True)
    fencing.learn(10.0, new, leap=True, traced=True)
    fencing.succeed(10.0, 7, old, new, me="b")
    assert fencing.rivals(7) == {A}
    assert fencing.harmless_s(8) < 10.0
    fencing.knows(10.1, A, (1, 9))
    assert fencing.harmless_s(7) <= 10.1


def test_where_more_epochs_began_unseen_a_lease_has_to_pass() -> None:
    """Whoever had the one in between may serve, and nobody has named it. Of this partition alone."""
    old = shared()
    new = heirs(old, ["b", "c"])
    fencing = Fencing(1.0)
    fencing.learn(0.0, old, leap=False, traced=True)
    fencing.depose(9.9, 7, A, AT, willing=True)
    fencing.knows(9.9, A, new.version)
    fencing.learn(10.0, new, leap=True, traced=True)
    fencing.succeed(10.0, 7, old, new, me="c")
    assert fencing.harmless_s(7) == 10.0 + WAIT_S
    assert fencing.harmless_s(8) < 10.0
    fencing.learn(12.0, new, leap=False, traced=True)
    assert fencing.harmless_s(7) <= 10.0


def test_versions_of_another_term_may_lie_on_another_branch() -> None:
    """One side may have gone on alone, and have counted its epochs for itself."""
    old = shared()
    assert not same_line(old, replace(old, version=(2, 6)))
    assert not same_line(old, replace(old, cluster_id="other", version=(1, 6)))
    assert not same_line(None, old)


def test_voters_may_have_changed_twice_in_versions_that_were_missed() -> None:
    """So what they say is no short cut until a lease has passed."""
    fencing = fenced()
    fencing.learn(10.1, Dismiss(C).apply(trio()), leap=True, traced=True)
    fencing.answered(10.2, A, AT, [(A, 0.0)])
    fencing.answered(10.2, B, AT, [(A, 0.0)])
    assert fencing.harmless_s(7) == 10.0 + WAIT_S
