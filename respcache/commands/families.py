"""Every family of commands, imported: with this module the table is full."""

from respcache.commands import (
    clients,
    cluster,
    configuration,
    connection,
    databases,
    documentation,
    expiry,
    hashes,
    info,
    keys,
    latency,
    lists,
    numbers,
    pubsub,
    server,
    sets,
    strings,
)
from respcache.commands.registry import ROWS

__all__ = [
    "ROWS",
    "clients",
    "cluster",
    "configuration",
    "connection",
    "databases",
    "documentation",
    "expiry",
    "hashes",
    "info",
    "keys",
    "latency",
    "lists",
    "numbers",
    "pubsub",
    "server",
    "sets",
    "strings",
]
