"""Undecided changes are kept until they are decided, and each asker is told by its own number."""

from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.ownership.changes import Admit, Retire
from respcache.cluster.ownership.proposals import RELAYED_MAX, Proposals
from respcache.cluster.ownership.record import Node

RETIRE = Retire("b", 1)


def test_own_changes_have_numbers_of_their_own() -> None:
    """None is given twice, and what is decided is forgotten."""
    proposals = Proposals()
    assert list(proposals.add([RETIRE, RETIRE])) == [1, 2]
    assert proposals.asker(1) == ("", 1)
    assert proposals.decided(1) == ("", 1)
    assert proposals.decided(1) is None
    assert proposals.asker(1) is None
    assert list(proposals.add([RETIRE])) == [3]
    assert proposals.numbers() == [2, 3]
    assert len(proposals) == 2
    assert proposals[3] is RETIRE


def test_what_is_decided_waits_for_the_record_that_shows_it() -> None:
    """It is given once, when that version or a later one is known; what nobody asked for is not."""
    proposals = Proposals()
    proposals.add([RETIRE, RETIRE])
    assert proposals.await_record(1, "n2", (1, 5))
    assert proposals.await_record(2, "n2", (1, 7))
    assert not proposals.await_record(3, "n2", (1, 1))
    assert proposals.known((1, 4)) == []
    assert proposals.known((1, 6)) == [1]
    assert proposals.known((1, 6)) == []
    proposals.decided(2)
    assert proposals.known((1, 9)) == []


def test_each_peer_is_asked_once_for_a_record() -> None:
    """However many changes were decided by it: the answer is the whole record."""
    proposals = Proposals()
    proposals.add([RETIRE, RETIRE, RETIRE])
    assert proposals.await_record(1, "n2", (1, 5))
    assert not proposals.await_record(2, "n2", (1, 5))
    assert proposals.await_record(3, "n3", (1, 5))
    assert proposals.known((1, 5)) == [1, 2, 3]


def test_a_peers_change_is_taken_in_once() -> None:
    """However often it asks; when it is decided the peer is told by the number that it gave."""
    proposals = Proposals()
    number = proposals.relay("b", 7, RETIRE)
    assert number is not None
    assert proposals.relay("b", 7, RETIRE) == number
    assert proposals.relay("c", 7, RETIRE) != number
    assert proposals.decided(number) == ("b", 7)
    assert proposals.relay("b", 7, RETIRE) not in {None, number}


def test_what_is_passed_on_for_peers_that_are_gone_is_forgotten() -> None:
    """Own changes stay, and so do those of others."""
    proposals = Proposals()
    (own,) = proposals.add([RETIRE])
    lost, kept = proposals.relay("b", 1, RETIRE), proposals.relay("c", 1, RETIRE)
    proposals.forget({"b"})
    assert proposals.numbers() == [own, kept]
    assert lost is not None
    assert proposals.decided(lost) is None


def test_a_leader_passes_nothing_on() -> None:
    """What it merely passed on is forgotten, for others have to tell itself; what it wants itself stays."""
    proposals = Proposals()
    (own,) = proposals.add([RETIRE])
    passed_on = proposals.relay("b", 1, RETIRE)
    assert passed_on is not None
    assert proposals.await_record(passed_on, "c", (1, 5))
    proposals.lead()
    assert proposals.numbers() == [own]
    assert proposals.known((1, 5)) == []
    assert proposals.relay("b", 1, RETIRE) not in {None, passed_on}


def test_a_leader_that_is_one_no_more_forgets_what_only_a_leader_asks_for() -> None:
    """Its successor has its own view; what a member wants is asked of that one."""
    proposals = Proposals()
    numbers = proposals.add([Admit(Node("c", 1)), RETIRE])
    proposals.abdicate()
    assert proposals.numbers() == [numbers[1]]


def test_peers_can_have_so_many_changes_passed_on_and_no_more() -> None:
    """Until some are decided."""
    proposals = Proposals()
    for number in range(RELAYED_MAX):
        assert proposals.relay("b", number, RETIRE) is not None
    assert proposals.relay("b", RELAYED_MAX, RETIRE) is None
    assert proposals.relay("b", 0, RETIRE) == 1
    proposals.decided(1)
    assert proposals.relay("b", RELAYED_MAX, RETIRE) is not None
    assert len(proposals) == RELAYED_MAX


@given(
    st.lists(st.tuples(st.sampled_from(("own", "b", "c", "decide", "forget", "lead")), st.integers(0, 5)), max_size=40)
)
def test_every_asker_is_told_once(steps: list[tuple[str, int]]) -> None:
    """Beside a model of plain dicts."""
    proposals = Proposals()
    open_: dict[int, tuple[str, int]] = {}
    for what, number in steps:
        if what == "own":
            (mine,) = proposals.add([RETIRE])
            open_[mine] = ("", mine)
        elif what in {"b", "c"}:
            taken = proposals.relay(what, number, RETIRE)
            assert taken is not None
            assert open_.setdefault(taken, (what, number)) == (what, number)
        elif what == "decide":
            assert proposals.decided(number) == open_.pop(number, None)
        elif what == "forget":
            proposals.forget({"b"})
            open_ = {mine: asked for mine, asked in open_.items() if asked[0] != "b"}
        else:
            proposals.lead()
            open_ = {mine: asked for mine, asked in open_.items() if not asked[0]}
        assert proposals.numbers() == sorted(open_)
