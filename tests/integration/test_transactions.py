"""Transactions of redis-py, as applications write them, through any node of a cluster."""

import asyncio
from itertools import cycle

import pytest
from redis import Redis as BlockingRedis
from redis import RedisCluster, WatchError
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from integration.clients import clients, until
from integration.stores import owner, settled
from respcache.testing import Cluster, LocalCluster

pytestmark = pytest.mark.integration

CLIENTS = 6
ROUNDS = 15
ACCOUNTS = [f"account:{number}" for number in range(12)]
TOTAL = 100 * len(ACCOUNTS)


@pytest.mark.parametrize("protocol", [2, 3])
def test_pipelines_work_as_they_are(protocol: int) -> None:
    """The default wraps them in MULTI, whatever the keys; replies come in order, errors in their places."""
    with LocalCluster(nodes=3) as cluster:
        for host, port in cluster.addresses:
            with BlockingRedis(host, port, protocol=protocol) as redis:
                with redis.pipeline() as pipeline:
                    for number in range(50):
                        pipeline.set(f"key:{number}", number)
                        pipeline.incr(f"key:{number}")
                    pipeline.hset("hash", mapping={"field": "value"})
                    pipeline.hgetall("hash")
                    pipeline.lpush("hash", "x")
                    pipeline.mget("key:1", "key:2")
                    pipeline.ping()
                    replies = pipeline.execute(raise_on_error=False)
                assert replies[:100] == [reply for number in range(50) for reply in (True, number + 1)]
                assert replies[101] == {b"field": b"value"}
                assert isinstance(replies[102], ResponseError)
                assert replies[103:] == [[b"2", b"3"], True]


def test_redis_cluster_runs_transactions_on_one_slot() -> None:
    """At the owner; keys of several slots it refuses itself."""
    with LocalCluster(nodes=3) as cluster:
        host, port = cluster.addresses[1]
        with RedisCluster(host, port) as redis:
            for number in range(20):
                key = f"{{tag:{number}}}"
                with redis.pipeline(transaction=True) as pipeline:
                    pipeline.set(f"{key}:a", 1)
                    pipeline.incr(f"{key}:a")
                    pipeline.get(f"{key}:a")
                    assert pipeline.execute() == [b"OK", 2, b"2"]


async def test_counters_with_optimistic_locks_are_exact() -> None:
    """Clients of three nodes read, watch and write the same keys, of several owners: no increment is lost."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as nodes:
        await cluster.wait_for_copies()

        async def count(redis: Redis) -> int:
            failed = 0
            for _ in range(ROUNDS):
                while True:
                    async with redis.pipeline() as pipeline:
                        await pipeline.watch("one", "two")
                        one, two = [int(await pipeline.get(key) or 0) for key in ("one", "two")]
                        pipeline.multi()  # type: ignore[no-untyped-call] # redis-py leaves it so
                        pipeline.set("one", one + 1)
                        pipeline.set("two", two + 1)
                        pipeline.incr("third")
                        try:
                            await pipeline.execute()
                            break
                        except WatchError:
                            failed += 1
            return failed

        failed = await asyncio.gather(*(count(redis) for redis, _ in zip(cycle(nodes), range(CLIENTS), strict=False)))
        assert await nodes[0].mget("one", "two", "third") == [b"%d" % (CLIENTS * ROUNDS)] * 3
        assert sum(failed) > 0, "nobody got into anybody's way"


async def test_transfers_are_isolated() -> None:
    """Money moves between accounts of all owners; whoever reads them all in one transaction finds all of it."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as nodes:
        await cluster.wait_for_copies()
        await nodes[0].mset(dict.fromkeys(ACCOUNTS, 100))

        async def transfer(redis: Redis, start: int) -> None:
            for number in range(ROUNDS):
                async with redis.pipeline() as pipeline:
                    pipeline.decrby(ACCOUNTS[(start + number) % len(ACCOUNTS)], 7)
                    pipeline.incrby(ACCOUNTS[(start + 5 * number + 1) % len(ACCOUNTS)], 7)
                    await pipeline.execute()

        async def audit(redis: Redis) -> None:
            for _ in range(ROUNDS):
                async with redis.pipeline() as pipeline:
                    for account in ACCOUNTS:
                        pipeline.get(account)
                    assert sum(map(int, await pipeline.execute())) == TOTAL

        work = [transfer(redis, 4 * start) for start, redis in enumerate((*nodes, *nodes))]
        await asyncio.gather(*work, *(audit(redis) for redis in nodes))


