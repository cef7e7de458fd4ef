"""Every metric that a node exports, declared once: name, meaning, labels, and how it is read.

No label ever holds what clients chose (keys, addresses, user names, texts of errors), and
histograms are by class of command: so a node has a few hundred series, whatever it is
used for. State sets have a series for each value, also where it is 0.
"""

import platform
from math import inf
from time import time
from typing import Final

from respcache.commands.registry import ROWS, Command, Flags
from respcache.metrics.histogram import COARSE, added, distribution
from respcache.metrics.membership import MEMBERSHIP
from respcache.metrics.metric import (
    Metric,
    Points,
    Section,
    by,
    counter,
    counters,
    gauge,
    gauges,
    histogram,
    histograms,
)
from respcache.metrics.ownership import OWNERSHIP
from respcache.metrics.pubsub import PUBSUB
from respcache.metrics.readiness import SENTENCES
from respcache.metrics.scripts import SCRIPTS
from respcache.metrics.sealing import SEALING
from respcache.metrics.sources import Snapshot
from respcache.metrics.watching import WATCHING

ERROR_CODES: Final = (
    "BUSY",
    "BUSYGROUP",
    "BUSYKEY",
    "CLUSTERDOWN",
    "CROSSSLOT",
    "ERR",
    "EXECABORT",
    "INVALIDOBJ",
    "MOVED",
    "NOAUTH",
    "NOGROUP",
    "NOPROTO",
    "NOREPLICAS",
    "NOSCRIPT",
    "NOTBUSY",
    "OOM",
    "TRYAGAIN",
    "UNBLOCKED",
    "UNCERTAIN",
    "UNKILLABLE",
    "WRONGPASS",
    "WRONGTYPE",
)
"""Prefixes of error replies that are told apart; all others are `other`."""

CLASSES: Final = ("read", "write", "multikey", "pubsub", "admin")
"""Classes of commands, see `class_of`."""


def class_of(row: Command) -> str:
    """Put a command into one of CLASSES: by what its duration depends on."""
    if Flags.PUBSUB in row.flags:
        return "pubsub"
    if row.on_keys is not None or (row.on_script is not None and row.keys.names_keys):
        return "multikey"
    if row.key_at:
        return "write" if row.writes else "read"
    return "admin"


def family_of(row: Command) -> str:
    """Give the `command` label: subcommands count as the command that they belong to."""
    return row.name.partition("|")[0].lower()


def _build_info(now: Snapshot) -> Points:
    return {(now.sources.version, platform.python_version(), now.sources.event_loop): 1}


def _node_info(now: Snapshot) -> Points:
    return {(now.sources.name, now.config.cluster.label, now.config.cluster.zone): 1}


def _node_state(now: Snapshot) -> Points:
    current = now.sources.state()
    return {(state,): state == current for state in SENTENCES}


def _calls(now: Snapshot) -> Points:
    return _by_command(now.stats.calls, 1)


def _durations_s(now: Snapshot) -> Points:
    return _by_command(now.stats.duration_ns, 1e-9)


def _by_command(figures: list[int], factor: float) -> Points:
    """Add up by command; those that were never called have no series."""
    totals: dict[str, int] = {}
    for row in ROWS:
        if figures[row.index]:
            name = family_of(row)
            totals[name] = totals.get(name, 0) + figures[row.index]
    return by({name: total * factor for name, total in totals.items()})


def _durations_by_class(now: Snapshot) -> Points:
    stats = now.stats
    indices: dict[str, list[int]] = {name: [] for name in CLASSES}
    for row in ROWS:
        indices[class_of(row)].append(row.index)
    return {
        (name,): distribution(
            added([stats.durations[index] for index in members]),
            sum_s=sum(stats.duration_ns[index] for index in members) / 1e9,
        )
        for name, members in indices.items()
        if members
    }


def _errors(now: Snapshot) -> Points:
    errors = now.stats.errors
    counts = {code: errors.get(code, 0) for code in ERROR_CODES}
    counts["other"] = sum(errors.values()) - sum(counts.values())
    return by(counts)


