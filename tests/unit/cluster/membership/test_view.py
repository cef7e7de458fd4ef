"""Beliefs: which rumours win, what is told of it, what is refuted."""

import itertools
import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.membership.effects import (
    Died,
    Joined,
    Left,
    NameConflict,
    PartitionSuspected,
    Recovered,
    Suspected,
    Updated,
)
from respcache.cluster.membership.health import Health
from respcache.cluster.membership.member import Member, MemberState, Meta, encode_meta
from respcache.cluster.membership.profile import LAN, GossipConfig
from respcache.cluster.membership.stats import GossipStats
from respcache.cluster.membership.view import Heard, View
from respcache.cluster.membership.wire import EPOCH_MAX, INCARNATION_MAX, DecodeError, Rumor

META = Meta(client_port=1, http_port=0)
ALIVE, SUSPECT, DEAD, LEFT = MemberState
OWN_ADDRESS = ("10.0.0.1", 1)


def view(profile: GossipConfig = LAN) -> View:
    """Make the view of node `me`, in its epoch 100."""
    me = Member("me", 100, 0, ALIVE, OWN_ADDRESS, META, since_s=0.0)
    return View(me, profile=profile, health=Health(8), stats=GossipStats())


def rumor(name: str = "a", epoch: int = 1, incarnation: int = 0, state: MemberState = ALIVE, **fields: object) -> Rumor:
    """Make a rumour with metadata."""
    host, port = fields.pop("address", ("10.0.0.2", 1))  # type: ignore[misc]  # a test's shorthand
    whole = {"meta": encode_meta(META), "accusers": ("x",) if state is SUSPECT else (), **fields}
    return Rumor(name, epoch, incarnation, state, host, port, **whole)  # type: ignore[has-type, arg-type]  # as above


def told(told_to: View, *rumors: Rumor, now: float = 1.0) -> list[object]:
    """Let a view hear rumours, and return the kinds of its events."""
    for one in rumors:
        told_to.hear(now, one)
    return [type(event) for event in told_to.take_events()]


rumors = st.builds(
    rumor, st.sampled_from("abc"), st.integers(1, 3), st.integers(0, 2), st.sampled_from(list(MemberState))
)


@given(heard=st.lists(rumors, max_size=25), seed=st.integers(0, 1_000))
def test_views_agree_whatever_the_order_and_however_often(heard: list[Rumor], seed: int) -> None:
    """Hearing is commutative, associative and idempotent: equal rumours give equal beliefs."""
    one, other = view(), view()
    shuffled = heard + heard[::2]
    random.Random(seed).shuffle(shuffled)
    told(one, *heard)
    told(other, *shuffled)

    def beliefs(of: View) -> set[tuple[str, tuple[int, int, int]]]:
        return {(member.name, member.precedence) for member in of.table}

    assert beliefs(one) == beliefs(other)
    assert one.table.digest == other.table.digest


@given(heard=st.lists(rumors, max_size=40))
def test_entrances_and_exits_alternate(heard: list[Rumor]) -> None:
    """Per name: in, out, in, out; so a consumer can keep a set by adding and removing alone."""
    listener = view()
    inside: set[str] = set()
    for one in heard:
        listener.hear(1.0, one)
        for event in listener.take_events():
            match event:
                case Joined(member=member):
                    assert member.name not in inside
                    inside.add(member.name)
                case Died(member=member) | Left(member=member):
                    assert member.name in inside
                    inside.remove(member.name)
                case Suspected(member=member) | Recovered(member=member) | Updated(member=member):
                    assert member.name in inside
                case _:
                    pass
    assert inside == set(listener.table.live_peers)


