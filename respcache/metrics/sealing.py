"""The metrics of what keeps outsiders out."""

from collections import Counter
from typing import Final

from respcache.metrics.metric import Points, Section, by, counters, gauge
from respcache.metrics.sources import Snapshot

DROPPED_REASONS: Final = (
    "decode (no packet), oversize (too long for one), label (of another cluster), stale (under this node's own name, "
    "or sealed for a run that has ended), full (of more members than there may be), queue (rumours of too many "
    "members, or packets not sent because nobody is known at the address); where there are keys also plaintext "
    "(not sealed), key (under one that this node does not have), auth (forged, or of another cluster), replay (a copy)"
)


def dropped(now: Snapshot) -> Points:
    """Add up the datagrams that were dropped before and after the seal was opened, by the reason."""
    counts = Counter(now.membership.stats.dropped)
    if now.sources.sealing is not None:
        counts.update(now.sources.sealing.datagrams.dropped)
    return by(counts)


SEALING: Final = Section(
    "Keys of the cluster",
    (
        gauge(
            "cluster_keys",
            "Keys that what nodes say to each other may be sealed with: 0 without encryption, 2 during a rotation.",
            lambda now: 0 if now.sources.sealing is None else len(now.sources.sealing.ring.keys),
        ),
        counters(
            "peer_rejected_total",
            "Connections on the cluster port that were cut for what came in over them, or to make room.",
            {
                "reason": "decode (nonsense), oversize, plaintext (not sealed), key (no key in common), "
                "auth (forged, or of another cluster), reflected (in this node's own name), "
                "crowd (too many that have not said what they are, most of them from its host)"
            },
            lambda now: by(now.sources.rejected()),
        ),
    ),
)
