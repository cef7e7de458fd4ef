"""Storms: nodes die, return, join, leave and pause, the network is cut in all shapes, while clients write."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

from respcache.cluster.config import KeeperConfig
from respcache.cluster.effects import Dropped, Forced, Recreated
from respcache.cluster.keeper import Keeper
from respcache.cluster.ownership.record import NOTHING, Quorum, majority
from simulation.ownership.checks import at_rest, check_all, check_served, record_of, unrest
from simulation.ownership.clients import Client, Counter, Register, Writer
from simulation.ownership.model import Make
from simulation.ownership.outcome import Violation
from simulation.ownership.views import Eyes, Views
from simulation.ownership.world import NODES_MAX, PAUSES_S, Build, World

SERVED_S = 6.0
"""Within which every partition is served again once all faults have ended: the longest suspicion (3.6 s), a lease, and
what voters wait for each other. Most are served at once; 1.9 s was the longest of 700 storms."""
REST_S = 60.0
"""Within which every partition has all its copies besides, be they made one after the other."""
GONE_S = 3.0
"""A node is given ten seconds to leave."""
AFTER_S = 0.5
"""How long clients go on when all faults have ended."""
LAST_WORDS_S = 0.1
"""Longer than clients take to notice that they are to stop."""
SLEEPS = 0.7
"""How many of those that are stopped sleep, where machines do."""
LULLS_S = (0.01, 0.2, 1.0)
"""How long at most nothing is done after something was."""

CONFIG = KeeperConfig(
    partitions=12,
    replica_count=2,
    quorum=Quorum.MAJORITY,
    min_in_sync=1,
    lease_s=0.3,
    settle_s=2.0,
    rebuild_delay_s=0.5,
    unclean_after_s=None,
    replica_timeout_s=1.0,
    unseen_after_s=2.0,
    copy_step_keys=50,
)


@dataclass(frozen=True, slots=True)
class Storm:
    """What a storm is made of, besides its seed."""

    replica_count: int
    duration_s: float
    nodes: int = 3
    """How many there are at first."""
    nodes_max: int = NODES_MAX
    """Above which none is started."""
    partitions: int = CONFIG.partitions
    writers: int = 8
    counters: int = 2
    registers: int = 2
    lulls_s: Sequence[float] = LULLS_S
    """How long at most nothing is done after something was: one of these, by chance."""
    pauses_s: Sequence[float] = PAUSES_S
    """For how long nodes are stopped: one of these, by chance."""
    after_s: float = AFTER_S
    """How long clients go on when all faults have ended."""
    frame_bytes: int = CONFIG.frame_bytes
    """Above which effects travel in parts."""
    quorum: Quorum = CONFIG.quorum
    asynchronous: bool = CONFIG.asynchronous
    min_in_sync: int = CONFIG.min_in_sync
    unclean_after_s: float | None = CONFIG.unclean_after_s

    def settings(self) -> KeeperConfig:
        """Give those of its nodes."""
        return replace(
            CONFIG,
            replica_count=self.replica_count,
            partitions=self.partitions,
            frame_bytes=self.frame_bytes,
            quorum=self.quorum,
            asynchronous=self.asynchronous,
            min_in_sync=self.min_in_sync,
            unclean_after_s=self.unclean_after_s,
        )


def begin(
    seed: int,
    config: KeeperConfig,
    nodes: int,
    *,
    keeper: Make = Keeper,
    build: Build | None = None,
    sight: Eyes = Views,
) -> World:
    """Form a cluster and let it come to rest."""
    world = World(seed, config, keeper=keeper, build=build, sight=sight)
    world.start("n0", seeded=False)
    for number in range(1, nodes):
        world.start(f"n{number}")
    if not world.run_until(lambda: at_rest(world), within_s=REST_S):
        raise Violation(unrest(world))
    return world


def clients_of(world: World, writers: int = 8, counters: int = 2, registers: int = 2) -> list[Client]:
    """Start clients, three of them on each shared key."""
    clients: list[Client] = [Writer(world, number) for number in range(writers)]
    shared: list[Client] = [Counter(world, number) for number in range(counters)]
    shared += [Register(world, number) for number in range(registers)]
    for client in [*clients, *shared * 3]:
        world.after((0.0, 0.05), client.go)
    return clients + shared


def may_die(world: World, name: str) -> bool:
    """Whether a death costs nothing acknowledged, nor the majority of the voters, unless they are done without.

    By everybody's record, and by what may become one, each partition has another live copy. What the dead have accepted
    may be under way to a node that is stopped.
    """
    alive = {sim.name: sim.node.run for sim in world.live() if sim.name != name}
    known = [record for sim in world.live() for record in sim.records()]
    newest = max((record.version for record in known), default=NOTHING)
    for record in known + [record for record in world.last_words if record.version > newest]:
        surviving = {name for name, run in alive.items() if record.has((name, run))}
        if any(surviving.isdisjoint(entry.in_sync) for entry in record.entries):
            return False
        voters = sum(alive.get(voter.name) == voter.run for voter in record.voters)
        if record.splits:  # those that are left go on, unless all of them are about to go
            if not any(record.has(sim.node.life) for sim in world.live() if sim.name != name and not sim.leaving):
                return False
        elif voters < majority(len(record.voters)):
            return False
    return True


def may_leave(world: World, name: str) -> bool:
    """Whether a node knows at least two others that can take over what it has."""
    record = record_of(world, name)
    if record is None or world.nodes[name].leaving:
        return False
    members = {node.name for node in record.ring()}
    return sum(sim.name in members and record.has(sim.node.life) and not sim.leaving for sim in world.live()) > 2


def restart(world: World, name: str) -> None:
    """Start a dead node again, unless that has been done."""
    if not world.nodes[name].alive:
        world.start(name)


def between(world: World, side: set[str]) -> list[tuple[str, str]]:
    """Return all ways between some nodes and the others."""
    names = [sim.name for sim in world.live()]
    return [(one, other) for one, other in product(names, names) if (one in side) != (other in side)]


def cut_of(world: World) -> list[tuple[str, str]]:
    """Choose ways to cut: halves, a bridge, one way, one node that is not heard, an isolated one, or a ring."""
    names = [sim.name for sim in world.live()]
    world.rng.shuffle(names)
    middle = world.rng.randrange(1, len(names)) if len(names) > 1 else 0
    left, right = names[:middle], names[middle:]
    match world.rng.randrange(6):
        case 0:
            ways = [*product(left, right), *product(right, left)]
        case 1:  # the first of the right side sees everybody
            ways = [*product(left, right[1:]), *product(right[1:], left)]
        case 2:
            ways = [*product(left, right)]
        case 3:
            ways = [*product(names[:1], names[1:])]
        case 4:
            ways = between(world, {names[0]})
        case _:  # each sees its two neighbours
            ways = [
                (names[one], names[other])
                for one, other in product(range(len(names)), repeat=2)
                if (one - other) % len(names) not in {0, 1, len(names) - 1}
            ]
    return ways


def storm(world: World, duration_s: float, lulls_s: Sequence[float] = LULLS_S) -> list[str]:
    """Do harm at random for a while; return what was done."""
    rng, ends, done = world.rng, world.now + duration_s, []
    while world.now < ends:
        name = rng.choice([sim.name for sim in world.live()])
        harm = rng.choice([_kill, _kill, _start, _leave, _snap, _snap, _pause, _pause, _cut, _cut, _cut, _hide])
        what = harm(world, name)
        if what:
            done.append(f"{world.now:.2f} {what}")
        world.run(rng.choice(lulls_s) * rng.random())
    return done


def _kill(world: World, name: str) -> str:
    others = [sim.name for sim in world.live() if sim.name != name]
    if not others or not may_die(world, name):
        return ""
    if world.rng.random() < 0.7:  # let some copies be behind others when it dies
        world.wires.snap(name, world.rng.choice(others), for_s=0.3)
        world.run(0.04 * world.rng.random())
        if not world.nodes[name].alive or not may_die(world, name):
            return ""
    world.kill(name)
    if world.rng.random() < 0.6:
        world.after((0.05, 2.0), partial(restart, world, name))
    return f"kill {name}"


def _start(world: World, name: str) -> str:
    if len(world.live()) >= world.nodes_max:
        return ""
    gone = [name for name, sim in world.nodes.items() if not sim.alive]
    name = world.rng.choice([*gone, f"n{len(world.nodes)}"])
    world.start(name)
    return f"start {name}"


def _leave(world: World, name: str) -> str:
    if not may_leave(world, name):
        return ""
    world.leave(name)
    return f"leave {name}"


def _snap(world: World, name: str) -> str:
    others = [sim.name for sim in world.live() if sim.name != name]
    if not others:
        return ""
    other, for_s = world.rng.choice(others), world.rng.choice([0.01, 0.3, 1.5])
    world.wires.snap(name, other, for_s)
    return f"snap {name} {other} {for_s}"


def _pause(world: World, name: str) -> str:
    for_s = world.rng.choice(world.pauses_s)
    others = [sim for sim in world.live() if sim.name != name and sim.keeper.joined and not sim.paused]
    if not others and for_s >= world.config.settle_s:  # newcomers may found a cluster of their own, and are told so
        return ""
    if world.sleeps and world.rng.random() < SLEEPS:
        world.suspend(name, for_s)
        return f"suspend {name} {for_s}"
    world.pause(name, for_s)
    return f"pause {name} {for_s}"


def _cut(world: World, name: str) -> str:
    del name
    ways, for_s = cut_of(world), world.rng.choice([0.2, 0.8, 2.5])
    world.wires.cut(ways)
    world.at(world.now + for_s, partial(world.wires.mend, ways))
    return f"cut {ways} {for_s}"


def _hide(world: World, name: str) -> str:
    for_s = world.rng.choice([0.3, 1.5])
    world.views.hide(name, for_s)
    return f"hide {name} {for_s}"


def settle(world: World, clients: list[Client], after_s: float = AFTER_S) -> None:
    """End all faults, wait for rest, then stop the clients and check every promise. Raises Violation."""
    world.wires.heal()
    if not world.run_until(lambda: not any(sim.paused for sim in world.live()), within_s=REST_S):
        raise Violation("a pause does not end")
    world.at(world.now + SERVED_S + (world.config.unclean_after_s or 0.0), partial(check_served, world))
    world.run(after_s)
    for client in clients:
        client.stopped = True
    world.run(LAST_WORDS_S)
    if not world.run_until(lambda: at_rest(world), within_s=REST_S):
        raise Violation(f"no rest after {REST_S} s: {unrest(world)}")
    check_all(world, clients)


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What is to be said of a storm that has passed."""

    acked: int
    """Writes that were acknowledged."""
    refused: int
    """Writes that were refused because too few copies were in sync."""
    breaks: int
    """Epochs of partitions that began without the former primary having handed over."""
    sides: int
    """How often one side went on alone."""
    orphans: int
    """Keys that were dropped with what one side alone had written to them."""
    reborn: int
    """Partitions that have begun anew, empty."""