@pytest.mark.parametrize(
    ("before", "after", "events"),
    [
        (None, rumor(), [Joined]),
        (None, rumor(state=SUSPECT), [Joined, Suspected]),
        (None, rumor(state=DEAD), []),
        (rumor(), rumor(state=SUSPECT), [Suspected]),
        (rumor(state=SUSPECT), rumor(incarnation=1), [Recovered]),
        (rumor(), rumor(incarnation=1), []),
        (rumor(), rumor(state=DEAD), [Died]),
        (rumor(), rumor(state=LEFT), [Left]),
        (rumor(state=SUSPECT), rumor(state=LEFT), [Left]),
        (rumor(state=DEAD), rumor(state=LEFT), []),
        (rumor(state=DEAD), rumor(), []),
        (rumor(state=DEAD), rumor(incarnation=1), [Joined]),
        (rumor(state=LEFT), rumor(incarnation=0, state=DEAD), []),
        (rumor(state=LEFT), rumor(epoch=2), [Joined]),
        (rumor(), rumor(epoch=2), [Died, Joined]),
        (rumor(incarnation=7, state=DEAD), rumor(epoch=2), [Joined]),
        (rumor(epoch=2), rumor(epoch=1, incarnation=9, state=DEAD), []),
        (rumor(), rumor(incarnation=1, address=("10.0.0.3", 1)), [Updated]),
        (rumor(), rumor(incarnation=1, meta=encode_meta(Meta(client_port=2, http_port=0))), [Updated]),
    ],
)
def test_events_follow_from_two_beliefs(before: Rumor | None, after: Rumor, events: list[object]) -> None:
    """Each step from one belief to the next has its events, and a rumour that loses has none."""
    listener = view()
    if before is not None:
        told(listener, before)

    assert told(listener, after) == events


def test_a_suspect_nobody_confirms_dies_after_the_longest_time() -> None:
    """Three members, one accuser: six times the shortest time, and that is told."""
    listener = view()
    told(listener, rumor("a"), rumor("b"), rumor(state=SUSPECT, accusers=("b",)), now=10.0)

    assert listener.deadline == pytest.approx(10 + 4 * 6 * 0.5)
    listener.tick(listener.deadline - 0.001)
    assert listener.take_events() == []
    listener.tick(listener.deadline)
    assert [type(event) for event in listener.take_events()] == [Died]


def test_our_own_failed_probe_confirms() -> None:
    """In a cluster of three the second accuser brings the shortest time: 2 s on lan."""
    listener = view()
    told(listener, rumor("a"), rumor("b"), rumor(state=SUSPECT, accusers=("b",)), now=10.0)
    assert listener.wants_confirmation("a")

    listener.suspect(10.5, "a")

    assert listener.deadline == pytest.approx(12.0)
    assert not listener.wants_confirmation("a")
    assert not listener.wants_confirmation("b")


def test_nobody_is_accused_twice_or_after_death() -> None:
    """A failed probe of a member that is gone by now changes nothing."""
    listener = view()
    told(listener, rumor(state=DEAD))
    listener.suspect(1.0, "a")
    listener.suspect(1.0, "stranger")

    assert listener.take_events() == []
    assert listener.table["a"].state is DEAD


@pytest.mark.parametrize("state", [SUSPECT, DEAD, LEFT])
def test_what_is_wrong_about_ourselves_is_refuted(state: MemberState) -> None:
    """The incarnation rises above the rumour's, health suffers, and the teller gets an answer."""
    listener = view()

    assert listener.hear(1.0, rumor("me", 100, 3, state, address=OWN_ADDRESS)) is Heard.OUTDATED
    assert (listener.me.incarnation, listener.me.state) == (4, ALIVE)
    assert len(listener.rumors) == 1
    assert listener.take_events() == []


def test_an_older_self_is_no_reason_to_rise_but_to_speak() -> None:
    """After a restart a rumour of the earlier run is answered with the new run."""
    listener = view()

    assert listener.hear(1.0, rumor("me", 99, 3, DEAD, address=OWN_ADDRESS)) is Heard.OUTDATED
    assert (listener.me.epoch_unix_ms, listener.me.incarnation) == (100, 0)
    assert len(listener.rumors) == 1


def test_an_older_run_with_a_later_epoch_is_outranked() -> None:
    """A clock set back between two runs does not lock the node out."""
    listener = view()
    listener.hear(1.0, rumor("me", 500, 3, DEAD, address=("10.9.9.9", 1)))
    assert listener.me.epoch_unix_ms == 501

    listener.hear(1.0, rumor("me", 900, 0, ALIVE, address=OWN_ADDRESS))
    assert listener.me.epoch_unix_ms == 901
    assert listener.take_events() == []


def test_a_later_run_elsewhere_takes_our_name() -> None:
    """Another live node of this name and a later epoch: there can be only one, and it is not us."""
    listener = view()

    assert told(listener, rumor("me", 101, address=("10.9.9.9", 1))) == [NameConflict]


