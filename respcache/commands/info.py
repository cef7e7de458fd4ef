"""INFO: the figures of this node under the section and field names of Redis.

Monitors parse this text by those names. Fields stand here whose figure is known, and
those which monitors require and which are constants of this server: it has no snapshots,
no append-only file, and no replicas in Redis' sense.
"""

import os
import platform
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

from respcache.cluster.topology import NodeView
from respcache.commands.registry import ROWS, Command, Flags, command
from respcache.commands.session import Host, Session
from respcache.errors import echoed
from respcache.reply import Reply, Verbatim
from respcache.stats import DURATION_BUCKETS
from respcache.store.keyspace import Keyspace
from respcache.store.partition import Argv
from respcache.store.scale import KEYSPACE_BYTES
from respcache.version import REDIS_VERSION, __version__

Fields: TypeAlias = dict[str, object]

PERCENTILES: Final = (50.0, 99.0, 99.9)
"""Of latencies, as in the setting `latency-tracking-info-percentiles`."""
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
MACHINE_BYTES: Final = os.sysconf("SC_PHYS_PAGES") * PAGE_BYTES
RSS_UNIT_BYTES: Final = 1 if sys.platform == "darwin" else 1024
"""What `ru_maxrss` counts in."""
MEMORY_MAP: Final = Path("/proc/self/statm")
HUMAN_UNITS: Final = ("B", "K", "M", "G", "T", "P")


@command("INFO", arity=-1, flags=Flags.LOADING | Flags.STALE, since="1.0.0")
def info(session: Session, argv: Argv) -> Reply:
    """Return the figures of this node, all or those of the given sections."""
    wanted = {argument.lower().decode("utf-8", "replace") for argument in argv[1:]} or {"default"}
    if wanted & {"all", "everything"}:
        names = wanted | (set(SECTIONS) - OWN)
    else:
        names = wanted | (set(SECTIONS) - RARE - OWN if "default" in wanted else set())
    texts = [_section(name, fields(session.host)) for name, fields in SECTIONS.items() if name in names]
    return Verbatim("\r\n".join(texts).encode())


def percentile_us(histogram: list[int], percent: float) -> int:
    """Give the bound in microseconds below which `percent` of the durations lie, within a factor of two."""
    needed, seen = sum(histogram) * percent / 100, 0
    for bucket, count in enumerate(histogram):
        seen += count
        if seen >= needed:
            return 1 << bucket
    return 1 << DURATION_BUCKETS


def _section(name: str, fields: Fields) -> str:
    title = TITLES.get(name, name.capitalize())
    return f"# {title}\r\n" + "".join(f"{field}:{figure}\r\n" for field, figure in fields.items())


