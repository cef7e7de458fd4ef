"""A node serves while a majority lets it, says so in time, and as a voter answers for what it granted."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from respcache.cluster.ownership.lease import DRIFT, RENEWALS
from respcache.cluster.ownership.record import NOTHING, Node, Record, Voter, found
from respcache.cluster.ownership.wire import Fence, Fenced, Granted, LeaseMessage, Renew
from respcache.cluster.replication.fencing import Fencing
from respcache.cluster.tenure import MICROSECONDS, Tenure

LENGTH_S = 1.0
NAMES = "abc"


def record(names: str = NAMES, version: int = 1) -> Record:
    """Return a record whose nodes all vote."""
    one = found("id", Node("a", 1), 2, partitions=1).with_nodes(Node(name, 1) for name in names)
    return replace(one, version=(1, version), voters=tuple(Voter(name, 1, seat) for seat, name in enumerate(names)))


class Nodes:
    """Tenures that speak with each other."""

    def __init__(self, names: str = NAMES) -> None:
        self.said: list[tuple[str, str, LeaseMessage]] = []
        self.heard = dict.fromkeys(names, NOTHING)
        """The newest version that each has accepted."""
        self.tenures = {
            name: Tenure((name, 1), LENGTH_S, self.say(name), partial(self.heard.__getitem__, name)) for name in names
        }
        self.fencings = {name: Fencing(LENGTH_S) for name in names}

    def say(self, sender: str) -> Callable[[str, LeaseMessage], None]:
        """Note what a node says."""
        return lambda receiver, message: self.said.append((sender, receiver, message))

    def deliver(self, now: float, *, lose: str = "") -> None:
        """Let everything arrive but what goes to or comes from some."""
        while self.said:
            sender, receiver, message = self.said.pop(0)
            if sender not in lose and receiver not in lose:
                self.tenures[receiver].receive(now, (sender, 1), message, self.fencings[receiver])


def test_a_majority_lets_a_node_serve() -> None:
    """Itself and one other of three; it asks again long before the lease ends."""
    nodes = Nodes()
    mine = nodes.tenures["a"]
    mine.learn(0.0, record())
    assert not mine.review(0.0)
    assert sorted(receiver for _, receiver, _ in nodes.said) == ["b", "c"]
    nodes.deliver(0.1, lose="c")
    assert mine.review(0.1)
    assert mine.held
    assert mine.deadline == LENGTH_S / RENEWALS
    mine.tick(LENGTH_S / RENEWALS - 0.01)
    assert nodes.said == []
    mine.tick(LENGTH_S / RENEWALS)
    assert len(nodes.said) == 2


def test_without_a_majority_the_lease_ends() -> None:
    """Less the margin for clocks that differ, counted from the asking."""
    nodes = Nodes()
    mine = nodes.tenures["a"]
    mine.learn(0.0, record())
    nodes.deliver(0.0)
    for quarter in range(1, RENEWALS * 2):
        mine.tick(quarter * LENGTH_S / RENEWALS)
        nodes.deliver(0.0, lose="bc")
    assert mine.review(0.0)
    assert not mine.review(LENGTH_S * (1 - DRIFT) - 0.001)
    assert mine.review(LENGTH_S * (1 - DRIFT))
    assert not mine.held


def test_the_only_voter_asks_nobody() -> None:
    """Its lease has no end."""
    nodes = Nodes("a")
    mine = nodes.tenures["a"]
    mine.learn(0.0, record("a"))
    assert mine.review(0.0)
    assert mine.deadline == math.inf
    assert nodes.said == []


def test_who_is_no_member_does_not_ask() -> None:
    """Nor does one that knows no record."""
    nodes = Nodes("x")
    outsider = nodes.tenures["x"]
    outsider.renew(0.0)
    outsider.learn(0.0, record())
    assert nodes.said == []
    assert outsider.deadline == math.inf


def test_who_is_taken_back_before_its_lease_has_ended_asks_again() -> None:
    """A record left it out, so that it asked nobody; the next one counts it again, with the same voters."""
    nodes = Nodes()
    mine = nodes.tenures["a"]
    known = replace(record(), voters=(Voter("b", 1, 0), Voter("c", 1, 1)))
    mine.learn(0.0, known)
    nodes.deliver(0.0)
    mine.learn(0.1, replace(known, version=(1, 2), nodes={name: known.nodes[name] for name in "bc"}))
    mine.tick(0.3)
    assert nodes.said == []
    mine.learn(0.4, replace(known, version=(1, 3)))
    assert sorted(receiver for _, receiver, _ in nodes.said) == ["b", "c"]
    nodes.deliver(0.4)
    assert mine.review(0.4)
    assert mine.deadline == 0.4 + LENGTH_S / RENEWALS


def test_a_voter_that_comes_into_reach_is_asked_where_its_vote_is_needed() -> None:
    """And not otherwise."""
    nodes = Nodes()
    mine = nodes.tenures["a"]
    mine.learn(0.0, record())
    nodes.deliver(0.0, lose="bc")
    mine.linked(0.1, "z")
    assert nodes.said == []
    mine.linked(0.1, "b")
    nodes.deliver(0.1)
    assert mine.review(0.1)
    mine.linked(0.2, "c")
    assert nodes.said == []


def test_a_sleeper_has_no_lease() -> None:
    """Whatever its clock says; it asks at once."""
    nodes = Nodes()
    mine = nodes.tenures["a"]
    mine.learn(0.0, record())
    nodes.deliver(0.0)
    mine.review(0.0)
    mine.suspended()
    assert mine.review(0.1)
    assert not mine.held
    assert mine.deadline == -math.inf
    mine.tick(0.1)
    nodes.deliver(0.1)
    assert mine.review(0.1)


def test_a_voter_that_has_accepted_a_version_grants_nobody_a_lease_by_an_older_one() -> None:
    """Nor itself: with the vote of one that has not heard of it, it would have a majority past its deposition."""
    nodes = Nodes()
    mine = nodes.tenures["a"]
    mine.learn(0.0, record())
    nodes.deliver(0.0)
    nodes.heard["a"] = (1, 2)
    mine.tick(0.6)
    nodes.deliver(0.6, lose="b")
    assert mine.review(0.6)
    assert mine.lease.until_s == LENGTH_S * (1 - DRIFT)
    mine.learn(0.7, record(version=2))
    assert mine.lease.until_s == 0.6 + LENGTH_S * (1 - DRIFT)


def test_a_grant_names_what_its_holder_must_know() -> None:
    """The newest version that the voter has heard of."""
    nodes = Nodes()
    nodes.tenures["b"].grants.hear((1, 9))
    nodes.tenures["b"].receive(0.0, ("a", 1), Renew(4, (1, 1)), nodes.fencings["b"])
    assert nodes.said == [("b", "a", Granted(4, (1, 9)))]


def test_voters_say_how_long_a_deposed_node_may_go_on() -> None:
    """And the one that takes over concludes from a majority of them when it may serve."""
    nodes = Nodes()
    old, new = record(), record(version=2)
    for tenure in nodes.tenures.values():
        tenure.learn(0.0, old)
    nodes.deliver(0.0)
    heir, fencing = nodes.tenures["b"], nodes.fencings["b"]
    heir.learn(0.4, new)
    nodes.said.clear()
    fencing.learn(-9.0, old, leap=False, traced=True)
    fencing.learn(0.4, new, leap=False, traced=True)
    fencing.depose(0.4, 0, ("a", 1), new.version)
    fencing.ask(0)
    assert heir.ask_about(0.4, fencing)
    assert not heir.ask_about(0.4, fencing)
    assert [message for _, _, message in nodes.said] == [Fence((1, 2), (("a", 1),))] * 2
    nodes.deliver(0.4, lose="a")
    assert fencing.harmless_s(0) == 0.4 + (LENGTH_S - 0.4) * (1 + DRIFT)


def test_what_is_left_is_told_in_microseconds_rounded_up() -> None:
    """Nobody may serve a moment too early."""
    nodes = Nodes()
    voter = nodes.tenures["b"]
    voter.grant(0.0, ("a", 1), Renew(1, (1, 1)))
    nodes.said.clear()
    voter.answer(0.123_456_78, "c", Fence((1, 2), (("a", 1),)))
    ((_, _, answer),) = nodes.said
    assert isinstance(answer, Fenced)
    ((name, run, micros),) = answer.lives
    assert (name, run) == ("a", 1)
    assert 0 <= micros - (LENGTH_S - 0.123_456_78) * MICROSECONDS < 1