def test_refutation_has_no_end_of_numbers() -> None:
    """At the greatest incarnation the epoch rises instead; at the greatest epoch nothing is said out of range."""
    listener = view()
    listener.hear(1.0, rumor("me", 100, INCARNATION_MAX, SUSPECT, address=OWN_ADDRESS))
    assert (listener.me.epoch_unix_ms, listener.me.incarnation) == (101, 0)

    listener.hear(1.0, rumor("me", EPOCH_MAX, 0, DEAD, address=OWN_ADDRESS))
    assert listener.me.epoch_unix_ms == 101


def test_a_leaving_node_refutes_nothing() -> None:
    """Whoever left may be called anything."""
    listener = view()
    listener.leave(1.0)

    assert listener.hear(1.0, rumor("me", 100, 7, DEAD, address=OWN_ADDRESS)) is Heard.KNOWN
    assert listener.me.state is LEFT


def test_a_sync_does_not_spread_deaths_that_we_can_dispute() -> None:
    """After a split each side holds the other dead: of a member that we hold alive, we ask that member."""
    listener = view()
    told(listener, rumor())

    assert listener.hear(1.0, rumor(state=DEAD), in_sync=True) is Heard.DISPUTED
    assert listener.table["a"].state is ALIVE
    assert listener.hear(1.0, rumor(state=LEFT), in_sync=True) is Heard.NEWS


def test_an_accuser_that_missed_the_refutation_is_corrected() -> None:
    """A rumour that has been refuted is answered with what we hold; an old good word is not worth an answer."""
    listener = view()
    told(listener, rumor(incarnation=2))

    assert listener.hear(1.0, rumor(incarnation=1, state=DEAD)) is Heard.OUTDATED
    assert listener.hear(1.0, rumor(incarnation=1, state=SUSPECT)) is Heard.OUTDATED
    assert listener.hear(1.0, rumor(incarnation=1)) is Heard.KNOWN


def test_malformed_metadata_changes_nothing() -> None:
    """The rumour is refused as a whole."""
    listener = view()
    with pytest.raises(DecodeError):
        listener.hear(1.0, rumor(meta=b"\x91\xc0"))

    assert len(listener.table) == 1
    assert listener.take_events() == []


def test_a_live_stranger_without_metadata_is_not_taken_in() -> None:
    """Too little is known of it; a sync will bring the rest."""
    assert told(view(), rumor(state=SUSPECT, meta=b"")) == []


def test_tombstones_guard_against_stale_rumors_and_end() -> None:
    """Within its time no stale rumour revives a dead member; afterwards nothing is left of it."""
    listener = view()
    told(listener, rumor(), rumor(state=DEAD), now=0.0)
    assert told(listener, rumor(), rumor(state=SUSPECT), now=3_599.0) == []

    assert listener.deadline == 3_600.0
    listener.tick(3_600.0)

    assert listener.table.get("a") is None
    assert listener.deadline == math.inf
    assert len(listener.rumors) == 0


def test_a_tombstone_cannot_wander_for_ever() -> None:
    """Two nodes that tell each other of a dead member forget it in time all the same."""
    one, other = view(), view()
    told(one, rumor(), rumor(state=DEAD), now=0.0)
    now = 0.0
    for teller, listener in itertools.islice(itertools.cycle(((one, other), (other, one))), 12):
        now += 600.0
        held = teller.table.get("a")
        if held is not None:
            age_s = int(now - held.since_s) + 1
            listener.hear(now, rumor(state=DEAD, age_s=age_s))
        one.tick(now)
        other.tick(now)

    assert one.table.get("a") is None
    assert other.table.get("a") is None


def test_the_number_of_members_is_bounded() -> None:
    """Names beyond the limit are refused and counted; those known may still change."""
    listener = view(replace(LAN, members_max=3))
    told(listener, *(rumor(f"n{number}") for number in range(10)))

    assert len(listener.table) == 3
    assert told(listener, rumor("n0", state=DEAD)) == [Died]


def test_more_than_a_third_suspect_at_once_is_reported_once() -> None:
    """Five members: the second suspect makes it rather the network than them."""
    listener = view()
    told(listener, *(rumor(name) for name in "abcd"))
    assert told(listener, rumor("a", state=SUSPECT)) == [Suspected]
    assert told(listener, rumor("b", state=SUSPECT)) == [Suspected, PartitionSuspected]
    assert told(listener, rumor("c", state=SUSPECT)) == [Suspected]

    told(listener, *(rumor(name, incarnation=1) for name in "abc"))
    assert told(listener, *(rumor(name, incarnation=1, state=SUSPECT) for name in "ab"))[-1] is PartitionSuspected


