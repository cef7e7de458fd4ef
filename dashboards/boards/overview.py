"""The board to open first: is the cluster well, what does it do, and which node differs."""

from typing import Final

from boards.grafana import Board, Panel, Query, rate, series

BUCKETS: Final = rate("respcache_command_duration_seconds_bucket")
HITS: Final = f"sum({rate('respcache_keyspace_hits_total')})"
MISSES: Final = f"sum({rate('respcache_keyspace_misses_total')})"

CHANGES: Final = series("respcache_ownership_changes_total", kind="failover|handover|members|unclean")
"""All but `isr`: copies come and go with every move of a partition."""

HEALTH: Final = (
    Panel(
        title="Live members",
        description="Nodes that are alive in the eyes of the node that sees most of them.",
        unit="none",
        kind="stat",
        width=3,
        height=4,
        queries=(Query(f"max({series('respcache_cluster_members', state='alive')})", "alive"),),
    ),
    Panel(
        title="Ready nodes",
        description="Nodes that want to be sent clients: they have their copies, and a lease.",
        unit="none",
        kind="stat",
        width=3,
        height=4,
        queries=(Query(f"sum({series('respcache_ready')})", "ready"),),
    ),
    Panel(
        title="Operations",
        description="Commands a second, over all nodes. A relayed command counts at both of its nodes.",
        unit="ops",
        kind="stat",
        width=3,
        height=4,
        queries=(Query(f"sum({rate('respcache_commands_total')})", "commands"),),
    ),
    Panel(
        title="Hit ratio",
        description="Keys found, of the keys that reading commands looked for.",
        unit="percentunit",
        kind="stat",
        width=3,
        height=4,
        queries=(Query(f"{HITS} / ({HITS} + {MISSES})", "hits"),),
    ),
    Panel(
        title="Latency, 99th percentile",
        description="Time that 99 of 100 commands stay below inside a node, without the network and other nodes.",
        unit="s",
        kind="stat",
        width=3,
        height=4,
        steps=((0.005, "yellow"), (0.05, "red")),
        queries=(Query(f"histogram_quantile(0.99, sum by (le) ({BUCKETS}))", "p99"),),
    ),
    Panel(
        title="Keys",
        description="Keys in the cluster, each counted once however many copies it has.",
        unit="short",
        kind="stat",
        width=3,
        height=4,
        queries=(Query(f"sum({series('respcache_keys', role='primary')})", "keys"),),
    ),
    Panel(
        title="Memory",
        description="Resident memory of all node processes. Nodes that share a process each count all of it.",
        unit="bytes",
        kind="stat",
        width=3,
        height=4,
        queries=(Query(f"sum({series('process_resident_memory_bytes')})", "resident"),),
    ),
    Panel(
        title="Partitions in danger",
        description="Partitions with too few copies, and partitions that no node serves.",
        unit="none",
        kind="stat",
        width=3,
        height=4,
        steps=((1, "red"),),
        queries=(
            Query(f"sum({series('respcache_ring_partitions_under_replicated')})", "too few copies"),
            Query(f"sum({series('respcache_ring_partitions_unowned')})", "not served"),
        ),
    ),
)

WORK: Final = (
    Panel(
        title="Operations by class",
        description="Commands a second. multikey: several keys or a whole database; admin: no keys.",
        unit="ops",
        queries=(Query(f"sum by (class) ({rate('respcache_command_duration_seconds_count')})", "{{class}}"),),
    ),
    Panel(
        title="Latency by class, 99th percentile",
        description="Time inside a node, without the network and other nodes. Buckets double, so steps are coarse.",
        unit="s",
        queries=(Query(f"histogram_quantile(0.99, sum by (class, le) ({BUCKETS}))", "{{class}}"),),
    ),
    Panel(
        title="Hits and misses",
        description="Keys that reading commands looked for, in a second.",
        unit="ops",
        queries=(Query(HITS, "hits"), Query(MISSES, "misses")),
    ),
    Panel(
        title="Busiest commands",
        description="The ten commands that are called most.",
        unit="ops",
        queries=(Query(f"topk(10, sum by (command) ({rate('respcache_commands_total')}))", "{{command}}"),),
    ),
    Panel(
        title="Error replies",
        description="Errors that clients got in a second, by the first word of the reply.",
        unit="ops",
        queries=(Query(f"sum by (code) ({rate('respcache_command_errors_total')})", "{{code}}"),),
    ),
    Panel(
        title="Client traffic",
        description="Bytes a second from and to clients.",
        unit="Bps",
        queries=(
            Query(f"sum({rate('respcache_client_input_bytes_total')})", "in"),
            Query(f"sum({rate('respcache_client_output_bytes_total')})", "out"),
        ),
    ),
)

