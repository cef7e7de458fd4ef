"""A node on its way out is done when nothing is left that only it has."""

from dataclasses import replace

from respcache.cluster.departure import Departure
from respcache.cluster.effects import Drained
from respcache.cluster.ownership.changes import Retire
from respcache.cluster.ownership.record import Entry, Node, Record, Standing, Voter, found

A, B = Node("a", 1), Node("b", 1)


def record(*, standing: Standing = Standing.MEMBER, holder: str = "a", voter: str = "a") -> Record:
    """Return a record of two nodes and one partition."""
    one = found("id", A, 1, partitions=1)
    nodes = {"a": Node("a", 1, standing=standing), "b": B}
    entry = Entry(1, 1, 1, holder, (holder,))
    return replace(one, nodes=nodes, entries=(entry,), voters=(Voter(voter, 1, 0),))


def test_nothing_happens_to_a_node_that_stays() -> None:
    """It is not under way."""
    assert not Departure(A.life).under_way


def test_it_asks_to_be_taken_off_the_ring_once() -> None:
    """Until that is decided, or came to nothing: then again."""
    leaving = Departure(A.life)
    leaving.asked = True
    assert leaving.review(record(), sole=False) == Retire("a", 1)
    assert leaving.review(record(), sole=False) is None
    leaving.answered()
    assert leaving.review(record(), sole=False) == Retire("a", 1)


def test_who_was_not_let_in_takes_part_in_nothing_any_more() -> None:
    """It would be made a voter and be gone; who is alone, or was a member, goes on to the end."""
    for known in (None, replace(record(), nodes={"b": B})):
        leaving = Departure(A.life)
        leaving.asked = True
        assert leaving.review(known, sole=False) == Drained()
        assert leaving.aloof
    alone = Departure(A.life)
    alone.asked = True
    assert alone.review(record(), sole=True) == Drained()
    assert not alone.aloof


def test_its_copies_do_not_hold_it_back_where_nobody_stays() -> None:
    """Its vote does: the others would wait for it."""
    leaving = Departure(A.life)
    leaving.asked = True
    both = record(standing=Standing.LEAVING)
    both = replace(both, nodes={**both.nodes, "b": Node("b", 1, standing=Standing.LEAVING)})
    assert leaving.review(both, sole=False) is None
    assert leaving.review(replace(both, voters=(Voter("b", 1, 0),)), sole=False) == Retire("a", 1)


def test_it_ends_when_the_record_names_it_nowhere_and_another_node_goes_by_that() -> None:
    """Neither as a holder nor as a voter, and the leader of then has answered."""
    leaving = Departure(A.life)
    leaving.asked = True
    off = Standing.LEAVING
    assert leaving.review(record(standing=off), sole=False) is None
    assert leaving.review(record(standing=off, holder="b"), sole=False) is None
    nowhere = record(standing=off, holder="b", voter="b")
    assert leaving.review(nowhere, sole=False) == Retire("a", 1)
    assert leaving.review(nowhere, sole=False) is None
    leaving.answered()
    assert leaving.review(nowhere, sole=False) == Drained()
    assert not leaving.under_way


def test_an_answer_to_what_was_asked_before_is_no_parting() -> None:
    """The answer to getting off the ring may come when the node is named nowhere already: it asks once more."""
    leaving = Departure(A.life)
    leaving.asked = True
    assert leaving.review(record(), sole=False) == Retire("a", 1)
    nowhere = record(standing=Standing.LEAVING, holder="b", voter="b")
    assert leaving.review(nowhere, sole=False) is None
    leaving.answered()
    assert leaving.review(nowhere, sole=False) == Retire("a", 1)
    leaving.answered()
    assert leaving.review(nowhere, sole=False) == Drained()


def test_a_node_that_is_named_again_has_to_hand_over_again() -> None:
    """What was answered before does not count then."""
    leaving = Departure(A.life)
    leaving.asked = True
    off = Standing.LEAVING
    assert leaving.review(record(standing=off, holder="b", voter="b"), sole=False) == Retire("a", 1)
    assert leaving.review(record(standing=off, voter="b"), sole=False) is None
    leaving.answered()
    assert leaving.review(record(standing=off, voter="b"), sole=False) is None
    assert leaving.review(record(standing=off, holder="b", voter="b"), sole=False) == Retire("a", 1)


def test_who_is_named_nowhere_waits_for_nobody_where_all_leave() -> None:
    """There is nobody to answer."""
    leaving = Departure(A.life)
    leaving.asked = True
    nowhere = record(standing=Standing.LEAVING, holder="b", voter="b")
    assert leaving.review(nowhere, sole=False) == Retire("a", 1)
    assert leaving.review(nowhere, sole=False) is None
    assert leaving.review(nowhere, sole=False, company=False) == Drained()


def test_it_ends_where_there_is_nobody_to_hand_over_to() -> None:
    """Or no cluster that it belongs to."""
    for known, sole in ((record(), True), (None, False)):
        leaving = Departure(A.life)
        leaving.asked = True
        assert leaving.review(known, sole=sole) == Drained()
