"""What is at stake if a node goes: the partitions that it has copies of, by who else has one. Pure."""

from collections.abc import Collection
from dataclasses import dataclass

from respcache.cluster.ownership.record import Life, Record, Standing


@dataclass(frozen=True, slots=True)
class Stake:
    """One node's copies, by the record that it knows and the members that it reaches."""

    held: tuple[int, ...] = ()
    """Partitions that it has a copy in sync of."""
    alone: tuple[int, ...] = ()
    """Those of them that no other node in reach has such a copy of: their keys go with the node."""
    parting: tuple[int, ...] = ()
    """Those of them that only nodes have such a copy of which leave as well: their keys go with the last of these."""
    paired: int = 0
    """How many of them have one such copy on a node that stays, which is the only one until others are made."""
    heirs: bool = False
    """Whether another node in reach stays, and can be given copies."""
    learning: bool = False
    """Whether nodes in reach are making copies of those that it is alone with. Some of these may be whole already."""

    @classmethod
    def of(cls, record: Record, reached: Collection[Life], me: Life) -> "Stake":
        """Look; `reached` are the live members with links, by name and run epoch."""
        if not record.has(me):
            return cls()
        others = {life[0] for life in reached if life != me and record.has(life)}
        heirs = {name for name in others if record.nodes[name].standing is Standing.MEMBER}
        held = [partition for partition, entry in enumerate(record.entries) if me[0] in entry.in_sync]
        copies = {partition: len(heirs.intersection(record.entries[partition].in_sync)) for partition in held}
        bare = [partition for partition in held if not copies[partition]]
        parting = [partition for partition in bare if not others.isdisjoint(record.entries[partition].in_sync)]
        alone = sorted(set(bare).difference(parting))
        return cls(
            held=tuple(held),
            alone=tuple(alone),
            parting=tuple(parting),
            paired=sum(count == 1 for count in copies.values()),
            heirs=bool(heirs),
            learning=any(not others.isdisjoint(record.entries[partition].learners) for partition in alone),
        )
