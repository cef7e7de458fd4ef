"""The shrinking timer of a suspect."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.membership.suspicion import Suspicion
from respcache.cluster.membership.wire import ACCUSERS_MAX


def suspicion(*, wanted: int = 2) -> Suspicion:
    """Begin a suspicion at 100 s that lasts 2 to 12 s."""
    return Suspicion(100.0, accusers=("a",), min_s=2.0, max_s=12.0, confirmations_wanted=wanted)


def test_a_lone_accuser_has_to_wait_longest() -> None:
    """Without confirmation the greatest time holds."""
    assert suspicion().deadline == 112.0


def test_confirmations_shorten_it_by_the_logarithm() -> None:
    """The figures of Lifeguard's formula: each independent accuser counts less than the one before."""
    timer = suspicion()

    assert timer.confirm(("b",))
    assert timer.deadline == pytest.approx(100 + 12 - 10 * math.log(2) / math.log(3))
    assert timer.confirm(("c",))
    assert timer.deadline == 102.0


def test_the_same_accuser_counts_once_and_superfluous_ones_not_at_all() -> None:
    """Repetition is no confirmation, and news that change nothing are not passed on."""
    timer = suspicion()

    assert not timer.confirm(("a",))
    assert timer.confirm(("b", "c"))
    assert timer.confirmed
    assert not timer.confirm(("d",))
    assert timer.accusers == {"a", "b", "c"}


@pytest.mark.parametrize("wanted", [0, -1])
def test_where_nobody_could_confirm_the_shortest_time_holds(wanted: int) -> None:
    """Two nodes: the accuser and the suspect."""
    assert suspicion(wanted=wanted).deadline == 102.0


@given(accusers=st.lists(st.sampled_from("abcdefghij"), max_size=20), wanted=st.integers(0, 5))
def test_it_never_lengthens_and_stays_within_bounds(accusers: list[str], wanted: int) -> None:
    """Whoever accuses in whatever order, the deadline only comes nearer, never before the shortest time."""
    timer = suspicion(wanted=wanted)
    previous = timer.deadline
    for accuser in accusers:
        timer.confirm((accuser,))
        assert 102.0 <= timer.deadline <= previous
        assert len(timer.accusers) <= ACCUSERS_MAX
        previous = timer.deadline


def test_time_in_which_we_were_not_running_is_given_back() -> None:
    """After a stall of 5 s the suspect has as long as before, and at least until the next round."""
    timer = suspicion(wanted=0)
    timer.postpone(106.0, by_s=5.0)
    assert timer.deadline == 107.0

    timer.postpone(110.0, by_s=1.0)
    assert timer.deadline == 110.0


def test_a_held_suspicion_lasts_the_longest_time_and_then_the_shortest_once_more() -> None:
    """While the accusers are in doubt confirmations do not count; afterwards the suspect may still refute."""
    accused = Suspicion(10.0, accusers="abc", min_s=2.0, max_s=12.0, confirmations_wanted=2)
    assert accused.deadline == 12.0

    accused.held = True
    assert accused.deadline == 22.0
    accused.release(15.0)
    assert accused.deadline == 17.0
