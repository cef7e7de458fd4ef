"""How far the making of copies is in the whole cluster, and how long it may still take. Pure.

Every node sees it in the record, whoever makes the copies.
"""

import math
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from respcache.cluster.ownership.changes import Target
from respcache.cluster.ownership.record import Entry, Record

GAP_S: Final = 1.0
"""What begins again so soon is the same still: a plan asks for some copies at a time."""


@dataclass(frozen=True, slots=True)
class Rebalance:
    """What an operator wants to know of it."""

    copies_pending: int
    """Copies that are being made, or wait to be."""
    copies_made: int
    """Copies made since this began."""
    primaries_pending: int
    """Partitions that the ring wants to have another primary, which they get once it has its copy. What an operator
    wants elsewhere (`claims`) is not counted: it stays there."""
    elapsed_s: float
    """Since it began; 0 while there is nothing to do."""
    eta_s: float
    """How much longer it will take at this rate; 0 while there is nothing to do. Infinite before the first one, as long
    as the target is not known, while a node of it does not live, which may come back, or others get its copies, and
    while nobody lives to make them from."""
    last_duration_s: float
    """How long the last one took; 0 if there was none."""
    last_ended_ago_s: float
    """How long ago it ended; infinite if there was none."""

    @property
    def active(self) -> bool:
        """Whether copies are being made."""
        return self.copies_pending > 0


class Progress:
    """What one node has seen of it.

    idle --copies are to be made--> active --none are left--> idle
    """

    def __init__(self, name: str, kept: Container[int]) -> None:
        """`kept` are the partitions that this node, `name`, has claimed, and will not move on."""
        self._name, self._kept = name, kept
        self._chosen: dict[int, str] = {}
        """Whom former primaries made way for, by partition, since copies are placed on these nodes."""
        self._pending = self._made = 0
        self._began_s = self.last_s = 0.0
        self.ended_s = -math.inf

    def note(self, now: float, old: Record | None, record: Record, changed: Sequence[int]) -> None:
        """Look at a new version of the record, and at the partitions whose entries have `changed`.

        `old` is the former one, None if there was none or copies are now placed on other nodes.
        """
        if old is None:
            self._chosen.clear()
        else:
            for partition in changed:
                before, entry = old.entries[partition], record.entries[partition]
                if before.primary in entry.in_sync and before.primary != entry.primary:  # of the dead none is in sync
                    self._chosen[partition] = entry.primary
        pending = sum(len(entry.learners) for entry in record.entries)
        if pending and not self._pending and now - self.ended_s > GAP_S:
            self._began_s, self._made = now, 0
        self._made += max(0, self._pending - pending)
        if self._pending and not pending:
            self.last_s, self.ended_s = now - self._began_s, now
        self._pending = pending

    def report(self, now: float, record: Record, target: Target | None, live: Mapping[str, int]) -> Rebalance:
        """Say how it stands. As long as the target is not known any partition may be about to move.

        `live` maps the names of the live nodes to their run epochs: only they can be given copies.
        """
        pending, moves, is_open = self._pending, len(record.entries), True
        if target is not None:
            pairs = list(zip(target, record.entries, strict=True))
            moves = sum(
                [
                    self._moves(number, entry, wanted)
                    for number, (wanted, entry) in enumerate(pairs)
                    if wanted and wanted[0] != entry.primary
                ]
            )
            able = {name for name, run in live.items() if record.has((name, run))}
            placed = Counter([(wanted, entry.in_sync, entry.learners) for wanted, entry in pairs if entry.primary])
            is_open = any(not able.issuperset(wanted) for wanted in set(target))
            for (wanted, in_sync, learners), partitions in placed.items():  # there are few such triples
                if able.isdisjoint(in_sync):
                    is_open = True  # there is nothing to make copies from
                else:
                    pending += partitions * len(able.intersection(wanted).difference(in_sync, learners))
        elapsed_s = eta_s = 0.0
        if pending:
            if self._pending or now - self.ended_s <= GAP_S:
                elapsed_s = now - self._began_s
            eta_s = elapsed_s / self._made * pending if self._made and elapsed_s else math.inf
        if is_open:
            eta_s = math.inf
        return Rebalance(
            copies_pending=pending,
            copies_made=self._made,
            primaries_pending=moves,
            elapsed_s=elapsed_s,
            eta_s=eta_s,
            last_duration_s=self.last_s,
            last_ended_ago_s=now - self.ended_s,
        )

    def _moves(self, partition: int, entry: Entry, wanted: tuple[str, ...]) -> bool:
        """Whether a primary that is not the first one wanted is to change. Its own are known, others were watched."""
        primary = entry.primary
        stays = partition in self._kept if primary == self._name else self._chosen.get(partition) == primary
        return not (stays and primary in wanted)
