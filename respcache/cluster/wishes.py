"""What a node wants of the record, gathered until it is proposed."""

from collections import defaultdict
from dataclasses import dataclass, field

from respcache.cluster.ownership.changes import Demote, Drop, InSync, Move, Proposal, Seize, Surrender
from respcache.cluster.ownership.record import Life, Record


@dataclass(slots=True)
class Wishes:
    """What should be proposed, gathered so that one change speaks for many partitions."""

    in_sync: defaultdict[Life, set[tuple[int, int]]] = field(default_factory=lambda: defaultdict(set))
    demote: defaultdict[Life, set[tuple[int, int]]] = field(default_factory=lambda: defaultdict(set))
    surrender: set[tuple[int, int]] = field(default_factory=set)
    seize: set[tuple[int, int]] = field(default_factory=set)
    move: set[tuple[int, int, str]] = field(default_factory=set)
    drop: set[tuple[int, int, str]] = field(default_factory=set)

    def demote_copy(self, record: Record | None, partition: int, name: str) -> bool:
        """Wish that a copy counted no more; False if it does not, or is the primary's."""
        assert record is not None
        entry = record.entries[partition]
        if name not in entry.in_sync or name == entry.primary:
            return False
        self.demote[record.nodes[name].life].add((partition, entry.revision))
        return True

    def changes(self, me: Life) -> list[Proposal]:
        """Return them as changes."""
        changes: list[Proposal] = [Demote(*life, tuple(sorted(spots))) for life, spots in self.demote.items()]
        changes += [InSync(*life, tuple(sorted(spots))) for life, spots in self.in_sync.items()]
        if self.surrender:
            changes.append(Surrender(*me, tuple(sorted(self.surrender))))
        if self.seize:
            changes.append(Seize(*me, tuple(sorted(self.seize))))
        if self.move:
            changes.append(Move(tuple(sorted(self.move))))
        if self.drop:
            changes.append(Drop(tuple(sorted(self.drop))))
        return changes
