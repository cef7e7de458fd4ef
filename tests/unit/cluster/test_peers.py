"""Whom a node takes for alive, for linked, for one of its own, and when it may found a cluster."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from msgspec import structs

from respcache.cluster.config import KeeperConfig
from respcache.cluster.ownership.changes import Admit, Enrol
from respcache.cluster.ownership.record import Life, Node, Quorum, Standing, found
from respcache.cluster.peers import Peers
from respcache.cluster.wire import Hello

ME, OTHER = Node("b", 2), Node("c", 3)


def peers(
    *,
    seeded: bool = True,
    expect: int = 1,
    granted_until: Callable[[Life], float] | None = None,
    answered_s: Callable[[Life], float] | None = None,
) -> Peers:
    """Return the peers of b."""
    return Peers(
        ME,
        KeeperConfig(
            seeded=seeded, expect=expect, settle_s=1.0, unseen_after_s=10.0, rebuild_delay_s=15.0, lease_s=1.0
        ),
        granted_until or (lambda _: -math.inf),
        answered_s or (lambda _: -math.inf),
    )


def hello(run: int, cluster_id: str = "") -> Hello:
    """Return what a peer says first."""
    return Hello(run, cluster_id, (0, 0), 0, 0)


def meet(those: Peers, node: Node, cluster_id: str = "", *, now: float = 0.0) -> None:
    """Let a node come up and say hello."""
    those.up(now, node)
    those.connected(node.name)
    those.greeted(node.name, hello(node.run, cluster_id))


def test_too_few_nodes_are_counted_while_nothing_else_is_in_the_way() -> None:
    """Not by one that may be alone, nor once they are enough, or any of them is part of a cluster."""
    assert peers(seeded=False, expect=3).too_few(0.0) == 0
    those = peers(expect=3)
    assert those.too_few(0.0) == 1
    meet(those, OTHER)
    assert those.too_few(0.0) == 2
    meet(those, OTHER, "id")
    assert those.too_few(0.0) == 0
    meet(those, OTHER)
    meet(those, Node("d", 4))
    assert those.too_few(0.0) == 0


def test_a_node_lives_from_up_to_down() -> None:
    """An older life cannot speak for a newer one."""
    those = peers()
    those.up(0.0, OTHER)
    assert those.live(0.0) == {"b": 2, "c": 3}
    those.down(1.0, "c", 2, left=False)
    assert those.live(1.0) == {"b": 2, "c": 3}
    those.down(1.0, "c", 3, left=False)
    those.up(2.0, Node("c", 2))
    assert those.live(2.0) == {"b": 2}


def test_a_suspect_is_done_without_once_its_lease_has_ended() -> None:
    """It is present until it is dead, and alive again as soon as it answers."""
    those = peers(granted_until=lambda _: 2.0)
    those.up(0.0, OTHER)
    those.suspect("c", 3)
    assert those.lapse_due(1.0) == 2.0
    assert those.live(1.9) == those.present(2.0) == {"b": 2, "c": 3}
    assert those.live(2.0) == {"b": 2}
    those.up(3.0, OTHER)
    assert those.live(3.0) == {"b": 2, "c": 3}


def test_who_asked_for_a_lease_within_half_of_one_has_been_heard() -> None:
    """Nobody else can be relied on this instant, apart from this node."""
    those = peers(granted_until=lambda _: 2.0)
    meet(those, OTHER)
    assert those.heard(1.5) == {"b", "c"}
    assert those.heard(1.6) == {"b"}


def test_nobody_is_alone_without_a_majority_of_the_voters() -> None:
    """Another voter that is taken for dead may live, and could agree on nothing if this node left as the last one."""
    record = Admit(OTHER).apply(found("cluster", ME, 2))
    those = peers()
    meet(those, OTHER, "cluster")
    assert not those.alone(1.0, record)
    those.down(1.0, "c", 3, left=False)
    assert those.alone(1.0, record)
    assert not those.alone(1.0, Enrol(OTHER.life).apply(record))


def test_a_newcomer_is_company() -> None:
    """Whoever decides is about to let it in, and would leave it behind with a vote that nobody gives."""
    record, those = found("cluster", ME, 2), peers()
    assert not those.company(1.0, record)
    meet(those, OTHER, "cluster")
    assert those.company(1.0, record)
    assert not those.alone(1.0, record)


@pytest.mark.parametrize("standing", Standing)
def test_who_lives_is_company(standing: Standing) -> None:
    """Who was off the ring for dead comes back, and needs a vote; who leaves as well needs to be let go."""
    record = Admit(OTHER).apply(found("cluster", ME, 2))
    those, other = peers(), structs.replace(record.nodes["c"], standing=standing)
    meet(those, OTHER, "cluster")
    assert those.company(1.0, replace(record, nodes={**record.nodes, "c": other}))
    those.down(2.0, "c", 3, left=False)
    assert not those.company(2.0, replace(record, nodes={**record.nodes, "c": other}))


def test_who_was_taken_for_dead_on_its_way_out_is_no_newcomer() -> None:
    """It still leaves, and would be a voter, and gone. Its next life is one."""
    record, those = Admit(OTHER).apply(found("cluster", ME, 2)), peers()
    meet(those, OTHER, "cluster")
    leaving = structs.replace(OTHER, standing=Standing.LEAVING)
    those.study(0.0, replace(record, nodes={**record.nodes, "c": leaving}))
    without = found("cluster", ME, 2)
    those.study(1.0, without)
    assert those.outlook(1.0, without)[0].newcomers == ()
    meet(those, Node("c", 4), "cluster", now=2.0)
    assert those.outlook(2.0, without)[0].newcomers == (Node("c", 4),)


def test_the_dead_are_given_up_for_those_who_leave_only_where_somebody_stays() -> None:
    """Copies have to go somewhere; if there is nowhere to go, who is only cut off may come back first."""
    dead, mine = Node("d", 5), found("cluster", ME, 2)
    record = Admit(dead).apply(Admit(OTHER).apply(mine))
    for standing, given_up in ((Standing.MEMBER, {dead.life}), (Standing.LEAVING, set())):
        those = peers()
        for node in (OTHER, dead):
            meet(those, node, "cluster")
        me, other = structs.replace(ME, standing=Standing.LEAVING), structs.replace(OTHER, standing=standing)
        leaving = replace(record, nodes={**record.nodes, "b": me, "c": other})
        those.study(0.0, leaving)
        those.down(1.0, "d", 5, left=False)
        assert those.outlook(1.1, leaving)[0].given_up == given_up


def test_a_voter_is_heard_when_it_answers() -> None:
    """What it asked may have been waiting for this node while it was stopped, and the voter may be dead."""
    record = Enrol(OTHER.life).apply(Admit(OTHER).apply(found("cluster", ME, 2)))
    those = peers(granted_until=lambda _: 11.0, answered_s=lambda _: 8.0)
    meet(those, OTHER, "cluster")
    assert those.heard(10.0) == {"b", "c"}
    those.study(10.0, record)
    assert those.heard(8.5) == {"b", "c"}
    assert those.heard(10.0) == {"b"}


def test_the_oldest_voter_left_goes_on_alone_where_every_side_may() -> None:
    """Once the others are dead, and not before; never where it takes a majority."""
    record = Enrol(OTHER.life).apply(Admit(OTHER).apply(found("cluster", ME, 2)))
    those = peers()
    meet(those, OTHER, "cluster")
    assert those.forsaken(0.0, record) == []
    those.suspect("c", 3)
    assert those.forsaken(0.0, record) == []
    those.down(0.0, "c", 3, left=False)
    assert those.forsaken(0.0, record) == [ME.life]
    assert those.forsaken(0.0, replace(record, quorum=Quorum.MAJORITY)) == []
    assert those.forsaken(0.0, replace(record, widest=3)) == []
    assert those.forsaken(0.0, replace(record, widest=3, quorum=Quorum.ANY)) == [ME.life]


def test_linked_is_who_said_hello_in_its_present_life() -> None:
    """A link to another life is none."""
    those = peers()
    those.up(0.0, OTHER)
    those.connected("c")
    assert those.linked(0.0) == set()
    those.greeted("c", hello(2))
    assert those.linked(0.0) == set()
    those.greeted("c", hello(3))
    assert those.linked(0.0) == {"c"}
    those.disconnected("c")
    assert those.linked(0.0) == set()


def test_members_of_another_cluster_do_not_count() -> None:
    """They are neither alive nor let in."""
    those = peers()
    meet(those, OTHER, "theirs")
    record = found("ours", ME, 2)
    those.study(0.0, record)
    assert those.foreign("c")
    assert those.live(0.0) == {"b": 2}
    assert those.outlook(0.0, record)[0].newcomers == ()


def test_members_never_seen_have_the_benefit_of_the_doubt_for_a_while() -> None:
    """Then they are dead, and after the rebuild delay they are given up."""
    those = peers()
    record = found("ours", ME, 2).with_nodes([ME, OTHER])
    those.study(0.0, record)
    assert those.live(9.0) == {"b": 2, "c": 3}
    assert those.doubt_due(0.0) == 10.0
    assert those.live(10.0) == {"b": 2}
    dead, due = those.outlook(10.0, record)
    assert (dead.dead, dead.given_up, due) == ((("c", 3),), frozenset(), 25.0)
    assert those.outlook(25.0, record)[0].given_up == {("c", 3)}


def test_who_left_is_given_up_at_once() -> None:
    """There is nobody to wait for."""
    those = peers()
    meet(those, OTHER)
    record = found("ours", ME, 2).with_nodes([ME, OTHER])
    those.study(0.0, record)
    those.down(1.0, "c", 3, left=True)
    outlook, due = those.outlook(1.0, record)
    assert outlook.given_up == {("c", 3)}
    assert due == math.inf


def test_the_oldest_of_those_that_know_no_cluster_founds_one_after_a_while() -> None:
    """All others must be linked and without a cluster; the time starts with the last newcomer."""
    those = peers()
    assert not those.may_form(100.0)
    meet(those, OTHER, now=100.0)
    assert not those.may_form(100.9)
    assert those.may_form(101.0)
    meet(those, Node("d", 4), now=101.0)
    assert not those.may_form(101.5)
    assert those.may_form(102.0)
    meet(those, Node("a", 1), now=102.0)
    assert not those.may_form(200.0)


def test_nobody_founds_a_cluster_where_there_is_one() -> None:
    """It will be taught to them."""
    those = peers()
    meet(those, OTHER, "ours")
    assert not those.may_form(100.0)


def test_founding_waits_for_as_many_as_expected() -> None:
    """`expect` counts the node itself."""
    those = peers(expect=3)
    meet(those, OTHER)
    assert not those.may_form(100.0)
    meet(those, Node("d", 4))
    assert those.may_form(100.0)


def test_without_seeds_there_is_nothing_to_wait_for() -> None:
    """A cluster of one."""
    assert peers(seeded=False).may_form(0.0)
