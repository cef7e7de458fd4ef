"""A whole cluster of keepers in virtual time: clocks that drift, nodes that pause and die, links that stall and break.

Everything is drawn from one seed. Each node has a monotonic clock of its own, with its own
origin and rate. What is put into a paused node waits for it, as in a socket's buffer, and is
often handed over before the timers that are overdue. How nodes see each other is in `views`,
how they reach each other in `wires`.
"""

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial

from respcache.cluster.config import KeeperConfig
from respcache.cluster.effects import Effect
from respcache.cluster.keeper import Keeper
from respcache.cluster.ownership.planner import TargetCache
from respcache.cluster.ownership.record import NOTHING, Node, Quorum, Record, Version
from respcache.cluster.ownership.ring import RingNode, place
from respcache.cluster.replication.waits import Wait
from simulation.ownership.life import Life, SimNode
from simulation.ownership.lineage import Lineage
from simulation.ownership.model import Done, Hear, Make, Model
from simulation.ownership.outcome import Violation
from simulation.ownership.store import ModelStore
from simulation.ownership.views import Eyes, Views
from simulation.ownership.wires import Wires

WAKE_S = (0.0, 0.005)
"""How long a node that was paused is busy with what had arrived before it looks at its timers."""
NODES_MAX = 5
PAUSES_S = (0.05, 0.4, 1.0, 3.0)
RATE = (0.98, 1.02)
"""How fast clocks run: far worse than real ones, and within what leases allow for."""

place_once = cache(place)


class Placement(TargetCache):
    """A node's, with one memory for all nodes of all worlds: placing is slow, and it is not what is tested.

    That it takes a while is.
    """

    def __init__(self) -> None:
        super().__init__()
        self._placed: set[tuple[tuple[RingNode, ...], int]] = set()
        self._wanted: tuple[tuple[RingNode, ...], int] | None = None

    def look(self, record: Record) -> tuple[tuple[str, ...], ...] | None:
        """Return the target, unless no step was taken for its ring."""
        ring = (record.ring(), record.replica_count)
        if ring in self._placed:
            return place_once(*ring)[: len(record.entries)]
        self._wanted = ring
        return None

    @property
    def busy(self) -> bool:
        """Whether a step is to be taken."""
        return self._wanted is not None

    def step(self) -> bool:
        """Take it."""
        if self._wanted is None:
            return False
        self._placed.add(self._wanted)
        self._wanted = None
        return True


Build = Callable[["World", SimNode, KeeperConfig, random.Random], Life]
"""Makes what a node consists of, of its settings and its dice."""


