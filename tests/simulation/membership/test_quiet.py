"""What an undisturbed cluster costs."""

import pytest

from respcache.cluster.membership import LAN, Suspected
from simulation.membership.cluster import Cluster
from simulation.replay import each_seed

PACKET_BYTES_USUAL = 100


@pytest.mark.parametrize("count", [2, 3, 10, 30])
@each_seed(3)
def test_an_idle_cluster_exchanges_pings_and_acks_alone(seed: int, count: int) -> None:
    """Per node and probe interval one ping and one ack, whatever the size: no gossip, no sync, no suspicion."""
    cluster = Cluster.formed(seed, LAN, count)
    cluster.network.run(5)
    nodes = cluster.network.nodes.values()
    before = [(node.datagrams_sent, node.bytes_sent) for node in nodes]
    other = ("gossip", "pingreq", "nack", "syncrequest", "syncreply")
    others_before = [[swim.stats.sent[kind] for kind in other] for swim in cluster.swims.values()]
    intervals = 40
    cluster.network.run(intervals * LAN.probe_interval_s)

    datagrams = [node.datagrams_sent - sent for node, (sent, _) in zip(nodes, before, strict=True)]
    sizes = [node.bytes_sent - sent for node, (_, sent) in zip(nodes, before, strict=True)]
    assert [[swim.stats.sent[kind] for kind in other] for swim in cluster.swims.values()] == others_before
    assert sum(datagrams) <= 2 * (intervals + 1) * count
    assert sum(sizes) <= sum(datagrams) * PACKET_BYTES_USUAL
    assert cluster.events(Suspected) == []
