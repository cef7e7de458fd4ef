"""What the keeper of partitions asks its driver to do, or tells it."""

from dataclasses import dataclass

from respcache.cluster.ownership.record import Record, Version
from respcache.cluster.replication.log import Gate
from respcache.cluster.replication.waits import Wait


@dataclass(frozen=True, slots=True)
class Send:
    """Put a frame on the link to a peer: in order, each once, whole or not at all. Without a link it is lost."""

    peer: str
    frame: bytes


@dataclass(frozen=True, slots=True)
class RoutesChanged:
    """The table or what is served here has changed: look again at the commands that wait for a partition."""

    version: Version
    opened: tuple[int, ...]
    """Partitions that this node has begun to serve: `keeper.serving[p]` is a log."""
    closed: tuple[int, ...]
    """Partitions that it has ceased to serve, for a moment (a hand-over) or for good."""


@dataclass(frozen=True, slots=True)
class LeaseChanged:
    """This node may serve what it is the primary of from now on, or may not: then nothing is to be executed."""

    held: bool


@dataclass(frozen=True, slots=True)
class Forced:
    """This node goes on without the other voters; what they decide from now on is another truth."""

    voters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resolved:
    """These gates have opened or failed; `gate.committed` says which."""

    gates: tuple[Gate, ...]


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """These questions about copies are done; `wait.count` is the answer."""

    waits: tuple[Wait, ...]


@dataclass(frozen=True, slots=True)
class RecordChanged:
    """This is the control record held here now."""

    record: Record


@dataclass(frozen=True, slots=True)
class Formed:
    """This node has founded a cluster."""

    cluster_id: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """Data of partitions that other nodes hold now was deleted."""

    partitions: tuple[int, ...]
    keys: int
    orphaned_keys: int
    """Those of them that this node was the primary of when the record took them away: it was cut off, and what was
    written to them since is gone. None of it was acknowledged, unless this side went on alone."""


@dataclass(frozen=True, slots=True)
class Differed:
    """This node's copies of these partitions are not what their primaries have; they are made afresh."""

    partitions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Recreated:
    """All copies in sync of these partitions were lost; they begin anew, with a whole copy in the making or empty."""

    partitions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ForeignCluster:
    """A peer belongs to another cluster. The two are never merged; somebody configured a wrong seed."""

    peer: str
    cluster_id: str


@dataclass(frozen=True, slots=True)
class Drained:
    """This node wanted to leave, and holds nothing any more: it may stop."""


Effect = (
    Send
    | RoutesChanged
    | LeaseChanged
    | Resolved
    | Acknowledged
    | RecordChanged
    | Formed
    | Forced
    | Dropped
    | Recreated
    | Differed
    | ForeignCluster
    | Drained
)
