"""Storms over nodes that are real but for their sockets, and calmer weather, in which nothing may be in doubt."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from respcache.cluster.config import KeeperConfig
from simulation.commands.clients import (
    ACCOUNTS,
    PADS,
    PIPES,
    QUEUES,
    TWINS,
    Client,
    Consumer,
    Padder,
    Pipeliner,
    Producer,
    Teller,
    account,
    held_by,
    queue,
    unpadded,
)
from simulation.commands.ledger import Ledger
from simulation.commands.node import CommandNode, Limits
from simulation.commands.queues import Queues
from simulation.ownership.chaos import CONFIG, REST_S, SERVED_S, begin, may_leave, storm
from simulation.ownership.checks import at_rest, check_copies, check_served, holder, unrest
from simulation.ownership.clients import History
from simulation.ownership.forecast import PART_BYTES
from simulation.ownership.life import SimNode
from simulation.ownership.outcome import Outcome, Violation
from simulation.ownership.views import Eyes, Views
from simulation.ownership.world import World

MARGIN_S: Final = 0.02
"""Longer than it takes to hear of anything where nothing fails: a few ways of 0.6 ms, and turns of 0.3."""
FAREWELL_S: Final = 0.1
"""How long nodes may take to hear that nobody waits any more."""
MOVES_S: Final = 0.5
"""How long a partition that moves may keep those waiting who wait for its keys."""
SETTINGS: Final = replace(CONFIG, expect=100, min_in_sync=0)
"""Those of the storms over models; but newcomers who meet only each other, all others being paused, found nothing. And
writes take as many copies as they do by default."""
PRESSED: Final = (3_000, 5_000)
"""How many bytes may wait for one peer's acks, and for those of all, where that is little."""
PRESSED_LIMITS: Final = Limits(timeout_s=0.4, backlog_bytes=1_500)
PAD_BYTES: Final = 400

Make = Callable[[World, SimNode, KeeperConfig, random.Random, Limits], CommandNode]
"""Makes a node: `CommandNode`, or one with a planted bug."""


