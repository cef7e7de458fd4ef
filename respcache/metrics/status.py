"""The status page: one node and its view of the cluster, for people and scripts."""

from typing import Final

from respcache.cluster.topology import NodeView
from respcache.metrics.sources import Snapshot, Sources

FORMAT: Final = 1
"""Raised when a field of the page changes its meaning."""


def status_of(sources: Sources) -> dict[str, object]:
    """Describe a node: plain values only, ready to become JSON."""
    now = Snapshot.of(sources)
    readiness, keeper = sources.readiness(), now.keeper
    return {
        "format": FORMAT,
        "node": sources.name,
        "version": sources.version,
        "state": sources.state(),
        "ready": readiness.ready,
        "reason": readiness.reason,
        "clients": len(now.clients),
        "keys": {"primary": now.primary.keys, "replica": now.replica.keys},
        "ownership_version": list(keeper.version),
        "partitions": {
            "primary": keeper.partitions_primary,
            "replica": keeper.partitions_replica,
            "learner": keeper.partitions_learner,
            "under_replicated": keeper.partitions_under_replicated,
            "unowned": keeper.partitions_unowned,
        },
        "members": [_member(view) for view in sources.topology()],
    }


def _member(view: NodeView) -> dict[str, object]:
    return {
        "name": view.name,
        "id": view.node_id,
        "state": view.state,
        "host": view.host,
        "port": view.port,
        "cluster_port": view.cluster_port,
        "http_port": view.http_port,
        "zone": view.zone,
        "slots": sum(last - first + 1 for first, last in view.slots),
        "slot_ranges": " ".join(f"{first}-{last}" for first, last in view.slots),
        "myself": view.myself,
        "round_trip_s": view.round_trip_s,
        "lag_s": view.lag_s,
    }
