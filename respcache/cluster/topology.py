"""The cluster as one node sees it now, in the form that commands and people ask for."""

from dataclasses import dataclass


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
