"""The metrics of who owns what, and of whether this node may serve."""

from typing import Final

from respcache.cluster.ownership.record import SEATS
from respcache.cluster.ownership.slots import PARTITIONS
from respcache.metrics.metric import Section, by, counters, gauge, gauges

OWNERSHIP: Final = Section(
    "Ownership of partitions",
    (
        gauge(
            "ownership_version",
            "Changes in the record of owners that this node holds; equal on nodes that agree.",
            lambda now: now.keeper.version[1],
        ),
        gauge(
            "ownership_term",
            "Terms in which the record of owners was proposed, of about as many leaders.",
            lambda now: now.keeper.version[0] // SEATS,
        ),
        counters(
            "ownership_changes_total",
            "Changes of the record of owners; counted by the leader, once over all nodes.",
            {"kind": "failover, handover, isr (copies in sync), members, unclean (all copies were lost), voters"},
            lambda now: by(now.keeper.changes_total),
        ),
        gauge(
            "ownership_voters",
            "Nodes that the record of owners is agreed among, by the one that this node holds.",
            lambda now: now.keeper.voters,
        ),
        gauge(
            "ownership_leader",
            "1 on the node that proposes the changes of the record.",
            lambda now: int(now.keeper.leading),
        ),
        gauge(
            "lease_held",
            "1 while this node may serve: a majority of the voters hears from it.",
            lambda now: int(now.keeper.lease_held),
        ),
        counters(
            "lease_renewals_total",
            "Answers of voters to requests for a lease.",
            {"result": "granted, void (too late, or for a newer record than this node knew)"},
            lambda now: by(now.keeper.lease_renewals_total),
        ),
        gauge(
            "ring_ownership_ratio",
            "Share of all partitions that this node is the primary of. Sums to 1.",
            lambda now: now.keeper.partitions_primary / PARTITIONS,
        ),
        gauges(
            "ring_partitions",
            f"Partitions held here, of {PARTITIONS}.",
            {"role": "primary, replica, learner (a copy in the making)"},
            lambda now: by(
                {
                    "primary": now.keeper.partitions_primary,
                    "replica": now.keeper.partitions_replica,
                    "learner": now.keeper.partitions_learner,
                }
            ),
        ),
        gauge(
            "ring_partitions_under_replicated",
            "Partitions with too few copies; counted by their primary, once over all nodes.",
            lambda now: now.keeper.partitions_under_replicated,
        ),
        gauge(
            "ring_partitions_unowned",
            "Partitions without a living primary; counted by the leader, once over all nodes.",
            lambda now: now.keeper.partitions_unowned,
        ),
        gauge(
            "replication_factor",
            "Copies that every key should have, the primary one included.",
            lambda now: now.config.cluster.replica_count,
        ),
    ),
)
