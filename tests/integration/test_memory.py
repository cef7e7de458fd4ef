"""That nodes stay within their limits under pressure, and that copies agree with their primaries meanwhile."""

import asyncio
import random

import pytest
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from integration.clients import clients, in_batches, until
from integration.stores import copies
from respcache.node import Node
from respcache.store.keyspace import Keyspace
from respcache.testing import Cluster

pytestmark = pytest.mark.integration

LIMIT_BYTES = 2_500_000
TOLERANCE = 1.06
"""Of the limit: what comes in with a batch, and from primaries, before keys have gone."""
VALUE_BYTES = 2_000
KEYS = 6_000
"""With two copies each they would take 28 MB on three nodes."""


def space(node: Node) -> Keyspace:
    """Look into the store of a node."""
    assert node._runtime is not None
    return node._runtime.store.keyspace(0)


def agree(nodes: list[Node]) -> bool:
    """Tell whether each partition holds the same on the two nodes that have it, and nothing on the third."""
    for parts in zip(*(space(node).partitions for node in nodes), strict=True):
        [primary] = [part for part in parts if part.serving] or [None]
        held = sorted(parts, key=lambda part: len(part.values))
        if primary is None or held[0].values or held[1].values != held[2].values:
            return False
    return True


async def fill(redis: Redis, seed: int) -> None:
    """Set keys by chance, some of them to expire, and read some."""
    rng = random.Random(seed)
    for start in range(0, KEYS // 3, 50):
        commands: list[tuple[object, ...]] = []
        for number in range(start, start + 50):
            commands += [
                ("SET", f"key:{seed}:{number}", rng.randbytes(rng.randrange(2 * VALUE_BYTES))),
                ("GET", f"key:{rng.randrange(3)}:{rng.randrange(number + 1)}"),
            ]
        replies = await in_batches(redis, commands)
        assert replies[::2] == [True] * 50


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu"])
async def test_three_nodes_stay_within_their_limits_and_their_copies_agree(policy: str) -> None:
    """Ten times as much as fits, written through all three nodes at once: no write fails, and nothing differs."""
    async with (
        Cluster(nodes=3, maxmemory_bytes=LIMIT_BYTES, maxmemory_policy=policy) as cluster,
        clients(cluster.members()) as redis,
    ):
        await cluster.wait_for_copies()
        nodes = cluster.members()
        peaks = [0, 0, 0]

        async def watch() -> None:
            while True:
                for number, node in enumerate(nodes):
                    peaks[number] = max(peaks[number], space(node).ledger.weight_bytes)
                await asyncio.sleep(0.01)  # a sample, no condition

        watching = asyncio.create_task(watch())
        await asyncio.gather(*(fill(one, seed) for seed, one in enumerate(redis)))
        watching.cancel()
        assert max(peaks) <= LIMIT_BYTES * TOLERANCE, peaks
        assert min(peaks) > LIMIT_BYTES * 0.8, peaks
        await until(lambda: agree(nodes), "all copies agree")
        evicted = [space(node).ledger.evicted for node in nodes]
        assert all(evicted), evicted
        held = sum(len(part.values) for node in nodes for part in space(node).partitions if part.serving)
        assert held == KEYS - sum(evicted)  # counted at one moment, for keys still go


async def test_a_full_owner_refuses_writes_through_any_node() -> None:
    """With noeviction: what its own node may take does not matter, the owner's does; nothing was written."""
    async with Cluster(nodes=3, replica_count=1) as cluster, clients(cluster.members()) as redis:
        await cluster.wait_for_copies()
        nodes = cluster.members()
        await redis[0].mset({f"key:{number}": "v" for number in range(300)})
        await redis[1].config_set("maxmemory", 1)
        of_full = {key for part in space(nodes[1]).partitions for key in part.values}
        others = {f"key:{number}".encode() for number in range(300)} - of_full
        assert of_full
        assert others
        for one in redis:
            for key in sorted(of_full)[:20]:
                with pytest.raises(OutOfMemoryError, match="command not allowed when used memory > 'maxmemory'"):
                    await one.set(key, "w")
                assert await one.get(key) == b"v"
            for key in sorted(others)[:20]:
                assert await one.set(key, "w")
        full, other = min(of_full), min(others)
        for one in redis[::2]:
            with pytest.raises(OutOfMemoryError):
                await one.msetnx({b"new" + other: "1", b"{%b}new" % full: "2"})
        assert copies(nodes, b"new" + other) == []


@pytest.mark.parametrize(
    ("policy", "use", "much"),
    [("allkeys-lru", "IDLETIME", 5_000), ("allkeys-lfu", "FREQ", 200)],
)
async def test_how_a_key_was_used_goes_with_it_to_another_node(policy: str, use: str, much: int) -> None:
    """The owner leaves, and hands its keys to a node that has never had them: what was cold, or hot, still is."""
    async with Cluster(nodes=1, maxmemory_policy=policy, replica_count=1) as cluster:
        first = cluster.member(0)
        async with clients([first]) as (redis,):
            for key, value in (("small", b"v"), ("large", b"v" * 300_000)):
                await redis.set(key, value)
                await redis.execute_command(  # type: ignore[no-untyped-call] # as redis-py has it
                    "RESTORE", key, 0, await redis.dump(key), "REPLACE", use, much
                )
                await redis.set(f"new {key}", value)
            second = await cluster.add_member()
            assert await cluster.close(0)
        async with clients([second]) as (redis,):
            for key in ("small", "large"):
                assert await redis.object(use, key) >= much - 1  # a count goes down at the turn of a minute
                assert await redis.object(use, f"new {key}") < much / 2
