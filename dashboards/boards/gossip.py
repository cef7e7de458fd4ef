"""The board to open when nodes are taken for dead that are not, or the other way round."""

from typing import Final

from boards.grafana import Board, Panel, Query, rate, series

PROBE_BUCKETS: Final = rate("respcache_gossip_probe_duration_seconds_bucket")
VIEWS: Final = f'count_values("view", {series("respcache_cluster_view_fingerprint")})'

HEALTH: Final = (
    Panel(
        title="Different views",
        description="How many different sets of live members nodes believe in. More than 1 for longer is a split.",
        unit="none",
        kind="stat",
        width=6,
        height=4,
        steps=((2, "red"),),
        queries=(Query(f"count({VIEWS})", "views"),),
    ),
    Panel(
        title="Live members",
        description="Members that are alive in the eyes of the node that sees fewest, and of the one that sees most.",
        unit="none",
        kind="stat",
        width=6,
        height=4,
        queries=(
            Query(f"min({series('respcache_cluster_members', state='alive')})", "fewest"),
            Query(f"max({series('respcache_cluster_members', state='alive')})", "most"),
        ),
    ),
    Panel(
        title="Probe time, 99th percentile",
        description="Time within which 99 of 100 answered probes were answered, with all detours.",
        unit="s",
        kind="stat",
        width=6,
        height=4,
        steps=((0.1, "yellow"), (0.5, "red")),
        queries=(Query(f"histogram_quantile(0.99, sum by (le) ({PROBE_BUCKETS}))", "p99"),),
    ),
    Panel(
        title="Worst health score",
        description="How much the node that distrusts itself most does so (Lifeguard); 0 is healthy, 8 is deaf.",
        unit="none",
        kind="stat",
        width=6,
        height=4,
        steps=((1, "yellow"), (4, "red")),
        queries=(Query(f"max({series('respcache_gossip_health_score')})", "worst score"),),
    ),
)

DETECTION: Final = (
    Panel(
        title="Probes by result",
        description="ack: answered at once. indirect: another node or TCP got through. timeout: a suspicion.",
        unit="ops",
        queries=(Query(f"sum by (result) ({rate('respcache_gossip_probes_total')})", "{{result}}"),),
    ),
    Panel(
        title="Probe time",
        description="Half and 99 of 100 answered probes were answered within these.",
        unit="s",
        queries=(
            Query(f"histogram_quantile(0.5, sum by (le) ({PROBE_BUCKETS}))", "median"),
            Query(f"histogram_quantile(0.99, sum by (le) ({PROBE_BUCKETS}))", "99th percentile"),
        ),
    ),
    Panel(
        title="Changes of state",
        description="Members that came to a state, in a second, added up over all nodes that saw it.",
        unit="ops",
        queries=(Query(f"sum by (to) ({rate('respcache_cluster_state_transitions_total')})", "{{to}}"),),
    ),
    Panel(
        title="Health score",
        description="A node that hears too little back distrusts itself, and gives others more time.",
        unit="none",
        queries=(Query(f"max by (instance) ({series('respcache_gossip_health_score')})", "distrust of {{instance}}"),),
    ),
    Panel(
        title="Wrong verdicts",
        description="Deaths that were none, rumours of their own death that nodes denied, and nodes that slept.",
        unit="ops",
        queries=(
            Query(f"sum({rate('respcache_cluster_flaps_total')})", "flaps"),
            Query(f"sum({rate('respcache_cluster_refutations_total')})", "refutations"),
            Query(f"sum({rate('respcache_gossip_stalls_total')})", "stalls"),
        ),
    ),
    Panel(
        title="Event loop lag",
        description="How late each node's event loop is, 99th percentile. Late is not dead: membership has its own.",
        unit="s",
        queries=(
            Query(
                f"histogram_quantile(0.99, sum by (instance, le) ({rate('respcache_event_loop_lag_seconds_bucket')}))",
                "{{instance}}",
            ),
        ),
    ),
)

TRAFFIC: Final = (
    Panel(
        title="Messages sent",
        description="Messages of the membership protocol in a second, over all nodes.",
        unit="ops",
        queries=(Query(f"sum by (type) ({rate('respcache_gossip_messages_total', direction='out')})", "{{type}}"),),
    ),
    Panel(
        title="Bytes sent by a node",
        description="Mean over the nodes. It does not grow with the cluster, but for syncs over TCP after changes.",
        unit="Bps",
        queries=(
            Query(f"avg by (transport) ({rate('respcache_gossip_bytes_total', direction='out')})", "{{transport}}"),
        ),
    ),
    Panel(
        title="Comparisons of whole views",
        description="Syncs over TCP in a second: at joins, and where two nodes' views differ.",
        unit="ops",
        queries=(Query(f"sum by (result) ({rate('respcache_gossip_syncs_total')})", "syncs: {{result}}"),),
    ),
    Panel(
        title="Rumours waiting",
        description="News that nodes have still to pass on.",
        unit="none",
        width=12,
        queries=(
            Query(
                f"max by (instance) ({series('respcache_gossip_broadcast_queue_length')})", "waiting at {{instance}}"
            ),
        ),
    ),
    Panel(
        title="Dropped unread",
        description="Packets that were dropped, by the reason. Any at all are worth a look at who sends them.",
        unit="ops",
        width=12,
        queries=(Query(f"sum by (reason) ({rate('respcache_gossip_dropped_total')})", "dropped: {{reason}}"),),
    ),
)

GOSSIP: Final = Board(
    uid="respcache-gossip",
    title="respcache / Gossip",
    description="Who is taken for alive, how sure nodes are of it, and what that costs.",
    panels=(*HEALTH, *DETECTION, *TRAFFIC),
    events=(
        Query(
            f"sum by (to) (increase({series('respcache_cluster_state_transitions_total', to='dead|left')}[1m])) > 0",
            "Members died or left",
        ),
    ),
)
