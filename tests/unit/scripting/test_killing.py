"""SCRIPT KILL for all nodes: what the client is told, whoever runs the script, and whoever answers first."""

from collections.abc import Sequence
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.errors import Busy, CommandError
from respcache.reply import OK
from respcache.resp.encode import error
from respcache.scripting.killing import Kill, Killed, Killing
from respcache.scripting.refusals import NotBusy, Unkillable

REFUSALS: Final = (None, Unkillable(), Busy(function=True), NotBusy())
"""What can become of it on one node, by how much it says."""
PEERS: Final = ("b", "c", "d")


class Node:
    """One that asks, and what it has sent."""

    def __init__(self, refusal: CommandError | None) -> None:
        self.refusal = refusal
        self.sent: Final[list[tuple[str, Kill | Killed]]] = []
        self.killing: Final = Killing(self._kill, lambda peer, said: self.sent.append((peer, said)))

    def _kill(self, function: bool) -> None:  # noqa: FBT001 # the one thing that there is to say
        assert not function
        if self.refusal is not None:
            raise self.refusal


@given(
    outcomes=st.lists(st.sampled_from(REFUSALS), min_size=4, max_size=4),
    order=st.permutations(PEERS),
    lost=st.sets(st.sampled_from(PEERS)),
)
def test_the_client_is_told_what_says_most(
    outcomes: Sequence[CommandError | None], order: Sequence[str], lost: set[str]
) -> None:
    """OK if anything was ended, as soon as that is known; else an error, when nobody can say anything more."""
    here, *there = outcomes
    by_peer = dict(zip(PEERS, there, strict=True))
    node = Node(here)
    reply = node.killing.ask(set(PEERS), 0.0, function=False)
    asked = {peer: said for peer, said in node.sent if isinstance(said, Kill)}
    assert asked.keys() == (set() if here is None else set(PEERS))
    for peer in order if asked else ():
        if peer in lost:
            node.killing.lose(peer)
            continue
        other = Node(by_peer[peer])
        other.killing.receive("a", asked[peer])
        [(_, answer)] = other.sent
        node.killing.receive(peer, answer)
        if by_peer[peer] is None:
            assert reply.wire == OK.wire
    found = [here, *(outcome for peer, outcome in by_peer.items() if peer not in lost)]
    best = min(found, key=REFUSALS.index)
    assert reply.wire == (OK.wire if best is None else error(best))


def test_nobody_waits_for_ever() -> None:
    """Whoever has not answered in time counts as one that runs nothing."""
    node = Node(NotBusy())
    reply = node.killing.ask({"b"}, 10.0, function=False)
    told: list[bytes | None] = []
    reply.then(lambda: told.append(reply.wire))
    node.killing.sweep(10.0)
    assert told == []
    node.killing.sweep(10.1)
    assert told == [error(NotBusy())]
    assert reply.wire == error(NotBusy())
    node.killing.receive("b", Killed(1, OK.wire))
    assert reply.wire == error(NotBusy())


@pytest.mark.parametrize("wire", [b"", b"-WHAT", b":1"])
def test_an_answer_that_makes_no_sense_counts_least(wire: bytes) -> None:
    """A later version may have other errors."""
    node = Node(NotBusy())
    reply = node.killing.ask({"b"}, 0.0, function=False)
    node.killing.receive("b", Killed(1, wire))
    assert reply.wire == error(NotBusy())
