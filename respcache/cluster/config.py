"""How long the keeper of partitions waits, and how much it holds."""

import math
from dataclasses import dataclass

from respcache.cluster.ownership.record import Quorum, Record
from respcache.cluster.ownership.slots import PARTITIONS
from respcache.cluster.replication.parts import FRAME_BYTES
from respcache.errors import ConfigError


@dataclass(frozen=True, slots=True)
class KeeperConfig:
    """Settings of one node's part in the cluster. Raises ConfigError when one is out of range."""

    replica_count: int = 2
    """Copies of every partition. It is fixed by the node that founds the cluster."""
    partitions: int = PARTITIONS
    """Into how many the keys are divided: the same for all nodes. Simulations make do with fewer."""
    seeded: bool = False
    """Whether the node was given others to join. Such a node never founds a cluster alone."""
    expect: int = 1
    """Found no cluster until this many members see each other."""
    settle_s: float = 1.0
    """How long members that know of no cluster wait for one before the oldest founds it; 0.3 does on one machine."""
    rebuild_delay_s: float = 15.0
    """How long a dead node keeps its place in the ring: a restart within that time moves nothing."""
    lease_s: float = 1.0
    """How long a node may serve without hearing from a majority of the voters; 0.3 does on one machine, 5 far apart.
    A failover waits for the rest of it, and an event loop that stalls for longer makes clients wait."""
    quorum: Quorum = Quorum.AUTO
    """Who goes on when the network splits. It is fixed by the node that founds the cluster."""
    asynchronous: bool = False
    """Whether writes are answered at once, rather than when all copies in sync have them."""
    min_in_sync: int = 0
    """Copies in sync below which writes are refused; 0 for one less than there should be, at most two, at least one."""
    unclean_after_s: float | None = 30.0
    """How long a partition waits for the last of its copies before it starts anew, empty. None: for ever."""
    unseen_after_s: float = 10.0
    """How long a new leader waits for members it has never seen before it takes them for dead."""
    replica_timeout_s: float = 5.0
    """A copy that acks nothing for so long is made afresh, and writes go on without it."""
    check_round_s: float = 3600.0
    """How long it takes to compare all copies in the cluster with their primaries, in the background; 0 for never."""
    copy_step_keys: int = 500
    """Keys of a copy in the making that are dumped in one go, about 1 ms of work."""
    copy_bytes_per_s: int = 0
    """Bytes of keys and values that copies in the making send in a second, all together; 0 for no bound."""
    frame_bytes: int = FRAME_BYTES
    """Effects of one turn that count for more bytes travel in parts, none of which is larger."""
    peer_unacked_bytes_max: int = 64 * 1024 * 1024
    """Bytes of effects waiting for one peer's acks above which writes that would add to them wait."""
    unacked_bytes_max: int = 256 * 1024 * 1024
    """The same for all peers together."""

    def __post_init__(self) -> None:
        counts = ("replica_count", "expect", "copy_step_keys", "frame_bytes")
        for name in (*counts, "peer_unacked_bytes_max", "unacked_bytes_max"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1")
        if self.min_in_sync < 0:
            raise ConfigError("min_in_sync must be 0 or more copies")
        if self.copy_bytes_per_s < 0:
            raise ConfigError("copy_bytes_per_s must be 0 or more")
        if not 0 < self.lease_s < math.inf:
            raise ConfigError("lease_s must be above 0 seconds")
        for name in ("settle_s", "rebuild_delay_s", "unseen_after_s", "replica_timeout_s", "check_round_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be 0 or more seconds")

    def needed_in_sync(self, record: Record) -> int:
        """Return how many copies in sync a write takes: by default one less than there should be, at most two."""
        copies = min(record.replica_count, len(record.ring()))
        return min(self.min_in_sync or max(1, min(2, copies - 1)), max(1, copies))
