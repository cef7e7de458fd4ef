"""Timing profiles of the gossip machine: what each number is, its range and its price.

A profile is immutable and belongs to a whole cluster: nodes of different
profiles understand each other, yet the slower one is suspected by the quicker.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Final

from respcache.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class GossipConfig:
    """Every number of the membership protocol. Raises ConfigError when two of them contradict."""

    probe_interval_s: float
    """Seconds from one probe round to the next, > 0. Each round probes one member, so each of n
    members is probed by somebody about once per interval whatever n is. At least twice
    `probe_timeout_s`, so that the helpers have a turn. Halving it halves the time to notice a
    death and doubles the idle traffic."""

    probe_timeout_s: float
    """Seconds until an unanswered direct ping is followed by indirect ones, > 0. It is the upper
    bound: round trips measured before may shorten it down to a quarter, never lengthen it."""

    indirect_probes: int
    """Members asked to ping on our behalf when a direct ping stays unanswered, 0 to 16. More of
    them make a lossy link less likely to look like a death, and cost that many packets then."""

    suspicion_multiplier: float
    """The shortest suspicion lasts this many probe intervals times max(1, log10(n)), >= 1. Raising
    it gives a slow member longer to refute and delays every detected death alike."""

    suspicion_max_multiplier: float
    """A suspicion that nobody confirms lasts this many times the shortest one, >= 1. A lone
    accuser is likelier to be the sick one: 6 is the figure of the Lifeguard paper."""

    suspicion_confirmations: int
    """Independent accusers, besides the first, that bring a suspicion down to its shortest time, 0
    to 5. Capped by the number of members that could confirm; 0 always waits the shortest time."""

    gossip_interval_s: float
    """Seconds between two rounds of rumours while there are any, > 0; an idle cluster sends none.
    At most `probe_interval_s`. Halving it nearly halves the time a rumour needs to reach all."""

    gossip_fanout: int
    """Members that each gossip round is sent to, 1 to 16."""

    retransmit_multiplier: int
    """A rumour is sent this many times ceil(log10(n + 1)) by each node, 1 to 16. More of it
    survives more packet loss and costs bandwidth in proportion."""

    reseed_interval_s: float
    """Seconds between attempts at seeds that are not live members and at one random dead member,
    >= `probe_interval_s`. It bounds how long a healed network split stays unnoticed."""

    sync_interval_s: float
    """The least seconds between two table syncs that this node starts because digests differ, > 0.
    Lower repairs missed rumours sooner and costs TCP connections during change."""

    stream_timeout_s: float
    """Seconds after which an unanswered TCP request counts as failed, > 0."""

    stall_s: float
    """Lateness of our own tick, in seconds, beyond which this node was evidently not running and
    judges nobody that round, > 0. Lower trusts a busy machine less and may delay detection."""

    tombstone_s: float
    """Seconds that a dead or left member is remembered, so that stale rumours cannot revive it and
    a dead one is retried; above the longest suspicion. Once over, only seeds heal a split."""

    partition_share: float = 1 / 3
    """Where more than this share of the members, and at least two, are suspect at once, it is rather
    the network than all of them: that is reported, and their suspicions last the longest time, so
    that a short cut costs nobody its membership. Above 0 up to 1; 1 switches that off."""

    health_max: int = 8
    """The worst Lifeguard health score, 0 to 16; timeouts and intervals stretch by score + 1. 0
    switches that off."""

    members_max: int = 16_384
    """Members this node remembers, the dead included, 2 to 65,536. Further names are refused and
    counted, so that forged rumours cannot exhaust memory."""

    rumors_max: int = 4_096
    """Rumours waiting to be passed on, at least 16. The most often sent one gives way; what is lost
    so is repaired by the next sync."""

    def __post_init__(self) -> None:
        for field in fields(self):
            number = getattr(self, field.name)
            if not math.isfinite(number):
                raise ConfigError(f"{field.name} = {number}: must be a finite number")
            if field.name.endswith("_s") and number <= 0:
                raise ConfigError(f"{field.name} = {number}: must be above 0 seconds")
        for name, least, most in _RANGES:
            number = getattr(self, name)
            if not least <= number <= most:
                raise ConfigError(f"{name} = {number}: must lie between {least} and {most}")
        self._refuse_contradictions()

    def _refuse_contradictions(self) -> None:
        if self.probe_interval_s < 2 * self.probe_timeout_s:
            raise ConfigError(
                f"probe_interval_s = {self.probe_interval_s} is below twice probe_timeout_s = {self.probe_timeout_s}: "
                "indirect probes would have no time to answer"
            )
        if self.gossip_interval_s > self.probe_interval_s:
            raise ConfigError(
                f"gossip_interval_s = {self.gossip_interval_s} exceeds probe_interval_s = {self.probe_interval_s}: "
                "a refutation would spread more slowly than the suspicion it answers"
            )
        if self.reseed_interval_s < self.probe_interval_s:
            raise ConfigError(
                f"reseed_interval_s = {self.reseed_interval_s} is below probe_interval_s = {self.probe_interval_s}: "
                "dead members would be retried more often than live ones are probed"
            )
        if self.tombstone_s <= self.conflict_patience_s:
            raise ConfigError(
                f"tombstone_s = {self.tombstone_s} is not above the longest suspicion, {self.conflict_patience_s} s: "
                "a stale rumour could revive a dead member"
            )

    @property
    def conflict_patience_s(self) -> float:
        """How long a name's previous holder may need to be found dead: the longest suspicion of a small cluster."""
        return self.suspicion_multiplier * self.suspicion_max_multiplier * self.probe_interval_s


