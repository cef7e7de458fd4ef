"""That nothing is lost and nothing fails while nodes come and go in an orderly way."""

import asyncio

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from integration.clients import client, clients, in_batches, until
from integration.stores import copies, settled, stored, total_bytes
from integration.workload import Workload
from respcache.testing import Cluster

pytestmark = pytest.mark.integration

SEED = 20_26


@pytest.mark.parametrize("replica_count", [1, 2])
async def test_a_node_that_leaves_takes_nothing_with_it(replica_count: int) -> None:
    """From the instant that `close` returns, every key is readable, writable and deletable on the other node."""
    async with Cluster(nodes=2, replica_count=replica_count) as cluster, clients(cluster.members()) as (first, second):
        await in_batches(first, [("SET", f"key:{n}", n, "EX", 1000) for n in range(3000)])
        assert await cluster.close(0)
        replies = await in_batches(second, [("GET", f"key:{n}") for n in range(3000)])
        assert replies == [b"%d" % n for n in range(3000)]
        assert 990 < await second.ttl("key:7") <= 1000
        await cluster.wait_for_convergence(1, timeout_s=1.0)
        assert await in_batches(second, [("SET", f"key:{n}", "again") for n in range(1000)]) == [True] * 1000
        assert await in_batches(second, [("DEL", f"key:{n}") for n in range(3000)]) == [1] * 3000
        assert await second.dbsize() == 0


async def test_a_leave_is_seen_within_a_second() -> None:
    """The others are told, they need not find out."""
    async with Cluster(nodes=3) as cluster:
        loop = asyncio.get_running_loop()
        await cluster.close(1)
        started = loop.time()
        await cluster.wait_for_convergence(2, timeout_s=1.0)
        assert loop.time() - started < 1.0


async def test_a_third_node_joins_under_load_and_nothing_fails() -> None:
    """All see three within 2 s, no command fails or gives a stale reply at any instant, and the old keys move.

    Commands go through all nodes, the new one included.
    """
    async with Cluster(nodes=2) as cluster, clients(cluster.members()) as redis, Workload(SEED) as workload:
        keys = [b"old:%d" % n for n in range(3000)]
        await in_batches(redis[0], [("SET", key, key) for key in keys])
        for node in cluster.members():
            workload.use(node.address)
        async with workload.running() as report:
            started = asyncio.get_running_loop().time()
            third = await cluster.add_member()
            workload.use(third.address)
            await cluster.wait_for_convergence(3, timeout_s=2.0)
            assert asyncio.get_running_loop().time() - started < 2.0
            await cluster.wait_for_copies()
        assert report.failures == []
        await workload.check()
        await until(lambda: settled(cluster.members()), "the keys are spread over all nodes")
        assert sum(stored(third, key) is not None for key in keys) > len(keys) / 3
        assert {len(copies(cluster.members(), key)) for key in keys} == {2}
        async with clients([third]) as (newcomer,):
            assert await in_batches(newcomer, [("GET", key) for key in keys]) == keys


async def test_a_node_leaves_under_load_and_nothing_fails() -> None:
    """No command through the nodes that stay fails or gives a stale reply at any instant of the leave."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis, Workload(SEED) as workload:
        await in_batches(redis[0], [("SET", f"old:{n}", n) for n in range(3000)])
        for node in cluster.members()[:2]:
            workload.use(node.address)
        async with workload.running() as report:
            assert await cluster.close(2)
            await cluster.wait_for_convergence(2, timeout_s=1.0)
        assert report.failures == []
        await workload.check()
        assert await in_batches(redis[1], [("GET", f"old:{n}") for n in range(3000)]) == [
            b"%d" % n for n in range(3000)
        ]


async def test_a_rolling_restart_loses_no_key_and_fails_no_command() -> None:
    """Each of three nodes is closed and a new one added in its place, one after the other, under load."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis, Workload(SEED) as workload:
        await in_batches(redis[0], [("SET", f"old:{n}", n, "EX", 5000) for n in range(3000)])
        for node in cluster.members():
            workload.use(node.address)
        async with workload.running() as report:
            for index in range(3):
                workload.avoid(cluster.member(index).address)
                assert await cluster.close(index)
                await cluster.wait_for_convergence(2, timeout_s=5.0)
                successor = await cluster.add_member()
                await cluster.wait_for_convergence(3, timeout_s=5.0)
                workload.use(successor.address)
        assert report.failures == []
        await workload.check()
        async with clients(cluster.members()) as successors:
            for one in successors:
                replies = await in_batches(one, [("GET", f"old:{n}") for n in range(3000)])
                assert replies == [b"%d" % n for n in range(3000)]
                assert 4900 < await one.ttl("old:1") <= 5000


