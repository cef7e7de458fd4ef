"""Clients that remember what they were promised, and the checks of those promises.

Each `Writer` owns a group of keys in one partition, alone. After an operation of which
the outcome is uncertain it allows for both; a read settles which it was. Counters are
shared: what they hold must lie between the acknowledged and the attempted increments.
"""

from collections.abc import Callable

from respcache.cluster.ownership.slots import partition_of
from simulation.ownership.store import ModelStore
from simulation.ownership.world import SimNode, World

THINK_S = (0.001, 0.04)
RETRY_S = (0.002, 0.02)

Outcome = bool | None
"""Of a write: True when it is safe, False when this is uncertain, None when its node has died."""

State = frozenset[tuple[bytes, bytes]]
"""Keys and values of a group."""


class Violation(AssertionError):
    """A promise was broken."""


class Writer:
    """One client with a group of three keys: sets, deletes, appends, renames and reads them."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._keys = [b"{w%d}%s" % (number, letter) for letter in (b"a", b"b", b"c")]
        self._count = 0
        self.partition = partition_of(self._keys[0])
        self.states: set[State] = {frozenset()}
        """What the group may hold."""
        self.acked = self.uncertain = 0
        self.stopped = False

    def go(self) -> None:
        """Do something, then go on after a pause."""
        if self.stopped:
            return
        sim = _primary(self._world, self.partition)
        if sim is None or not (self._read(sim) if self._world.rng.random() < 0.3 else self._write(sim)):
            self._world.after(RETRY_S, self.go)

    def check(self, sim: SimNode) -> None:
        """Compare what a store holds with what it may."""
        self._judge(self._state(sim.store), f"at rest on {sim.name}")

    def _write(self, sim: SimNode) -> bool:
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
        after = {_applied(self.partition, state, argv) for state in self.states}

        def done(committed: Outcome) -> None:
            if committed:
                self.acked += 1
                self.states = after
            else:
                self.uncertain += 1
                self.states |= after
            self._world.after(THINK_S, self.go)

        return self._world.execute(sim, self.partition, argv, done)

    def _read(self, sim: SimNode) -> bool:
        state = self._state(sim.store)

        def done(committed: Outcome) -> None:
            if committed:
                self._judge(state, f"read from {sim.name}")
                self.states = {state}
            self._world.after(THINK_S, self.go)

        return self._world.read(sim, self.partition, done)

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
        self.partition = partition_of(self._key)
        self.acked = self.uncertain = self._pending = 0
        self.stopped = False

    def go(self) -> None:
        """Increment, then go on after a pause, whether or not that is known to have succeeded."""
        if self.stopped:
            return
        sim = _primary(self._world, self.partition)
        if sim is not None and self._world.execute(sim, self.partition, [b"INCR", self._key], self._done()):
            self._pending += 1
        self._world.after(THINK_S, self.go)

    def check(self, sim: SimNode) -> None:
        """Compare what a store holds with the acknowledged and uncertain increments."""
        value = int(sim.store.dump(self.partition, 0, self._key) or b"0")
        if not self.acked <= value <= self.acked + self.uncertain:
            raise Violation(f"p={self.partition} {sim.name}: counted {value}, not {self.acked} + 0..{self.uncertain}")

    def _done(self) -> Callable[[Outcome], None]:
        def done(committed: Outcome) -> None:
            if committed:
                self.acked += 1
            else:
                self.uncertain += 1

        return done


def _primary(world: World, partition: int) -> SimNode | None:
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
