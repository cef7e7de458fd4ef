"""A whole cluster of keepers in virtual time: ordered links that may break, views that lag, nodes that die.

Everything is drawn from one seed. Links deliver in order and lose nothing until they
break; a view of membership reaches each node after a delay of its own.
"""

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial

from respcache.cluster.config import KeeperConfig
from respcache.cluster.effects import Drained, Dropped, Effect, ForeignCluster, Formed, Recreated, Resolved, Send
from respcache.cluster.keeper import Keeper
from respcache.cluster.ownership.planner import TargetCache
from respcache.cluster.ownership.record import Node, Record
from respcache.cluster.ownership.ring import place
from respcache.cluster.replication.log import Gate
from simulation.ownership.store import ModelStore

LATENCY_S = (0.000_1, 0.000_6)
TURN_S = (0.0, 0.000_3)
"""How long a turn of the event loop goes on after the first input."""
VIEW_LAG_S = (0.01, 0.6)
DETECTION_S = (0.1, 0.8)
"""From a death to the first node that knows."""
RELINK_S = (0.001, 0.02)

place_once = cache(place)


class Placement(TargetCache):
    """With one cache for all nodes of all worlds: placing is slow, and it is not what is tested."""

    def __call__(self, record: Record) -> tuple[tuple[str, ...], ...]:
        """Return the target."""
        return place_once(record.ring(), record.replica_count)


PLACEMENT = Placement()


@dataclass(eq=False)
class SimNode:
    """One life of one node."""

    node: Node
    store: ModelStore
    keeper: Keeper
    alive: bool = True
    drained: bool = False
    leaving: bool = False
    turning: bool = False
    tick_at: float = float("inf")
    gates: dict[Gate, list[Callable[[bool | None], None]]] = field(default_factory=dict)
    """What to tell to whom when a gate opens (True), fails (False) or dies with the node (None)."""

    @property
    def name(self) -> str:
        """Its name."""
        return self.node.name


