"""What the keeper of partitions counts: plain integers, read at scrape time."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeeperFigures:
    """A snapshot of one node's part in the cluster. Names ending in `_total` only grow."""

    version: tuple[int, int]
    changes_total: dict[str, int]
    """By kind; counted by the node that decided them."""
    voters: int
    """Nodes that the record is agreed among."""
    leading: bool
    """Whether this node proposes the changes."""
    lease_held: bool
    lease_renewals_total: dict[str, int]
    """Voters' answers, by what became of them: granted, void."""
    partitions_primary: int
    partitions_replica: int
    partitions_learner: int
    partitions_under_replicated: int
    """Of those that this node is the primary of."""
    partitions_unowned: int
    """Without a live primary; counted by the leader alone, so that the sum over nodes is right."""
    copies_out_pending: int
    """Copies that this node is making for others."""
    copies_in_pending: int
    copies_lacking: int | None
    """Partitions that this node should have a copy of, and is not in sync with; None while it does not know which."""
    keys_out_total: int
    bytes_out_total: int
    keys_in_total: int
    bytes_in_total: int
    pending_effects: int
    pending_bytes: int
    arriving_bytes: int
    """Of frames that come in parts, and are not complete."""
    pressed: bool
    """Whether writes wait because copies have yet to confirm too many."""
    lag_s: float
    """Age of the oldest frame that waits for its ack."""
    effects_out_total: int
    effects_in_total: int
    effects_refused_total: int
    acks_total: int
    ack_us_buckets: tuple[int, ...]
    """Acks by time: bucket i counts those below 2**i microseconds that no smaller one counts."""
    dropped_keys_total: int
    """Keys deleted here because another node took the partition over."""
    orphaned_keys_total: int
    """Those of them that this node was the primary of when that happened."""
    rebalance_duration_s: float
    """How long the last making of copies took in the whole cluster; 0 if there was none."""
    rebalance_ended_ago_s: float
    """How long ago it ended; infinite if there was none."""
    checks_total: int
    """Partitions whose copies this node has compared with what it has as their primary."""
    demoted_differing_total: int
    """Copies here that were found to differ from their primaries."""
    demoted_slow_total: int
    """Copies taken out of sync because they acked nothing for too long."""
