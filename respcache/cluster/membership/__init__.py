"""Who is in the cluster: SWIM with Lifeguard as a machine without I/O.

Read `member`, then `view`, then `swim`.
"""

from respcache.cluster.membership.effects import (
    Died,
    Effect,
    Event,
    Joined,
    Left,
    NameConflict,
    PartitionSuspected,
    Recovered,
    Send,
    SendStream,
    Suspected,
    Updated,
)
from respcache.cluster.membership.member import Address, Member, MemberState, Meta
from respcache.cluster.membership.profile import LAN, LOCAL, PROFILES, WAN, GossipConfig
from respcache.cluster.membership.swim import Swim

__all__ = [
    "LAN",
    "LOCAL",
    "PROFILES",
    "WAN",
    "Address",
    "Died",
    "Effect",
    "Event",
    "GossipConfig",
    "Joined",
    "Left",
    "Member",
    "MemberState",
    "Meta",
    "NameConflict",
    "PartitionSuspected",
    "Recovered",
    "Send",
    "SendStream",
    "Suspected",
    "Swim",
    "Updated",
]
