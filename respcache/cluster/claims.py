"""A node becomes the primary of what it has copies of, because an operator wants it so. Pure, but for its wishes."""

from collections import defaultdict

from respcache.cluster.handovers import Handovers
from respcache.cluster.ownership.record import Record
from respcache.cluster.replication.replica import Replica
from respcache.cluster.wishes import Wishes


def claimable(record: Record | None, replica: Replica, name: str) -> dict[str, list[int]]:
    """Find the partitions of which a node has a whole copy, in sync by the record, by their primary."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for partition, entry in enumerate(record.entries if record is not None else ()):
        if name in entry.in_sync and entry.primary and replica.position(partition, entry.epoch) >= 0:
            found[entry.primary].append(partition)
    return found


def seize(record: Record | None, claims: dict[str, list[int]], wishes: Wishes) -> None:
    """Wish to be the primary whatever the present one says."""
    for partitions in claims.values():
        assert record is not None  # else there is nothing to claim
        wishes.seize.update((partition, record.entries[partition].revision) for partition in partitions)


def keep(claims: dict[str, list[int]], handovers: Handovers) -> None:
    """Do not move on what has been claimed, once it is here."""
    for partitions in claims.values():
        handovers.kept.update(partitions)
