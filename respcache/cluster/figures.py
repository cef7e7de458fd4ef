"""The figures of one node's part in the cluster, gathered from its parts."""

from collections import Counter

from respcache.cluster.arrival import copies_lacking
from respcache.cluster.holdings import Holdings
from respcache.cluster.ownership.planner import TargetCache, unowned
from respcache.cluster.ownership.record import NOTHING, Life, Record
from respcache.cluster.ownership.register import Register
from respcache.cluster.peers import Peers
from respcache.cluster.stats import KeeperFigures
from respcache.cluster.tenure import Tenure


def figures_of(
    register: Register,
    holdings: Holdings,
    peers: Peers,
    tenure: Tenure,
    placement: TargetCache,
    now: float,
    *,
    me: Life,
) -> KeeperFigures:
    """Take a snapshot."""
    replication, replica, copying = holdings.replication, holdings.replica, holdings.copying
    record = register.record
    roles, target = Counter[str](), None
    lost = 0
    if record is not None:
        roles = roles_of(record, me)
        target = None if placement.busy else placement.look(record)  # to look elsewhere would end what it works on
        lost = len(unowned(record, peers.live(now))) if register.leading else 0
    streams = replication.streams.values()
    oldest = min((stream.unacked[0][2] for stream in streams if stream.unacked), default=now)
    return KeeperFigures(
        version=NOTHING if record is None else record.version,
        changes_total=dict(register.decided),
        voters=0 if record is None else len(record.voters),
        leading=register.leading,
        lease_held=now < tenure.lease.until_s,
        lease_renewals_total=dict(tenure.lease.renewals),
        partitions_primary=roles["primary"],
        partitions_replica=roles["replica"],
        partitions_learner=roles["learner"],
        partitions_under_replicated=roles["under_replicated"],
        partitions_unowned=lost,
        copies_out_pending=copying.pending,
        copies_in_pending=roles["learner"],
        copies_lacking=copies_lacking(record, target, peers.live(now), me),
        keys_out_total=copying.keys_out,
        bytes_out_total=copying.bytes_out,
        keys_in_total=replica.keys_in,
        bytes_in_total=replica.bytes_in,
        pending_effects=sum(stream.items for stream in streams),
        pending_bytes=sum(stream.unacked_bytes for stream in streams),
        arriving_bytes=replica.arriving_bytes,
        pressed=bool(holdings.congestion.partitions),
        lag_s=max(0.0, now - oldest),
        effects_out_total=replication.effects,
        effects_in_total=replica.effects,
        effects_refused_total=replica.refusals,
        acks_total=replication.acks,
        ack_us_buckets=tuple(replication.ack_us),
        dropped_keys_total=holdings.surplus.dropped_keys,
        orphaned_keys_total=holdings.surplus.orphaned_keys,
        rebalance_duration_s=holdings.progress.last_s,
        rebalance_ended_ago_s=now - holdings.progress.ended_s,
        checks_total=holdings.checking.checked,
        demoted_differing_total=replica.differed,
        demoted_slow_total=holdings.demoted_slow,
    )


def roles_of(record: Record, me: Life) -> Counter[str]:
    """Count the partitions that a node holds, by role, and those of its own that lack copies."""
    roles = Counter[str]()
    if not record.has(me):
        return roles
    name, wanted = me[0], min(record.replica_count, len(record.ring()))
    for entry in record.entries:
        if entry.primary == name:
            roles["primary"] += 1
            roles["under_replicated"] += len(entry.in_sync) < wanted
        elif name in entry.in_sync:
            roles["replica"] += 1
        elif name in entry.learners:
            roles["learner"] += 1
    return roles
