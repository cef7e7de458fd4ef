"""The cluster as one node sees it now, in the form that commands and people ask for."""

from collections.abc import Sequence
from dataclasses import dataclass

from respcache.cluster.ownership.slots import SLOTS_PER_PARTITION


@dataclass(frozen=True, slots=True)
class NodeView:
    """One node, as CLUSTER NODES and `Node.members()` show it."""

    name: str
    node_id: str
    """40 hexadecimal digits, one value for each run of the node."""
    host: str
    port: int
    """RESP port."""
    cluster_port: int
    http_port: int
    state: str
    """alive, suspect, dead or left."""
    zone: str
    epoch: int
    """The highest epoch of the partitions it is primary of."""
    slots: tuple[tuple[int, int], ...]
    """First and last slot of each contiguous range that it is primary of, ascending."""
    myself: bool
    round_trip_s: float | None = None
    """Smoothed, of this node's own probes; None where there was none."""
    lag_s: float = 0.0
    """How late the node's event loop was when it last answered a probe."""


def slot_ranges(primary: Sequence[str]) -> dict[str, list[tuple[int, int]]]:
    """Merge the slots of each primary's neighbouring partitions; `primary` names one by partition, empty for none."""
    ranges: dict[str, list[tuple[int, int]]] = {}
    before = ""
    for number, owner in enumerate(primary):
        first = number * SLOTS_PER_PARTITION
        last = first + SLOTS_PER_PARTITION - 1
        if owner and owner == before:
            ranges[owner][-1] = (ranges[owner][-1][0], last)
        elif owner:
            ranges.setdefault(owner, []).append((first, last))
        before = owner
    return ranges