async def test_what_a_single_node_wrote_outlives_it() -> None:
    """Written on one node, a second one joins, the first one closes: nothing is lost."""
    async with Cluster(nodes=1) as cluster:
        async with clients(cluster.members()) as (redis,):
            await in_batches(redis, [("SET", f"key:{n}", n) for n in range(300)])
        await cluster.add_member()
        assert await cluster.close(0)
        async with clients(cluster.members()) as (redis,):
            assert await in_batches(redis, [("GET", f"key:{n}") for n in range(300)]) == [b"%d" % n for n in range(300)]


async def test_two_nodes_join_at_once_and_one_leaves_meanwhile() -> None:
    """Changes that overlap are sorted out: nothing fails, nothing is lost."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis, Workload(SEED) as workload:
        await in_batches(redis[0], [("SET", f"old:{n}", n) for n in range(2000)])
        for node in cluster.members()[:2]:
            workload.use(node.address)
        async with workload.running() as report:
            left, *_ = await asyncio.gather(cluster.close(2), cluster.add_member(), cluster.add_member())
            assert left
            await cluster.wait_for_convergence(4, timeout_s=5.0)
        assert report.failures == []
        await workload.check()
        for one in redis[:2]:
            assert await in_batches(one, [("GET", f"old:{n}") for n in range(2000)]) == [b"%d" % n for n in range(2000)]


async def test_a_node_that_leaves_right_after_a_crash_takes_nothing_with_it() -> None:
    """It waits for nobody who is dead, and hands over what it alone has, though no lost copy was rebuilt yet."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis:
        await cluster.wait_for_copies()
        await in_batches(redis[0], [("SET", f"key:{n}", n) for n in range(1000)])
        await cluster.kill(1)
        await cluster.wait_for_convergence(2)
        loop = asyncio.get_running_loop()
        started = loop.time()
        assert await cluster.close(2)
        assert loop.time() - started < 5.0
        assert await in_batches(redis[0], [("GET", f"key:{n}") for n in range(1000)]) == [
            b"%d" % n for n in range(1000)
        ]


async def test_clients_of_a_leaving_node_are_served_until_their_connection_ends() -> None:
    """No command is answered with an error; what each client wrote last is there, or one more."""
    acknowledged: dict[str, int] = {}

    async def work(redis: Redis, key: str) -> None:
        try:
            for number in range(1_000_000):
                assert await redis.set(key, number)
                acknowledged[key] = number
        except RedisConnectionError:
            pass  # as it should be, once the node has left

    async with Cluster(nodes=3) as cluster:
        node = cluster.member(1)
        own = [client(node.address) for _ in range(10)]
        working = [asyncio.create_task(work(one, f"client:{number}")) for number, one in enumerate(own)]
        await until(lambda: len(acknowledged) == 10 and min(acknowledged.values()) > 10, "the clients are at work")
        before = dict(acknowledged)
        assert await cluster.close(1)
        await asyncio.gather(*working)
        for one in own:
            await one.aclose()
        assert all(number > before[key] for key, number in acknowledged.items()), "they went on while the node left"
        for key, number in acknowledged.items():
            assert await cluster.member(0).get(key) in {b"%d" % number, b"%d" % (number + 1)}


async def test_the_rate_of_copies_can_be_changed_while_they_are_made() -> None:
    """At a hundredth of what there is a second they would take minutes; clients are served meanwhile."""
    async with Cluster(nodes=1) as cluster, clients(cluster.members()) as (redis,):
        for number in range(300):
            await redis.set(f"key:{number}", bytes(40_000))
        await redis.config_set("rebalance-rate", "100kb")
        assert await redis.config_get("rebalance-rate") == {"rebalance-rate": "102400"}
        second = await cluster.add_member()
        await until(lambda: total_bytes([second]) > 0, "copies are on their way")
        assert await redis.set("key:0", "new")
        assert not settled(cluster.members())
        await redis.config_set("rebalance-rate", "0")
        await cluster.wait_for_copies(10.0)
        assert copies(cluster.members(), b"key:0") == [b"new"] * 2
        assert copies(cluster.members(), b"key:1") == [bytes(40_000)] * 2
