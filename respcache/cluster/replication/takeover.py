"""A new primary makes sure of its copies before it serves.

The former primary may have died while its last effects had reached some copies and
not others; none of those was acknowledged. The new primary asks each copy in sync
how far it got. Equal: go. Behind: the missing effects are sent again, from the recent
ones that every replica keeps. Ahead, not whole, or too far behind: the copy does not
count any more, and the record has to say so first.

Positions compare by sequence alone, because all copies in sync hold prefixes of one
sequence of effects: within an epoch one primary alone appends, it does so only once
all copies are equal or demoted, and effects of an older epoch are refused.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from respcache.cluster.replication.items import Item
from respcache.cluster.replication.replica import Replica


@dataclass(slots=True)
class Takeover:
    """One partition that this node has become primary of, and does not serve yet."""

    epoch: int
    sequence: int
    """Of the last effect that this node's copy has."""
    awaited: set[str]
    """Copies in sync that have not been found, or made, equal."""
    since_s: float
    resent: bool = False
    """Whether a copy has just been sent what it lacked: its ack is owed."""
    faulty: set[str] = field(default_factory=set)
    """Copies that the record has yet to demote."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What the positions of one copy led to."""

    tails: dict[int, list[Item]]
    """Effects to send to it again, by partition, stamped with the new epoch."""
    faulty: list[int]
    """Partitions of which it has no copy that counts."""


def compare(
    takeovers: dict[int, Takeover], replica: Replica, peer: str, positions: Iterable[tuple[int, int, int]]
) -> Findings:
    """Judge the (partition, epoch, sequence) that a copy reports. Reports of other epochs are stale."""
    behind: dict[int, int] = {}
    faulty: list[int] = []
    for partition, epoch, sequence in positions:
        takeover = takeovers.get(partition)
        if takeover is None or takeover.epoch != epoch or peer not in takeover.awaited:
            continue
        if sequence == takeover.sequence:
            takeover.awaited.discard(peer)
        elif 0 <= sequence < takeover.sequence:
            behind[partition] = sequence
        else:
            faulty.append(partition)
    tails = replica.tail.after(replica.copies, behind)
    for partition in behind:
        if partition not in tails:
            faulty.append(partition)
            continue
        takeover = takeovers[partition]
        takeover.awaited.discard(peer)
        takeover.resent = True
        tails[partition] = [
            (partition, takeover.epoch, sequence, database, argv) for _, _, sequence, database, argv in tails[partition]
        ]
    for partition in faulty:
        takeovers[partition].faulty.add(peer)
    return Findings(tails, faulty)
