"""Who is held dead, how soon, and who is not."""

from respcache.cluster.membership import LAN, Died, MemberState, PartitionSuspected
from simulation.membership.cluster import Cluster
from simulation.network import Link
from simulation.replay import each_seed


@each_seed(5)
def test_a_fifth_of_all_packets_lost_for_minutes_kills_nobody(seed: int) -> None:
    """On lan, 20 % loss for 3 minutes: suspicions, all of them refuted."""
    cluster = Cluster.formed(seed, LAN, 5)
    cluster.network.link = Link(loss=0.2)
    cluster.network.run(180)

    assert cluster.events(Died) == []
    cluster.network.link = Link()
    assert cluster.network.run_until(cluster.agreed, within_s=15), cluster.describe()


@each_seed(10)
def test_many_suspects_at_once_are_reported_as_a_partition(seed: int) -> None:
    """A node cut off from all says so once, besides suspecting them one by one."""
    cluster = Cluster.formed(seed, LAN, 6)
    cluster.network.split(["n0"], ["n1", "n2", "n3", "n4", "n5"])
    cluster.network.run(15)

    assert "n0" in {report.node for report in cluster.events(PartitionSuspected)}


@each_seed(10)
def test_a_hint_finds_a_death_sooner(seed: int) -> None:
    """A refused connection of the data plane starts a probe at once: the first suspicion takes no further round."""
    cluster = Cluster.formed(seed, LAN, 3)
    killed_at_s = cluster.network.now
    cluster.network.crash("n1")
    cluster.network.apply("n0", cluster.swims["n0"].hint(cluster.network.clock("n0"), "n1"))
    cluster.network.run(2 * LAN.probe_timeout_s + 0.01)

    assert cluster.state("n0", "n1") is MemberState.SUSPECT
    assert cluster.network.run_until(cluster.agreed, within_s=4), (killed_at_s, cluster.describe())