@dataclass(slots=True)
class Town:
    """A world and its clients."""

    world: World
    hangs_up: float
    ledger: Ledger = field(default_factory=Ledger)
    queues: Queues = field(default_factory=Queues)
    histories: list[History] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)

    def settle_in(self, *, tellers: int = 6, pairs: int = 5, padders: int = 4, pipeliners: int = 3) -> None:
        """Start the clients."""
        world = self.world
        self.histories = [History(key) for key in PADS]
        pipes = [History(key) for key in PIPES]
        self.clients += [Teller(world, self.ledger).client for _ in range(tellers)]
        self.clients += [Producer(world, self.queues).client for _ in range(pairs)]
        self.clients += [Consumer(world, self.queues, hangs_up=self.hangs_up).client for _ in range(pairs + 1)]
        for history in self.histories:
            self.clients += [Padder(world, history, size=PAD_BYTES).client for _ in range(padders // 2)]
        self.histories += pipes
        self.clients += [Pipeliner(world, pipes).client for _ in range(pipeliners)]
        for client in self.clients:
            world.after((0.0, 0.05), client.go)

    def finish(self) -> None:
        """Let the clients stop, and wait for rest. Raises Violation."""
        for client in self.clients:
            client.stopped = True
        if not self.world.run_until(lambda: not any(client.is_busy for client in self.clients), within_s=10.0):
            raise Violation("a command is never answered")
        self.world.run(FAREWELL_S)
        if not self.world.run_until(lambda: at_rest(self.world), within_s=REST_S):
            raise Violation(f"no rest after {REST_S} s: {unrest(self.world)}")

    def check(self) -> None:
        """Check what holds whatever has happened. Raises Violation."""
        world = self.world
        check_copies(world)
        self.ledger.check({key: account(held_by(holder(world, key), key)) for key in (*ACCOUNTS, *TWINS)})
        self.queues.check(self.left())
        for history in self.histories:
            value = held_by(holder(world, history.key), history.key)
            assert value is None or isinstance(value, bytes)
            history.check(world.now, unpadded(value))
        self.check_idle()

    def check_idle(self) -> None:
        """Check that nothing is left of what is over. Raises Violation."""
        for sim in self.world.live():
            assert isinstance(sim.life, CommandNode)
            sim.life.check_idle()

    def left(self) -> dict[bytes, list[bytes]]:
        """Give what is left in the queues."""
        return {key: queue(held_by(holder(self.world, key), key)) for key in QUEUES}

    def outcomes(self) -> dict[str, int]:
        """Count what became of all requests."""
        counts = {outcome.name: sum(client.outcomes[outcome] for client in self.clients) for outcome in Outcome}
        return counts | {
            "TRYAGAIN": sum(client.congested for client in self.clients),
            "NOREPLICAS": sum(client.scarce for client in self.clients),
        }


def town_of(
    seed: int,
    *,
    config: KeeperConfig,
    pressed: bool,
    nodes: int,
    hangs_up: float,
    make: Make = CommandNode,
    pipelining: bool = False,
    sight: Eyes = Views,
) -> Town:
    """Form a cluster and let clients move in, who all pipeline if so asked. In every eighth effects travel in parts."""
    limits = PRESSED_LIMITS if pressed else Limits()
    if pressed:
        config = replace(config, peer_unacked_bytes_max=PRESSED[0], unacked_bytes_max=PRESSED[1])
    if seed % 8 == 7:
        config = replace(config, frame_bytes=PART_BYTES)
    world = begin(
        seed,
        config,
        nodes,
        build=lambda world, sim, config, dice: make(world, sim, config, dice, limits),
        sight=sight,
    )
    town = Town(world, hangs_up)
    if pipelining:
        town.settle_in(tellers=0, pairs=0, padders=0, pipeliners=12)
    else:
        town.settle_in()
    return town


def weather(
    seed: int,
    duration_s: float,
    *,
    make: Make = CommandNode,
    pipelining: bool = False,
    sight: Eyes = Views,
    sleeps: bool = False,
    min_in_sync: int = SETTINGS.min_in_sync,
    asynchronous: bool = False,
) -> dict[str, int]:
    """Let a storm pass over three to five nodes, every third one under pressure; count what clients were told.

    With `sleeps` most nodes that are stopped sleep meanwhile. Where `min_in_sync` is given there are three copies. What
    nodes that are `asynchronous` have answered may be lost with an owner, and what may be is judged over models, where
    the order of all effects is known: here copies have to be equal, all keys served, nothing left waiting or locked.
    Raises Violation.
    """
    copies = 3 if min_in_sync else 2 + seed % 2
    town = town_of(
        seed,
        config=replace(SETTINGS, replica_count=copies, min_in_sync=min_in_sync, asynchronous=asynchronous),
        pressed=seed % 3 == 0,
        nodes=3 + seed % 3,
        hangs_up=0.1,
        make=make,
        pipelining=pipelining,
        sight=sight,
    )
    world = town.world
    world.sleeps = sleeps
    storm(world, duration_s)
    world.wires.heal()
    if not world.run_until(lambda: not any(sim.paused for sim in world.live()), within_s=REST_S):
        raise Violation("a pause does not end")
    world.at(world.now + SERVED_S, partial(check_served, world))
    world.run(0.3)
    town.finish()
    if asynchronous:
        check_copies(world)
        town.check_idle()
    else:
        town.check()
    return town.outcomes()


def calm(seed: int, duration_s: float, *, make: Make = CommandNode, asynchronous: bool = False) -> dict[str, int]:
    """Let nodes come and go in order: nothing is in doubt or refused, and nobody waits in vain. Raises Violation.

    Every other time nobody comes or goes, so no queue moves, and who waits longest is served first.
    """
    hangs_up = 0.2 if seed % 4 < 2 else 0.0
    town = town_of(
        seed,
        config=replace(SETTINGS, replica_count=2 + seed % 2, asynchronous=asynchronous),
        pressed=False,
        nodes=3 + seed % 3,
        hangs_up=hangs_up,
        make=make,
    )
    world, moves = town.world, seed % 2 == 0
    ends = world.now + duration_s
    while world.now < ends:
        world.run(world.rng.uniform(0.1, 0.4))
        if moves:
            _come_or_go(world)
    town.finish()
    town.check()
    outcomes = town.outcomes()
    town.queues.check_served(MOVES_S if moves else MARGIN_S)
    in_doubt = sum(pop.outcome is Outcome.UNCERTAIN for pop in town.queues.pops)
    if not in_doubt:
        town.queues.check_order(town.left())
    if not moves:
        town.queues.check_turns(MARGIN_S)
    if outcomes[Outcome.REFUSED.name] or outcomes[Outcome.UNCERTAIN.name] > in_doubt:
        raise Violation(f"nothing failed, and yet: {outcomes}")
    return outcomes


def company(seed: int, duration_s: float, *, make: Make = CommandNode) -> dict[str, int]:
    """Let others join a node that was alone, and which agrees with itself for a while. Raises Violation.

    It has all partitions, and hands half of them over; what moves them is decided in the turn in which it may be.
    """
    town = town_of(seed, config=SETTINGS, pressed=False, nodes=1, hangs_up=0.1, make=make)
    world = town.world
    world.run(0.1)
    for number in range(1, 2 + seed % 2):
        world.start(f"n{number}")
        world.run(duration_s)
    town.finish()
    town.check()
    return town.outcomes()


def _come_or_go(world: World) -> None:
    """Let a node join, or leave."""
    name = world.rng.choice([sim.name for sim in world.live()])
    if len(world.live()) < world.nodes_max and world.rng.random() < 0.5:
        world.start(f"n{len(world.nodes)}")
    elif may_leave(world, name):
        world.leave(name)
