"""The settings of a node as its keeper of partitions wants them."""

from typing import Final

from respcache.cluster.config import KeeperConfig
from respcache.cluster.ownership.record import Quorum
from respcache.config import Config

LEASE_S: Final = {"local": 0.3, "lan": 1.0, "wan": 5.0}
"""How long a node may serve without hearing from a majority of the voters, by environment."""
SETTLE_S: Final = {"local": 0.3, "lan": 1.0, "wan": 5.0}
"""How long nodes that know of no cluster wait for one before the oldest founds it, by environment."""


def keeper_config(config: Config) -> KeeperConfig:
    """Put them together. Raises ConfigError where they do not go together."""
    cluster = config.cluster
    return KeeperConfig(
        replica_count=cluster.replica_count,
        seeded=bool(cluster.join),
        expect=max(1, cluster.expect),
        settle_s=SETTLE_S[cluster.environment],
        lease_s=cluster.lease_s or LEASE_S[cluster.environment],
        quorum=Quorum[cluster.quorum.upper()],
        asynchronous=cluster.replication == "async",
        min_in_sync=cluster.min_in_sync,
        peer_unacked_bytes_max=cluster.peer_unacked_limit_bytes,
        unacked_bytes_max=cluster.unacked_limit_bytes,
        check_round_s=cluster.copy_check_interval_s,
        rebuild_delay_s=cluster.rebuild_delay_s,
        unclean_after_s=None if cluster.unclean_after_s == "never" else cluster.unclean_after_s,
    )
