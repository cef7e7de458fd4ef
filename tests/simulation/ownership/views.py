"""How the nodes of a simulation see each other: what a failure detector would tell them, some time late.

A node that is reached neither directly nor through one other is suspected, then taken for dead; one
that is reached again answers again. Whoever takes another for dead gives the link to it up.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from simulation.ownership.life import SimNode
    from simulation.ownership.world import World

LOOK_S = 0.1
SUSPECT_S = (0.1, 0.5)
"""From the last answer until a node is suspected."""
DEAD_S = (0.3, 1.0)
"""From suspicion until it is taken for dead."""


class Sight(Protocol):
    """How nodes find out who lives: what a world tells it. It tells the nodes."""

    def started(self, sim: "SimNode") -> None:
        """Hear that a node begins to live."""

    def ended(self, sim: "SimNode") -> None:
        """Hear that it is no more."""

    def left(self, sim: "SimNode") -> None:
        """Hear that it says good-bye, before it ends."""

    def paused(self, sim: "SimNode", for_s: float) -> None:
        """Hear that it is stopped for a while."""

    def hide(self, name: str, for_s: float) -> None:
        """Let nobody see a node for a while, though links to it stand."""

    def unlinked(self, sim: "SimNode", peer: str) -> None:
        """Hear that a node has lost its link to another."""


Eyes = Callable[["World"], Sight]
"""Makes how the nodes of a world see each other."""


@dataclass(slots=True)
class _View:
    """What one life believes of another."""

    up: bool = False
    suspect_at: float | None = None
    dead_at: float = 0.0
    suspected: bool = False


class Views:
    """The beliefs of all nodes about all lives."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._views: dict[tuple[SimNode, SimNode], _View] = {}
        self._left: set[SimNode] = set()
        self._blind: dict[str, float] = {}
        """Names that nobody can see until a time."""
        world.at(world.now, self._look)

    def started(self, sim: "SimNode") -> None:
        """Nothing: it will be seen."""

    def ended(self, sim: "SimNode") -> None:
        """Nothing: it will not be seen."""

    def paused(self, sim: "SimNode", for_s: float) -> None:
        """Nothing: it will not be seen."""

    def unlinked(self, sim: "SimNode", peer: str) -> None:
        """Nothing: who is dead will be missed."""

    def hide(self, name: str, for_s: float) -> None:
        """Let nobody see a node for a while."""
        self._blind[name] = self._world.now + for_s

    def left(self, sim: "SimNode") -> None:
        """Note that a node has said good-bye."""
        self._left.add(sim)

    def _look(self) -> None:
        """Let every node look at every other, and again after a while."""
        world = self._world
        world.at(world.now + LOOK_S, self._look)
        self._views = {pair: view for pair, view in self._views.items() if pair[0].alive}
        watching = [sim for sim in world.live() if not sim.paused]
        targets = {sim.name: sim for sim in world.nodes.values()}
        for observer in watching:
            former = [target for (one, target), view in self._views.items() if one is observer and view.up]
            for target in dict.fromkeys((*targets.values(), *former)):
                if target is not observer:
                    self._judge(observer, target, reached=self._reaches(observer, target, watching))

    def _reaches(self, observer: "SimNode", target: "SimNode", watching: "list[SimNode]") -> bool:
        world = self._world
        if target not in watching or self._blind.get(target.name, 0.0) > world.now:
            return False
        passes = world.wires.passes
        return passes(observer.name, target.name) or any(
            passes(observer.name, via.name) and passes(via.name, target.name) for via in watching
        )

    def _judge(self, observer: "SimNode", target: "SimNode", *, reached: bool) -> None:
        world, life = self._world, observer.life
        view = self._views.setdefault((observer, target), _View())
        name, run = target.name, target.node.run
        if reached:
            if not view.up or view.suspected:
                world.input(observer, partial(life.member_up, target.node))
            view.up, view.suspect_at, view.suspected = True, None, False
        elif view.up and target in self._left:
            view.up = False
            world.input(observer, partial(life.member_down, name, run, left=True))
        elif view.up and view.suspect_at is None:
            view.suspect_at = world.now + world.rng.uniform(*SUSPECT_S)
            view.dead_at = view.suspect_at + world.rng.uniform(*DEAD_S)
        elif view.up and world.now >= view.dead_at:
            view.up = view.suspected = False
            view.suspect_at = None
            world.wires.unlink(observer.name, name)
            world.input(observer, partial(life.member_down, name, run, left=False))
        elif view.up and view.suspect_at is not None and not view.suspected and world.now >= view.suspect_at:
            view.suspected = True
            world.input(observer, partial(life.member_suspect, name, run))