CLUSTER: Final = (
    Panel(
        title="Members by state",
        description="For each state, the most members that any node sees in it. Suspects and dead should be rare.",
        unit="none",
        queries=(Query(f"max by (state) ({series('respcache_cluster_members')})", "{{state}}"),),
    ),
    Panel(
        title="Share of the partitions",
        description="Part of all partitions that each node is the primary of. Lines should lie close together.",
        unit="percentunit",
        queries=(Query(f"max by (instance) ({series('respcache_ring_ownership_ratio')})", "{{instance}}"),),
    ),
    Panel(
        title="Replication",
        description="How fast copies acknowledge writes, and the age of the oldest write that waits for it.",
        unit="s",
        queries=(
            Query(
                f"histogram_quantile(0.99, sum by (le) ({rate('respcache_replication_ack_duration_seconds_bucket')}))",
                "acknowledged, 99th percentile",
            ),
            Query(f"max({series('respcache_replication_lag_seconds')})", "oldest waiting"),
        ),
    ),
    Panel(
        title="Commands between nodes",
        description="Commands a second that were relayed to the owner of the key, or answered with its address.",
        unit="ops",
        width=12,
        queries=(
            Query(f"sum({rate('respcache_forwards_total')})", "relayed"),
            Query(f"sum({rate('respcache_redirects_total')})", "redirected"),
            Query(f"sum by (reason) ({rate('respcache_forward_errors_total')})", "not answered: {{reason}}"),
        ),
    ),
    Panel(
        title="Partitions on the move",
        description="Copies of partitions that are being made or wait for it, on the side that receives them.",
        unit="none",
        width=12,
        queries=(
            Query(
                f"sum by (instance) ({series('respcache_rebalance_partitions_pending', direction='in')})",
                "to {{instance}}",
            ),
        ),
    ),
)

EACH_NODE: Final = Panel(
    title="Nodes",
    description="One row a node. Lag: how late its event loop is, 99th percentile.",
    unit="none",
    kind="table",
    width=24,
    units={"ops/s": "ops", "Memory": "bytes", "Lag": "s", "Keys": "short", "Uptime": "s"},
    queries=(
        Query(f"max by (instance, node, zone) ({series('respcache_node_info')})", "Node"),
        Query(f"max by (instance) ({series('respcache_ready')})", "Ready"),
        Query(f"time() - max by (instance) ({series('process_start_time_seconds')})", "Uptime"),
        Query(f"sum by (instance) ({series('respcache_client_connections')})", "Clients"),
        Query(f"sum by (instance) ({rate('respcache_commands_total')})", "ops/s"),
        Query(f"sum by (instance) ({series('respcache_keys', role='primary')})", "Keys"),
        Query(f"sum by (instance) ({series('respcache_ring_partitions', role='primary')})", "Partitions"),
        Query(f"sum by (instance) ({series('process_resident_memory_bytes')})", "Memory"),
        Query(
            f"histogram_quantile(0.99, sum by (instance, le) ({rate('respcache_event_loop_lag_seconds_bucket')}))",
            "Lag",
        ),
    ),
)

OVERVIEW: Final = Board(
    uid="respcache-overview",
    title="respcache / Overview",
    description="All nodes of a respcache cluster at a glance.",
    panels=(*HEALTH, *WORK, *CLUSTER, EACH_NODE),
    events=(
        Query(
            f"sum by (kind) (increase({CHANGES}[1m])) > 0",
            "Owners of partitions changed",
        ),
    ),
)
