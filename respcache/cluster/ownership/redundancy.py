"""How many copies the whole cluster has, and how many it should have. Pure: from the record, and who is alive."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from respcache.cluster.ownership.record import Record, Standing


@dataclass(frozen=True, slots=True)
class Redundancy:
    """The copies of all partitions, as one node sees them. Every node counts the whole cluster."""

    replica_count: int
    """Copies of every partition that the cluster has agreed on, whatever this node was told."""
    wanted: int
    """Copies of every partition that there can be now: as agreed, or as many as there are live nodes."""
    missing: int
    """Copies short of that. While it is not 0 the death of one more node can lose keys."""
    partitions_short: int
    """Partitions that lack at least one copy."""
    partitions_single: int
    """Partitions that have one living copy in sync: its node is the one not to lose."""
    under_way: int
    """Copies that are being made, of partitions that have one to be made from."""
    surplus: int
    """Copies beyond those wanted: where keys move the old one goes only after the new one is in sync."""
    partitions_bare: int = 0
    """Partitions of which no living copy is in sync: their keys are gone, unless a node that has one comes back."""

    @classmethod
    def of(cls, record: Record, live: Mapping[str, int]) -> "Redundancy":
        """Count; `live` maps the names of the live nodes to their run epochs."""
        alive = {name for name, run in live.items() if record.has((name, run))}
        members = sum(record.nodes[name].standing is Standing.MEMBER for name in alive)
        wanted = min(record.replica_count, max(1, members))
        missing = short = single = under_way = surplus = bare = 0
        held = Counter([(entry.in_sync, entry.learners) for entry in record.entries])
        for (in_sync, learners), partitions in held.items():  # few nodes hold all partitions between them
            copies = len(alive.intersection(in_sync))
            missing += partitions * max(0, wanted - copies)
            short += partitions * (copies < wanted)
            single += partitions * (copies == 1)
            bare += partitions * (copies == 0)
            under_way += partitions * len(alive.intersection(learners)) * (copies > 0)
            surplus += partitions * max(0, copies - wanted)
        return cls(
            replica_count=record.replica_count,
            wanted=wanted,
            missing=missing,
            partitions_short=short,
            partitions_single=single,
            under_way=under_way,
            surplus=surplus,
            partitions_bare=bare,
        )
