"""What can happen to a small cluster, and what must come of it: each scenario is a function of one seed.

The seed decides the size, the profile, the links, who is hit and when. A scenario raises AssertionError where the
cluster does not behave.
"""

import gc
import random
from collections.abc import Callable, Iterable
from typing import Final

from respcache.cluster.membership import (
    LAN,
    LOCAL,
    Died,
    GossipConfig,
    Joined,
    Left,
    MemberState,
    NameConflict,
    Suspected,
)
from respcache.cluster.membership.wire import DATAGRAM_BYTES_MAX
from simulation.membership.cluster import EPOCH_UNIX_MS, Cluster
from simulation.network import Happening, Link
from simulation.replay import replay

STEP_S: Final = 0.05
"""How often a condition is looked at."""
RUNS_PER_COLLECTION: Final = 100
SETTLING_S: Final = 0.5
"""What rumours need to reach everybody in these clusters, with a margin."""


class Run:
    """One run of a scenario: its dice, which are not those of the network, and the cluster that it makes."""

    def __init__(self, seed: int) -> None:
        self.seed: Final = seed
        self.rng: Final = random.Random(f"scenario {seed}")
        self.cluster: Cluster | None = None

    def fresh(self, profile: GossipConfig, *, link: Link) -> Cluster:
        """Make a cluster without nodes."""
        self.cluster = Cluster(self.seed, profile, link=link)
        return self.cluster

    def settled(self, profile: GossipConfig, count: int) -> Cluster:
        """Make a cluster of nodes that have long agreed."""
        self.cluster = Cluster.settled(self.seed, profile, count)
        return self.cluster

    @property
    def story(self) -> list[Happening]:
        """What happened so far."""
        return [] if self.cluster is None else self.cluster.network.happenings


def longest_s(profile: GossipConfig) -> float:
    """Return an upper bound of the time from a death to everybody's verdict: two probe rounds of all, and patience."""
    return profile.conflict_patience_s + 10 * profile.probe_interval_s


def must(cluster: Cluster, within_s: float, names: list[str] | None = None) -> None:
    """Let time pass until these nodes, or all, hold exactly each other alive."""
    agreed = cluster.network.run_until(lambda: cluster.agreed(names), within_s=within_s, step_s=STEP_S)
    assert agreed, f"no agreement within {within_s} s:\n{cluster.describe()}"


def nobody(cluster: Cluster, *kinds: type) -> None:
    """Assert that nothing of these kinds happened."""
    assert (events := cluster.events(*kinds)) == [], events


def join(run: Run) -> None:
    """Nodes that start within half a second, knowing one or all of them, agree; nobody is taken for dead."""
    rng = run.rng
    link = Link(jitter_s=rng.choice([0.000_5, 0.005]), loss=rng.choice([0.0, 0.1]), duplication=0.05)
    cluster = run.fresh(rng.choice([LOCAL, LAN]), link=link)
    names = [f"n{number}" for number in range(rng.randint(2, 8))]
    seeds = rng.choice([names, names[:1]])
    for name in names:
        cluster.start(name, seeds=seeds)
        if rng.random() < 0.5:
            cluster.network.run(rng.uniform(0, 0.1))
    must(cluster, 6.0 if link.loss else 2.0)
    nobody(cluster, Died)


def kill(run: Run) -> None:
    """A node dies: all others hold it dead in time, and nobody else; a hint may make it sooner."""
    rng = run.rng
    cluster = run.settled(rng.choice([LOCAL, LAN]), rng.randint(2, 6))
    cluster.network.run(rng.uniform(0, 1))
    victim = rng.choice(cluster.running)
    cluster.network.crash(victim)
    if rng.random() < 0.3:
        witness = rng.choice(cluster.running)
        hint = cluster.swims[witness].hint(cluster.network.clock(witness), victim)
        cluster.network.apply(witness, hint)
    must(cluster, longest_s(cluster.profile))
    assert sorted(death.node for death in cluster.events(Died)) == sorted(cluster.running)
    assert cluster.events(Died, Suspected) == cluster.events(Died, Suspected, about=victim)


def restart(run: Run) -> None:
    """A node restarts, its clock set back at times: it is a member again within a second, whatever was said of it."""
    rng = run.rng
    cluster = run.settled(LOCAL, rng.randint(2, 5))
    name = rng.choice(cluster.running[1:])
    for _ in range(rng.randint(1, 3)):
        cluster.network.crash(name)
        cluster.network.run(rng.choice([0.0, 0.1, 0.5, 1.5, 4.0]))
        epoch = EPOCH_UNIX_MS - 3_600_000 if rng.random() < 0.3 else None
        cluster.start(name, seeds=["n0"], epoch_unix_ms=epoch)
        must(cluster, 1.0)
        cluster.network.run(rng.uniform(0, 0.5))
    assert cluster.events(Died) == cluster.events(Died, about=name)


