"""Storms: nodes die, return, join and leave, links break, views lag, while clients write."""

from functools import partial

from respcache.cluster.config import KeeperConfig
from respcache.cluster.keeper import Keeper
from simulation.ownership.checks import at_rest, check_all, unrest
from simulation.ownership.clients import Counter, Violation, Writer
from simulation.ownership.world import World

NODES_MAX = 5
REST_S = 60.0


def begin(seed: int, config: KeeperConfig, nodes: int, *, keeper: type[Keeper] = Keeper) -> World:
    """Form a cluster and let it come to rest."""
    world = World(seed, config, keeper=keeper)
    world.start("n0", seeded=False)
    for number in range(1, nodes):
        world.start(f"n{number}")
    if not world.run_until(lambda: at_rest(world), within_s=REST_S):
        raise Violation(unrest(world))
    return world


def clients_of(world: World, writers: int = 24, counters: int = 6) -> list[Writer | Counter]:
    """Start clients; four of them on each counter."""
    clients: list[Writer | Counter] = [Writer(world, number) for number in range(writers)]
    for client in clients:
        world.after((0.0, 0.05), client.go)
    for number in range(counters):
        counter = Counter(world, number)
        clients.append(counter)
        for _ in range(2):
            world.after((0.0, 0.05), counter.go)
    return clients


def may_die(world: World, name: str) -> bool:
    """Whether nothing acknowledged is lost with a node: by everybody's record each partition has another live copy."""
    alive = {sim.name: sim.node.run for sim in world.live() if sim.name != name}
    for sim in world.live():
        record = sim.keeper._register.record
        if record is None:
            continue
        surviving = {name for name, run in alive.items() if record.has((name, run))}
        if any(surviving.isdisjoint(entry.in_sync) for entry in record.entries):
            return False
    return True


def may_leave(world: World, name: str) -> bool:
    """Whether a node knows at least two others that can take over what it has."""
    record = world.nodes[name].keeper._register.record
    if record is None or world.nodes[name].leaving:
        return False
    members = {node.name for node in record.ring()}
    return sum(sim.name in members and record.has(sim.node.life) and not sim.leaving for sim in world.live()) > 2


def restart(world: World, name: str) -> None:
    """Start a dead node again, unless that has been done."""
    if not world.nodes[name].alive:
        world.start(name)


def storm(world: World, duration_s: float) -> list[str]:
    """Do harm at random for a while; return what was done."""
    rng, ends, done = world.rng, world.now + duration_s, []
    while world.now < ends:
        live = [sim.name for sim in world.live()]
        gone = [name for name, sim in world.nodes.items() if not sim.alive]
        name = rng.choice(live)
        match rng.randrange(7):
            case 0 | 1 if len(live) > 1 and may_die(world, name):
                if rng.random() < 0.7:  # let some copies be behind others when it dies
                    world.cut(name, rng.choice([other for other in live if other != name]), for_s=0.3)
                    world.run(0.04 * rng.random())
                if not may_die(world, name):
                    continue
                done.append(f"{world.now:.2f} kill {name}")
                world.kill(name)
                if rng.random() < 0.6:
                    world.after((0.05, 2.0), partial(restart, world, name))
            case 2 if len(live) < NODES_MAX:
                newcomer = rng.choice([*gone, f"n{len(world.nodes)}"])
                done.append(f"{world.now:.2f} start {newcomer}")
                world.start(newcomer)
            case 3 if may_leave(world, name):
                done.append(f"{world.now:.2f} leave {name}")
                world.leave(name)
            case 4 | 5 | 6 if len(live) > 1:
                one, other = rng.sample(live, 2)
                for_s = rng.choice([0.01, 0.3, 1.5])
                done.append(f"{world.now:.2f} cut {one} {other} {for_s}")
                world.cut(one, other, for_s)
            case _:
                pass
        world.run(rng.choice([0.01, 0.2, 1.0]) * rng.random())
    return done


def settle(world: World, clients: list[Writer | Counter]) -> None:
    """Stop the clients, wait for rest, and check every promise. Raises Violation."""
    for client in clients:
        client.stopped = True
    world.run(0.5)
    if not world.run_until(lambda: at_rest(world), within_s=REST_S):
        raise Violation(f"no rest after {REST_S} s: {unrest(world)}")
    check_all(world, clients)
