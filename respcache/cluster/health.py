"""Whether a cluster is well, and whether its next node may be restarted: what an operator asks before doing so."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from respcache.cluster.ownership.planner import unowned
from respcache.cluster.ownership.record import PAIR, Life, Record, majority
from respcache.cluster.ownership.redundancy import Redundancy
from respcache.cluster.progress import Rebalance
from respcache.cluster.stake import Stake


@dataclass(frozen=True, slots=True)
class Health:
    """One node's judgement, by the record that it knows and the members that it reaches."""

    leased: bool
    """Whether this node may serve."""
    unowned: int
    """Partitions without a living primary."""
    voters: int
    voters_reached: int
    """Those of them that live and have a link to this node, itself included."""
    voters_spare: int
    """How many of these may go before nothing can be decided; negative if that is so already."""
    splits: bool
    """Whether each side of a split goes on alone."""
    redundancy: Redundancy
    """The copies of the whole cluster."""
    rebalance: Rebalance
    """How far their making is."""
    stake: Stake
    """What this node has that others may lack."""

    @property
    def decides(self) -> bool:
        """Whether this node may serve, and reaches a majority of the voters: then anything can be agreed on."""
        return self.leased and self.voters_spare >= 0

    @property
    def restart_is_safe(self) -> bool:
        """Whether any one node may stop without a key lost, or a side left that cannot decide."""
        deciding = self.voters_spare >= 1 or (self.splits and self.voters_spare >= 0 and self.voters == PAIR)
        copies = self.redundancy
        return self.leased and deciding and not (self.unowned or copies.partitions_single or copies.under_way)


def examine(
    record: Record, live: Mapping[str, int], reached: Collection[str], *, me: Life, leased: bool, rebalance: Rebalance
) -> Health:
    """Judge. `live` gives members' run epochs by name, `reached` those with links; this node, `me`, is in both."""
    voters = [voter.name for voter in record.voters if live.get(voter.name) == voter.run and voter.name in reached]
    return Health(
        leased=leased,
        unowned=len(unowned(record, live)),
        voters=len(record.voters),
        voters_reached=len(voters),
        voters_spare=len(voters) - majority(len(record.voters)),
        splits=record.splits,
        redundancy=Redundancy.of(record, live),
        rebalance=rebalance,
        stake=Stake.of(record, [(name, run) for name, run in live.items() if name in reached], me),
    )
