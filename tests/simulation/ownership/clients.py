"""Clients that remember what they were promised, and the checks of those promises.

Each `Writer` owns a group of keys in one partition, alone. After an operation of which
the outcome is uncertain it allows for both; a read settles which it was. Counters are
shared: what they hold must lie between the acknowledged and the attempted increments. Registers are
shared, too, and every read of one must show a value that it may have had between question and answer.
"""

import math
from dataclasses import dataclass

from respcache.cluster.ownership.slots import partition_of
from simulation.ownership.outcome import Outcome, Violation
from simulation.ownership.store import ModelStore
from simulation.ownership.world import SimNode, World

THINK_S = (0.001, 0.04)
RETRY_S = (0.002, 0.02)

State = frozenset[tuple[bytes, bytes]]
"""Keys and values of a group."""


class Writer:
    """One client with a group of three keys: sets, deletes, appends, renames and reads them."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._keys = [b"{w%d}%s" % (number, letter) for letter in (b"a", b"b", b"c")]
        self._count = 0
        self.partition = partition_of(self._keys[0]) % world.config.partitions
        self.states: set[State] = {frozenset()}
        """What the group may hold."""
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
        self._judge(self._state(sim.store), f"at rest on {sim.name}")

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

        def done(outcome: Outcome) -> None:
            after = {_applied(self.partition, state, argv) for state in self.states}
            if outcome is Outcome.SAFE:
                self.acked += 1
                self.states = after
            elif outcome is Outcome.UNCERTAIN:
                self.uncertain += 1
                self.states |= after
            self._world.after(RETRY_S if outcome is Outcome.REFUSED else THINK_S, self.go)

        self._world.execute(sim, self.partition, argv, done)

    def _read(self, sim: SimNode) -> None:
        states: list[State] = []

        def done(outcome: Outcome) -> None:
            if outcome is Outcome.SAFE:
                self._judge(states[0], f"read from {sim.name}")
                self.states = {states[0]}
            self._world.after(RETRY_S if outcome is Outcome.REFUSED else THINK_S, self.go)

        self._world.read(sim, self.partition, lambda store: states.append(self._state(store)), done)

    def _judge(self, state: State, where: str) -> None:
        if state not in self.states:
            expected = [sorted(each) for each in self.states]
            raise Violation(f"t={self._world.now:.4f} p={self.partition} {where}: {sorted(state)} none of {expected}")

    def _state(self, store: ModelStore) -> State:
        values = store.partitions.get(self.partition, {})
        return frozenset((key, values[0, key]) for key in self._keys if (0, key) in values)


class Counter:
    """One key that many clients increment."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._key = b"counter:%d" % number
        self.partition = partition_of(self._key) % world.config.partitions
        self.acked = self.uncertain = self.pending = 0
        self.stopped = False

    def go(self) -> None:
        """Increment, then go on after a pause, whether or not that is known to have succeeded."""
        if self.stopped:
            return
        sim = primary_of(self._world, self.partition)
        if sim is not None:
            self.pending += 1
            self._world.execute(sim, self.partition, [b"INCR", self._key], self._done)
        self._world.after(THINK_S, self.go)

    def check(self, sim: SimNode) -> None:
        """Compare what a store holds with the acknowledged, uncertain and unanswered increments."""
        value = int(sim.store.dump(self.partition, 0, self._key) or b"0")
        most = self.acked + self.uncertain + self.pending
        if not self.acked <= value <= most:
            raise Violation(f"p={self.partition} {sim.name}: counted {value}, not {self.acked} to {most}")

    def _done(self, outcome: Outcome) -> None:
        self.pending -= 1
        self.acked += outcome is Outcome.SAFE
        self.uncertain += outcome is Outcome.UNCERTAIN


@dataclass(slots=True)
class Operation:
    """One write or read of a register, from question to answer."""

    value: bytes | None
    asked_s: float
    answered_s: float = math.inf


class Register:
    """One key that several clients set and read, without knowing of each other."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._key = b"register:%d" % number
        self.partition = partition_of(self._key) % world.config.partitions
        self._writes = [Operation(None, 0.0, 0.0)]
        self.acked = self.uncertain = 0
        self.stopped = False

    def go(self) -> None:
        """Set or read, then go on after a pause."""
        if self.stopped:
            return
        sim = primary_of(self._world, self.partition)
        if sim is None:
            self._world.after(RETRY_S, self.go)
        elif self._world.rng.random() < 0.5:
            self._read(sim)
        else:
            self._write(sim)

    def check(self, sim: SimNode) -> None:
        """See whether the value at rest may be the last one."""
        self._judge(Operation(sim.store.dump(self.partition, 0, self._key), self._world.now, self._world.now))

    def _write(self, sim: SimNode) -> None:
        write = Operation(b"%d" % len(self._writes), self._world.now)
        self._writes.append(write)

        def done(outcome: Outcome) -> None:
            if outcome is Outcome.SAFE:
                self.acked += 1
                write.answered_s = self._world.now
            elif outcome is Outcome.REFUSED:
                self._writes.remove(write)
            self._world.after(RETRY_S if outcome is Outcome.REFUSED else THINK_S, self.go)

        self._world.execute(sim, self.partition, [b"SET", self._key, write.value or b""], done)

    def _read(self, sim: SimNode) -> None:
        read = Operation(None, self._world.now)

        def look(store: ModelStore) -> None:
            read.value = store.dump(self.partition, 0, self._key)

        def done(outcome: Outcome) -> None:
            if outcome is Outcome.SAFE:
                read.answered_s = self._world.now
                self._judge(read)
            self._world.after(RETRY_S if outcome is Outcome.REFUSED else THINK_S, self.go)

        self._world.read(sim, self.partition, look, done)

    def _judge(self, read: Operation) -> None:
        """Refuse a value that nobody was writing yet, or that another one had certainly replaced."""
        write = next((write for write in self._writes if write.value == read.value), None)
        if write is None or write.asked_s > read.answered_s:
            raise Violation(f"t={self._world.now:.4f} p={self.partition}: {read} shows what nobody had written")
        for later in self._writes:
            if write.answered_s < later.asked_s and later.answered_s < read.asked_s:
                raise Violation(f"t={self._world.now:.4f} p={self.partition}: {read} shows {write} after {later}")


Client = Writer | Counter | Register


def primary_of(world: World, partition: int) -> SimNode | None:
    """Find the primary as a client does: by the table of some node or other, which may be behind."""
    live = world.live()
    if not live:
        return None
    sim = world.nodes.get(world.rng.choice(live).keeper.table.primary[partition])
    return sim if sim is not None and sim.alive else None


def _applied(partition: int, state: State, argv: list[bytes]) -> State:
    """Return the state that a command leads to."""
    store = ModelStore()
    store.partitions[partition] = {(0, key): value for key, value in state}
    store.apply(partition, 0, argv)
    return frozenset((key, value) for (_, key), value in store.partitions[partition].items())