class World:
    """The cluster, its network, and its clock."""

    def __init__(self, seed: int, config: KeeperConfig, *, keeper: type[Keeper] = Keeper) -> None:
        self.rng = random.Random(seed)
        self.config, self._keeper = config, keeper
        self.now = 100.0
        self.nodes: dict[str, SimNode] = {}
        """The present or last life of each name."""
        self.effects: list[tuple[float, str, Effect]] = []
        """All that is worth remembering."""
        self._runs = 1_000
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._links: dict[frozenset[str], int] = {}
        """The generation of each link that stands."""
        self._generation = 0
        self._arrivals: dict[tuple[str, str, int], float] = {}
        self._cut: set[frozenset[str]] = set()

    # Time

    def at(self, time: float, event: Callable[[], None]) -> None:
        """Schedule an event."""
        self._count += 1
        heapq.heappush(self._events, (max(time, self.now), self._count, event))

    def after(self, delays_s: tuple[float, float], event: Callable[[], None]) -> None:
        """Schedule an event after a random delay."""
        self.at(self.now + self.rng.uniform(*delays_s), event)

    def run(self, duration_s: float) -> None:
        """Let time pass."""
        end = self.now + duration_s
        while self._events and self._events[0][0] <= end:
            self.now, _, event = heapq.heappop(self._events)
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

    # Nodes

    def start(self, name: str, *, seeded: bool = True, weight: float = 1.0) -> SimNode:
        """Start a node, or start it again without its memory."""
        self._runs += 1
        node = Node(name, self._runs, weight)
        store = ModelStore()
        config = replace(self.config, seeded=seeded)
        keeper = self._keeper(node, config, store, random.Random(self.rng.random()))
        keeper._placement = keeper._holdings._placement = PLACEMENT
        sim = SimNode(node, store, keeper)
        self.nodes[name] = sim
        self._do(sim, keeper.start)
        for other in self.live():
            if other is not sim:
                self.after(VIEW_LAG_S, partial(self._see, other, sim))
                self.after(VIEW_LAG_S, partial(self._see, sim, other))
                self._link_later(name, other.name)
        return sim

    def kill(self, name: str) -> None:
        """Let a node die without a word."""
        sim = self._end(name)
        noticed_at = self.now + self.rng.uniform(*DETECTION_S)
        for other in self.live():
            self.at(noticed_at + self.rng.uniform(*VIEW_LAG_S), partial(self._miss, other, sim))

    def leave(self, name: str) -> None:
        """Ask a node to leave; it stops once it is drained."""
        sim = self.nodes[name]
        sim.leaving = True
        self._do(sim, sim.keeper.leave)

    def suspect_wrongly(self, name: str, for_s: float) -> None:
        """Let all others take a live node for dead for a while, as after a pause."""
        sim = self.nodes[name]
        for other in self.live():
            if other is not sim:
                self.after(VIEW_LAG_S, partial(self._miss, other, sim))
                self.at(
                    self.now + for_s + self.rng.uniform(*VIEW_LAG_S) + VIEW_LAG_S[1], partial(self._see, other, sim)
                )

    def live(self) -> list[SimNode]:
        """Return the nodes that run."""
        return [sim for sim in self.nodes.values() if sim.alive]

    def _end(self, name: str) -> SimNode:
        sim = self.nodes[name]
        sim.alive = False
        for callbacks in sim.gates.values():
            for callback in callbacks:
                callback(None)
        sim.gates.clear()
        for pair in [pair for pair in self._links if name in pair]:
            self._unlink(pair)
        return sim

    # Links

    def cut(self, one: str, other: str, for_s: float) -> None:
        """Break a link; it comes back after a while."""
        pair = frozenset((one, other))
        self._cut.add(pair)
        if pair in self._links:
            self._unlink(pair)
        self.at(self.now + for_s, lambda: self._mend(pair))

    def split(self, side: set[str]) -> None:
        """Separate some nodes from the others, links and views."""
        for one in self.live():
            for other in self.live():
                if (one.name in side) != (other.name in side):
                    self._cut.add(pair := frozenset((one.name, other.name)))
                    if pair in self._links:
                        self._unlink(pair)
                    self.after(DETECTION_S, partial(self._miss, one, other))

    def heal(self) -> None:
        """Undo all cuts, and let everybody see everybody again."""
        for pair in sorted(self._cut, key=sorted):
            self._mend(pair)
        for one in self.live():
            for other in self.live():
                if one is not other:
                    self.after(VIEW_LAG_S, partial(self._see, one, other))

    def _mend(self, pair: frozenset[str]) -> None:
        self._cut.discard(pair)
        self._link_later(*sorted(pair))

    def _link_later(self, one: str, other: str) -> None:
        self.after(RELINK_S, lambda: self._link(one, other))

    def _link(self, one: str, other: str) -> None:
        pair = frozenset((one, other))
        ends = [self.nodes[one], self.nodes[other]]
        if pair in self._links or pair in self._cut or not all(sim.alive for sim in ends):
            return
        self._generation += 1
        self._links[pair] = generation = self._generation
        for sim, peer in (ends, ends[::-1]):
            self._arrivals[peer.name, sim.name, generation] = self.now + self.rng.uniform(*LATENCY_S)
            self.at(
                self._arrivals[peer.name, sim.name, generation], partial(self._connect, sim, peer, pair, generation)
            )

    def _connect(self, sim: SimNode, peer: SimNode, pair: frozenset[str], generation: int) -> None:
        if self._links.get(pair) == generation:
            self._do(sim, lambda now: sim.keeper.peer_connected(now, peer.name))

    def _unlink(self, pair: frozenset[str]) -> None:
        del self._links[pair]
        one, other = sorted(pair)
        self._do(self.nodes[one], lambda now: self.nodes[one].keeper.peer_disconnected(now, other))
        self._do(self.nodes[other], lambda now: self.nodes[other].keeper.peer_disconnected(now, one))
        self._link_later(one, other)

    def _transmit(self, sender: SimNode, send: Send) -> None:
        pair = frozenset((sender.name, send.peer))
        generation = self._links.get(pair)
        if generation is None:
            return
        receiver = self.nodes[send.peer]
        way = (sender.name, send.peer, generation)
        self._arrivals[way] = arrival = max(self._arrivals[way], self.now + self.rng.uniform(*LATENCY_S))
        self.at(arrival, partial(self._arrive, receiver, send.frame, sender.name, generation))

    def _arrive(self, receiver: SimNode, frame: bytes, sender: str, generation: int) -> None:
        if self._links.get(frozenset((receiver.name, sender))) == generation:
            self._do(receiver, lambda now: receiver.keeper.receive(now, sender, frame))

    # Driving

    def execute(self, sim: SimNode, partition: int, argv: list[bytes], done: Callable[[bool | None], None]) -> bool:
        """Run a write at a node, as its executor would; return False if it does not serve the partition.

        `done` hears True once it is safe, False or None when it is uncertain.
        """
        log = sim.keeper.serving[partition]
        if log is None or sim.keeper.pressure:
            return False
        sim.store.apply(partition, 0, argv)
        if log.streams:
            log.append(0, argv)
        self._answer(sim, partition, done)
        return True

    def read(self, sim: SimNode, partition: int, done: Callable[[bool | None], None]) -> bool:
        """Wait until what a node shows of a partition is safe; return False if it does not serve it."""
        if sim.keeper.serving[partition] is None:
            return False
        self._answer(sim, partition, done)
        return True

    def _answer(self, sim: SimNode, partition: int, done: Callable[[bool | None], None]) -> None:
        log = sim.keeper.serving[partition]
        assert log is not None
        gate = sim.keeper.gate([log])
        if gate is None:
            done(True)
        else:
            sim.gates.setdefault(gate, []).append(done)
        self._turn(sim)

    def _see(self, sim: SimNode, other: SimNode) -> None:
        """Let a node's view show another one alive, if it is."""
        if other.alive:
            self._do(sim, lambda now: sim.keeper.member_up(now, other.node))

    def _miss(self, sim: SimNode, other: SimNode) -> None:
        """Let a node's view show another one dead."""
        self._do(sim, lambda now: sim.keeper.member_down(now, other.name, other.node.run))

    def _do(self, sim: SimNode, put_in: Callable[[float], list[Effect]]) -> None:
        """Put something into a keeper, and carry out what it wants."""
        if not sim.alive:
            return
        for effect in put_in(self.now):
            match effect:
                case Send():
                    self._transmit(sim, effect)
                case Resolved():
                    for gate in effect.gates:
                        for done in sim.gates.pop(gate):
                            done(gate.committed)
                case Drained():
                    sim.drained = True
                    self.after((0.0, 0.01), lambda: self._depart(sim))
                case Dropped() | Formed() | Recreated() | ForeignCluster():
                    self.effects.append((self.now, sim.name, effect))
                case _:
                    pass
        self._turn(sim)

    def _depart(self, sim: SimNode) -> None:
        if sim.alive:
            self._end(sim.name)
            for other in self.live():
                self.after(VIEW_LAG_S, partial(self._miss_left, other, sim))

    def _miss_left(self, sim: SimNode, other: SimNode) -> None:
        self._do(sim, lambda now: sim.keeper.member_left(now, other.name, other.node.run))

    def _turn(self, sim: SimNode) -> None:
        if not sim.turning:
            sim.turning = True
            self.after(TURN_S, lambda: self._flush(sim))
        if sim.keeper.deadline < sim.tick_at:
            sim.tick_at = sim.keeper.deadline
            self.at(max(sim.tick_at, self.now + 0.000_05), lambda: self._tick(sim))

    def _flush(self, sim: SimNode) -> None:
        sim.turning = False
        if sim.alive:
            effects = sim.keeper.flush(self.now)
            sim.turning = True
            self._do(sim, lambda _: effects)
            sim.turning = False
            self._turn_deadline(sim)

    def _turn_deadline(self, sim: SimNode) -> None:
        sim.turning, turning = True, sim.turning
        self._turn(sim)
        sim.turning = turning

    def _tick(self, sim: SimNode) -> None:
        sim.tick_at = float("inf")
        self._do(sim, lambda now: sim.keeper.tick(now) if now >= sim.keeper.deadline else [])
