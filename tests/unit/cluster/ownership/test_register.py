"""All members come to hold the same record, whoever coordinates."""

from dataclasses import replace
from random import Random

import pytest

from respcache.cluster.ownership.changes import Admit, Retire
from respcache.cluster.ownership.record import Node, Standing
from respcache.cluster.ownership.register import RETRY_S, Adopted, Done, Register, RegisterEffect, Settled, Tell
from respcache.cluster.ownership.wire import Accept, Claim, Refused, Teach, difference


class Group:
    """Registers joined by links that deliver at once, in order; a name taken from `up` is dead."""

    def __init__(self, *names: str) -> None:
        self.now = 0.0
        self.runs = {name: run for run, name in enumerate(names, start=1)}
        self.registers = {
            name: Register((name, run), Random(run), first=lambda _, __: []) for name, run in self.runs.items()
        }
        self.up = list(names)
        self.effects: list[tuple[str, RegisterEffect]] = []
        first = names[0]
        self.observe(first)
        self.do(first, self.registers[first].form(self.now, "cluster", Node(first, 1), 2))
        for name in names[1:]:
            self.observe(name)
        self.observe(first)
        joined = [Admit(Node(name, run)) for name, run in self.runs.items() if name != first]
        self.do(first, self.registers[first].propose(self.now, joined)[1])

    def observe(self, name: str, *, live: list[str] | None = None) -> None:
        """Let a register see who is up, or something else."""
        live = self.up if live is None else live
        runs = {other: self.runs[other] for other in live}
        self.do(name, self.registers[name].observe(self.now, runs, [other for other in live if other != name]))

    def kill(self, name: str) -> None:
        """Let a member die, and all others see it."""
        self.up.remove(name)
        for other in self.up:
            self.observe(other)

    def do(self, name: str, effects: list[RegisterEffect]) -> None:
        """Carry out effects."""
        for effect in effects:
            self.effects.append((name, effect))
            if isinstance(effect, Tell) and name in self.up and effect.peer in self.up:
                self.do(effect.peer, self.registers[effect.peer].receive(self.now, name, effect.message))

    def coordinators(self) -> list[str]:
        """Return the names of those that are up and decide."""
        return [name for name in self.up if self.registers[name].coordinating]

    def versions(self) -> set[tuple[int, int] | None]:
        """Return the versions held by those that are up."""
        registers = (self.registers[name] for name in self.up)
        return {None if register.record is None else register.record.version for register in registers}


@pytest.fixture
def group() -> Group:
    """Return three members of one cluster; `a` is the oldest."""
    return Group("a", "b", "c")


def test_a_change_reaches_everybody_and_commits(group: Group) -> None:
    """Whoever proposes it, the coordinator decides; the proposer is told."""
    numbers, effects = group.registers["c"].propose(group.now, [Retire("b", 2)])
    group.do("c", effects)

    assert len(group.versions()) == 1
    for register in group.registers.values():
        assert register.record is not None
        assert register.record.nodes["b"].standing is Standing.LEAVING
        assert register.committed == register.record
    assert ("c", Done(numbers[0])) in group.effects
    assert group.registers["a"].decided["members"] == 3


def test_a_void_change_is_answered_without_a_new_version(group: Group) -> None:
    """Otherwise it would be proposed for ever."""
    before = group.versions()
    numbers, effects = group.registers["b"].propose(group.now, [Retire("b", 99)])
    group.do("b", effects)
    assert ("b", Done(numbers[0])) in group.effects
    assert group.versions() == before


def test_the_next_oldest_takes_over_in_a_new_term(group: Group) -> None:
    """And goes on from what the others hold."""
    group.kill("a")
    assert group.registers["b"].coordinating
    assert group.registers["b"].leader == group.registers["c"].leader == "b"
    assert group.versions() == {(2, 3)}


def test_a_new_coordinator_finds_what_only_others_have_seen(group: Group) -> None:
    """A version that reached one live member is not lost."""
    record = group.registers["a"].record
    assert record is not None
    changed = replace(Retire("c", 3).apply(record), version=(1, 9))
    group.registers["c"].receive(0.0, "a", Accept(difference(record, changed), committed=False))
    group.kill("a")
    for name in group.up:
        held = group.registers[name].record
        assert held is not None
        assert held.nodes["c"].standing is Standing.LEAVING
        assert held.version == (2, 10)


def test_a_change_does_not_commit_before_all_live_members_hold_it(group: Group) -> None:
    """A member that is up and silent holds it back; one that is down does not."""
    group.up.remove("c")
    numbers, effects = group.registers["b"].propose(group.now, [Retire("b", 2)])
    group.do("b", effects)
    assert ("b", Done(numbers[0])) not in group.effects
    group.observe("a")
    group.observe("b")
    assert ("b", Done(numbers[0])) in group.effects


def test_a_proposal_outlives_its_coordinator(group: Group) -> None:
    """It is handed to the next one until somebody decides it."""
    group.up.remove("a")
    numbers, effects = group.registers["c"].propose(group.now, [Retire("c", 3)])
    group.do("c", effects)
    group.observe("b")
    group.observe("c")
    group.now += 2 * RETRY_S
    group.do("c", group.registers["c"].tick(group.now))
    assert ("c", Done(numbers[0])) in group.effects


def test_records_of_earlier_terms_are_refused(group: Group) -> None:
    """Who has promised a term says so, and the old coordinator steps down."""
    group.observe("b", live=["b", "c"])
    assert group.registers["b"].coordinating
    group.do("a", group.registers["a"].propose(group.now, [Retire("b", 2)])[1])

    refusals = [
        effect for _, effect in group.effects if isinstance(effect, Tell) and isinstance(effect.message, Refused)
    ]
    assert refusals
    assert group.coordinators() == ["b"]
    group.observe("b")
    assert group.coordinators() == []
    group.now += 2 * RETRY_S
    for name in group.up:
        group.do(name, group.registers[name].tick(group.now))
    assert group.coordinators() == ["a"]
    assert len(group.versions()) == 1


def test_a_newcomer_is_taught_and_does_not_claim(group: Group) -> None:
    """Knowing the record before its members, it takes them for alive."""
    newcomer = Register(("d", 9), Random(1), first=lambda _, __: [])
    newcomer.observe(0.0, {"d": 9}, [])
    record = group.registers["a"].record
    assert record is not None
    with_d = Admit(Node("d", 9)).apply(record)
    effects = newcomer.receive(0.0, "b", Teach(difference(None, with_d), committed=True))
    assert effects == [Adopted(None, with_d, leap=True), Settled(with_d)]
    assert newcomer.leader == "a"


def test_a_record_of_another_cluster_is_not_taken(group: Group) -> None:
    """Clusters that were founded apart stay apart."""
    other = Register(("x", 1), Random(1), first=lambda _, __: [])
    other.observe(0.0, {"x": 1}, [])
    other.form(0.0, "other", Node("x", 1), 2)
    record = other.record
    assert record is not None
    newer = replace(record, version=(9, 9))
    before = group.registers["a"].record
    group.registers["a"].receive(0.0, "b", Teach(difference(None, newer), committed=True))
    assert group.registers["a"].record is before


def test_a_claim_is_promised_once_per_term(group: Group) -> None:
    """Two claimants of one term cannot both have it."""
    register = group.registers["c"]
    register.receive(0.0, "b", Claim(5))
    effects = register.receive(0.0, "a", Claim(5))
    assert effects == [Tell("a", Refused(5))]