async def test_transactions_on_several_owners_go_on_while_partitions_move() -> None:
    """While a node joins and another leaves none fails or is in doubt, and none is half done."""
    async with Cluster(nodes=2) as cluster, clients(cluster.members()) as nodes:
        await cluster.wait_for_copies()
        moved = asyncio.Event()
        rounds = [0] * 8

        async def write(redis: Redis, writer: int) -> None:
            while not moved.is_set():
                rounds[writer] += 1
                keys = [f"{writer}:{number}" for number in range(6)]
                async with redis.pipeline() as pipeline:
                    for key in keys:
                        pipeline.set(key, rounds[writer])
                    pipeline.mget(keys)
                    assert (await pipeline.execute())[-1] == [b"%d" % rounds[writer]] * len(keys)
                assert not await redis.msetnx({keys[0]: "no", f"{writer}:new": "no"})

        writers = [asyncio.create_task(write(nodes[writer % 2], writer)) for writer in range(len(rounds))]
        for joins in range(3):
            await cluster.add_member()
            await cluster.wait_for_copies()
            await until(lambda: settled(cluster.members()), "the keys are spread over all nodes")
            if joins < 2:
                await cluster.close(2)
                await cluster.wait_for_copies()
        moved.set()
        await asyncio.gather(*writers)
        for writer, last in enumerate(rounds):
            assert await nodes[0].mget(*(f"{writer}:{number}" for number in range(6))) == [b"%d" % last] * 6


async def test_a_watch_does_not_outlive_the_owner() -> None:
    """Keys with a new owner count as changed, though their values are as they were; others do not."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as nodes:
        await cluster.wait_for_copies()
        await until(lambda: settled(cluster.members()), "the keys are spread over all nodes")
        keys = [f"key:{number}" for number in range(30)]
        await nodes[0].mset(dict.fromkeys(keys, 1))
        lost = {key for key in keys if owner(cluster.members(), key.encode()) is cluster.member(2)}
        pipelines = [nodes[number % 2].pipeline() for number in range(len(keys))]
        for pipeline, key in zip(pipelines, keys, strict=True):
            await pipeline.watch(key)
            pipeline.multi()  # type: ignore[no-untyped-call] # redis-py leaves it so
            pipeline.incr(key)
        await cluster.kill(2)
        await cluster.wait_for_convergence(2)
        refused: set[str] = set()
        for pipeline, key in zip(pipelines, keys, strict=True):
            async with pipeline:
                try:
                    await pipeline.execute()
                except WatchError:
                    refused.add(key)
        assert lost
        assert lost <= refused < set(keys)
        assert await nodes[0].mget(keys) == [b"1" if key in refused else b"2" for key in keys]


async def test_a_death_in_the_middle_is_told_and_leaves_each_owner_s_part_whole() -> None:
    """Acknowledged transactions are all there; of the one in doubt each slot's keys have all, or nothing."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as nodes:
        await cluster.wait_for_copies()
        await until(lambda: settled(cluster.members()), "the keys are spread over all nodes")
        done = [0] * 8
        killed: list[int] = []

        async def write(redis: Redis, writer: int) -> str:
            """Go on until some time after the death, or until the first doubt; tell it."""
            while not killed or done[writer] < killed[writer] + 20:
                try:
                    async with redis.pipeline() as pipeline:
                        for tag in range(8):
                            pipeline.set(f"{{{writer}:{tag}}}:a", done[writer] + 1)
                            pipeline.set(f"{{{writer}:{tag}}}:b", done[writer] + 1)
                        await pipeline.execute()
                    done[writer] += 1
                except RedisError as doubt:
                    return str(doubt)
            return ""

        writers = [asyncio.create_task(write(nodes[writer % 2], writer)) for writer in range(len(done))]
        await until(lambda: min(done) >= 10, "all have begun")
        await cluster.kill(2)
        killed += done
        doubts = await asyncio.gather(*writers)
        assert all("UNCERTAIN" in doubt for doubt in doubts if doubt)
        for writer, doubt in enumerate(doubts):
            for tag in range(8):
                one, other = await nodes[0].mget(f"{{{writer}:{tag}}}:a", f"{{{writer}:{tag}}}:b")
                assert one == other
                assert done[writer] <= int(one or 0) <= done[writer] + (doubt != "")
