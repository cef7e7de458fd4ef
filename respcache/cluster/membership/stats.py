"""What the membership machine counts about itself: plain integers, read at scrape time."""

from dataclasses import dataclass, field
from typing import Final


def _zeros(*names: str) -> dict[str, int]:
    return dict.fromkeys(names, 0)


_MESSAGES = ("ping", "ack", "nack", "pingreq", "gossip", "syncrequest", "syncreply", "conflict")

PROBE_BUCKETS: Final = 32


@dataclass(slots=True)
class GossipStats:
    """Counters since the start; keys never change, values only grow."""

    sent: dict[str, int] = field(default_factory=lambda: _zeros(*_MESSAGES))
    received: dict[str, int] = field(default_factory=lambda: _zeros(*_MESSAGES))
    probes: dict[str, int] = field(default_factory=lambda: _zeros("ack", "indirect", "timeout"))
    """Ended probes: answered directly, answered through a helper or a stream, not answered."""
    dropped: dict[str, int] = field(
        default_factory=lambda: _zeros("decode", "oversize", "label", "stale", "full", "queue")
    )
    """Packets that were no packets, came from another cluster or from our own name; names above `members_max`;
    rumours above `rumors_max`."""
    syncs: dict[str, int] = field(default_factory=lambda: _zeros("started", "done", "failed"))
    probe_us_buckets: list[int] = field(default_factory=lambda: [0] * PROBE_BUCKETS)
    """Answered probes, directly or not, by how long the answer took: bucket i counts those from 2**(i-1) to
    below 2**i microseconds, the last one also all above."""
    probes_s: float = 0.0
    """What answered probes took together."""
    refutations: int = 0
    stalls: int = 0

    def answered(self, took_s: float) -> None:
        """Count how long an answered probe took."""
        self.probe_us_buckets[min(int(took_s * 1e6).bit_length(), PROBE_BUCKETS - 1)] += 1
        self.probes_s += took_s
