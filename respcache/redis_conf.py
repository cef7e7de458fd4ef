"""Names from redis.conf that are no options here, for clients, monitors and test suites that ask for them.

Facts have a value that follows from what this server is, and cannot be set to another. Tunings can be set, and are
remembered: they say how Redis does inside what is done otherwise here, and with any value of theirs clients see the
same. What limits clients, or promises that something is safe, is never one of them.
"""

from typing import Final

from msgspec import inspect

from respcache.options import Option

FACTS: Final = {
    "activedefrag": "no",
    "aclfile": "",
    "appendfsync": "no",
    "appendonly": "no",
    "cluster-enabled": "yes",
    "cluster-require-full-coverage": "no",
    "daemonize": "no",
    "dir": "",
    "dbfilename": "",
    "enable-module-command": "no",
    "enable-protected-configs": "no",
    "io-threads": "1",
    "latency-tracking": "yes",
    "latency-tracking-info-percentiles": "50 99 99.9",
    "logfile": "",
    "masterauth": "",
    "masteruser": "",
    "min-replicas-to-write": "0",
    "proto-max-bulk-len": "536870912",
    "replica-read-only": "yes",
    "replica-serve-stale-data": "yes",
    "replicaof": "",
    "save": "",
    "supervised": "no",
    "tcp-backlog": "511",
    "tls-port": "0",
    "unixsocket": "",
}

ALIASES: Final = {
    "busy-reply-threshold": "lua-time-limit",
    "hash-max-ziplist-entries": "hash-max-listpack-entries",
    "hash-max-ziplist-value": "hash-max-listpack-value",
    "list-max-ziplist-size": "list-max-listpack-size",
    "min-slaves-to-write": "min-replicas-to-write",
    "repl-ping-slave-period": "repl-ping-replica-period",
    "slave-lazy-flush": "replica-lazy-flush",
    "slave-read-only": "replica-read-only",
    "slave-serve-stale-data": "replica-serve-stale-data",
    "slaveof": "replicaof",
    "zset-max-ziplist-entries": "zset-max-listpack-entries",
    "zset-max-ziplist-value": "zset-max-listpack-value",
}
"""Other names that settings have in Redis, or had in earlier versions of it and still have besides."""

INT_MAX: Final = 2**31 - 1


def _number(name: str, default: int, *, least: int, most: int = INT_MAX) -> Option:
    return Option("", name.replace("-", "_"), inspect.IntType(ge=least, le=most), default)


def _size(name: str, default: int, *, least: int) -> Option:
    return Option("", f"{name.replace('-', '_')}_bytes", inspect.IntType(ge=least, le=2**63 - 1), default)


def _switch(name: str, *, on: bool) -> Option:
    return Option("", name.replace("-", "_"), inspect.BoolType(), on)


TUNINGS: Final = {
    option.key: option
    for option in (
        _number("active-defrag-cycle-max", 25, least=1, most=99),
        _number("active-defrag-cycle-min", 1, least=1, most=99),
        _size("active-defrag-ignore-bytes", 100 << 20, least=1),
        _number("active-defrag-max-scan-fields", 1000, least=1),
        _number("active-defrag-threshold-lower", 10, least=0, most=1000),
        _number("active-defrag-threshold-upper", 100, least=0, most=1000),
        _number("active-expire-effort", 1, least=1, most=10),
        _switch("activerehashing", on=True),
        _switch("aof-use-rdb-preamble", on=True),
        _number("auto-aof-rewrite-percentage", 100, least=0),
        _switch("dynamic-hz", on=True),
        _switch("jemalloc-bg-thread", on=True),
        _switch("lazyfree-lazy-eviction", on=False),
        _switch("lazyfree-lazy-expire", on=False),
        _switch("lazyfree-lazy-server-del", on=False),
        _switch("lazyfree-lazy-user-del", on=False),
        _switch("lazyfree-lazy-user-flush", on=False),
        _number("list-compress-depth", 0, least=0),
        _number("maxmemory-eviction-tenacity", 10, least=0, most=100),
        _switch("no-appendfsync-on-rewrite", on=False),
        _switch("rdbchecksum", on=True),
        _switch("rdbcompression", on=True),
        _size("repl-backlog-size", 1 << 20, least=1),
        _number("repl-backlog-ttl", 3600, least=0),
        _switch("repl-disable-tcp-nodelay", on=False),
        _switch("repl-diskless-sync", on=True),
        _number("repl-diskless-sync-delay", 5, least=0),
        _number("repl-ping-replica-period", 10, least=1),
        _number("repl-timeout", 60, least=1),
        _switch("replica-lazy-flush", on=False),
        _switch("stop-writes-on-bgsave-error", on=True),
    )
}
"""With Redis' values when nobody says otherwise, and Redis' limits."""
TUNINGS["sanitize-dump-payload"] = Option(
    "", "sanitize_dump_payload", inspect.LiteralType(("clients", "no", "yes")), "no", ("no", "yes", "clients")
)