def restart_all(run: Run) -> None:
    """All nodes restart at the same moment: all see all new runs within two sync intervals."""
    rng = run.rng
    cluster = run.settled(rng.choice([LOCAL, LAN]), rng.randint(2, 8))
    names = cluster.running
    for name in names:
        cluster.network.crash(name)
    cluster.network.run(rng.choice([0.0, 0.3, 1.0]))
    for name in names:
        cluster.start(name, seeds=names)
    must(cluster, 2 * cluster.profile.sync_interval_s)


def leave(run: Run) -> None:
    """A node says good-bye: all others see it leave within half a second, and nobody suspects it."""
    rng = run.rng
    cluster = run.settled(LAN, rng.randint(2, 8))
    cluster.network.run(rng.uniform(0, 1))
    leaver = rng.choice(cluster.running)
    cluster.leave(leaver)
    others = [name for name in cluster.running if name != leaver]
    cluster.network.run(0.5)
    assert all(cluster.state(name, leaver) is MemberState.LEFT for name in others), cluster.describe()
    cluster.network.run(4)
    must(cluster, STEP_S)
    nobody(cluster, Died, Suspected)


def loss(run: Run) -> None:
    """A fifth of all packets is lost, some come twice, some late: suspicions, but no death; then agreement."""
    rng = run.rng
    cluster = run.settled(LAN, rng.randint(3, 6))
    cluster.network.link = Link(loss=0.2, duplication=0.1, jitter_s=rng.choice([0.000_5, 0.01]))
    cluster.network.run(rng.uniform(8, 15))
    nobody(cluster, Died, Left)
    cluster.network.link = Link()
    must(cluster, 4.0)
    nobody(cluster, Died)


def pause(run: Run) -> None:
    """On lan a process stops for up to 2 s, maybe a second one too: nobody dies, and who was away accuses nobody."""
    rng = run.rng
    cluster = run.settled(LAN, rng.randint(2, 5))
    name, other = rng.sample(cluster.running, 2)
    overlapping = rng.random() < 0.5
    for _ in range(rng.randint(1, 2)):
        paused_s = rng.uniform(0.3, 2.0)
        cluster.network.pause(name, paused_s)
        if overlapping:  # the second may have suspected the first, and find its verdict due as it wakes up
            cluster.network.run(paused_s * 0.75)
            cluster.network.pause(other, 2.0)
        cluster.network.run(paused_s + rng.uniform(2.0, 3.0))
    nobody(cluster, Died)
    if not overlapping:
        assert [event for event in cluster.events(Suspected) if event.node == name] == []
    must(cluster, 4.0)


def slow(run: Run) -> None:
    """A node needs 10 to 40 ms of CPU for each packet: it may look bad, but it makes nobody else look dead."""
    rng = run.rng
    cluster = run.settled(LAN, rng.randint(3, 6))
    name = rng.choice(cluster.running)
    cluster.network.nodes[name].input_s = rng.uniform(0.01, 0.04)
    cluster.network.run(rng.uniform(5, 10))
    assert cluster.events(Died) == cluster.events(Died, about=name)
    cluster.network.nodes[name].input_s = 0.0
    must(cluster, LAN.reseed_interval_s + 2)


def one_way(run: Run) -> None:
    """Two nodes cannot reach each other, or one hears nobody: helpers bridge the one, the others outlive the other."""
    rng = run.rng
    cluster = run.settled(LOCAL, rng.randint(4, 6))
    names = cluster.running
    rng.shuffle(names)
    if rng.random() < 0.5:
        cluster.network.cut(names[:1], names[1:2])
        if rng.random() < 0.5:
            cluster.network.cut(names[1:2], names[:1])
        cluster.network.run(6)
        nobody(cluster, Died, Suspected)
    else:
        cluster.network.cut(names[1:], names[:1])
        cluster.network.run(8)
        wrong = [death for death in cluster.events(Died) if death.node != names[0]]
        assert [death for death in wrong if death not in cluster.events(Died, about=names[0])] == []
    cluster.network.heal()
    must(cluster, LOCAL.reseed_interval_s + 2)


def split(run: Run) -> None:
    """The network splits and heals; each side held the other dead, or nobody if it was short; then all are one."""
    rng = run.rng
    cluster = run.settled(LOCAL, rng.randint(2, 6))
    names = cluster.running
    rng.shuffle(names)
    border = rng.randint(1, len(names) - 1)
    left, right = names[:border], names[border:]
    if rng.random() < 0.5:
        for name in names:
            cluster.swims[name].join(cluster.network.clock(name), [])
    cluster.network.split(left, right)
    cluster.network.run(rng.choice([0.5, 1.0, 7.0]))
    cluster.network.heal()
    must(cluster, LOCAL.reseed_interval_s + 2)


