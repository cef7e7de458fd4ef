"""Measures for how long a new record stops a node: whole nodes that join, die and leave, simulated but for their code.

Everything that a node is given (a frame, a timer, news of a member) is a turn of its event loop, and the CPU time of
each is taken. The world is drawn from a seed, so a second run has the same turns: what the same turn took less in one
of the runs is what it takes.
"""

import gc
import random
import time
from collections.abc import Callable
from typing import Final

from respcache.cluster.config import KeeperConfig
from respcache.cluster.ownership.planner import TargetCache
from simulation.commands.node import Alarm, CommandNode, Limits
from simulation.ownership.checks import at_rest, unrest
from simulation.ownership.life import SimNode
from simulation.ownership.world import World

SETTINGS: Final = KeeperConfig(lease_s=1.0, settle_s=2.0, rebuild_delay_s=0.5)
"""Those of a node on a local network, with 1,024 partitions; but what is dead is replaced sooner."""
REST_S: Final = 600.0
SEED: Final = 1


class Turns:
    """The CPU time of each turn of the nodes of a world, in their order."""

    def __init__(self) -> None:
        self.spent_ns: list[int] = []
        self._within = False

    def time(self, turn: Callable[[], None]) -> None:
        """Run one, or a part of one."""
        if self._within:
            turn()
            return
        self._within = True
        before_ns = time.thread_time_ns()
        try:
            turn()
        finally:
            self.spent_ns.append(time.thread_time_ns() - before_ns)
            self._within = False


class TimedNode(CommandNode):
    """A node whose timers are timed."""

    def _ring(self, alarm: Alarm) -> None:
        world = self._world
        assert isinstance(world, TimedWorld)
        world.turns.time(lambda: super(TimedNode, self)._ring(alarm))


class TimedWorld(World):
    """A world in which all that is put into nodes is timed, and each finds out for itself where copies should be."""

    def __init__(self, nodes_max: int) -> None:
        self.turns: Final = Turns()
        super().__init__(SEED, SETTINGS, build=_node)
        self.nodes_max = nodes_max

    def start(self, name: str, *, seeded: bool = True, weight: float = 1.0) -> SimNode:
        """Start a node."""
        sim = super().start(name, seeded=seeded, weight=weight)
        sim.keeper._placement = sim.keeper._holdings._placement = sim.keeper._planning._placement = TargetCache()
        return sim

    def arrive(self, sim: SimNode, arrival: Callable[[], None]) -> None:
        """Hand something to a node."""
        self.turns.time(lambda: super(TimedWorld, self).arrive(sim, arrival))


def _node(world: World, sim: SimNode, config: KeeperConfig, dice: random.Random) -> TimedNode:
    return TimedNode(world, sim, config, dice, Limits())


def changes(nodes: int) -> dict[str, list[int]]:
    """Let so many nodes come together, one die, and one leave; give the turns of each of these in nanoseconds.

    The last join is given alone: before it all others have come to rest.
    """
    world, found = TimedWorld(nodes), dict[str, list[int]]()

    def note(what: str) -> None:
        if not world.run_until(lambda: at_rest(world), within_s=REST_S):
            raise AssertionError(unrest(world))
        found[what], world.turns.spent_ns = world.turns.spent_ns, []
        gc.collect()

    world.start("n0", seeded=False)
    for number in range(1, nodes):
        note("earlier")
        world.start(f"n{number}")
    note("join")
    del found["earlier"]
    if nodes > 2:
        world.kill("n2")
        world.run(3 * SETTINGS.lease_s)
        note("death")
    world.leave("n1")
    world.run_until(lambda: not world.nodes["n1"].alive, within_s=REST_S)
    note("leave")
    return found


def longest_ms(nodes: int, *, runs: int = 2) -> dict[str, float]:
    """Give the longest turn of any node when the last of so many joins, one dies, and one leaves."""
    collecting = gc.isenabled()
    gc.disable()  # it has its own figures, and is held in check by `cli.collecting`
    try:
        measured = [changes(nodes) for _ in range(runs)]
    finally:
        if collecting:
            gc.enable()
    for what, turns in measured[0].items():
        assert all(len(one[what]) == len(turns) for one in measured), "the same seed, and other turns"
    return {
        what: max(min(spent) for spent in zip(*(one[what] for one in measured), strict=True)) / 1e6
        for what in measured[0]
    }