NODE: Final = Section(
    "Node",
    (
        gauges(
            "build_info",
            "What this node is made of; always 1.",
            {
                "version": "of the program",
                "python": "version of the interpreter",
                "event_loop": "`asyncio` or `uvloop`",
            },
            _build_info,
        ),
        gauges(
            "node_info",
            "What this node is called; always 1. To be joined with `* on (instance) group_left (node)`.",
            {"node": "name in the cluster", "cluster": "the configured label", "zone": "the configured zone"},
            _node_info,
        ),
        gauges("node_state", "1 for the state that the node is in.", {"state": ", ".join(SENTENCES)}, _node_state),
        gauge(
            "ready",
            "1 if clients should be sent here: the node once had its copies, and holds a lease now; as /readyz says.",
            lambda now: now.sources.readiness().ready,
        ),
        histogram(
            "event_loop_lag_seconds",
            "How late the event loop ran what was due, measured 4 times a second.",
            lambda now: distribution(now.sources.lag.buckets, sum_s=now.sources.lag.sum_s, step=COARSE),
        ),
        counter(
            "gc_pauses_seconds_total",
            "Time in which the process collected garbage and nothing else ran.",
            lambda now: sum(now.stats.garbage.paused_ns) / 1e9,
        ),
        gauge(
            "gc_pause_longest_seconds",
            "The longest of these pauses since the node has started.",
            lambda now: max(now.stats.garbage.longest_ns) / 1e9,
        ),
    ),
)

CLIENTS: Final = Section(
    "Clients",
    (
        gauge("client_connections", "Clients connected now.", lambda now: len(now.clients)),
        gauge(
            "clients_blocked",
            "Clients whose command waits for a key.",
            lambda now: sum(session.is_blocked for session in now.clients),
        ),
        gauge("client_connections_max", "Clients that may be connected.", lambda now: now.config.server.maxclients),
        counter("client_connections_accepted_total", "Clients let in.", lambda now: now.stats.connections_accepted),
        counters(
            "client_connections_rejected_total",
            "Clients sent away.",
            {"reason": "maxclients, protected, tls, draining"},
            lambda now: by(now.stats.connections_rejected),
        ),
        counters(
            "client_disconnects_total",
            "Connections that ended.",
            {"reason": "client, idle, output_limit, protocol, killed, drain, evicted"},
            lambda now: by(now.stats.disconnects),
        ),
        counter("client_input_bytes_total", "Bytes read from clients.", lambda now: now.stats.input_bytes),
        counter("client_output_bytes_total", "Bytes written to clients.", lambda now: now.stats.output_bytes),
        gauge(
            "client_output_buffer_bytes",
            "Replies that slow clients have not read yet.",
            lambda now: sum(session.unread_bytes for session in now.clients),
        ),
        counter("auth_failures_total", "Wrong passwords.", lambda now: now.stats.auth_failures),
        counter(
            "protocol_errors_total",
            "Connections ended because what came in was no RESP.",
            lambda now: now.stats.protocol_errors,
        ),
    ),
)

COMMANDS: Final = Section(
    "Commands",
    (
        counters(
            "commands_total",
            "Commands run, where the client is connected and, if relayed, at the owner of the key too.",
            {"command": "name in small letters, without subcommand; no series before the first call"},
            _calls,
        ),
        counters(
            "commands_duration_seconds_total",
            "Time spent in commands; divided by commands_total, the mean.",
            {"command": "as above"},
            _durations_s,
        ),
        counters(
            "command_errors_total",
            "Error replies.",
            {"code": "first word of the reply: " + ", ".join((*ERROR_CODES, "other"))},
            _errors,
        ),
        histograms(
            "command_duration_seconds",
            "Time that a command took on this node, without waiting for other nodes.",
            {
                "class": "read and write (one key), multikey (several keys, a whole database, scripts), pubsub, "
                "admin (no keys); a class without commands has no series"
            },
            _durations_by_class,
        ),
        counter(
            "pipeline_batches_total",
            "Reads from clients that held commands; commands_total by this is the depth of pipelines.",
            lambda now: now.stats.batches,
        ),
    ),
)

