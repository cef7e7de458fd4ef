"""A lease ends on its holder's clock before it ends on the voters', whatever the clocks do within their margin."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.ownership.changes import Admit, Enrol
from respcache.cluster.ownership.lease import DRIFT, Grants, Lease
from respcache.cluster.ownership.record import NOTHING, Node, Record, found

A, B, C = ("a", 1), ("b", 2), ("c", 3)
LENGTH_S = 1.0


def trio(counter: int = 1) -> Record:
    """Return a record of which a, b and c are the voters."""
    record = found("cluster", Node(*A), 2)
    for life in (B, C):
        record = Enrol(life).apply(Admit(Node(*life)).apply(record))
    return replace(record, version=(1, counter))


def held_by(*voters: tuple[str, int], version: tuple[int, int] = (1, 1)) -> Lease:
    """Return the lease of a, asked for at 10.0 and granted by some."""
    lease = Lease(A, LENGTH_S)
    lease.learn(trio())
    number = lease.ask(10.0)
    for voter in voters:
        lease.granted(voter, number, version)
    return lease


def test_a_majority_makes_a_lease_from_the_moment_of_asking() -> None:
    """Less the margin for drifting clocks."""
    assert held_by(A).until_s == -math.inf
    assert held_by(A, C).until_s == 10.0 + LENGTH_S * (1 - DRIFT)
    assert held_by(A, A).until_s == -math.inf


def test_an_answer_shows_that_its_voter_lived_when_it_was_asked() -> None:
    """Whether or not the grant counts, and however late the answer is."""
    lease = held_by(B)
    assert lease.asked_s(B) == pytest.approx(10.0)
    assert lease.asked_s(C) == -math.inf
    late = lease.ask(11.0)
    lease.ask(12.0)
    lease.granted(B, late, (1, 7))
    assert lease.asked_s(B) == pytest.approx(11.0)
    lease.void()
    assert lease.asked_s(B) == -math.inf


def test_the_only_voter_needs_nobody() -> None:
    """It cannot lose its lease, unless there are others."""
    lease = Lease(A, LENGTH_S)
    lease.learn(found("cluster", Node(*A), 2))
    assert lease.until_s == math.inf
    lease.learn(trio(2))
    assert lease.until_s == -math.inf


def test_what_was_granted_for_a_newer_record_counts_once_that_is_known() -> None:
    """A holder that has missed a change may have been deposed by it."""
    lease = held_by(A, B, version=(1, 2))
    assert lease.until_s == -math.inf
    assert lease.renewals == {"granted": 0, "void": 2}
    lease.learn(trio(2))
    assert lease.until_s > 10.0


def test_answers_to_what_nobody_asked_do_not_count() -> None:
    """Nor do those of members that do not vote."""
    lease = held_by(A)
    lease.granted(B, 99, (1, 1))
    lease.granted(("d", 4), 1, (1, 1))
    assert lease.until_s == -math.inf


def test_after_a_suspend_all_is_void_that_was_asked_for_before() -> None:
    """The clock may not show how long ago that was."""
    lease = held_by(A, B)
    before = lease.ask(10.1)
    lease.void()
    assert lease.until_s == -math.inf
    lease.granted(B, before, (1, 1))
    lease.granted(C, before, (1, 1))
    assert lease.until_s == -math.inf
    after = lease.ask(20.0)
    lease.granted(B, after, (1, 1))
    lease.granted(C, after, (1, 1))
    assert lease.until_s > 20.0


def test_a_voter_names_the_newest_version_that_it_has_heard_of() -> None:
    """Whether or not the asker knows it."""
    grants = Grants(LENGTH_S)
    assert grants.grant(0.0, A, NOTHING) == NOTHING
    grants.hear((3, 7))
    grants.hear((3, 6))
    assert grants.grant(0.0, A, NOTHING) == (3, 7)


def test_a_deposed_holder_is_harmless_once_it_knows_or_its_lease_ends() -> None:
    """A voter can tell either."""
    grants = Grants(LENGTH_S)
    assert grants.remaining(0.0, A, (1, 2)) == 0.0
    grants.grant(0.0, A, (1, 1))
    assert grants.until(A) == LENGTH_S
    assert grants.remaining(0.25, A, (1, 2)) == 0.75
    assert grants.remaining(0.25, A, (1, 1)) == 0.0
    assert grants.remaining(1.5, A, (1, 2)) == 0.0
    grants.grant(0.5, A, (1, 2))
    assert grants.remaining(0.5, A, (1, 2)) == 0.0


@given(
    rates=st.tuples(st.floats(0.96, 1.04), st.floats(0.96, 1.04)),
    asked_s=st.floats(0, 1e6),
    delay_s=st.floats(0, 100),
)
def test_the_voter_is_never_the_first_to_think_that_a_lease_has_ended(
    rates: tuple[float, float], asked_s: float, delay_s: float
) -> None:
    """For clocks that differ by up to eight parts in a hundred, however long a request is under way."""
    holder_rate, voter_rate = rates
    lease, grants = Lease(A, LENGTH_S), Grants(LENGTH_S)
    lease.learn(trio())
    number = lease.ask(asked_s * holder_rate)
    grants.grant((asked_s + delay_s) * voter_rate, A, (1, 1))
    lease.granted(B, number, (1, 1))
    lease.granted(C, number, (1, 1))
    assert lease.until_s / holder_rate <= grants.until(A) / voter_rate + 1e-6