class World:
    """The cluster, its network, and the true time."""

    def __init__(
        self,
        seed: int,
        config: KeeperConfig,
        *,
        keeper: Make = Keeper,
        build: Build | None = None,
        sight: Eyes = Views,
    ) -> None:
        """Nodes are models unless `build` makes them, and so is how they see each other unless `sight` does."""
        self.rng = random.Random(seed)
        self.config, self.keeper = config, keeper
        self._build = build or (lambda world, sim, config, dice: Model(world, sim, keeper, config, dice))
        self.now = 100.0
        self.nodes: dict[str, SimNode] = {}
        """The present or last life of each name."""
        self.effects: list[tuple[float, str, Effect]] = []
        """All that is worth remembering."""
        self.acknowledged: list[Wait] = []
        """Questions about copies that are done."""
        self.last_words: list[Record] = []
        """What nodes that died had accepted, and may have sent to some that have been stopped."""
        self.splits = config.quorum is not Quorum.MAJORITY
        """Whether two nodes may serve the same partition, where each side of a split goes on."""
        self.lineage = Lineage()
        """What led to what, as far as nodes that are models have known it."""
        self.refusals = 0
        """Writes that were refused since too few copies were in sync."""
        self.lives: list[SimNode] = []
        """All that there ever were."""
        self.nodes_max = NODES_MAX
        """More than that are not started by a storm."""
        self.pauses_s: Sequence[float] = PAUSES_S
        """For how long a storm stops nodes: one of these, by chance."""
        self.sleeps = False
        """Whether some of the nodes that a storm stops sleep meanwhile."""
        self._runs = 1_000
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._served: dict[tuple[int, int, Version], SimNode] = {}
        """Who served a partition in an epoch, on a side."""
        self.wires = Wires(self)
        self.views = sight(self)

    # Time

    def at(self, time: float, event: Callable[[], None]) -> None:
        """Schedule an event."""
        self._count += 1
        heapq.heappush(self._events, (max(time, self.now), self._count, event))

    def after(self, delays_s: tuple[float, float], event: Callable[[], None]) -> None:
        """Schedule an event after a random delay."""
        least_s, most_s = delays_s
        self._count += 1
        time = self.now + least_s + (most_s - least_s) * self.rng.random()
        heapq.heappush(self._events, (time, self._count, event))

    def run(self, duration_s: float) -> None:
        """Let time pass."""
        end, events, pop = self.now + duration_s, self._events, heapq.heappop
        while events and events[0][0] <= end:
            self.now, _, event = pop(events)
            event()
        self.now = end

    def run_until(self, condition: Callable[[], bool], *, within_s: float) -> bool:
        """Let time pass until something holds; return whether it came to that."""
        end = self.now + within_s
        while not condition():
            if self.now >= end:
                return False
            self.run(0.02)
        return True

    def clock(self, sim: SimNode) -> float:
        """Read a node's monotonic clock, which stands still while its machine sleeps."""
        return self.wall(sim) - sim.slept_s

    def wall(self, sim: SimNode) -> float:
        """Read the clock on the wall of a node, which is as fast, and never stands still."""
        return sim.origin_s + self.now * sim.rate

    def pace(self, sim: SimNode, rate: float) -> None:
        """Let a node's clock run at another rate from now on."""
        sim.origin_s += self.now * (sim.rate - rate)
        sim.rate = rate

    # Nodes

    def start(self, name: str, *, seeded: bool = True, weight: float = 1.0) -> SimNode:
        """Start a node, or start it again without its memory."""
        self._runs += 1
        node = Node(name, self._runs, weight)
        dice = random.Random(self.rng.random())
        sim = SimNode(node, self.rng.uniform(0, 1e5), self.rng.uniform(*RATE))
        sim.life = self._build(self, sim, replace(self.config, seeded=seeded), dice)
        sim.keeper._placement = sim.keeper._holdings._placement = sim.keeper._planning._placement = Placement()
        self.nodes[name] = sim
        self.lives.append(sim)
        self.put(sim, sim.keeper.start)
        for other in self.live():
            if other is not sim:
                self.wires.link_later(name, other.name)
        self.views.started(sim)
        return sim

    def kill(self, name: str) -> None:
        """Let a node die without a word."""
        sim = self.nodes[name]
        self.last_words += sim.records()
        sim.alive = False
        sim.life.end()
        self.views.ended(sim)
        waiting, sim.waiting = sim.waiting, []
        for arrival in waiting:
            arrival()
        self.wires.break_all(name)

    def leave(self, name: str) -> None:
        """Ask a node to leave; it stops once it is drained."""
        sim = self.nodes[name]
        sim.leaving = True
        self.put(sim, sim.keeper.leave)

    def pause(self, name: str, for_s: float) -> None:
        """Stop a node for a while, as SIGSTOP does."""
        self._stop(name, for_s, slept_s=0.0)

    def suspend(self, name: str, for_s: float) -> None:
        """Put a node's machine to sleep for a while."""
        self._stop(name, for_s, slept_s=for_s)

    def _stop(self, name: str, for_s: float, *, slept_s: float) -> None:
        sim = self.nodes[name]
        if sim.alive and not sim.paused:
            sim.paused = True
            self.views.paused(sim, for_s)
            self.at(self.now + for_s, partial(self._resume, sim, slept_s))

    def _resume(self, sim: SimNode, slept_s: float) -> None:
        sim.slept_s += slept_s * sim.rate
        sim.paused = False
        if not sim.alive:
            return
        waiting, sim.waiting = sim.waiting, []
        if self.rng.random() < 0.3:
            sim.life.go_on()
        else:
            self.after(WAKE_S, sim.life.go_on)
        for arrival in waiting:
            arrival()

    def live(self) -> list[SimNode]:
        """Return the nodes that have not died, be they paused."""
        return [sim for sim in self.nodes.values() if sim.alive]

    # Clients

    def execute(
        self, sim: SimNode, partition: int, argv: list[bytes], done: Done, *, hear: Hear = lambda _: None
    ) -> None:
        """Run a write at a node, as its executor would; `hear` gets the reply, which counts once `done` says so."""
        self.arrive(sim, partial(model_of(sim).execute, partition, argv, done, hear))

    def read(self, sim: SimNode, partition: int, look: Callable[[ModelStore], None], done: Done) -> None:
        """Let `look` see the store of a node, and wait until what it shows is safe."""
        self.arrive(sim, partial(model_of(sim).read, partition, look, done))

    def serves(self, sim: SimNode, partition: int) -> bool:
        """Whether a node would serve a partition now. Raises Violation if somebody else would, too."""
        log = sim.keeper.serving[partition]
        if not sim.alive or log is None or not sim.keeper.leased(self.clock(sim)):
            return False
        side = self._side(sim)
        before = self._served.setdefault((partition, log.epoch, side), sim)
        if before is not sim:
            raise Violation(f"t={self.now:.3f} {sim.node} serves {partition} in {log.epoch}, as {before.node} did")
        for other in self.nodes.values():
            if other is sim or not other.alive or not other.keeper.serving[partition]:
                continue
            if other.keeper.leased(self.clock(other)) and self._side(other) == side:
                raise Violation(f"t={self.now:.3f} both {sim.name} and {other.name} serve {partition}")
        return True

    def _side(self, sim: SimNode) -> Version:
        """Tell which side of a split a node is on, where each has owners of its own."""
        return self.lineage.side(sim.keeper.table.version) if self.splits else NOTHING

    def check_copied(self, sim: SimNode, partition: int, epoch: int, sequence: int) -> None:
        """See that as many copies as a write takes have it when it is acknowledged, be they alive or not."""
        record = sim.keeper._register.record
        assert record is not None
        needed = self.config.needed_in_sync(record)
        if needed > 1 and sum(has(life, partition, epoch, sequence) for life in self.lives) < needed:
            raise Violation(f"t={self.now:.3f} {sim.name} acknowledges {sequence} of {partition}: {needed} needed")

    # Driving

    def arrive(self, sim: SimNode, arrival: Callable[[], None]) -> None:
        """Hand something to a node, or to its sockets while it is paused."""
        if sim.alive and sim.paused:
            sim.waiting.append(arrival)
        else:
            arrival()

    def input(self, sim: SimNode, heard: Callable[[], None]) -> None:
        """Let a node hear of something, now or when it goes on, if it lives then."""
        if not sim.alive:
            return
        if sim.paused:
            sim.waiting.append(partial(self._input, sim, heard))
        else:
            heard()

    def _input(self, sim: SimNode, heard: Callable[[], None]) -> None:
        if sim.alive:
            heard()

    def put(self, sim: SimNode, put_in: Callable[[float], list[Effect]]) -> None:
        """Put something into a keeper, now or when it goes on, and carry out what it wants."""
        self.arrive(sim, partial(self._put, sim, put_in))

    def _put(self, sim: SimNode, put_in: Callable[[float], list[Effect]]) -> None:
        if not sim.alive:
            return
        sim.life.perform(put_in(self.clock(sim)))

    def drained(self, sim: SimNode) -> None:
        """Let a node end that has handed everything over."""
        sim.drained = True
        self.after((0.0, 0.01), lambda: self._depart(sim))

    def _depart(self, sim: SimNode) -> None:
        if sim.alive:
            self.views.left(sim)
            self.kill(sim.name)

    def told(self, sim: SimNode, effect: Effect) -> None:
        """Remember what a node has said."""
        self.effects.append((self.now, sim.name, effect))


def model_of(sim: SimNode) -> Model:
    """Give a node that is a model."""
    assert isinstance(sim.life, Model)
    return sim.life


def has(sim: SimNode, partition: int, epoch: int, sequence: int) -> bool:
    """Tell whether a node has, or had when it died, all up to one effect of a partition."""
    holdings = sim.keeper.holdings
    log, copy = holdings.logs.get(partition), holdings.replica.copies.get(partition)
    if log is not None:
        return log.epoch >= epoch and log.sequence >= sequence
    return copy is not None and copy.whole and copy.epoch >= epoch and copy.sequence >= sequence
