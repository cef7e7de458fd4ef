"""Whether a cluster is well, and whether its next node may be restarted: what an operator asks before doing so."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from respcache.cluster.ownership.planner import unowned
from respcache.cluster.ownership.record import PAIR, Record, Standing, majority
from respcache.cluster.ownership.redundancy import Redundancy


@dataclass(frozen=True, slots=True)
class Health:
    """One node's judgement, by the record that it knows and the members that it reaches."""

    leased: bool
    """Whether this node may serve."""
    unowned: int
    """Partitions without a living primary."""
    under_replicated: int
    """Partitions of which fewer copies are in sync than there should be."""
    single: int
    """Partitions of which one living copy is in sync: its node is the one not to lose."""
    learners: int
    """Copies in the making."""
    voters: int
    voters_reached: int
    """Those of them that live and have a link to this node, itself included."""
    voters_spare: int
    """How many of these may go before nothing can be decided; negative if that is so already."""
    splits: bool
    """Whether each side of a split goes on alone."""
    redundancy: Redundancy
    """The copies of the whole cluster."""

    @property
    def restart_is_safe(self) -> bool:
        """Whether any one node may stop without a key lost, or a side left that cannot decide."""
        deciding = self.voters_spare >= 1 or (self.splits and self.voters_spare >= 0 and self.voters == PAIR)
        return self.leased and deciding and not (self.unowned or self.single or self.learners)


def examine(record: Record, live: Mapping[str, int], reached: Collection[str], *, leased: bool) -> Health:
    """Judge. `live` gives members' run epochs by name, `reached` those with links; this node is in both."""
    members = sum(node.standing is Standing.MEMBER for node in record.nodes.values())
    wanted = min(record.replica_count, members)
    lives = {name for name, run in live.items() if record.has((name, run))}
    counts = Counter[str]()
    for entry in record.entries:
        living = len(lives.intersection(entry.in_sync))
        counts["under_replicated"] += living < wanted
        counts["single"] += living == 1
        counts["learners"] += len(entry.learners)
    voters = [voter.name for voter in record.voters if live.get(voter.name) == voter.run and voter.name in reached]
    return Health(
        leased=leased,
        unowned=len(unowned(record, live)),
        under_replicated=counts["under_replicated"],
        single=counts["single"],
        learners=counts["learners"],
        voters=len(record.voters),
        voters_reached=len(voters),
        voters_spare=len(voters) - majority(len(record.voters)),
        splits=record.splits,
        redundancy=Redundancy.of(record, live),
    )