def weather(seed: int, kind: Storm, *, keeper: Make = Keeper, sight: Eyes = Views) -> Aftermath:
    """Let a storm pass; return what it did. Raises Violation."""
    world = begin(seed, kind.settings(), kind.nodes, keeper=keeper, sight=sight)
    world.nodes_max, world.pauses_s = kind.nodes_max, kind.pauses_s
    clients = clients_of(world, kind.writers, kind.counters, kind.registers)
    storm(world, kind.duration_s, kind.lulls_s)
    settle(world, clients, kind.after_s)
    told = [effect for _, _, effect in world.effects]
    return Aftermath(
        acked=sum(client.acked for client in clients),
        refused=world.refusals,
        breaks=sum(map(len, world.lineage.breaks(world.lineage.newest))),
        sides=sum(isinstance(effect, Forced) for effect in told),
        orphans=sum(effect.orphaned_keys for effect in told if isinstance(effect, Dropped)),
        reborn=sum(len(effect.partitions) for effect in told if isinstance(effect, Recreated)),
    )


def write_everywhere(world: World, word: bytes) -> None:
    """Write one key to every partition that anybody serves."""
    for sim in world.live():
        for partition in range(world.config.partitions):
            world.execute(sim, partition, [b"SET", b"key", word + sim.name.encode()], lambda _: None)