def _server(host: Host) -> Fields:
    now_unix_us = host.now_unix_us()
    uptime_s = max(0, now_unix_us // 1_000_000 - host.started_unix_s)
    return {
        "redis_version": REDIS_VERSION.decode(),
        "respcache_version": __version__,
        "redis_mode": "cluster",
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
        "arch_bits": sys.maxsize.bit_length() + 1,
        "python_version": platform.python_version(),
        "process_id": os.getpid(),
        "run_id": host.run_id,
        "tcp_port": host.port,
        "server_time_usec": now_unix_us,
        "uptime_in_seconds": uptime_s,
        "uptime_in_days": uptime_s // 86_400,
        "hz": host.config.server.hz,
        "configured_hz": host.config.server.hz,
        "executable": sys.executable,
        "config_file": "",
    }


def _clients(host: Host) -> Fields:
    sessions = host.sessions()
    return {
        "connected_clients": len(sessions),
        "cluster_connections": 0,
        "maxclients": host.config.server.maxclients,
        "client_recent_max_input_buffer": 0,
        "client_recent_max_output_buffer": max((session.unread_bytes for session in sessions), default=0),
        "blocked_clients": sum(session.is_blocked for session in host.sessions()),
        "tracking_clients": len(host.tracking.clients.sessions),
    }


def _memory(host: Host) -> Fields:
    """Take what keys and values weigh for the memory in use: that is what `maxmemory` is about."""
    resident, _ = resident_bytes()
    ledger, server = host.store.ledger, host.config.server
    used, peak = ledger.weight_bytes, max(ledger.weight_bytes, ledger.peak_bytes)
    overhead = min(used, ledger.databases_weighed * KEYSPACE_BYTES)
    return {
        "used_memory": used,
        "used_memory_human": _human(used),
        "used_memory_rss": resident,
        "used_memory_rss_human": _human(resident),
        "used_memory_peak": peak,
        "used_memory_peak_human": _human(peak),
        "used_memory_peak_perc": f"{100 * used / max(1, peak):.2f}%",
        "used_memory_overhead": overhead,
        "used_memory_dataset": used - overhead,
        "total_system_memory": MACHINE_BYTES,
        "total_system_memory_human": _human(MACHINE_BYTES),
        **_scripts(host),
        "maxmemory": server.maxmemory_bytes,
        "maxmemory_human": _human(server.maxmemory_bytes),
        "maxmemory_policy": server.maxmemory_policy,
        "mem_fragmentation_ratio": f"{resident / max(1, used):.2f}",
        "mem_fragmentation_bytes": resident - used,
        "mem_not_counted_for_evict": 0,
        "mem_clients_normal": sum(session.unread_bytes for session in host.sessions()),
        "mem_allocator": "libc",
        "lazyfree_pending_objects": len(ledger.rubbish),
    }


def _scripts(host: Host) -> Fields:
    figures = host.catalogue.figures()
    machines = figures.script_memory_bytes + figures.function_memory_bytes
    known = figures.scripts_bytes + figures.libraries_bytes
    return {
        "used_memory_lua": figures.script_memory_bytes,
        "used_memory_vm_eval": figures.script_memory_bytes,
        "used_memory_lua_human": _human(figures.script_memory_bytes),
        "used_memory_scripts_eval": figures.scripts_bytes,
        "number_of_cached_scripts": figures.scripts,
        "number_of_functions": figures.functions,
        "number_of_libraries": figures.libraries,
        "used_memory_vm_functions": figures.function_memory_bytes,
        "used_memory_vm_total": machines,
        "used_memory_vm_total_human": _human(machines),
        "used_memory_functions": figures.libraries_bytes,
        "used_memory_scripts": known,
        "used_memory_scripts_human": _human(known),
    }


def _persistence(_host: Host) -> Fields:
    return {
        "loading": 0,
        "async_loading": 0,
        "rdb_changes_since_last_save": 0,
        "rdb_bgsave_in_progress": 0,
        "rdb_last_save_time": 0,
        "rdb_last_bgsave_status": "ok",
        "aof_enabled": 0,
        "aof_rewrite_in_progress": 0,
        "aof_last_bgrewrite_status": "ok",
        "aof_last_write_status": "ok",
    }


def _stats(host: Host) -> Fields:
    stats, ledger, rates = host.stats, host.store.ledger, host.rates
    channels, patterns, sharded = host.exchange.audiences.names_here
    cached = host.tracking.clients
    return {
        "total_connections_received": stats.connections_accepted,
        "total_commands_processed": sum(stats.calls),
        "instantaneous_ops_per_sec": round(rates.commands_per_s),
        "total_net_input_bytes": stats.input_bytes,
        "total_net_output_bytes": stats.output_bytes,
        "instantaneous_input_kbps": f"{rates.input_bytes_per_s / 1024:.2f}",
        "instantaneous_output_kbps": f"{rates.output_bytes_per_s / 1024:.2f}",
        "rejected_connections": sum(stats.connections_rejected.values()),
        "sync_full": 0,
        "sync_partial_ok": 0,
        "sync_partial_err": 0,
        "expired_keys": ledger.expired_lazy + ledger.expired_active,
        "expired_fields": ledger.expired_fields,
        "evicted_keys": ledger.evicted,
        "evicted_clients": stats.disconnects["evicted"],
        "keyspace_hits": ledger.lookups - ledger.misses,
        "keyspace_misses": ledger.misses,
        "pubsub_channels": channels,
        "pubsub_patterns": patterns,
        "pubsubshard_channels": sharded,
        "latest_fork_usec": 0,
        "total_forks": 0,
        "tracking_total_keys": len(cached),
        "tracking_total_items": cached.items,
        "tracking_total_prefixes": len(cached.prefixes),
        "total_error_replies": sum(stats.errors.values()),
        "total_reads_processed": stats.batches,
        "acl_access_denied_auth": stats.auth_failures,
        "relayed_commands": stats.forwards,
        "redirected_commands": stats.redirects,
        "gc_collections": sum(stats.garbage.collections),
        "gc_full_collections": stats.garbage.collections[-1],
        "gc_paused_usec": sum(stats.garbage.paused_ns) // 1000,
        "gc_longest_pause_usec": max(stats.garbage.longest_ns) // 1000,
    }


def _replication(_host: Host) -> Fields:
    return {
        "role": "master",
        "connected_slaves": 0,
        "master_failover_state": "no-failover",
        "master_replid": "0" * 40,
        "master_replid2": "0" * 40,
        "master_repl_offset": 0,
        "second_repl_offset": -1,
        "repl_backlog_active": 0,
        "repl_backlog_size": 0,
    }


def _cpu(_host: Host) -> Fields:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "used_cpu_sys": f"{own.ru_stime:.6f}",
        "used_cpu_user": f"{own.ru_utime:.6f}",
        "used_cpu_sys_children": f"{children.ru_stime:.6f}",
        "used_cpu_user_children": f"{children.ru_utime:.6f}",
    }


def _commandstats(host: Host) -> Fields:
    stats = host.stats
    return {f"cmdstat_{row.name.lower()}": _command_figures(host, row) for row in ROWS if stats.calls[row.index]}


