"""Settings that one client sets through one node, and what they mean for all nodes."""

import pytest
from redis.asyncio import Redis

from integration.clients import clients
from respcache.testing import Cluster

pytestmark = pytest.mark.integration

KEYS = tuple(f"hash {number}" for number in range(60))
"""Enough that each of four nodes owns some; the chance that one owns none is below 1e-6."""


async def encodings(redis: Redis) -> set[object]:
    """Make hashes of three fields all over the cluster, and say how they are kept."""
    async with redis.pipeline(transaction=False) as pipe:
        for key in KEYS:
            pipe.delete(key)
            pipe.hset(key, mapping={"a": "1", "b": "2", "c": "3"})
            pipe.object("encoding", key)
        replies = await pipe.execute()
    return set(replies[2::3])


async def test_sizes_that_are_set_through_one_node_hold_for_all_keys() -> None:
    """From the reply on, by either name, in a transaction too; and for the keys of a node that joins later."""
    async with Cluster(nodes=3) as cluster:
        await cluster.wait_for_convergence()
        async with clients(cluster.members()) as (first, second, third):
            assert await encodings(third) == {b"listpack"}
            await first.config_set("hash-max-ziplist-entries", 2)
            assert await encodings(second) == {b"hashtable"}
            assert await third.config_get("hash-max-listpack-entries") == {"hash-max-listpack-entries": "2"}

            async with second.pipeline(transaction=True) as pipe:
                pipe.config_set("hash-max-listpack-entries", 3)
                pipe.ping()
                assert await pipe.execute() == [True, True]
            assert await encodings(first) == {b"listpack"}

            await third.config_set("hash-max-listpack-entries", 1, "lfu-log-factor", 7)
        newcomer = await cluster.add_member()
        await cluster.wait_for_convergence(4)
        await cluster.wait_for_copies()
        async with clients([newcomer]) as (fourth,):
            assert await fourth.config_get("lfu-log-factor") == {"lfu-log-factor": "7"}
            assert await encodings(fourth) == {b"hashtable"}


async def test_what_a_machine_can_bear_is_set_for_its_node_alone() -> None:
    """Memory, clients and passwords: a change on one node leaves the others as they were."""
    async with Cluster(nodes=2) as cluster:
        await cluster.wait_for_convergence()
        async with clients(cluster.members()) as (first, second):
            own = {"maxmemory": "104857600", "maxmemory-policy": "allkeys-lru", "maxclients": "77", "timeout": "99"}
            for name, value in own.items():
                await first.config_set(name, value)
            assert await second.config_get(*own) != own
            assert not own.items() & (await second.config_get(*own)).items()


async def test_a_node_that_comes_back_goes_by_what_was_set_meanwhile() -> None:
    """Not by what it was started with, which is its own only while nobody has chosen."""
    async with Cluster(nodes=3, zset_max_listpack_entries=9) as cluster:
        await cluster.wait_for_copies()
        name = cluster.member(2).name
        await cluster.kill(2)
        async with clients(cluster.members()) as (first, _):
            await first.config_set("zset-max-listpack-entries", 4)
        returned = await cluster.add_member(name=name)
        await cluster.wait_for_convergence(3)
        await cluster.wait_for_copies()
        async with clients([returned]) as (third,):
            assert await third.config_get("zset-max-*-entries") == {
                "zset-max-listpack-entries": "4",
                "zset-max-ziplist-entries": "4",
            }
