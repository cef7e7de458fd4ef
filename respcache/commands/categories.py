"""How Redis sorts commands: the group of each, and the ACL categories that follow from group and flags.

Pure and without the table: `registry` asks when it makes a row.
"""

from typing import Final

GROUPS: Final = {
    "bitmaps": "bitmap",
    "blocking_lists": "list",
    "blocking_sorted_sets": "sorted-set",
    "clients": "connection",
    "cluster": "cluster",
    "connection": "connection",
    "dumps": "generic",
    "expiry": "generic",
    "geo": "geo",
    "hash_fields": "hash",
    "hashes": "hash",
    "hyperloglogs": "hyperloglog",
    "keys": "generic",
    "keyspace": "generic",
    "lists": "list",
    "numbers": "string",
    "pubsub": "pubsub",
    "scan": "generic",
    "functions": "scripting",
    "scripting": "scripting",
    "sets": "set",
    "sorted_set_algebra": "sorted-set",
    "sorted_set_ranges": "sorted-set",
    "sorted_sets": "sorted-set",
    "sorting": "generic",
    "stream_groups": "stream",
    "stream_info": "stream",
    "stream_reads": "stream",
    "streams": "stream",
    "strings": "string",
    "subsequences": "string",
    "tracking": "connection",
    "transactions": "transactions",
    "waits": "generic",
}
"""Redis' groups by the module that a command stands in; the modules left out hold commands on the server."""

OF_GROUP: Final = {
    "bitmap": "bitmap",
    "connection": "connection",
    "generic": "keyspace",
    "geo": "geo",
    "hash": "hash",
    "hyperloglog": "hyperloglog",
    "list": "list",
    "scripting": "scripting",
    "set": "set",
    "sorted-set": "sortedset",
    "stream": "stream",
    "string": "string",
    "transactions": "transaction",
}
"""The category that all commands of a group share; server and cluster have none, pubsub has it by flag."""

OF_FLAG: Final = {
    "write": ("write",),
    "readonly": ("read",),
    "admin": ("admin", "dangerous"),
    "pubsub": ("pubsub",),
    "blocking": ("blocking",),
}
"""The categories that a flag brings with it."""

BEYOND: Final = {
    "ASKING": ("connection",),
    "COMMAND": ("connection",),
    "DBSIZE": ("keyspace",),
    "FLUSHALL": ("keyspace", "dangerous"),
    "FLUSHDB": ("keyspace", "dangerous"),
    "INFO": ("dangerous",),
    "KEYS": ("dangerous",),
    "LASTSAVE": ("admin", "dangerous"),
    "MIGRATE": ("dangerous",),
    "READONLY": ("connection",),
    "READWRITE": ("connection",),
    "RESTORE": ("dangerous",),
    "ROLE": ("admin", "dangerous"),
    "SORT": ("set", "sortedset", "list", "dangerous"),
    "SORT_RO": ("set", "sortedset", "list", "dangerous"),
    "SWAPDB": ("keyspace", "dangerous"),
    "WAIT": ("connection",),
    "WAITAOF": ("connection",),
}
"""What Redis adds by hand, by name; a family's subcommands have it too."""

APART: Final = frozenset({"SORT", "SORT_RO", "WAIT", "WAITAOF"})
"""What has no share in its group's category."""

CATEGORIES: Final = (
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
)
"""All categories, in the order in which Redis lists them."""


def group_of(module: str) -> str:
    """Name the group of the commands in a module, given by its dotted name."""
    return GROUPS.get(module.rpartition(".")[2], "server")


def categories_of(name: str, group: str, flags: frozenset[str], *, is_family: bool) -> tuple[str, ...]:
    """List the ACL categories of a command in Redis' order.

    A family that does nothing by itself has no share in its group's category.
    """
    found = {"fast" if "fast" in flags else "slow"}
    for flag in flags:
        found.update(OF_FLAG.get(flag, ()))
    if group == "scripting":
        found.discard("read")  # what a script does is for its commands to say
    if group in OF_GROUP and not is_family and name not in APART:
        found.add(OF_GROUP[group])
    found.update(BEYOND.get(name.partition("|")[0], ()))
    return tuple(category for category in CATEGORIES if category in found)
