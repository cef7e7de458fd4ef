"""Clients that remember what they were promised, and the checks of those promises.

Each `Writer` owns a group of keys in one partition, alone. After an operation of which
the outcome is uncertain it allows for both; a read settles which it was. Counters are
shared: what they hold must lie between the acknowledged and the attempted increments. Registers are
shared, too. All that was asked of a counter or a register, and all replies, must have an order that explains them.

That is what is promised of a majority whose writes are answered once they are copied. Where they are answered at once,
what becomes of all keys is judged by their `trails`; where each side of a split goes on, answers count that have led to
the last version of the record, and others are as good as none.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from respcache.cluster.ownership.record import Version
from respcache.cluster.ownership.slots import partition_of
from simulation import linearizability
from simulation.linearizability import Kind, Operation, Result, judge
from simulation.ownership.life import SimNode
from simulation.ownership.lineage import Truth
from simulation.ownership.outcome import Outcome, Violation
from simulation.ownership.store import ModelStore
from simulation.ownership.trails import State, Trail
from simulation.ownership.world import World, model_of

THINK_S = (0.001, 0.04)
RETRY_S = (0.002, 0.02)

Basis = tuple[Version, float]
"""The version that a node knew when it said something, and when that was."""


class Writer:
    """One client with a group of three keys: sets, deletes, appends, renames and reads them.

    What it knows for certain it knows of one truth: there is none where each side of a split goes on.
    """

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._keys = [b"{w%d}%s" % (number, letter) for letter in (b"a", b"b", b"c")]
        self._count = 0
        self.partition = partition_of(self._keys[0]) % world.config.partitions
        self.states: set[State] = {frozenset()}
        """What the group may hold."""
        self._trail = Trail()
        self.acked = self.uncertain = 0
        self.stopped = False

    def go(self) -> None:
        """Do something, then go on after a pause."""
        if self.stopped:
            return
        sim = primary_of(self._world, self.partition)
        if sim is None:
            self._world.after(RETRY_S, self.go)
        elif self._world.rng.random() < 0.3:
            self._read(sim)
        else:
            self._write(sim)

    def check(self, sim: SimNode) -> None:
        """Compare what a store holds with what it may."""
        state = self._state(model_of(sim).store)
        if self._world.config.asynchronous:
            check_trail(self._world, sim, self.partition, self._trail, state)
        else:
            self._judge(state, f"at rest on {sim.name}")

    def _write(self, sim: SimNode) -> None:
        self._count += 1
        rng = self._world.rng
        one, other = rng.sample(self._keys, 2)
        value = b"%d;" % self._count
        argv = rng.choice(
            [
                [b"SET", one, value],
                [b"SET", one, value],
                [b"APPEND", one, value],
                [b"DEL", one],
                [b"RENAME", one, other],
            ]
        )

        def hear(reply: int | bool) -> None:  # noqa: FBT001 # it is what the store says
            self._trail.wrote(epoch_of(sim, self.partition), argv, reply)

        def done(outcome: Outcome) -> None:
            self.acked += outcome is Outcome.SAFE
            self.uncertain += outcome is Outcome.UNCERTAIN
            if not (outcome is Outcome.REFUSED or self._world.config.asynchronous):
                after = {_applied(self.partition, state, argv) for state in self.states}
                self.states = after if outcome is Outcome.SAFE else self.states | after
            self._world.after(RETRY_S if outcome is Outcome.REFUSED else THINK_S, self.go)

        self._world.execute(sim, self.partition, argv, done, hear=hear)

    def _read(self, sim: SimNode) -> None:
        states: list[State] = []

        def look(store: ModelStore) -> None:
            states.append(self._state(store))
            self._trail.saw(epoch_of(sim, self.partition), states[0])

        def done(outcome: Outcome) -> None:
            if outcome is Outcome.SAFE and not self._world.config.asynchronous:
                self._judge(states[0], f"read from {sim.name}")
                self.states = {states[0]}
            self._world.after(RETRY_S if outcome is Outcome.REFUSED else THINK_S, self.go)

        self._world.read(sim, self.partition, look, done)

    def _judge(self, state: State, where: str) -> None:
        if state not in self.states:
            expected = [sorted(each) for each in self.states]
            raise Violation(f"t={self._world.now:.4f} p={self.partition} {where}: {sorted(state)} none of {expected}")

    def _state(self, store: ModelStore) -> State:
        values = store.partitions.get(self.partition, {})
        return frozenset((key, values[0, key]) for key in self._keys if (0, key) in values)


class History:
    """What clients asked of one key, and what they heard."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        self._operations: list[Operation] = []
        self._bases: dict[int, Sequence[Basis]] = {}
        """What answers go by, where that is known."""

    def __len__(self) -> int:
        """Count the questions."""
        return len(self._operations)

    def begin(self, now: float, kind: Kind, argument: bytes = b"") -> int:
        """Note a question; what becomes of it is uncertain until its answer is there. Return its number."""
        self._operations.append(
            Operation(self.key, kind, now, math.inf, outcome=linearizability.Outcome.UNCERTAIN, argument=argument)
        )
        return len(self._operations) - 1

    def end(self, number: int, now: float, outcome: Outcome, result: Result, bases: Sequence[Basis] = ()) -> None:
        """Note an answer, and by which versions it was made and given."""
        self._bases[number] = bases
        asked = self._operations[number]  # put together by hand, for `replace` takes several times as long
        self._operations[number] = Operation(
            self.key,
            asked.kind,
            asked.invoked_s,
            now,
            outcome=KNOWN[outcome],
            argument=asked.argument,
            result=result,
        )

    def answered(self, truth: Truth | None) -> list[Operation]:
        """List what has been asked; only answers of one truth count, if there may be several."""
        if truth is None:
            return self._operations
        return [
            operation
            if all(truth.holds(*basis) for basis in self._bases.get(number, ()))
            else replace(operation, outcome=linearizability.Outcome.UNCERTAIN)
            for number, operation in enumerate(self._operations)
            if operation.outcome is not linearizability.Outcome.UNCERTAIN or operation.kind is not Kind.READ
        ]

    def check(self, now: float, value: bytes | None, truth: Truth | None = None) -> None:
        """Search an order that explains all answers that count, and a value read now. Raises Violation."""
        last = Operation(self.key, Kind.READ, now, now, result=value, client="at rest")
        verdict = judge([*self.answered(truth), last])
        if not verdict.linearizable:
            raise Violation(str(verdict))


