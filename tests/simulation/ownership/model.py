"""A node with the real keeper and next to nothing else: a store of the plainest kind, and gates for those who wait."""

import math
import random
from collections.abc import Callable, Container, Mapping
from typing import TYPE_CHECKING, Final

from respcache.cluster.config import KeeperConfig
from respcache.cluster.effects import (
    Acknowledged,
    Differed,
    Drained,
    Dropped,
    Effect,
    Forced,
    ForeignCluster,
    Formed,
    RecordChanged,
    Recreated,
    Resolved,
    Send,
)
from respcache.cluster.keeper import Keeper
from respcache.cluster.ownership.record import Node
from respcache.cluster.replication.log import Gate
from respcache.cluster.replication.storage import Storage
from simulation.ownership.life import SimNode
from simulation.ownership.outcome import Outcome
from simulation.ownership.store import ModelStore

if TYPE_CHECKING:
    from simulation.ownership.world import World

TURN_S = (0.0, 0.000_3)
"""How long a turn of the event loop goes on after the first input."""

Done = Callable[[Outcome], None]
Hear = Callable[[int | bool], None]
Make = Callable[[Node, KeeperConfig, Storage, random.Random, Container[int]], Keeper]
"""Makes a keeper, of what `Keeper` itself is made of."""


class Model:
    """Executes commands as a node's executor would, and does for its keeper what a driver does."""

    def __init__(self, world: "World", sim: SimNode, keeper: Make, config: KeeperConfig, dice: random.Random) -> None:
        self._world: Final = world
        self._sim: Final = sim
        self.store: Final = ModelStore()
        self.keeper: Final = keeper(sim.node, config, self.store, dice, ())
        self._turning = False
        self._tick_at = math.inf
        self._gates: dict[Gate, list[Done]] = {}
        """What to tell to whom when a gate opens or fails, or the node dies."""

    # Clients

    def execute(self, partition: int, argv: list[bytes], done: Done, hear: Hear) -> None:
        """Run a write; `hear` gets the reply, which counts once `done` says so."""
        sim = self._sim
        if not self._world.serves(sim, partition) or partition in self.keeper.holdings.congestion.partitions:
            done(Outcome.REFUSED)
            return
        if partition in self.keeper.holdings.scarce:
            self._world.refusals += 1
            done(Outcome.REFUSED)
            return
        log = self.keeper.serving[partition]
        assert log is not None
        hear(self.store.execute(partition, 0, argv))
        if log.streams:
            log.append(0, argv)
        epoch, sequence = log.epoch, log.sequence

        def witnessed(outcome: Outcome) -> None:
            if outcome is Outcome.SAFE and not self._world.config.asynchronous:
                self._world.check_copied(sim, partition, epoch, sequence)
            done(outcome)

        self._answer(partition, witnessed)

    def read(self, partition: int, look: Callable[[ModelStore], None], done: Done) -> None:
        """Let `look` see the store, and wait until what it shows is safe."""
        if not self._world.serves(self._sim, partition):
            done(Outcome.REFUSED)
            return
        look(self.store)
        self._answer(partition, done)

    def contents(self, partition: int) -> Mapping[tuple[int, bytes], object]:
        """Give what is stored of a partition."""
        return self.store.partitions.get(partition, {})

    def _answer(self, partition: int, done: Done) -> None:
        log = self.keeper.serving[partition]
        assert log is not None
        gate = self.keeper.gate([log])
        if gate is None:
            done(Outcome.SAFE)
        else:
            self._gates.setdefault(gate, []).append(done)
        self._turn()

    # From the world

    def member_up(self, node: Node) -> None:
        """Hear that a node lives, and answers."""
        self.perform(self.keeper.member_up(self._now, node))

    def member_suspect(self, name: str, run: int) -> None:
        """Hear that a node does not answer."""
        self.perform(self.keeper.member_suspect(self._now, name, run))

    def member_down(self, name: str, run: int, *, left: bool) -> None:
        """Hear that a node is dead, or has left."""
        heard = self.keeper.member_left if left else self.keeper.member_down
        self.perform(heard(self._now, name, run))

    def link_up(self, peer: str) -> None:
        """Have a new link."""
        self.perform(self.keeper.peer_connected(self._now, peer))

    def link_down(self, peer: str) -> None:
        """Lose a link."""
        self.perform(self.keeper.peer_disconnected(self._now, peer))

    def receive(self, peer: str, frame: bytes) -> None:
        """Take in what came over a link."""
        self.perform(self.keeper.receive(self._now, peer, frame))

    def end(self) -> None:
        """Die; nobody can tell what becomes of what was under way."""
        for dones in self._gates.values():
            for done in dones:
                done(Outcome.UNCERTAIN)
        self._gates.clear()

    def perform(self, effects: list[Effect]) -> None:
        """Carry out what the keeper wants."""
        self._carry_out(effects)
        self._turn()

    # Driving

    @property
    def _now(self) -> float:
        return self._world.clock(self._sim)

    def _carry_out(self, effects: list[Effect]) -> None:
        forced = False
        self._world.lineage.seen(self._sim)
        for effect in effects:
            match effect:
                case Send():
                    self._world.wires.transmit(self._sim, effect.peer, effect.frame)
                case Resolved():
                    for gate in effect.gates:
                        for done in self._gates.pop(gate):
                            done(Outcome.SAFE if gate.committed else Outcome.UNCERTAIN)
                case Acknowledged():
                    self._world.acknowledged += effect.waits
                case Drained():
                    self._world.drained(self._sim)
                case RecordChanged():
                    self._world.lineage.learned(self._world.now, self._sim, effect.record, forced=forced)
                    forced = False
                case Dropped() | Formed() | Recreated() | Differed() | ForeignCluster() | Forced():
                    forced |= isinstance(effect, Forced)
                    self._world.told(self._sim, effect)
                case _:
                    pass

    def _turn(self) -> None:
        """Let a turn end soon, unless one is about to, and look at timers then."""
        if not self._turning:
            self._turning = True
            self._world.after(TURN_S, self._end_turn)

    def _end_turn(self) -> None:
        self._world.arrive(self._sim, self._flush)

    def _arm(self) -> None:
        world, sim = self._world, self._sim
        due = world.now + max(0.000_05, (self.keeper.deadline - world.clock(sim)) / sim.rate)
        if due < self._tick_at:
            self._tick_at = due
            world.at(due, lambda: self._ring(due))

    def _flush(self) -> None:
        self._turning = False
        if self._sim.alive:
            self._carry_out(self.keeper.flush(self._now))
            self._arm()

    def _ring(self, due: float) -> None:
        """Let a timer go off, unless an earlier one took its place, or the node is paused."""
        if self._tick_at == due and not self._sim.paused:
            self.go_on()

    def go_on(self) -> None:
        """Let the timers go off that were due while the node was paused."""
        self._tick_at = math.inf
        sim = self._sim
        if sim.alive and not sim.paused:
            now = self._now + 1e-6  # a real timer never fires early; the conversion of clocks may
            self.perform(self.keeper.tick(now) if now >= self.keeper.deadline else [])