def test_a_dead_member_that_is_forgotten_has_left_for_everybody() -> None:
    """Others adopt it without an event, for it was gone already; a member that lives is left alone."""
    here, there = view(), view()
    told(here, rumor(state=DEAD), rumor("b"))
    told(there, rumor(state=DEAD), rumor("b"))
    for name in ("a", "b", "me", "nobody"):
        here.forget(2.0, name)
    assert [(member.name, member.state) for member in here.table] == [("me", ALIVE), ("a", LEFT), ("b", ALIVE)]
    assert told(here) == []
    assert told(there, rumor(state=LEFT)) == []
    assert there.table["a"].state is LEFT


def test_a_forgotten_member_that_lives_is_back_with_its_refutation() -> None:
    """It outranks what was said of it, as after any wrong verdict."""
    listener = view()
    told(listener, rumor(state=DEAD))
    listener.forget(2.0, "a")
    assert told(listener, rumor(incarnation=1)) == [Joined]


def test_published_metadata_outranks_what_was_told_before() -> None:
    """A change of metadata is a new incarnation."""
    listener = view()
    listener.publish(1.0, Meta(client_port=9, http_port=0))

    assert (listener.me.incarnation, listener.me.meta.client_port) == (1, 9)


def test_a_cut_shorter_than_the_longest_suspicion_buries_nobody() -> None:
    """Of six members three are suspect and confirmed: their verdicts wait for the longest time, and 0.1 s for less."""
    listener = view()
    told(listener, *(rumor(name) for name in "abcde"), now=0.0)
    told(listener, *(rumor(name, state=SUSPECT, accusers=("d", "e", "x")) for name in "abc"), now=10.0)

    assert listener.deadline == pytest.approx(10 + 4 * 6 * 0.5)
    listener.tick(21.9)
    assert listener.take_events() == []


def test_who_is_left_suspect_when_a_cut_heals_gets_the_shortest_time_to_refute() -> None:
    """The first two recover: the third is no longer one of many, and dies two seconds later, not at once."""
    listener = view()
    told(listener, *(rumor(name) for name in "abcde"), now=0.0)
    told(listener, *(rumor(name, state=SUSPECT, accusers=("d", "e", "x")) for name in "abc"), now=10.0)
    told(listener, rumor("a", incarnation=1), rumor("b", incarnation=1), now=18.0)

    assert listener.deadline == pytest.approx(20.0)
    listener.tick(20.0)
    assert [type(event) for event in listener.take_events()] == [Died]


def test_the_share_of_suspects_that_means_a_cut_can_be_set() -> None:
    """With a share of 1 nothing is ever taken for a cut."""
    listener = view(replace(LAN, partition_share=1.0))
    told(listener, *(rumor(name) for name in "abcde"), now=0.0)
    kinds = told(listener, *(rumor(name, state=SUSPECT, accusers=("d", "e", "x")) for name in "abc"), now=10.0)

    assert PartitionSuspected not in kinds
    assert listener.deadline == pytest.approx(12.0)


def merged(*views_of: list[Rumor]) -> set[tuple[str, tuple[int, int, int]]]:
    """Let one view hear what each of several heard, one after the other."""
    listener = view()
    for heard in views_of:
        told(listener, *heard)
    return {(member.name, member.precedence) for member in listener.table if member.name != "me"}


@given(one=st.lists(rumors, max_size=8), other=st.lists(rumors, max_size=8), third=st.lists(rumors, max_size=8))
def test_views_merge_like_sets(one: list[Rumor], other: list[Rumor], third: list[Rumor]) -> None:
    """Merging what nodes believe is commutative, associative and idempotent: views form a join semilattice."""

    def beliefs(*heard: list[Rumor]) -> list[Rumor]:
        """What a view that heard all this would tell."""
        return [rumor(name, *precedence[:2], MemberState(precedence[2])) for name, precedence in sorted(merged(*heard))]

    assert merged(one, other) == merged(other, one)
    assert merged(beliefs(one, other), third) == merged(one, beliefs(other, third)) == merged(one, other, third)
    assert merged(one, one) == merged(one) == merged(beliefs(one))
