"""Everything at once, and peace afterwards."""

from respcache.cluster.membership import LOCAL, Died, Joined, Left
from respcache.cluster.membership.wire import DATAGRAM_BYTES_MAX
from simulation.membership.cluster import Cluster
from simulation.network import Link
from simulation.replay import each_seed

NODES = [f"n{index}" for index in range(6)]
STORM_S = 40.0


def storm(cluster: Cluster) -> None:
    """Cut, heal, lose, delay, pause, crash, restart and leave at random for a while; then mend and restart all."""
    network = cluster.network
    rng = network.rng
    ends_s = network.now + STORM_S
    while network.now < ends_s:
        name = rng.choice(NODES)
        match rng.randrange(8):
            case 0:
                network.cut([name], rng.sample(NODES, 3))
            case 1:
                network.heal()
            case 2:
                network.link = Link(jitter_s=rng.choice([0.000_5, 0.02]), loss=rng.uniform(0, 0.4), duplication=0.1)
            case 3 if name in cluster.running:
                network.pause(name, rng.uniform(0.1, 5))
            case 4 if len(cluster.running) > 2 and name in cluster.running:
                network.crash(name)
            case 5 if len(cluster.running) > 2 and name in cluster.running and not network.nodes[name].paused:
                cluster.leave(name)
            case _ if name not in cluster.running:
                cluster.start(name, seeds=rng.sample(NODES, 2))
            case _:
                pass
        network.run(rng.uniform(0.05, 3.0))
    network.heal()
    network.link = Link()
    network.run(6)
    for name in set(NODES).difference(cluster.running):
        cluster.start(name, seeds=NODES)


@each_seed(30)
def test_after_any_storm_the_cluster_is_one_again(seed: int) -> None:
    """Two reseed intervals after the last mishap all nodes hold all nodes alive."""
    cluster = Cluster.formed(seed, LOCAL, len(NODES))
    storm(cluster)

    assert cluster.network.run_until(cluster.agreed, within_s=2 * LOCAL.reseed_interval_s + 1), cluster.describe()


@each_seed(10)
def test_in_any_storm_entrances_and_exits_alternate(seed: int) -> None:
    """In each run of each node, per member: in, out, in, out; and no packet exceeds the MTU."""
    cluster = Cluster.formed(seed, LOCAL, len(NODES))
    storm(cluster)

    inside: dict[str, dict[str, int]] = {}
    runs: dict[str, int] = {}
    for happening in cluster.network.happenings:
        if runs.get(happening.node) != happening.run:
            runs[happening.node] = happening.run
            inside[happening.node] = {}
        held = inside[happening.node]
        match happening.event:
            case Joined(member=member):
                assert member.name not in held
                held[member.name] = member.epoch_unix_ms
            case Died(member=member) | Left(member=member):
                assert held.pop(member.name) <= member.epoch_unix_ms
            case _:
                pass
    assert cluster.network.largest_datagram_bytes <= DATAGRAM_BYTES_MAX