KNOWN = {
    Outcome.SAFE: linearizability.Outcome.OK,
    Outcome.UNCERTAIN: linearizability.Outcome.UNCERTAIN,
    Outcome.REFUSED: linearizability.Outcome.FAILED,
}


class Counter:
    """One key that many clients increment."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._key = b"counter:%d" % number
        self._history, self._trail = History(self._key), Trail()
        self.partition = partition_of(self._key) % world.config.partitions
        self.acked = self.uncertain = self.pending = 0
        self.stopped = False

    def go(self) -> None:
        """Increment, then go on after a pause, whether or not that is known to have succeeded."""
        if self.stopped:
            return
        sim = primary_of(self._world, self.partition)
        if sim is not None:
            self._increment(sim)
        self._world.after(THINK_S, self.go)

    def check(self, sim: SimNode) -> None:
        """Compare what a store holds with the acknowledged, uncertain and unanswered increments, and judge all sums."""
        held = model_of(sim).store.dump(self.partition, 0, self._key)
        value, most = int(held or b"0"), self.acked + self.uncertain + self.pending
        truth = truth_of(self._world, sim)
        answered = [asked.outcome for asked in self._history.answered(truth)]
        least = 0 if self._world.config.asynchronous else answered.count(linearizability.Outcome.OK)
        if reborn(self._world, sim, self.partition):
            return
        if not least <= value <= most:
            raise Violation(f"p={self.partition} {sim.name}: counted {value}, not {least} to {most}")
        if self._world.config.asynchronous:
            check_trail(self._world, sim, self.partition, self._trail, _state_of(self._key, held))
        else:
            self._history.check(self._world.now, held, truth)

    def _increment(self, sim: SimNode) -> None:
        self.pending += 1
        number = self._history.begin(self._world.now, Kind.INCR, b"1")
        argv = [b"INCR", self._key]
        sums: list[int | bool] = []
        bases: list[Basis] = []

        def hear(reply: int | bool) -> None:  # noqa: FBT001 # it is what the store says
            sums.append(reply)
            bases.append(basis(self._world, sim))
            self._trail.wrote(epoch_of(sim, self.partition), argv, reply)

        def done(outcome: Outcome) -> None:
            self.pending -= 1
            self.acked += outcome is Outcome.SAFE
            self.uncertain += outcome is Outcome.UNCERTAIN
            bases.append(basis(self._world, sim))
            self._history.end(number, self._world.now, outcome, sums[0] if sums else None, bases)

        self._world.execute(sim, self.partition, argv, done, hear=hear)


class Register:
    """One key that several clients set, delete and read, without knowing of each other."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._key = b"register:%d" % number
        self._history, self._trail = History(self._key), Trail()
        self._count = 0
        self.partition = partition_of(self._key) % world.config.partitions
        self.acked = self.uncertain = 0
        self.stopped = False

    def go(self) -> None:
        """Do something, then go on after a pause."""
        if self.stopped:
            return
        sim = primary_of(self._world, self.partition)
        if sim is None:
            self._world.after(RETRY_S, self.go)
        else:
            self._do(sim, self._world.rng.choice(DEEDS))

    def check(self, sim: SimNode) -> None:
        """Judge all replies, and the value at rest."""
        held = model_of(sim).store.dump(self.partition, 0, self._key)
        if self._world.config.asynchronous:
            check_trail(self._world, sim, self.partition, self._trail, _state_of(self._key, held))
        elif not reborn(self._world, sim, self.partition):
            self._history.check(self._world.now, held, truth_of(self._world, sim))

    def _do(self, sim: SimNode, kind: Kind) -> None:
        self._count += 1
        argument = b"%d" % self._count if kind in {Kind.WRITE, Kind.SETNX} else b""
        number = self._history.begin(self._world.now, kind, argument)
        argv = [kind.value.encode(), self._key, *([argument] if argument else [])]
        results: list[Result] = []
        bases: list[Basis] = []

        def look(store: ModelStore) -> None:
            held = store.dump(self.partition, 0, self._key)
            results.append(held)
            bases.append(basis(self._world, sim))
            self._trail.saw(epoch_of(sim, self.partition), _state_of(self._key, held))

        def hear(reply: int | bool) -> None:  # noqa: FBT001 # it is what the store says
            results.append(reply)
            bases.append(basis(self._world, sim))
            self._trail.wrote(epoch_of(sim, self.partition), argv, reply)

        def done(outcome: Outcome) -> None:
            self.acked += outcome is Outcome.SAFE and kind is not Kind.READ
            self.uncertain += outcome is Outcome.UNCERTAIN
            bases.append(basis(self._world, sim))
            self._history.end(number, self._world.now, outcome, results[0] if results else None, bases)
            self._world.after(RETRY_S if outcome is Outcome.REFUSED else THINK_S, self.go)

        if kind is Kind.READ:
            self._world.read(sim, self.partition, look, done)
        else:
            self._world.execute(sim, self.partition, argv, done, hear=hear)


