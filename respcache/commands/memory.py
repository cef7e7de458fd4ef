"""MEMORY: what keys, values and the node take."""

import gc
import sys
from typing import Final

from respcache.commands.arguments import integer, option
from respcache.commands.info import resident_bytes
from respcache.commands.registry import Flags, KeySpec, command, family, key_command
from respcache.commands.session import Host, Session
from respcache.errors import SyntaxRefused
from respcache.reply import OK, Reply, Verbatim
from respcache.store.partition import Argv, Partition
from respcache.store.scale import KEYSPACE_BYTES
from respcache.store.values import size_bytes

SAMPLES: Final = 5
"""Elements that MEMORY USAGE looks at unless told otherwise, as in Redis."""
DICT_ENTRY_BYTES: Final = 104
"""What a key takes in a dict at two thirds full: hash, key and value pointers, and its share of the index."""
SMALL_BYTES: Final = 5 * 1024 * 1024
"""With less than that there is nothing to be told of memory."""
PEAK_RATIO: Final = 1.5
RESIDENT_RATIO: Final = 3.0
"""How much more than keys and values weigh the process may hold: Python's own memory, and what was freed lately."""
FULL_RATIO: Final = 0.9
UNREAD_MAX_BYTES: Final = 32 * 1024 * 1024

family("MEMORY", since="4.0.0", group="server", help_since="4.0.0")


@key_command("MEMORY|USAGE", arity=-3, flags=Flags.READONLY, since="4.0.0", keys=KeySpec(2, 2, 1))
def memory_usage(partition: Partition, argv: Argv) -> Reply:
    """Estimate the bytes that a key and its value take, or return null."""
    samples = SAMPLES
    if len(argv) > 3 and (len(argv) != 5 or option(argv[3]) != b"SAMPLES" or (samples := integer(argv[4])) < 0):
        raise SyntaxRefused
    key = argv[2]
    value = partition.value(key)
    return None if value is None else DICT_ENTRY_BYTES + sys.getsizeof(key) + size_bytes(value, samples)


@command("MEMORY|STATS", arity=2, flags=Flags.NONE, since="4.0.0")
def memory_stats(session: Session, argv: Argv) -> Reply:
    """Return what this node takes, by what it is for."""
    del argv
    host = session.host
    figures = Figures(host)
    keys = sum([len(partition.values) for space in host.store.used() for partition in space.partitions])
    total, dataset = figures.total_bytes, figures.total_bytes - figures.overhead_bytes
    stats: dict[Reply, Reply] = {
        b"peak.allocated": figures.peak_bytes,
        b"total.allocated": total,
        b"startup.allocated": 0,
        b"replication.backlog": 0,
        b"clients.slaves": 0,
        b"clients.normal": figures.unread_bytes,
        b"aof.buffer": 0,
    }
    for space in host.store.used():
        stats[b"db.%d" % space.number] = {b"overhead.hashtable.main": KEYSPACE_BYTES}
    stats |= {
        b"overhead.total": figures.overhead_bytes,
        b"keys.count": keys,
        b"keys.bytes-per-key": dataset // keys if keys else 0,
        b"dataset.bytes": dataset,
        b"dataset.percentage": 100 * dataset / max(1, total),
        b"peak.percentage": 100 * total / max(1, figures.peak_bytes),
        b"fragmentation": figures.resident_bytes / max(1, total),
        b"fragmentation.bytes": figures.resident_bytes - total,
    }
    return stats


@command("MEMORY|DOCTOR", arity=2, flags=Flags.NONE, since="4.0.0")
def memory_doctor(session: Session, argv: Argv) -> Reply:
    """Say what is remarkable about the memory of this node, and what to do about it."""
    del argv
    figures, limit_bytes = Figures(session.host), session.host.config.server.maxmemory_bytes
    if figures.total_bytes < SMALL_BYTES and not limit_bytes:
        return Verbatim(b"This node holds next to nothing, so there is nothing to say of its memory.\n")
    found: list[str] = []
    if limit_bytes and figures.total_bytes > FULL_RATIO * limit_bytes:
        found.append("Keys and values weigh nearly as much as maxmemory allows: raise it, or add nodes.")
    if figures.peak_bytes > PEAK_RATIO * figures.total_bytes:
        found.append("There was much more at some time; the process may hold memory that it does not use any more.")
    if figures.resident_bytes > RESIDENT_RATIO * figures.total_bytes + SMALL_BYTES * 20:
        found.append("The process takes much more than keys and values weigh: look at clients, scripts and the peak.")
    if figures.unread_bytes > UNREAD_MAX_BYTES:
        found.append("Clients have not read many of their replies: look for omem in CLIENT LIST.")
    report = "".join(f"- {remark}\n" for remark in found) or "Nothing is remarkable about the memory of this node.\n"
    return Verbatim(report.encode())


@command("MEMORY|MALLOC-STATS", arity=2, flags=Flags.NONE, since="4.0.0")
def memory_malloc_stats(session: Session, argv: Argv) -> Reply:
    """Say that the allocator tells nothing, as Redis does without jemalloc."""
    del session, argv
    return Verbatim(b"Stats not supported for the current allocator")


@command("MEMORY|PURGE", arity=2, flags=Flags.NONE, since="4.0.0")
def memory_purge(session: Session, argv: Argv) -> Reply:
    """Look for cycles among all objects, those included that are spared otherwise; that takes its time.

    Anything else that nobody refers to has been freed at once.
    """
    del session, argv
    gc.unfreeze()
    gc.collect()
    return OK


class Figures:
    """What a node takes, in bytes."""

    __slots__ = ("overhead_bytes", "peak_bytes", "resident_bytes", "total_bytes", "unread_bytes")

    def __init__(self, host: Host) -> None:
        ledger = host.store.ledger
        self.total_bytes: Final = ledger.weight_bytes
        """Keys and values, and the tables that they are in, estimated: what `maxmemory` is about."""
        self.peak_bytes: Final = max(ledger.weight_bytes, ledger.peak_bytes)
        self.overhead_bytes: Final = min(ledger.weight_bytes, ledger.databases_weighed * KEYSPACE_BYTES)
        """Of the total: what databases take though they are empty."""
        self.resident_bytes: Final = resident_bytes()[0]
        """The whole process."""
        self.unread_bytes: Final = sum([session.unread_bytes for session in host.sessions()])
        """Replies that clients have not read."""
