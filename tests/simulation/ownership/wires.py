"""The links between the nodes of a simulation: ordered, and reliable until they break.

What is sent into a cut stays under way, as TCP's segments do, and arrives late if the cut
ends before the link is given up. Each direction of a link can be cut alone.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulation.ownership.life import SimNode
    from simulation.ownership.world import World

LATENCY_S = (0.000_1, 0.000_6)
RELINK_S = (0.001, 0.02)
DIAL_AGAIN_S = (0.05, 0.2)


class Wires:
    """All links of a world, and its cuts."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._links: dict[frozenset[str], int] = {}
        """The generation of each link that stands."""
        self._generation = 0
        self._arrivals: dict[tuple[str, str], float] = {}
        self.cuts: set[tuple[str, str]] = set()
        """Ways, from one name to another, on which nothing gets through."""
        self._under_way: defaultdict[tuple[str, str], deque[bytes]] = defaultdict(deque)
        """What was put on the links that stand, the first to arrive first."""
        self._stalled: Counter[tuple[str, str]] = Counter()
        """So many of these wait for a cut to end."""

    # Cuts

    def cut(self, ways: Iterable[tuple[str, str]]) -> None:
        """Let nothing through on these ways."""
        self.cuts.update(ways)

    def mend(self, ways: Iterable[tuple[str, str]]) -> None:
        """Let everything through again, what was held up first."""
        for way in ways:
            self.cuts.discard(way)
            for _ in range(self._stalled.pop(way, 0)):
                self._travel(way, self._links[frozenset(way)])

    def heal(self) -> None:
        """Undo all cuts."""
        self.mend(sorted(self.cuts))

    def passes(self, one: str, other: str) -> bool:
        """Whether both ways between two nodes are open."""
        return (one, other) not in self.cuts and (other, one) not in self.cuts

    # Links

    def snap(self, one: str, other: str, for_s: float) -> None:
        """Break a link at once, and keep it from coming back for a while."""
        ways = [(one, other), (other, one)]
        self.cut(ways)
        self.unlink(one, other)
        self._world.at(self._world.now + for_s, lambda: self.mend(ways))

    def break_all(self, name: str) -> None:
        """Break all links of a node."""
        for pair in [pair for pair in self._links if name in pair]:
            self.unlink(*sorted(pair))

    def unlink(self, one: str, other: str) -> None:
        """Break a link, if there is one; both ends notice, and try again."""
        if self._links.pop(frozenset((one, other)), None) is None:
            return
        for here, there in ((one, other), (other, one)):
            self._stalled.pop((here, there), None)
            self._under_way.pop((here, there), None)
            sim = self._world.nodes[here]
            self._world.input(sim, partial(sim.life.link_down, there))
            self._world.views.unlinked(sim, there)
        self.link_later(one, other)

    def link_later(self, one: str, other: str) -> None:
        """Dial after a moment."""
        self._world.after(RELINK_S, lambda: self._link(one, other))

    def _link(self, one: str, other: str) -> None:
        world, pair = self._world, frozenset((one, other))
        ends = [world.nodes[one], world.nodes[other]]
        if pair in self._links or not all(sim.alive for sim in ends):
            return
        if not self.passes(one, other) or any(sim.paused for sim in ends):
            world.after(DIAL_AGAIN_S, lambda: self._link(one, other))
            return
        self._generation += 1
        self._links[pair] = generation = self._generation
        for sim, peer in (ends, ends[::-1]):
            self._arrivals[peer.name, sim.name] = at = world.now + world.rng.uniform(*LATENCY_S)
            world.at(at, partial(self._connect, sim, peer, pair, generation))

    def _connect(self, sim: "SimNode", peer: "SimNode", pair: frozenset[str], generation: int) -> None:
        if self._links.get(pair) == generation:
            self._world.input(sim, partial(sim.life.link_up, peer.name))

    def transmit(self, sender: "SimNode", peer: str, frame: bytes) -> None:
        """Put a frame on a link."""
        generation = self._links.get(frozenset((sender.name, peer)))
        if generation is None:
            return
        way = (sender.name, peer)
        self._under_way[way].append(frame)
        if way in self.cuts:
            self._stalled[way] += 1
        else:
            self._travel(way, generation)

    def _travel(self, way: tuple[str, str], generation: int) -> None:
        world = self._world
        self._arrivals[way] = at = max(self._arrivals[way], world.now + world.rng.uniform(*LATENCY_S))
        world.at(at, partial(self._arrive, way, generation))

    def _arrive(self, way: tuple[str, str], generation: int) -> None:
        """Hand over what was sent first of all that is under way, which may have been held up by a cut before."""
        sender, receiver = way
        if self._links.get(frozenset(way)) != generation:
            return
        if way in self.cuts:
            self._stalled[way] += 1
            return
        frame = self._under_way[way].popleft()
        sim = self._world.nodes[receiver]
        self._world.input(sim, partial(sim.life.receive, sender, frame))
