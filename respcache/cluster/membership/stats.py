"""What the membership machine counts about itself: plain integers, read at scrape time."""

from dataclasses import dataclass, field


def _zeros(*names: str) -> dict[str, int]:
    return dict.fromkeys(names, 0)


_MESSAGES = ("ping", "ack", "nack", "pingreq", "gossip", "syncrequest", "syncreply", "conflict")


@dataclass(slots=True)
class GossipStats:
    """Counters since the start; keys never change, values only grow."""

    sent: dict[str, int] = field(default_factory=lambda: _zeros(*_MESSAGES))
    received: dict[str, int] = field(default_factory=lambda: _zeros(*_MESSAGES))
    probes: dict[str, int] = field(default_factory=lambda: _zeros("ack", "indirect", "timeout"))
    """Ended probes: answered directly, answered through a helper or a stream, not answered."""
    dropped: dict[str, int] = field(default_factory=lambda: _zeros("decode", "label", "stale", "full"))
    """Packets that were no packets, came from another cluster or from our own name; names above `members_max`."""
    syncs: dict[str, int] = field(default_factory=lambda: _zeros("started", "done", "failed"))
    refutations: int = 0
    stalls: int = 0