def _command_figures(host: Host, row: Command) -> str:
    stats, index = host.stats, row.index
    run = max(0, stats.calls[index] - stats.rejected[index])
    spent_us = stats.duration_ns[index] // 1000
    return (
        f"calls={run},usec={spent_us},usec_per_call={spent_us / max(1, run):.2f},"
        f"rejected_calls={stats.rejected[index]},failed_calls={stats.failed[index]}"
    )


def _errorstats(host: Host) -> Fields:
    return {f"errorstat_{prefix}": f"count={count}" for prefix, count in sorted(host.stats.errors.items())}


def _latencystats(host: Host) -> Fields:
    histograms = {row.name.lower(): host.stats.durations[row.index] for row in ROWS}
    return {
        f"latency_percentiles_usec_{name}": ",".join(
            f"p{percent:g}={percentile_us(histogram, percent):.3f}" for percent in PERCENTILES
        )
        for name, histogram in histograms.items()
        if any(histogram)
    }


def _cluster(host: Host) -> Fields:
    served = sum(len(partition.values) for space in host.store.used() for partition in space.served())
    held = sum(len(partition.values) for space in host.store.used() for partition in space.partitions)
    name = next((node.name for node in host.topology() if node.myself), host.config.cluster.name)
    health = host.health()
    replica_count = host.config.cluster.replica_count
    copies: Fields = {}
    if health is not None:
        redundancy = health.redundancy
        replica_count = redundancy.replica_count
        copies = {
            "cluster_copies_wanted": redundancy.wanted,
            "cluster_copies_missing": redundancy.missing,
            "cluster_copies_under_way": redundancy.under_way,
            "cluster_partitions_without_copy": redundancy.partitions_bare,
            "cluster_lease_held": int(health.leased),
        }
    return {
        "cluster_enabled": 1,
        "cluster_node_name": name,
        "cluster_node_zone": host.config.cluster.zone,
        "cluster_replica_count": replica_count,
        "cluster_served_keys": served,
        "cluster_copied_keys": held - served,
        **copies,
    }


def _members(host: Host) -> Fields:
    """Describe a node a line, as Redis does its replicas. The name stands last: it may have commas."""
    known = [node for node in host.topology() if node.state != "left"]
    return {f"member{number}": _member(node) for number, node in enumerate(known)}


def _member(node: NodeView) -> str:
    address = f"[{node.host}]:{node.port}" if ":" in node.host else f"{node.host}:{node.port}"
    slots = sum(last - first + 1 for first, last in node.slots)
    return f"address={address},state={node.state},slots={slots},name={echoed(node.name.encode())}"


def _keyspace(host: Host) -> Fields:
    now_unix_ms = host.store.ledger.now_unix_ms
    return dict(_databases(host.store.used(), now_unix_ms))


def _databases(spaces: list[Keyspace], now_unix_ms: int) -> Iterator[tuple[str, str]]:
    """Count the keys served here; the average time to live is estimated from one key of each partition."""
    for space in spaces:
        partitions = space.served()
        keys = sum(len(partition.values) for partition in partitions)
        expires = sum(len(partition.expires) for partition in partitions)
        volatile = sum(len(partition.volatile) for partition in partitions)
        lives_ms = [
            next(iter(partition.expires.values())) - now_unix_ms for partition in partitions if partition.expires
        ]
        average_ms = sum(max(0, life_ms) for life_ms in lives_ms) // len(lives_ms) if lives_ms else 0
        if keys:
            told = f"keys={keys},expires={expires},avg_ttl={average_ms},keys_with_volatile_items={volatile}"
            yield f"db{space.number}", told


SECTIONS: Final[dict[str, Callable[[Host], Fields]]] = {
    "server": _server,
    "clients": _clients,
    "memory": _memory,
    "persistence": _persistence,
    "stats": _stats,
    "replication": _replication,
    "cpu": _cpu,
    "modules": lambda _host: {},
    "commandstats": _commandstats,
    "errorstats": _errorstats,
    "latencystats": _latencystats,
    "cluster": _cluster,
    "members": _members,
    "keyspace": _keyspace,
}
"""All sections, in Redis' order."""

TITLES: Final = {"cpu": "CPU"}

RARE: Final = {"commandstats", "latencystats"}
"""Sections that are given only if asked for."""
OWN: Final = {"members"}
"""Sections that Redis does not have: ALL does not stand for them."""


def resident_bytes() -> tuple[int, int]:
    """Give the memory of the process now and at most; where there is no /proc the latter stands for both."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT_BYTES
    if not MEMORY_MAP.exists():
        return peak, peak
    resident = int(MEMORY_MAP.read_text(encoding="ascii").split()[1]) * PAGE_BYTES
    return resident, max(peak, resident)


def _human(count: int) -> str:
    """Write bytes as Redis does: 1.50K, 2.00M."""
    amount, unit = float(count), 0
    while amount >= 1024 and unit < len(HUMAN_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{amount:.2f}{HUMAN_UNITS[unit]}" if unit else f"{count}B"
