"""A term leads once enough have promised, and a version is chosen once a majority has accepted."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.ownership.acceptor import Acceptor
from respcache.cluster.ownership.proposer import Preparation, Proposer
from respcache.cluster.ownership.record import Life, Node, Record, Version, Voter, found

ME: Life = ("a", 1)


def voters(names: str) -> tuple[Voter, ...]:
    """Return voters of run 1."""
    return tuple(Voter(name, 1, seat) for seat, name in enumerate(names))


def record(version: Version, electors: str, now_voting: str = "") -> Record:
    """Return a record of a version: elected by some, the next one to be elected by others."""
    one = found("cluster", Node("a", 1), 2, partitions=1)
    return replace(one, version=version, electors=voters(electors), voters=voters(now_voting or electors))


def preparing(known: Record) -> tuple[Proposer, Preparation]:
    """Return a proposer that has begun a term."""
    proposer = Proposer(ME)
    proposer.prepare(9, Acceptor(), known)
    assert proposer.preparation is not None
    return proposer, proposer.preparation


@pytest.mark.parametrize(
    ("electors", "now_voting", "promised", "complete"),
    [
        ("a", "a", "a", True),
        ("abc", "abc", "a", False),
        ("abc", "abc", "ab", True),
        ("abcd", "abcd", "ab", True),
        ("abcde", "abcde", "ab", False),
        ("abc", "abcd", "ab", True),
        ("abcd", "abcde", "abe", True),
        ("abcd", "abcde", "ae", False),
        ("bcd", "abcd", "ab", False),
    ],
)
def test_promises_must_meet_every_majority_that_may_have_chosen(
    electors: str,
    now_voting: str,
    promised: str,
    complete: bool,  # noqa: FBT001 # a table of cases
) -> None:
    """Of those who elected the newest record, and of those who elect its successor."""
    proposer, preparation = preparing(record((5, 1), electors, now_voting))
    for name in promised:
        proposer.promised((name, 1), (5, 1), None)
    assert preparation.complete is complete
    assert set(preparation.electorate.values()) == set(electors) | set(now_voting)


def test_the_newest_record_that_is_shown_is_gone_on_from() -> None:
    """Whether it comes with a promise, was accepted here, or was chosen meanwhile."""
    older, newer, newest = (record(version, "abc") for version in ((5, 1), (5, 2), (6, 1)))
    acceptor = Acceptor()
    acceptor.accept(newer)
    proposer = Proposer(ME)
    proposer.prepare(9, acceptor, older)
    assert not proposer.idle
    assert proposer.preparation is not None
    assert proposer.preparation.newest is newer
    proposer.promised(("b", 1), newest.version, newest)
    proposer.promised(("c", 1), older.version, older)
    proposer.learn(older)
    assert proposer.lead() is newest
    assert proposer.term == 9
    assert proposer.holds == {ME: (5, 2), ("b", 1): (6, 1), ("c", 1): (5, 1)}


def test_what_was_chosen_meanwhile_is_gone_on_from() -> None:
    """Voters do not show what this node says it has."""
    proposer, preparation = preparing(record((5, 1), "abc"))
    chosen = record((5, 2), "abc")
    proposer.learn(chosen)
    assert preparation.newest is chosen


@given(st.integers(1, 7), st.data())
def test_a_version_is_chosen_by_a_majority_of_its_electors(count: int, data: st.DataObject) -> None:
    """Nobody else's acceptance counts, nor one of another version."""
    names = "abcdefg"[:count]
    proposer, _ = preparing(record((5, 1), names))
    proposer.lead()
    proposed = record((9, 2), names, names + "x")
    round_ = proposer.begin(proposed, [("a", 1)])
    accepted = data.draw(st.lists(st.tuples(st.sampled_from(names + "x"), st.booleans())))
    for name, right in accepted:
        proposer.accepted((name, 1), proposed.version if right else (9, 1))
    electors = {name for name, right in accepted if right and name in names}
    assert round_.chosen is (len(electors) > count // 2)
    assert set(round_.audience.values()) == {*names, "x"}


def test_stepping_down_ends_everything() -> None:
    """What was begun may still come to be chosen, by others."""
    proposer, _ = preparing(record((5, 1), "a"))
    proposer.lead()
    proposer.begin(record((9, 1), "a"), [])
    proposer.step_down()
    assert proposer.idle
    assert (proposer.round, proposer.holds) == (None, {})
    proposer.accepted(ME, (9, 1))
