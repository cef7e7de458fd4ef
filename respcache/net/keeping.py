"""The machines of a running node: their settings, and what clients may ask of the keeper of partitions."""

import asyncio
import dataclasses
from typing import Final

import msgspec

from respcache.cluster.config import KeeperConfig
from respcache.cluster.membership import PROFILES, GossipConfig
from respcache.cluster.ownership.record import Quorum
from respcache.config import Config
from respcache.errors import ConfigError
from respcache.host import NodeHost
from respcache.net.replicator import Replicator
from respcache.options import by_key
from respcache.routing.assurance import Assurance
from respcache.routing.router import Router

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
        copy_bytes_per_s=cluster.rebalance_rate_bytes_per_s,
        check_round_s=cluster.copy_check_interval_s,
        rebuild_delay_s=cluster.rebuild_delay_s,
        unclean_after_s=None if cluster.unclean_after_s == "never" else cluster.unclean_after_s,
    )


def lease_ms(config: Config) -> int:
    """Tell for how long a node may serve without hearing from a majority of the voters."""
    return round(1000 * (config.cluster.lease_s or LEASE_S[config.cluster.environment]))


def gossip_profile(config: Config) -> GossipConfig:
    """Put the numbers of the failure detector together. Raises ConfigError where they do not go together."""
    environment = config.cluster.environment
    given = {name: number for name, number in msgspec.structs.asdict(config.gossip).items() if number is not None}
    try:
        return dataclasses.replace(PROFILES[environment], **given)
    except ConfigError as reason:
        raise ConfigError(f"[gossip], with environment = {environment}: {by_key(str(reason), 'gossip')}") from None


def answer_for_copies(host: NodeHost, router: Router, replicator: Replicator) -> None:
    """Let clients wait for copies, and cache keys, and operators choose the primary.

    To be called within a running event loop.
    """
    loop, holdings = asyncio.get_running_loop(), replicator.keeper.holdings
    assurance = Assurance(router, breaks=lambda: holdings.breaks, clock=loop.time, later=loop.call_later)
    host.wait, host.breaks = assurance.wait, assurance.breaks
    host.tracking = replicator.messenger.tracking
    host.tracking.keys_max = lambda: host.config.server.tracking_table_max_keys
    host.fail_over = lambda force: replicator.fail_over(force=force)
