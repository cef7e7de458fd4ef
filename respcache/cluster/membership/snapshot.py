"""What a node knows of the cluster at one moment, as a value that may cross threads."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Final

from respcache.cluster.membership.member import Member
from respcache.cluster.membership.stats import GossipStats
from respcache.cluster.membership.swim import Swim


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """What was learned of a peer at first hand, by probing it."""

    round_trip_s: float | None
    """Smoothed; None before the first answered ping."""
    lag_s: float
    """How late its event loop was when it last answered."""


STRANGER: Final = Acquaintance(None, 0.0)
"""Of members that have not been probed, this node included."""


@dataclass(frozen=True, slots=True)
class MembershipSnapshot:
    """The state of a membership machine. Nothing in it changes: whoever holds it may read at leisure."""

    me: Member
    members: Mapping[str, Member]
    """All members in all states, this one and remembered dead ones included, by name."""
    acquaintances: Mapping[str, Acquaintance]
    """Of members that were probed, by name."""
    digest: int
    """Of the live members: equal where two nodes agree on them."""
    health_score: int
    """Lifeguard's local health; 0 is healthy."""
    rumors_queued: int
    """Rumours that wait to be passed on."""
    stats: GossipStats
    """A copy, which nobody counts on."""

    @classmethod
    def of(cls, swim: Swim) -> "MembershipSnapshot":
        """Copy what there is to know; the cost grows with the number of members, about 1 us for each."""
        members = {member.name: member for member in swim.members()}
        contacts = ((name, swim.contact(name)) for name in members)
        return cls(
            me=swim.me,
            members=members,
            acquaintances={
                name: Acquaintance(contact.round_trip_s, contact.lag_ms / 1000)
                for name, contact in contacts
                if contact is not None
            },
            digest=swim.fingerprint(),
            health_score=swim.health_score,
            rumors_queued=swim.rumors_queued,
            stats=deepcopy(swim.stats),
        )
