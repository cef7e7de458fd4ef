"""Who votes: an odd number, the oldest first, from all zones, and never without a majority that can be heard."""

from random import Random

import pytest

from respcache.cluster.ownership.changes import Admit, Dismiss, Enrol, Retire
from respcache.cluster.ownership.record import NUMBER_MAX, Node, Record, found, next_term
from respcache.cluster.ownership.voters import FORCED_ROUNDS, forced, next_voter_change, wanted

ZONES = {"c": "west", "d": "east"}


def members(names: str, voters: str) -> Record:
    """Return a record of members, all of run 1, some of which vote."""
    record = found("cluster", Node(names[0], 1), 2)
    for name in names[1:]:
        record = Admit(Node(name, 1, 1.0, ZONES.get(name, ""))).apply(record)
    for name in voters:
        record = Enrol((name, 1)).apply(record)
    return record


def present(names: str) -> dict[str, int]:
    """Return lives of run 1."""
    return dict.fromkeys(names, 1)


@pytest.mark.parametrize(("count", "seats"), [(1, 1), (2, 2), (3, 3), (4, 3), (5, 5), (6, 5), (7, 7), (8, 7), (99, 7)])
def test_an_odd_number_votes_but_of_a_pair_both(count: int, seats: int) -> None:
    """One more would need one more vote, and outlive no more deaths."""
    assert wanted(count) == seats


def test_the_dead_go_first_then_others_come() -> None:
    """One at a time."""
    record = members("abcd", "abc")
    assert next_voter_change(record, present("abcd"), "abcd") is None
    change = next_voter_change(record, present("abd"), "abd")
    assert change == Dismiss(("c", 1))
    assert next_voter_change(change.apply(record), present("abd"), "abd") == Enrol(("d", 1))


def test_a_restarted_voter_is_another_one() -> None:
    """It has forgotten its promises, so it goes before it comes."""
    assert next_voter_change(members("abc", "abc"), present("ab") | {"c": 2}, "abc") == Dismiss(("c", 1))


def test_who_leaves_votes_no_more() -> None:
    """Else it could not stop without a vote being missed."""
    record = Retire("b", 1).apply(members("abcd", "abc"))
    assert next_voter_change(record, present("abcd"), "abcd") == Dismiss(("b", 1))


def test_the_only_voter_finds_another_before_it_leaves() -> None:
    """A second node may have come so lately that it has no vote yet."""
    record = Retire("a", 1).apply(members("ab", "a"))
    change = next_voter_change(record, present("ab"), "ab")
    assert change == Enrol(("b", 1))
    assert next_voter_change(change.apply(record), present("ab"), "ab") == Dismiss(("a", 1))


def test_zones_share_the_votes() -> None:
    """A zone that has none comes before one that has."""
    record = members("abcd", "ac")
    assert next_voter_change(record, present("abcd"), "abcd") == Enrol(("b", 1))
    assert next_voter_change(members("abcd", "ab"), present("abcd"), "abcd") == Enrol(("c", 1))


def test_no_change_that_leaves_nobody_to_decide_the_next_one() -> None:
    """Of the voters after it, a majority must just have been heard of."""
    record = Retire("a", 1).apply(members("abc", "abc"))
    assert next_voter_change(record, present("abc"), "ab") is None
    assert next_voter_change(members("abc", "ab"), present("abc"), "a") is None


def test_what_one_side_decides_alone_is_newer_than_all_that_others_decide_until_they_meet() -> None:
    """However often they find a new leader meanwhile; and there is room for more splits than a cluster may see."""
    record = members("abc", "abc")
    alone = forced(record, [("a", 1)], record.version[0], Random(1))
    term = record.version[0]
    for _ in range(FORCED_ROUNDS):
        term = next_term(term, 2)
    assert term < alone.version[0]
    for seed in range(50_000):
        assert record.version[0] < alone.version[0] < NUMBER_MAX
        record, alone = alone, forced(alone, [("a", 1)], alone.version[0], Random(seed))
