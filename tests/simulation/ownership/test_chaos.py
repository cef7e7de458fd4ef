"""Nothing acknowledged is lost, whatever dies, joins, leaves or breaks."""

import pytest

from respcache.cluster.config import KeeperConfig
from simulation.ownership.chaos import begin, clients_of, settle, storm
from simulation.replay import each_seed


@pytest.mark.parametrize("replica_count", [2, 3])
@each_seed(3)
def test_a_storm_loses_nothing_acknowledged(seed: int, replica_count: int) -> None:
    """After kills, restarts, joins, leaves and broken links: all promises kept, all copies equal, all served."""
    config = KeeperConfig(
        replica_count=replica_count, settle_s=2.0, rebuild_delay_s=0.5, unclean_after_s=None, copy_step_keys=50
    )
    world = begin(seed, config, nodes=3)
    clients = clients_of(world)
    storm(world, 5.0)
    settle(world, clients)

    assert sum(client.acked for client in clients) > 500