KEYSPACE: Final = Section(
    "Keys",
    (
        gauges(
            "keys",
            "Keys held in memory. The sum of the primary ones over all nodes is the number of keys.",
            {"role": "primary (served here), replica (copies)"},
            lambda now: by({"primary": now.primary.keys, "replica": now.replica.keys}),
        ),
        gauges(
            "keys_with_expiry",
            "Of these, the keys that have a time to live.",
            {"role": "as above"},
            lambda now: by({"primary": now.primary.expiring, "replica": now.replica.expiring}),
        ),
        counter(
            "keyspace_hits_total",
            "Keys that reading commands found. Counted at the key's owner, once over all nodes.",
            lambda now: now.sources.store.ledger.lookups - now.sources.store.ledger.misses,
        ),
        counter(
            "keyspace_misses_total",
            "Keys that reading commands did not find. Counted at the key's owner, once over all nodes.",
            lambda now: now.sources.store.ledger.misses,
        ),
        counters(
            "keys_expired_total",
            "Keys deleted because their time was over.",
            {"mode": "lazy (a command touched them), active (looked for in the background)"},
            lambda now: by(
                {"lazy": now.sources.store.ledger.expired_lazy, "active": now.sources.store.ledger.expired_active}
            ),
        ),
        counter(
            "fields_expired_total",
            "Fields of hashes whose own time was over.",
            lambda now: now.sources.store.ledger.expired_fields,
        ),
        counter(
            "keys_evicted_total",
            "Keys deleted because memory was short.",
            lambda now: now.sources.store.ledger.evicted,
        ),
        gauge(
            "memory_used_bytes",
            "What the keys and values that this node holds take, copies included: an estimate.",
            lambda now: now.sources.store.ledger.weight_bytes,
        ),
        gauge(
            "memory_max_bytes",
            "What they may take; 0 for no limit.",
            lambda now: now.config.server.maxmemory_bytes,
        ),
    ),
)

