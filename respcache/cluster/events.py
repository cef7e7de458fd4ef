"""What happens to the cluster, as programs and subscribers are told of it."""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from respcache.cluster.ownership.slots import SLOTS_PER_PARTITION

CHANNEL: Final = b"__cluster__:events"
"""Where subscribers hear of events; each node tells its own subscribers what it sees itself."""

EventType = Literal[
    "joined",
    "updated",
    "suspect",
    "recovered",
    "dead",
    "left",
    "name-conflict",
    "partition-suspected",
    "failover",
    "moved",
]


class ClusterEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened, as this node sees it."""

    type: EventType
    """joined, updated (address, ports, zone or weight), suspect, recovered, dead, left: of a member.
    name-conflict: `address` has this node's name.
    partition-suspected: more than a third of the members, `nodes`, are suspect at a time.
    failover: `node` serves slots of `source`, which does not live. moved: `source` handed slots over to `node`."""
    node: str
    """Name of the member concerned; this node's own name where it is about several."""
    address: str
    """Host and RESP port of the node, host:port, for clients; empty if unknown."""
    at_unix_ms: int
    """When this node noticed."""
    source: str = ""
    """Name of the node that had the slots before."""
    slots: tuple[tuple[int, int], ...] = ()
    """First and last slot of each range concerned, ascending."""
    nodes: tuple[str, ...] = ()
    """Names of several members."""


def as_json(event: ClusterEvent) -> bytes:
    """Encode an event as one JSON object; fields that say nothing are left out."""
    return msgspec.json.encode(event)


def changes_of_owner(before: Sequence[str], after: Sequence[str]) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """Compare the primaries of all partitions: slots in ranges, by the nodes (from, to) that lost and got them.

    A partition without a primary, before or after, belongs to no change.
    """
    changes: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for number, (old, new) in enumerate(zip(before, after, strict=True)):
        if old == new or not old or not new:
            continue
        first = number * SLOTS_PER_PARTITION
        last = first + SLOTS_PER_PARTITION - 1
        ranges = changes.setdefault((old, new), [])
        if ranges and ranges[-1][1] == first - 1:
            ranges[-1] = (ranges[-1][0], last)
        else:
            ranges.append((first, last))
    return changes
