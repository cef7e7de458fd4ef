"""One probe, and the order of probing."""

import random

from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.membership.probe import Probe, ProbeOrder, Step


def probe(now: float = 10.0) -> Probe:
    """Begin a probe of b with two helpers: 0.5 s direct, 2 s in all."""
    return Probe(now, round_no=1, target="b", helpers=("c", "d"), rtt_s=0.5, period_s=2.0)


def test_silence_leads_to_helpers_and_then_to_the_verdict() -> None:
    """No ack at all: ask the helpers, give up when the time is over."""
    silent = probe()

    steps = [(silent.tick(now), silent.direct) for now in (10.4, 10.5, 11.9, 12.0)]

    assert steps == [(None, True), (Step.ASK_HELPERS, False), (None, False), (Step.GIVE_UP, False)]


@given(ticks=st.lists(st.floats(min_value=10, max_value=60), max_size=20))
def test_helpers_always_have_their_turn_before_the_verdict(ticks: list[float]) -> None:
    """Holds for every schedule of ticks, our own stalls included."""
    late = probe()
    asked_at = None
    for now in sorted(ticks):
        step = late.tick(now)
        if step is Step.ASK_HELPERS:
            asked_at = now
        elif step is Step.GIVE_UP:
            assert asked_at is not None
            assert now >= asked_at + 0.5
            break


def test_missing_nacks_are_counted() -> None:
    """A helper that said nothing at all counts against our own link; one that said so twice counts once."""
    doubtful = probe()
    assert doubtful.nacks_missing == 2

    doubtful.nacks.add("c")
    doubtful.nacks.add("c")

    assert doubtful.nacks_missing == 1


@given(count=st.integers(1, 30), seed=st.integers(0, 1_000))
def test_everybody_is_probed_once_per_permutation(count: int, seed: int) -> None:
    """In each n turns all n members have one turn."""
    order, peers = ProbeOrder(random.Random(seed)), frozenset(f"n{i}" for i in range(count))
    for _ in range(3):
        assert {order.next(peers) for _ in range(count)} == peers


def test_the_gone_and_the_busy_are_passed_over() -> None:
    """Members that left since the permutation was drawn have no turn, nor have those under probe."""
    order = ProbeOrder(random.Random(1))
    peers = frozenset("abcd")
    order.next(peers)

    turns = {order.next(frozenset("ab"), busy={"b"}) for _ in range(4)}

    assert turns == {"a"}
    assert order.next(frozenset("b"), busy={"b"}) is None
    assert order.next(frozenset()) is None


def test_the_hurried_go_first_and_once() -> None:
    """A member in a hurry has the next turn, if it is still a member."""
    order = ProbeOrder(random.Random(1))
    peers = frozenset(f"n{i}" for i in range(50))
    order.hurry("n7")
    order.hurry("stranger")
    order.hurry("n7")

    assert order.next(peers) == "n7"
    assert {order.next(peers) for _ in range(50)} == peers


def test_a_newcomer_need_not_wait_for_the_next_permutation() -> None:
    """A new member is put into the running permutation."""
    order = ProbeOrder(random.Random(3))
    peers = frozenset(f"n{i}" for i in range(10))
    order.next(peers)
    order.add("new")

    assert "new" in {order.next(peers | {"new"}) for _ in range(10)}