_RANGES: Final = (
    ("indirect_probes", 0, 16),
    ("suspicion_multiplier", 1, 100),
    ("suspicion_max_multiplier", 1, 100),
    ("suspicion_confirmations", 0, 5),
    ("gossip_fanout", 1, 16),
    ("retransmit_multiplier", 1, 16),
    ("partition_share", 0.01, 1),
    ("health_max", 0, 16),
    ("members_max", 2, 65_536),
    ("rumors_max", 16, 1_000_000),
)

LOCAL: Final = GossipConfig(
    probe_interval_s=0.2,
    probe_timeout_s=0.08,
    indirect_probes=2,
    suspicion_multiplier=3,
    suspicion_max_multiplier=6,
    suspicion_confirmations=1,
    gossip_interval_s=0.05,
    gossip_fanout=3,
    retransmit_multiplier=3,
    reseed_interval_s=2.0,
    sync_interval_s=0.4,
    stream_timeout_s=2.0,
    stall_s=0.1,
    tombstone_s=600.0,
)
"""All nodes on one machine, or a test: quickest, and the least forgiving."""

LAN: Final = GossipConfig(
    probe_interval_s=0.5,
    probe_timeout_s=0.2,
    indirect_probes=3,
    suspicion_multiplier=4,
    suspicion_max_multiplier=6,
    suspicion_confirmations=2,
    gossip_interval_s=0.1,
    gossip_fanout=3,
    retransmit_multiplier=4,
    reseed_interval_s=10.0,
    sync_interval_s=1.0,
    stream_timeout_s=5.0,
    stall_s=0.25,
    tombstone_s=3_600.0,
)
"""One data centre: survives pauses of 2 s and 20 % packet loss."""

WAN: Final = GossipConfig(
    probe_interval_s=3.0,
    probe_timeout_s=1.5,
    indirect_probes=3,
    suspicion_multiplier=5,
    suspicion_max_multiplier=6,
    suspicion_confirmations=3,
    gossip_interval_s=0.4,
    gossip_fanout=4,
    retransmit_multiplier=4,
    reseed_interval_s=30.0,
    sync_interval_s=5.0,
    stream_timeout_s=15.0,
    stall_s=1.5,
    tombstone_s=21_600.0,
)
"""Several regions: round trips of hundreds of milliseconds are ordinary."""

PROFILES: Final[Mapping[str, GossipConfig]] = MappingProxyType({"local": LOCAL, "lan": LAN, "wan": WAN})
"""The profiles by the name that a user writes."""
