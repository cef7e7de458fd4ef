"""The metrics of membership and gossip. All but the tally is as old as the membership thread's last snapshot."""

from collections import Counter
from typing import Final

from respcache.cluster.membership.member import MemberState
from respcache.metrics.histogram import COARSE, distribution
from respcache.metrics.metric import Points, Section, by, counter, counters, gauge, gauges, histogram
from respcache.metrics.sealing import DROPPED_REASONS, dropped
from respcache.metrics.sources import Snapshot


def _members(now: Snapshot) -> Points:
    states = Counter(member.state for member in now.membership.members.values())
    return {(state.name.lower(),): states[state] for state in MemberState}


def _messages(now: Snapshot) -> Points:
    gossip = now.membership.stats
    sides = {"in": gossip.received, "out": gossip.sent}
    return {(side, kind): count for side, counts in sides.items() for kind, count in counts.items()}


def _bytes(now: Snapshot) -> Points:
    traffic = now.sources.traffic()
    return {
        ("in", "udp"): traffic.datagrams_in,
        ("out", "udp"): traffic.datagrams_out,
        ("in", "tcp"): traffic.streams_in,
        ("out", "tcp"): traffic.streams_out,
    }


MEMBERSHIP: Final = Section(
    "Membership and gossip",
    (
        gauges(
            "cluster_members",
            "Members of the cluster as this node sees them, itself included.",
            {"state": "alive, suspect, dead, left"},
            _members,
        ),
        gauge(
            "cluster_members_expected",
            "Members that the cluster waits for; absent unless configured.",
            lambda now: now.config.cluster.expect or None,
        ),
        gauge(
            "cluster_view_fingerprint",
            "A 48-bit hash of the live members: equal on nodes that agree.",
            lambda now: now.membership.digest & (1 << 48) - 1,
        ),
        counters(
            "cluster_state_transitions_total",
            "Changes of the state of members, as this node saw them.",
            {"to": "alive (joined, or answers again), suspect, dead, left"},
            lambda now: by(now.sources.tally.transitions),
        ),
        counter(
            "cluster_flaps_total",
            "Members held dead that turned out to be alive all the time: a split, or a wrong verdict.",
            lambda now: now.sources.tally.flaps,
        ),
        counter(
            "cluster_refutations_total",
            "Rumours of this node's death that it had to deny.",
            lambda now: now.membership.stats.refutations,
        ),
        gauge(
            "gossip_health_score",
            "How much the failure detector distrusts its own node (Lifeguard); 0 is healthy.",
            lambda now: now.membership.health_score,
        ),
        counters(
            "gossip_messages_total",
            "Messages of the membership protocol, over UDP and TCP.",
            {"direction": "in, out", "type": "ping, ack, nack, pingreq, gossip, syncrequest, syncreply, conflict"},
            _messages,
        ),
        counters(
            "gossip_bytes_total",
            "Bytes of the membership protocol.",
            {"direction": "in, out", "transport": "udp, tcp"},
            _bytes,
        ),
        counters(
            "gossip_probes_total",
            "Probes of other members, by how they ended.",
            {"result": "ack, indirect (another node or a TCP connection got through), timeout"},
            lambda now: by(now.membership.stats.probes),
        ),
        histogram(
            "gossip_probe_duration_seconds",
            "How long answered probes took, with all detours.",
            lambda now: distribution(
                now.membership.stats.probe_us_buckets, sum_s=now.membership.stats.probes_s, step=COARSE
            ),
        ),
        gauge(
            "gossip_broadcast_queue_length",
            "Rumours that are still to be passed on.",
            lambda now: now.membership.rumors_queued,
        ),
        counters(
            "gossip_dropped_total",
            "What was dropped unread.",
            {"reason": DROPPED_REASONS},
            dropped,
        ),
        counters(
            "gossip_syncs_total",
            "Comparisons of the whole member list with another node's that this node began.",
            {"result": "done, failed"},
            lambda now: by({result: now.membership.stats.syncs[result] for result in ("done", "failed")}),
        ),
        counter(
            "gossip_stalls_total",
            "Times that this node noticed that it had itself been asleep.",
            lambda now: now.membership.stats.stalls,
        ),
    ),
)