REPLICATION: Final = Section(
    "Replication and rebalancing",
    (
        counters(
            "replication_effects_total",
            "Effects of writes, sent to copies or received from primaries.",
            {"direction": "in, out", "result": "sent, applied, refused"},
            lambda now: {
                ("out", "sent"): now.keeper.effects_out_total,
                ("in", "applied"): now.keeper.effects_in_total,
                ("in", "refused"): now.keeper.effects_refused_total,
            },
        ),
        histogram(
            "replication_ack_duration_seconds",
            "Time from sending effects to their acknowledgement by a copy. Has no _sum and no _count.",
            lambda now: distribution(now.keeper.ack_us_buckets, sum_s=None, step=COARSE),
        ),
        gauge(
            "replication_lag_seconds",
            "Age of the oldest effects that a copy has not acknowledged; 0 if there are none.",
            lambda now: now.keeper.lag_s,
        ),
        gauge(
            "replication_pending_effects",
            "Effects that copies have not acknowledged.",
            lambda now: now.keeper.pending_effects,
        ),
        gauge(
            "replication_pending_bytes",
            "Bytes of effects that copies have not acknowledged.",
            lambda now: now.keeper.pending_bytes,
        ),
        gauge(
            "replication_arriving_bytes",
            "Bytes of large effects of which parts have come, and that are not complete.",
            lambda now: now.keeper.arriving_bytes,
        ),
        gauges(
            "replication_pending_bytes_max",
            "Bytes that copies may have yet to acknowledge before writes wait.",
            {"scope": "peer (of one other node), node (of all together)"},
            lambda now: by(
                {
                    "peer": now.config.cluster.peer_unacked_limit_bytes,
                    "node": now.config.cluster.unacked_limit_bytes,
                }
            ),
        ),
        gauge(
            "replication_backpressure",
            "1 while writes wait because copies have yet to acknowledge too many.",
            lambda now: int(now.keeper.pressed),
        ),
        counters(
            "writes_rejected_total",
            "Writes refused at the owner of the key, certainly not done.",
            {
                "reason": "oom (memory is short), quorum (too few copies in sync), unacked (copies have yet to "
                "acknowledge too many)"
            },
            lambda now: by(now.stats.writes_rejected),
        ),
        counters(
            "replicas_dropped_total",
            "Copies that were taken out of sync.",
            {"reason": "slow (acknowledged nothing for too long), differs (from its primary, found by a comparison)"},
            lambda now: by({"slow": now.keeper.demoted_slow_total, "differs": now.keeper.demoted_differing_total}),
        ),
        counter(
            "replication_checks_total",
            "Partitions whose copies were compared with their primary; counted by that.",
            lambda now: now.keeper.checks_total,
        ),
        gauges(
            "rebalance_active",
            "1 while copies of partitions are being made.",
            {"direction": "in, out"},
            lambda now: by({"in": now.keeper.copies_in_pending > 0, "out": now.keeper.copies_out_pending > 0}),
        ),
        gauge(
            "rebalance_last_completed_timestamp_seconds",
            "When the last making of copies in the cluster ended, in Unix time; 0 if there was none.",
            lambda now: 0.0 if now.keeper.rebalance_ended_ago_s == inf else time() - now.keeper.rebalance_ended_ago_s,
        ),
        gauge(
            "rebalance_last_duration_seconds",
            "How long that took.",
            lambda now: now.keeper.rebalance_duration_s,
        ),
        gauges(
            "rebalance_partitions_pending",
            "Copies of partitions that are being made, or wait to be.",
            {"direction": "in, out"},
            lambda now: by({"in": now.keeper.copies_in_pending, "out": now.keeper.copies_out_pending}),
        ),
        counters(
            "rebalance_keys_moved_total",
            "Keys that were copied with their partitions.",
            {"direction": "in, out"},
            lambda now: by({"in": now.keeper.keys_in_total, "out": now.keeper.keys_out_total}),
        ),
        counters(
            "rebalance_bytes_moved_total",
            "Bytes of these copies.",
            {"direction": "in, out"},
            lambda now: by({"in": now.keeper.bytes_in_total, "out": now.keeper.bytes_out_total}),
        ),
        counter(
            "rebalance_keys_dropped_total",
            "Keys deleted here because their partition belongs to other nodes now.",
            lambda now: now.keeper.dropped_keys_total,
        ),
        counter(
            "rebalance_keys_orphaned_total",
            "Those of them that this node was the primary of when it was cut off and others took them over: what it "
            "alone has written to them since, where each side of a split goes on, is lost.",
            lambda now: now.keeper.orphaned_keys_total,
        ),
    ),
)

RELAYING: Final = Section(
    "Between the nodes",
    (
        counter("forwards_total", "Commands relayed to another node.", lambda now: now.stats.forwards),
        counters(
            "forward_errors_total",
            "Commands that the other node did not answer for.",
            {"reason": "refused (it is not the owner any more), remote (the connection broke)"},
            lambda now: by({reason: now.stats.forward_errors[reason] for reason in ("refused", "remote")}),
        ),
        counters(
            "redirects_total",
            "Commands answered with the address of the owner.",
            {"kind": "moved"},
            lambda now: by({"moved": now.stats.redirects}),
        ),
        gauge("peer_connections", "Links to other nodes that stand.", lambda now: len(now.sources.links)),
        counter("peer_reconnects_total", "Links dialled anew after a break.", lambda now: now.sources.links.reconnects),
    ),
)

CATALOGUE: Final = (
    NODE,
    CLIENTS,
    PUBSUB,
    WATCHING,
    SCRIPTS,
    COMMANDS,
    KEYSPACE,
    MEMBERSHIP,
    OWNERSHIP,
    REPLICATION,
    RELAYING,
    SEALING,
)
"""All sections, in the order of the documentation."""


def metrics() -> tuple[Metric, ...]:
    """List all metrics."""
    return tuple(metric for section in CATALOGUE for metric in section.metrics)
