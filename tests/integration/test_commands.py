"""That commands on many keys and many nodes have the effect that one Redis would give them."""

import asyncio
import random

import pytest
from redis.asyncio import Redis

from integration.clients import clients, in_batches, until
from integration.stores import copies, owner, settled, total_bytes
from respcache.testing import Cluster

pytestmark = pytest.mark.integration


async def test_expire_through_any_node_leaves_the_value_alone() -> None:
    """EXPIRE and its relatives through a node that does not own the key: value intact, deadline right."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis:
        for number in range(60):
            key = f"key:{number}"
            await redis[0].set(key, f"value {number}")
            assert await redis[number % 3].expire(key, 100)
            for one in redis:
                assert await one.get(key) == f"value {number}".encode()
                assert 95 <= await one.ttl(key) <= 100
            assert await redis[(number + 1) % 3].persist(key)
            assert [await one.ttl(key) for one in redis] == [-1] * 3


async def test_del_of_keys_of_three_owners_deletes_and_counts_all() -> None:
    """60 keys, 60 deleted, 60 reported; the same with those that are not there among them."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis:
        keys = [b"key:%d" % number for number in range(60)]
        await until(lambda: settled(cluster.members()), "the keys are spread over all nodes")
        assert {owner(cluster.members(), key).name for key in keys} == {node.name for node in cluster.members()}
        for place, one in enumerate(redis):
            await one.mset(dict.fromkeys(keys, b"value"))
            assert await one.exists(*keys) == 60
            deleted = await redis[(place + 1) % 3].delete(*keys, b"missing", b"absent")
            assert deleted == 60
            assert await redis[(place + 2) % 3].exists(*keys) == 0
            assert not any(copies(cluster.members(), key) for key in keys)


async def test_a_counter_is_exact_under_three_times_a_thousand_increments() -> None:
    """INCR through three nodes at once, from many connections: 3,000, and no number was handed out twice."""

    async def count(redis: Redis) -> list[int]:
        return [await redis.incr("counter") for _ in range(100)]

    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis:
        numbers = await asyncio.gather(*(count(one) for one in redis for _ in range(10)))
        assert sorted(number for run in numbers for number in run) == list(range(1, 3001))
        assert [await one.get("counter") for one in redis] == [b"3000"] * 3


async def test_memory_is_proportional_to_live_data() -> None:
    """50 keys of 10 KB overwritten 9,000 times: what lies in memory is 50 keys of 10 KB on two nodes."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis:
        await cluster.wait_for_copies()
        for turn in range(180):
            value = b"%d" % turn + b"x" * 10_000
            await in_batches(redis[turn % 3], [("SET", f"key:{number}", value) for number in range(50)])
        assert total_bytes(cluster.members()) < 2 * 50 * 10_010
        for node in cluster.members():
            assert node._runtime is not None
            figures = node._runtime.keeper.figures(asyncio.get_running_loop().time())
            assert figures.pending_effects == 0
            assert figures.pending_bytes == 0


async def test_whole_databases_are_counted_scanned_and_flushed_everywhere() -> None:
    """DBSIZE, KEYS, SCAN and RANDOMKEY see every key once, through any node; FLUSHDB spares the other database."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis:
        keys = {b"key:%d" % number for number in range(500)}
        await redis[0].mset(dict.fromkeys(keys, b"value"))
        for one in redis:
            assert await one.dbsize() == 500
            assert set(await one.keys("key:*")) == keys
            scanned = [key async for key in one.scan_iter(count=50)]
            assert set(scanned) == keys
            assert await one.randomkey() in keys
        commands = [("SELECT", 3), ("SET", "other", "value"), ("FLUSHDB",), ("DBSIZE",), ("SELECT", 0), ("DBSIZE",)]
        assert await in_batches(redis[1], commands) == [True, True, True, 0, True, 500]
        assert await redis[2].flushall()
        assert [await one.dbsize() for one in redis] == [0, 0, 0]


async def test_two_key_commands_work_across_owners() -> None:
    """RENAME, RENAMENX, COPY and MSETNX on keys of different nodes are atomic and keep deadlines."""
    rng = random.Random(11)
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis:
        for turn in range(40):
            source, target = f"source:{rng.random()}", f"target:{rng.random()}"
            one = redis[turn % 3]
            await one.set(source, "value", ex=1000)
            await one.set(target, "older")
            assert not await one.renamenx(source, target)
            assert await one.rename(source, target)
            assert await redis[(turn + 1) % 3].get(target) == b"value"
            assert 990 < await redis[(turn + 2) % 3].ttl(target) <= 1000
            assert await one.exists(source) == 0
            assert await one.copy(target, source)
            assert await redis[(turn + 1) % 3].mget(source, target) == [b"value", b"value"]
            assert not await one.msetnx({f"new:{turn}": "1", source: "2"})
            assert await one.exists(f"new:{turn}") == 0


async def test_msetnx_of_concurrent_clients_is_all_or_nothing() -> None:
    """Of clients that all want the same set of keys of several owners, one gets all of them."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis:
        for turn in range(20):
            keys = [f"lock:{turn}:{number}" for number in range(6)]
            won = await asyncio.gather(
                *(one.msetnx(dict.fromkeys(keys, f"{place}:{n}")) for place, one in enumerate(redis) for n in range(4))
            )
            assert sum(map(bool, won)) == 1
            assert len(set(await redis[0].mget(keys))) == 1


async def test_a_ring_of_renames_loses_no_value() -> None:
    """Clients on all nodes rename one value around the same few keys: it is always in exactly one place."""
    names = [f"place:{number}" for number in range(5)]

    async def shuffle(redis: Redis, seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(40):
            source, target = rng.sample(names, 2)
            reply = await in_batches(redis, [("RENAMENX", source, target)])
            assert reply[0] in {0, 1} or "no such key" in str(reply[0])

    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis:
        await redis[0].set(names[0], "the one")
        await asyncio.gather(*(shuffle(one, seed) for seed, one in enumerate(redis * 2)))
        assert sorted(map(bool, await redis[1].mget(names))) == [False] * 4 + [True]


async def test_replies_keep_the_order_of_requests() -> None:
    """A pipeline of local, relayed, split and refused commands is answered in order."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis:
        commands: list[tuple[object, ...]] = []
        expected: list[object] = []
        for number in range(300):
            commands += [
                ("SET", f"k{number}", number),
                ("ECHO", f"e{number}"),
                ("GET", f"k{number}"),
                ("NOSUCH", number),
            ]
            commands += [("MGET", f"k{number}", "missing"), ("EXISTS", f"k{number}", f"k{number}")]
            expected += [b"OK", f"e{number}".encode(), b"%d" % number, None, [b"%d" % number, None], 2]
        for one in redis:
            replies = await in_batches(one, commands, size=len(commands))
            for words, reply, wanted in zip(commands, replies, expected, strict=True):
                if words[0] == "NOSUCH":
                    assert f"unknown command 'NOSUCH', with args beginning with: '{words[1]}'" in str(reply)
                else:
                    assert (b"OK" if reply is True else reply) == wanted, words
