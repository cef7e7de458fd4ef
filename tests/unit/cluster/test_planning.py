"""When a leader plans, and what becomes of its plan."""

import math
from random import Random
from typing import Final

import pytest

from respcache.cluster.config import KeeperConfig
from respcache.cluster.ownership.changes import Admit
from respcache.cluster.ownership.planner import TargetCache
from respcache.cluster.ownership.record import Node
from respcache.cluster.ownership.register import Register
from respcache.cluster.peers import Peers
from respcache.cluster.planning import Planning
from respcache.cluster.wire import Hello

ME: Final = Node("a", 1)
NEWCOMER: Final = Node("b", 2)


class Leader:
    """The only member of a cluster, and a node that wants to join."""

    def __init__(self) -> None:
        self.register = Register(ME.life, Random(1), first=lambda _, __, ___: [], partitions=4)
        self.register.form(0.0, "cluster", ME, 2)
        peers = Peers(ME, KeeperConfig(), lambda _: -math.inf, lambda _: -math.inf)
        peers.up(0.0, NEWCOMER)
        peers.connected(NEWCOMER.name)
        peers.greeted(NEWCOMER.name, Hello(NEWCOMER.run, "", (0, 0), 0, 0))
        self.planning = Planning(self.register, peers, TargetCache())


@pytest.fixture
def leader() -> Leader:
    """Return one that has its plan."""
    leader = Leader()
    leader.planning.renew()
    assert leader.planning.next(0.0)
    leader.planning.plan(0.0)
    return leader


def test_what_is_planned_is_proposed_once(leader: Leader) -> None:
    """And as long as it waits for that, nothing else is planned."""
    assert not leader.planning.next(math.inf)
    assert leader.planning.take() == ([Admit(NEWCOMER)], [])
    assert leader.planning.take() == ([], [])


def test_a_plan_is_void_when_something_changes(leader: Leader) -> None:
    """It is made anew."""
    leader.planning.renew()
    assert leader.planning.take() == ([], [])
    assert leader.planning.next(0.0)


def test_who_leads_no_more_proposes_nothing(leader: Leader) -> None:
    """Its successor plans by what it sees itself; should it lead again, it is time to look again."""
    leader.register._abdicate()
    assert leader.planning.take() == ([], [])
    assert leader.planning.changes == []
    assert leader.planning.due_s == -math.inf
