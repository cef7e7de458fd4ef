"""The cluster as clients and operators are shown it: what ownership and gossip know of each node, put together."""

import hashlib
from collections.abc import Sequence

from respcache.cluster.membership.snapshot import STRANGER, MembershipSnapshot
from respcache.cluster.ownership.table import Table
from respcache.cluster.topology import NodeView, slot_ranges


def node_views(table: Table, known: MembershipSnapshot, *, me: str) -> Sequence[NodeView]:
    """List the nodes of the cluster by name, the one called `me` included."""
    ranges, epoch = slot_ranges(table.primary), table.version[1]
    views = [
        NodeView(
            name=member.name,
            node_id=node_id(member.name, member.epoch_unix_ms),
            host=member.address[0],
            port=member.meta.client_port,
            cluster_port=member.address[1],
            http_port=member.meta.http_port,
            state=member.state.name.lower(),
            zone=member.meta.zone,
            epoch=epoch,
            slots=tuple(ranges.get(member.name, ())),
            myself=member.name == me,
            round_trip_s=met.round_trip_s,
            lag_s=met.lag_s,
        )
        for member in known.members.values()
        for met in (known.acquaintances.get(member.name, STRANGER),)
    ]
    return sorted(views, key=lambda view: view.name)


def node_id(name: str, run: int) -> str:
    """Make the 40 hexadecimal digits by which Redis' clients know a run of a node."""
    return hashlib.sha1(f"{name}:{run}".encode(), usedforsecurity=False).hexdigest()
