"""What a majority of the voters has agreed on stays agreed on, whoever proposes, dies, or is cut off."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.cluster.ownership.changes import Admit, Change, Demote, Dismiss, Enrol, InSync, Learn, Retire
from respcache.cluster.ownership.effects import Done, Learned, RegisterEffect, Tell
from respcache.cluster.ownership.record import SEATS, Node, Quorum, Record, Standing, Version, Voter
from respcache.cluster.ownership.register import BACK_OFF_S, RETRY_S, Register
from respcache.cluster.ownership.wire import (
    Accept,
    Accepted,
    Chosen,
    Decided,
    Doubted,
    Fetch,
    Prepare,
    Promised,
    Propose,
    Refused,
    RegisterMessage,
    difference,
)

PARTITIONS = 4


class Group:
    """Registers joined by links that deliver in order, at once or when told to; a name taken from `up` is dead."""

    def __init__(self, *names: str, voters: int = 3) -> None:
        self.now = 0.0
        self.runs = {name: run for run, name in enumerate(names, start=1)}
        self.registers = {
            name: Register((name, run), Random(run), first=lambda _, __, ___: [], partitions=PARTITIONS)
            for name, run in self.runs.items()
        }
        self.up = list(names)
        self.cut: set[frozenset[str]] = set()
        self.told: list[tuple[str, str, RegisterMessage]] = []
        """(sender, receiver, message) of all that was sent."""
        self.effects: list[tuple[str, RegisterEffect]] = []
        first = names[0]
        self.do(first, self.registers[first].form(self.now, "cluster", Node(first, 1), 2))
        self.observe_all()
        self.propose(first, *(Admit(Node(name, run)) for name, run in self.runs.items() if name != first))
        for name in names[1:voters]:
            self.propose(first, Enrol((name, self.runs[name])))

    def observe_all(self) -> None:
        """Let all see who is up, and in reach."""
        for name in self.up:
            self.observe(name)

    def observe(self, name: str, *, without: str = "") -> None:
        """Let a register see who is up, and reach whom it reaches."""
        live = {other: self.runs[other] for other in self.up if other != without}
        linked = [other for other in live if other != name and frozenset((name, other)) not in self.cut]
        self.do(name, self.registers[name].observe(self.now, live, linked))
        for other in linked:  # as on a new link: say what you know
            record = self.registers[other].record
            self.do(name, self.registers[name].show(self.now, other, (0, 0) if record is None else record.version))

    def kill(self, name: str) -> None:
        """Let a member die, and all others see it."""
        self.up.remove(name)
        self.observe_all()
        self.pass_time()

    def separate(self, *side: str) -> None:
        """Cut some off from the others."""
        self.cut = {frozenset((one, other)) for one in side for other in self.up if other not in side}
        self.observe_all()

    def propose(self, name: str, *changes: Change) -> range:
        """Let a member ask for changes."""
        numbers, effects = self.registers[name].propose(self.now, changes)
        self.do(name, effects)
        return numbers

    def pass_time(self, duration_s: float = 3 * RETRY_S) -> None:
        """Let timers go off."""
        ends = self.now + duration_s
        while self.now < ends:
            self.now += 0.02
            for name in list(self.up):
                if self.registers[name].deadline <= self.now:
                    self.do(name, self.registers[name].tick(self.now))

    def do(self, name: str, effects: list[RegisterEffect]) -> None:
        """Carry out effects."""
        for effect in effects:
            self.effects.append((name, effect))
            if isinstance(effect, Tell) and self.connects(name, effect.peer):
                self.told.append((name, effect.peer, effect.message))
                self.do(effect.peer, self.registers[effect.peer].receive(self.now, name, effect.message))

    def connects(self, one: str, other: str) -> bool:
        """Whether a message gets through."""
        return one in self.up and other in self.up and frozenset((one, other)) not in self.cut

    def leaders(self) -> list[str]:
        """Return the names of those that are up and take themselves for the leader."""
        return [name for name in self.up if self.registers[name].leading]

    def record(self, name: str) -> Record:
        """Return what a member knows."""
        record = self.registers[name].record
        assert record is not None
        return record

    def versions(self) -> set[Version]:
        """Return the versions known to those that are up."""
        return {self.record(name).version for name in self.up}


@pytest.fixture
def group() -> Group:
    """Return four members of one cluster; `a` is the oldest, `d` does not vote."""
    return Group("a", "b", "c", "d")


def test_a_change_reaches_everybody(group: Group) -> None:
    """Whoever asks for it, voter or not, the leader has it agreed on, and the asker is told."""
    numbers = group.propose("d", Retire("b", 2))

    assert len(group.versions()) == 1
    assert all(group.record(name).nodes["b"].standing is Standing.LEAVING for name in group.up)
    assert ("d", Done(numbers[0])) in group.effects
    assert group.registers["a"].decided["members"] == 4


def test_a_change_is_one_round_trip_of_the_leader(group: Group) -> None:
    """In quiet times nothing is promised anew: accept, accepted, chosen."""
    group.told.clear()
    group.propose("a", Retire("b", 2))

    assert [type(message) for _, peer, message in group.told if "b" in {_, peer}] == [Accept, Accepted, Chosen]


def test_a_change_that_has_become_void_is_answered_all_the_same(group: Group) -> None:
    """Nothing is agreed on for it."""
    version = group.record("a").version
    numbers = group.propose("c", Retire("nobody", 1))

    assert ("c", Done(numbers[0])) in group.effects
    assert group.versions() == {version}


def test_the_next_oldest_voter_takes_over(group: Group) -> None:
    """In a term of its own, which nobody else can have."""
    group.kill("a")
    assert group.leaders() == ["b"]
    group.propose("c", Retire("d", 4))

    assert len(group.versions()) == 1
    assert group.record("d").version[0] % 2**20 == 1


def test_what_is_proposed_while_nobody_leads_is_decided_later(group: Group) -> None:
    """The proposer asks until it is."""
    group.separate("a", "b", "c")
    numbers = group.propose("d", Retire("d", 4))
    assert ("d", Done(numbers[0])) not in group.effects
    group.cut = set()
    group.observe_all()
    group.pass_time()

    assert ("d", Done(numbers[0])) in group.effects


def test_a_minority_agrees_on_nothing(group: Group) -> None:
    """The other side goes on, and once healed, all know what it decided."""
    group.separate("a")
    group.pass_time()
    lost = group.propose("a", Retire("b", 2))
    group.pass_time()
    assert ("a", Done(lost[0])) not in group.effects
    group.propose("c", Retire("d", 4))
    assert group.record("d").nodes["d"].standing is Standing.LEAVING
    assert group.record("a").nodes["d"].standing is Standing.MEMBER

    group.cut = set()
    group.observe_all()
    group.pass_time()
    assert len(group.versions()) == 1
    assert group.leaders() == ["a"]
    assert group.record("a").nodes["d"].standing is Standing.LEAVING


def test_two_dead_voters_of_three_stop_everything_until_one_forces_the_record(group: Group) -> None:
    """What it decides alone is a version beyond all that the others may have agreed on."""
    group.kill("b")
    group.kill("c")
    numbers = group.propose("d", Retire("d", 4))
    group.pass_time()
    assert ("d", Done(numbers[0])) not in group.effects
    before = group.record("a").version
    group.do("a", group.registers["a"].force(group.now, [("a", 1), ("d", 4)]))
    group.pass_time()

    assert {voter.name for voter in group.record("d").voters} == {"a", "d"}
    assert group.record("d").version > before
    group.propose("d", Retire("d", 4))
    assert group.record("a").nodes["d"].standing is Standing.LEAVING


@pytest.mark.parametrize("names", ["ab", "abc"])
def test_who_was_taken_for_dead_is_told_of_what_was_decided_without_it(names: str) -> None:
    """Where each side goes on, that is: it has a record of its own, by which it needs nobody. Others ask for leases."""
    group = Group(*names, voters=2)
    alone = group.registers["b"]
    group.do("b", alone.observe(group.now, {"b": 2}, []))
    group.do("b", alone.force(group.now, [("b", 2)]))
    decided = group.record("b").version
    assert group.record("a").version < decided
    group.do("b", alone.observe(group.now, group.runs, ["a"]))
    assert (("b", "a", Chosen(decided, None)) in group.told) is (names == "ab")
    assert (group.record("a").version == group.record("b").version) is (names == "ab")


def test_a_voter_keeps_to_an_older_one_that_it_reaches(group: Group) -> None:
    """A younger one that does not is refused, and tries again later, not at once."""
    group.cut = {frozenset("ab")}
    group.observe_all()
    assert group.leaders() == ["a"]
    refused = [message for sender, peer, message in group.told if (sender, peer) == ("c", "b")]
    assert isinstance(refused[-1], Refused)
    assert group.registers["b"].deadline >= group.now + BACK_OFF_S[0] / 2


def test_a_change_is_passed_on_by_a_voter_that_reaches_the_leader(group: Group) -> None:
    """And so is the answer."""
    group.cut = {frozenset("ad")}
    group.observe_all()
    numbers = group.propose("d", Retire("c", 3))

    assert ("d", Done(numbers[0])) in group.effects
    assert group.record("b").nodes["c"].standing is Standing.LEAVING


def copied(group: Group) -> None:
    """Let `b` have a copy of partition 0, which counts."""
    group.propose("a", Learn(((0, "b"),)))
    group.propose("a", InSync("b", 2, ((0, group.record("a").entries[0].revision),)))


@pytest.mark.parametrize("cut", [set(), {frozenset("ad")}], ids=["to the leader", "passed on"])
def test_a_copy_is_demoted_once_its_primary_has_said_so_again(group: Group, cut: set[frozenset[str]]) -> None:
    """What a primary asked for before it died may take the last copy away. The leader asks back, on any way."""
    copied(group)
    assert group.record("a").entries[0].in_sync == ("a", "b")
    group.cut = cut
    group.observe_all()
    group.told.clear()
    numbers = group.propose("d", Demote("b", 2, ((0, group.record("a").entries[0].revision),)))

    assert ("d", Done(numbers[0])) in group.effects
    assert group.record("a").entries[0].in_sync == ("a",)
    assert [type(message) for name, _, message in group.told if name == "d"][:2] == [Propose, Propose]


def test_a_demotion_that_is_not_asked_for_again_is_not_decided(group: Group) -> None:
    """As it is not when its primary has died, be it that the leader has not noticed yet."""
    copied(group)
    wish = Propose(1, Demote("b", 2, ((0, group.record("a").entries[0].revision),)))

    assert group.registers["a"].receive(group.now, "d", wish) == [Tell("d", Doubted(1, group.now))]
    assert group.record("a").entries[0].in_sync == ("a", "b")


def test_who_begins_to_lead_does_not_take_what_it_passed_on_for_its_own(group: Group) -> None:
    """The primary that asked for it may have died meanwhile, which the new leader has not noticed yet."""
    copied(group)
    wish = Propose(1, Demote("b", 2, ((0, group.record("b").entries[0].revision),)))
    passed_on = group.registers["b"].receive(group.now, "d", wish)
    assert [effect.peer for effect in passed_on if isinstance(effect, Tell)] == ["a"]
    group.kill("a")

    assert group.leaders() == ["b"]
    assert group.record("b").entries[0].in_sync == ("a", "b")


def test_a_demotion_is_asked_of_the_next_leader_as_well(group: Group) -> None:
    """By its primary, however it reached the former one, which decided nothing."""
    copied(group)
    group.cut = {frozenset("ad")}
    group.observe_all()
    group.up.remove("a")
    numbers = group.propose("d", Demote("b", 2, ((0, group.record("b").entries[0].revision),)))
    assert ("d", Done(numbers[0])) not in group.effects
    group.observe_all()
    group.pass_time()

    assert group.leaders() == ["b"]
    assert ("d", Done(numbers[0])) in group.effects
    assert group.record("b").entries[0].in_sync == ("a",)


def test_a_record_that_a_minority_has_accepted_is_proposed_again(group: Group) -> None:
    """It may have been chosen, as far as its finder can tell; nobody is asked to vote on anything beyond it before."""
    accepted = group.registers["b"]
    base = group.record("b")
    unfinished = replace(
        Retire("c", 3).apply(base),
        version=(base.version[0], base.version[1] + 1),
        parent=base.version,
        electors=base.voters,
    )
    assert accepted._acceptor.accept(unfinished)
    group.kill("a")

    assert group.record("c").nodes["c"].standing is Standing.LEAVING
    assert group.record("c").parent == unfinished.version


def test_a_leader_that_hears_of_a_later_term_leads_in_one_still_later(group: Group) -> None:
    """What was accepted in it may be chosen. With nothing to propose the leader would not find out."""
    base, later = group.record("a"), 7 * SEATS + 1
    unfinished = replace(Retire("d", 4).apply(base), version=(later, base.version[1] + 1), parent=base.version)
    for name in "bc":
        assert group.registers[name]._acceptor.accept(unfinished)
    group.pass_time()
    assert group.record("a") is base
    group.do("a", group.registers["a"].show(group.now, "b", group.registers["b"].heard))
    group.pass_time()

    assert group.leaders() == ["a"]
    assert {group.record(name).nodes["d"].standing for name in group.up} == {Standing.LEAVING}


def test_whoever_asks_is_shown_the_record_be_it_dead_or_not(group: Group) -> None:
    """It has a link, whatever gossip says of it, and it will not ask again."""
    group.observe("a", without="d")
    group.told.clear()
    group.do("a", group.registers["a"].receive(group.now, "d", Fetch((0, 0))))
    shown = [message for sender, peer, message in group.told if (sender, peer) == ("a", "d")]

    assert [type(message) for message in shown] == [Chosen]


def test_what_was_learned_while_preparing_is_what_the_new_leader_goes_on_from(group: Group) -> None:
    """Voters do not show what the leader-to-be says it has; it must not go on from what it had at first."""
    register = group.registers["b"]
    old = group.record("b")
    group.cut = {frozenset("ab"), frozenset("bc"), frozenset("bd")}
    group.observe("b")
    assert register._proposer.preparation is not None
    group.propose("a", Retire("d", 4))
    newest = group.record("a")
    assert newest.version > old.version
    group.do("b", register.receive(group.now, "c", Chosen(newest.version, None)))
    register._learn(newest)
    group.up.remove("a")
    group.cut = set()
    group.observe_all()
    group.pass_time()

    assert group.leaders() == ["b"]
    assert group.record("c").nodes["d"].standing is Standing.LEAVING


def test_voters_come_and_go_one_by_one_and_the_record_with_them(group: Group) -> None:
    """From three voters to one, each change agreed on by those before it."""
    group.propose("a", Dismiss(("c", 3)))
    group.propose("a", Dismiss(("b", 2)))
    assert group.record("d").voters == (Voter("a", 1, 0),)
    assert group.record("d").electors == (Voter("a", 1, 0), Voter("b", 2, 1))
    for name in "bcd":
        group.kill(name)
    group.propose("a", Retire("d", 4))
    assert group.record("a").nodes["d"].standing is Standing.LEAVING


def test_a_leader_that_dismisses_itself_hands_over(group: Group) -> None:
    """The next oldest voter leads."""
    group.propose("a", Dismiss(("a", 1)))
    assert group.leaders() == ["b"]


def test_skipped_versions_are_a_leap(group: Group) -> None:
    """Who was away for two changes cannot know what lay in between."""
    group.separate("d")
    group.propose("a", Retire("b", 2))
    group.propose("a", Retire("c", 3))
    group.cut = set()
    group.observe_all()
    group.do("d", group.registers["d"].fetch("a"))

    learned = [effect for name, effect in group.effects if name == "d" and isinstance(effect, Learned)]
    assert [effect.leap for effect in learned[-2:]] == [False, True]


def test_records_of_another_cluster_are_not_taken(group: Group) -> None:
    """Nor such as divide the keys differently."""
    stranger = Register(("x", 9), Random(9), first=lambda _, __, ___: [], partitions=PARTITIONS)
    stranger.form(0.0, "other", Node("x", 9), 2, Quorum.MAJORITY)
    stranger.observe(0.0, {"x": 9, "a": 1}, ["a"])
    record = group.record("a")
    for effect in stranger.show(0.0, "a", (0, 0)):
        assert isinstance(effect, Tell)
        group.do("a", group.registers["a"].receive(0.0, "d", effect.message))
    assert group.record("a") is record


def test_a_promise_to_a_later_term_refuses_earlier_ones(group: Group) -> None:
    """A voter tells how far it is bound."""
    register = group.registers["c"]
    version = group.record("c").version
    late = register.receive(0.0, "a", Prepare(version[0] + 2**20, version))
    assert [effect.message for effect in late if isinstance(effect, Tell)] == [
        Promised(version[0] + 2**20, version, None)
    ]
    early = register.receive(0.0, "a", Prepare(version[0], version))
    assert Tell("a", Refused(version[0], version[0] + 2**20)) in early


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_no_two_members_ever_know_different_records_of_one_version(data: st.DataObject) -> None:
    """Whatever is cut, healed, killed or proposed: versions lead from one to the next, for everybody the same way."""
    group = Group("a", "b", "c", "d", "e", voters=5)
    names = st.sampled_from("abcde")
    for _ in range(data.draw(st.integers(1, 12))):
        match data.draw(st.integers(0, 4)):
            case 0:
                group.separate(*data.draw(st.sets(names, min_size=1, max_size=4)))
            case 1:
                group.cut.add(frozenset((data.draw(names), data.draw(names))))
                group.observe_all()
            case 2:
                group.cut = set()
                group.observe_all()
            case 3 if len(group.up) > 3:
                group.kill(data.draw(st.sampled_from(group.up)))
            case _:
                name = data.draw(st.sampled_from(group.up))
                group.propose(name, Retire(data.draw(names), data.draw(st.integers(1, 5))))
        group.pass_time(data.draw(st.sampled_from([0.0, 0.1, 2.0])))
    group.cut = set()
    group.observe_all()
    group.pass_time(10.0)

    known: dict[Version, Record] = {}
    for _, effect in group.effects:
        if isinstance(effect, Learned):
            assert known.setdefault(effect.record.version, effect.record) == effect.record
            assert effect.old is None or effect.old.version < effect.record.version
    assert len(group.versions()) == 1
    assert len(group.leaders()) == 1


def test_an_answer_that_overtakes_its_record_waits_for_it() -> None:
    """Nobody is told that a change is decided before the record shows what became of it."""
    group = Group("a", "b", "c")
    register, known = group.registers["b"], group.record("b")
    (number,), _ = register.propose(0.0, [Retire("c", 3)])
    newer = replace(known, version=(known.version[0], known.version[1] + 1), parent=known.version)
    effects = register.receive(0.0, "a", Decided(number, newer.version))
    assert effects == [Tell("a", Fetch(known.version))]
    effects = register.receive(0.0, "a", Chosen(newer.version, difference(None, newer)))
    assert effects == [Learned(known, newer, leap=False), Done(number)]


def test_an_answer_by_a_record_that_is_known_counts_at_once() -> None:
    """As does one that names no version: older nodes give none."""
    group = Group("a", "b", "c")
    register = group.registers["b"]
    for version in (group.record("b").version, (0, 0)):
        (number,), _ = register.propose(0.0, [Retire("c", 3)])
        assert register.receive(0.0, "a", Decided(number, version)) == [Done(number)]
