"""How the nodes of a simulation see each other if each has the failure detector of a real node.

It takes the place of `views.Views`, in the same world: with its time, its cuts, its pauses and deaths. The machines
(`Swim`) talk by datagrams, of which some are lost, doubled or late.
"""

import math
import random
from functools import partial
from typing import TYPE_CHECKING, Final

from respcache.cluster.membership import (
    Address,
    Died,
    Joined,
    Left,
    Member,
    Meta,
    Recovered,
    Suspected,
    Swim,
    Updated,
)
from respcache.cluster.membership.profile import LOCAL
from respcache.cluster.ownership.record import Node
from simulation.network import Happening, Link, Network

if TYPE_CHECKING:
    from simulation.ownership.life import SimNode
    from simulation.ownership.world import World

EPOCH_UNIX_MS: Final = 1_700_000_000_000
"""Of a run 0."""
FAREWELL_S: Final = 0.5
"""For how long a node that leaves goes on to gossip."""
LINK: Final = Link(latency_s=0.000_2, jitter_s=0.000_4, loss=0.05, duplication=0.02)


class Gossip:
    """The membership machines of all nodes of a world, and their network."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._network = Network(world.rng.getrandbits(32), LINK)
        self._network.now = world.now
        self._network.cuts = world.wires.cuts
        self._lives: dict[tuple[str, int], tuple[SimNode, Swim]] = {}
        """By name and run of the network's."""
        self._leaving: set[SimNode] = set()
        """Those that say good-bye."""
        self._pump_at = math.inf

    def started(self, sim: "SimNode") -> None:
        """Let a node join by all others that there ever were."""
        network, name = self._in_time(), sim.name
        if name not in network.nodes:
            network.add(name, _address(name))
        swim = Swim(
            name=name,
            address=_address(name),
            meta=Meta(client_port=6_379, http_port=9_379, weight=sim.node.weight),
            profile=LOCAL,
            rng=random.Random(f"{network.seed} {name} {sim.node.run}"),
            now=network.clock(name),
            epoch_unix_ms=EPOCH_UNIX_MS + sim.node.run,
        )
        seeds = [_address(other) for other in self._world.nodes if other != name]
        network.start(name, swim, swim.join(network.clock(name), seeds))
        self._lives[name, network.nodes[name].run] = sim, swim
        self._arm()

    def ended(self, sim: "SimNode") -> None:
        """Let a node die, or go when it has said good-bye."""
        if sim not in self._leaving:
            self._in_time().crash(sim.name)

    def left(self, sim: "SimNode") -> None:
        """Let a node say good-bye."""
        self._leaving.add(sim)
        network, name = self._in_time(), sim.name
        run = network.nodes[name].run
        _, swim = self._lives[name, run]
        network.apply(name, swim.leave(network.clock(name)))
        network.at(network.now + FAREWELL_S, lambda: network.crash(name) if network.nodes[name].run == run else None)
        self._arm()

    def paused(self, sim: "SimNode", for_s: float) -> None:
        """Stop a node for a while."""
        self._in_time().pause(sim.name, for_s)
        self._arm()

    def hide(self, name: str, for_s: float) -> None:
        """Let the packets of a node be stuck for a while, though links to it stand."""
        self._in_time().jam(name, for_s)
        self._arm()

    def unlinked(self, sim: "SimNode", peer: str) -> None:
        """Let a node whose link is gone look at once what is the matter."""
        if sim.alive and not sim.paused:
            network, name = self._in_time(), sim.name
            _, swim = self._lives[name, network.nodes[name].run]
            network.apply(name, swim.hint(network.clock(name), peer))
            self._arm()

    def _in_time(self) -> Network:
        """Give the network, as late as the world."""
        self._network.run(self._world.now - self._network.now)
        return self._network

    def _arm(self) -> None:
        """Have the network go on when something is due there."""
        due = self._network._heap[0][0] if self._network._heap else math.inf
        if due < self._pump_at:
            self._pump_at = due
            self._world.at(due, partial(self._pump, due))

    def _pump(self, due: float) -> None:
        if due == self._pump_at:
            self._pump_at = math.inf
            self._in_time()
            happenings, self._network.happenings = self._network.happenings, []
            for happening in happenings:
                self._tell(happening)
            self._arm()

    def _tell(self, happening: Happening) -> None:
        """Tell a node what its machine has found out, as `net.runtime` does."""
        sim, _ = self._lives[happening.node, happening.run]
        world, life = self._world, sim.life
        match happening.event:
            case Joined(member) | Recovered(member) | Updated(member) if member.name != sim.name:
                world.input(sim, partial(life.member_up, Node(member.name, _run(member), member.meta.weight)))
            case Died(member):
                world.wires.unlink(sim.name, member.name)
                world.input(sim, partial(life.member_down, member.name, _run(member), left=False))
            case Left(member):
                world.input(sim, partial(life.member_down, member.name, _run(member), left=True))
            case Suspected(member):
                world.input(sim, partial(life.member_suspect, member.name, _run(member)))


def _address(name: str) -> Address:
    return (f"10.0.0.{name[1:]}", 16_379)


def _run(member: Member) -> int:
    return member.epoch_unix_ms - EPOCH_UNIX_MS
