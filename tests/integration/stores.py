"""Looks into the stores of nodes, past everything that could hide a missing copy."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

from respcache.cluster.ownership.planner import TargetCache
from respcache.node import Node
from respcache.store.partition import Partition
from respcache.store.texts import Text, whole
from respcache.store.values import Value

TARGETS: Final = TargetCache()
"""Kept, for it takes milliseconds to find one, on the loop of the nodes that are looked at."""


def partition(node: Node, key: bytes, database: int = 0) -> Partition:
    """Find where a node keeps a key, if it does."""
    assert node._runtime is not None
    return node._runtime.store.keyspace(database).at(key)


def stored(node: Node, key: bytes, database: int = 0) -> Value | None:
    """Give what lies in a node's own memory under a key; strings as bytes, however they are kept."""
    value = partition(node, key, database).values.get(key)
    return whole(value) if isinstance(value, Text) else value


def copies(nodes: Sequence[Node], key: bytes, database: int = 0) -> list[Value]:
    """Give what each node that has the key has under it."""
    found = (stored(node, key, database) for node in nodes)
    return [value for value in found if value is not None]


def owner(nodes: Sequence[Node], key: bytes) -> Node:
    """Find the node that serves a key; there must be exactly one."""
    serving = [node for node in nodes if partition(node, key).serving]
    assert len(serving) == 1, f"{key!r} is served by {[node.name for node in serving]}"
    return serving[0]


def voters(node: Node) -> int:
    """How many nodes the record is agreed among, as a node knows it."""
    assert node._runtime is not None
    return node._runtime.keeper.figures(asyncio.get_running_loop().time()).voters


def settled(nodes: Sequence[Node]) -> bool:
    """Tell whether every partition is where the ring wants it, in the eyes of all nodes."""
    for node in nodes:
        assert node._runtime is not None
        record = node._runtime.keeper._register.record
        if record is None:
            return False
        for entry, wanted in zip(record.entries, TARGETS(record), strict=True):
            if entry.learners or set(entry.in_sync) != set(wanted) or entry.primary != wanted[0]:
                return False
    return True


def key_of(nodes: Sequence[Node], node: Node, prefix: str = "key") -> bytes:
    """Make a key that a given node serves."""
    for number in range(10_000):
        key = f"{prefix}:{number}".encode()
        if owner(nodes, key) is node:
            return key
    raise AssertionError(f"{node.name} serves nothing")


def total_bytes(nodes: Iterable[Node]) -> int:
    """Add up the sizes of all string values in memory."""
    total = 0
    for node in nodes:
        assert node._runtime is not None
        for keyspace in node._runtime.store.used():
            for part in keyspace.partitions:
                total += sum(len(value) for value in part.values.values())
    return total