DEEDS = (Kind.READ, Kind.READ, Kind.READ, Kind.READ, Kind.WRITE, Kind.WRITE, Kind.SETNX, Kind.DELETE)


Client = Writer | Counter | Register


def primary_of(world: World, partition: int) -> SimNode | None:
    """Find the primary as a client does: by the table of some node or other, which may be behind."""
    live = world.live()
    if not live:
        return None
    sim = world.nodes.get(world.rng.choice(live).keeper.table.primary[partition])
    return sim if sim is not None and sim.alive else None


def epoch_of(sim: SimNode, partition: int) -> int:
    """Give the epoch in which a node serves a partition."""
    log = sim.keeper.serving[partition]
    assert log is not None
    return log.epoch


def basis(world: World, sim: SimNode) -> Basis:
    """Give what a node goes by that says something now."""
    return sim.keeper.table.version, world.now


def truth_of(world: World, sim: SimNode) -> Truth | None:
    """Give what led to the version that a node knows at rest, where there may be other truths."""
    return world.lineage.truth(sim.keeper.table.version) if world.splits else None


def reborn(world: World, sim: SimNode, partition: int) -> bool:
    """Tell whether a partition has begun anew, without all that there was: only that it is told is promised then.

    It happens where each side of a split goes on, and all copies are with another one for longer than `unclean-after`.
    """
    record = sim.keeper._register.record
    assert record is not None
    return world.splits and record.entries[partition].born > 1


def check_trail(world: World, sim: SimNode, partition: int, trail: Trail, state: State) -> None:
    """Judge all that was done, and what is there at rest. Raises Violation."""
    trail.saw(epoch_of(sim, partition), state)
    trail.check(world.lineage.breaks(sim.keeper.table.version)[partition])


def _state_of(key: bytes, value: bytes | None) -> State:
    return frozenset() if value is None else frozenset({(key, value)})


def _applied(partition: int, state: State, argv: list[bytes]) -> State:
    """Return the state that a command leads to."""
    store = ModelStore()
    store.partitions[partition] = {(0, key): value for key, value in state}
    store.apply(partition, 0, argv)
    return frozenset((key, value) for (_, key), value in store.partitions[partition].items())