def addresses(run: Run) -> None:
    """Two nodes restart, each with the other's address: all hold both, alive, where they are now."""
    rng = run.rng
    cluster = run.settled(LOCAL, rng.randint(3, 6))
    one, other = rng.sample(cluster.running[1:], 2)
    places = {one: cluster.address(other), other: cluster.address(one)}
    for name in places:
        cluster.network.crash(name)
    cluster.network.run(rng.choice([0.0, 0.5, 2.0]))
    for name, place in places.items():
        cluster.network.move(name, place)
    for name, place in places.items():
        cluster.start(name, seeds=["n0"], host=place[0])
    must(cluster, LOCAL.conflict_patience_s + 2 * LOCAL.reseed_interval_s)
    for viewer in cluster.running:
        held = {member.name: member.address for member in cluster.swims[viewer].members()}
        assert {name: held[name] for name in places} == places, (viewer, held)
    nobody(cluster, NameConflict)


def conflict(run: Run) -> None:
    """A newcomer has a living node's name: the newcomer is told, and only the newcomer; the others do not change."""
    rng = run.rng
    cluster = run.settled(LOCAL, rng.randint(2, 5))
    names = cluster.running
    taken = rng.choice(names)
    epoch = EPOCH_UNIX_MS - 1_000 if rng.random() < 0.3 else None
    cluster.start("n9", known_as=taken, seeds=[rng.choice(names)], epoch_unix_ms=epoch)
    cluster.network.run(LOCAL.conflict_patience_s + LOCAL.reseed_interval_s + 1)
    assert [event.node for event in cluster.events(NameConflict)] == ["n9"], cluster.describe()
    must(cluster, STEP_S, names)
    nobody(cluster, Died)


def storm(run: Run) -> None:
    """Cuts, loss, delays, pauses, crashes, restarts and leaves at random; two reseed intervals later all are one."""
    rng = run.rng
    names = [f"n{number}" for number in range(rng.randint(3, 5))]
    cluster = run.settled(LOCAL, len(names))
    ends_s = cluster.network.now + rng.uniform(3, 8)
    while cluster.network.now < ends_s:
        _mishap(cluster, names, rng)
        cluster.network.run(rng.uniform(0.05, 1.0))
    network = cluster.network
    network.heal()
    network.link = Link()
    for name in names:
        network.resume(name)
        network.nodes[name].input_s = 0.0
    network.run(SETTLING_S)  # for those that are just leaving
    for name in names:
        if network.nodes[name].machine is None:
            cluster.start(name, seeds=names)
    must(cluster, LOCAL.conflict_patience_s + 2 * LOCAL.reseed_interval_s)


def _mishap(cluster: Cluster, names: list[str], rng: random.Random) -> None:
    network, name = cluster.network, rng.choice(names)
    node = network.nodes[name]
    running = node.machine is not None and not node.paused
    spare = len(cluster.running) > 2
    match rng.randrange(9):
        case 0:
            network.cut([name], rng.sample(names, len(names) // 2))
        case 1:
            network.heal()
        case 2:
            network.link = Link(jitter_s=rng.choice([0.000_5, 0.02]), loss=rng.uniform(0, 0.4), duplication=0.1)
        case 3 if running:
            network.pause(name, rng.uniform(0.1, 3))
        case 4 if running:
            node.input_s = rng.choice([0.0, 0.005])
        case 5 if running:
            network.jam(name, rng.uniform(0.1, 2))
        case 6 if running and spare:
            network.crash(name)
        case 7 if running and spare:
            cluster.leave(name)
        case _ if node.machine is None:
            cluster.start(name, seeds=rng.sample(names, 2))
        case _:
            pass


def always(cluster: Cluster) -> None:
    """Assert what holds in every run: members come and go in turn, and no packet is longer than may be."""
    inside: dict[tuple[str, int], set[str]] = {}
    for happening in cluster.network.happenings:
        run = (happening.node, happening.run)
        held = inside.setdefault(run, set(cluster.known.get(run, ())))
        match happening.event:
            case Joined(member=member):
                assert member.name not in held, happening
                held.add(member.name)
            case Died(member=member) | Left(member=member):
                assert member.name in held, happening
                held.remove(member.name)
            case _:
                pass
    assert cluster.network.largest_datagram_bytes <= DATAGRAM_BYTES_MAX


SCENARIOS: Final[dict[str, Callable[[Run], None]]] = {
    "join": join,
    "kill": kill,
    "restart": restart,
    "restart-all": restart_all,
    "leave": leave,
    "loss": loss,
    "pause": pause,
    "slow": slow,
    "one-way": one_way,
    "split": split,
    "addresses": addresses,
    "conflict": conflict,
    "storm": storm,
}


def play(name: str, seed: int, run: Run | None = None) -> None:
    """Run a scenario, in `run` if whoever calls wants to see more of it; a failure carries the line that replays it."""
    run = run or Run(seed)
    try:
        SCENARIOS[name](run)
        assert run.cluster is not None
        always(run.cluster)
    except Exception as error:
        replay(error, seed, name)
        raise


def play_each(name: str, seeds: Iterable[int]) -> None:
    """Run a scenario with one seed after the other, and spend no time on garbage meanwhile: a run leaves a megabyte."""
    gc.disable()
    try:
        for turn, seed in enumerate(seeds, 1):
            play(name, seed)
            if turn % RUNS_PER_COLLECTION == 0:
                gc.collect()
    finally:
        gc.enable()
