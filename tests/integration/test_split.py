"""That a cluster which the network has split becomes one again by itself, and that nodes answer meanwhile."""

import asyncio
import os
import time

import pytest
from redis.exceptions import ClusterDownError, RedisError, ResponseError, TryAgainError

from integration.clients import clients, cluster_info, in_batches, page, until
from integration.network import cut
from integration.stores import copies, settled
from respcache.testing import Cluster

pytestmark = pytest.mark.integration

CUT_S = float(os.environ.get("RESPCACHE_TEST_CUT_S", "4"))
"""How long the network stays cut once both sides have given up on each other; 40 for the whole experiment."""


async def test_a_healed_split_is_one_cluster_within_seconds() -> None:
    """All see three again, agree about every key, and have what was there before, after writes on both sides."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis:
        await cluster.wait_for_copies()
        nodes = cluster.members()
        assert await in_batches(redis[0], [("SET", f"before:{n}", n) for n in range(600)]) == [True] * 600
        with cut(nodes[:2], nodes[2:]):
            await until(lambda: [len(node.members()) for node in nodes] == [2, 2, 1], "two views")
            ended = time.monotonic() + CUT_S
            for one in redis:
                await in_batches(one, [("SET", f"during:{n}", f"{id(one)}:{n}") for n in range(300)])
            await until(lambda: time.monotonic() > ended, "the end of the cut", timeout_s=CUT_S + 1)
        await cluster.wait_for_convergence(3)
        await cluster.wait_for_copies()
        await until(lambda: settled(nodes), "the keys are spread over all nodes", timeout_s=30.0)
        seen = [await in_batches(one, [("GET", f"during:{n}") for n in range(300)]) for one in redis]
        assert seen[0] == seen[1] == seen[2]
        for one in redis:
            assert await in_batches(one, [("GET", f"before:{n}") for n in range(600)]) == [
                b"%d" % n for n in range(600)
            ]
        for n in range(300):
            held = copies(nodes, b"during:%d" % n)
            assert held in ([], [seen[0][n]] * 2)


async def test_a_pause_of_the_network_shorter_than_the_detection_is_not_noticed() -> None:
    """Commands wait for it to end; none fails."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis:
        await cluster.wait_for_copies()
        nodes = cluster.members()
        with cut(nodes[:1], nodes[1:]):
            sets = asyncio.gather(*(in_batches(one, [("SET", f"key:{n}", n) for n in range(200)]) for one in redis))
            ended = time.monotonic() + 0.2
            await until(lambda: time.monotonic() > ended, "the end of the cut")
        assert await sets == [[True] * 200] * 3
        await cluster.wait_for_convergence(3)
        for one in redis:
            assert await in_batches(one, [("GET", f"key:{n}") for n in range(200)]) == [b"%d" % n for n in range(200)]


async def test_a_node_without_owners_still_says_how_it_is() -> None:
    """With most keys lost and writes refused, PING, INFO, CLUSTER INFO, CONFIG and metrics answer at once."""
    settings = {"replica_count": 1, "command_timeout_s": 0.5}
    async with Cluster(nodes=3, **settings) as cluster, clients(cluster.members()) as redis:
        await in_batches(redis[0], [("SET", f"key:{n}", n) for n in range(100)])
        await cluster.kill(1)
        await cluster.kill(2)
        await until(lambda: len(cluster.member(0).members()) == 1, "the others are gone")
        survivor = redis[0]
        waiting = [asyncio.create_task(_reply(survivor.set(f"key:{n}", "again"))) for n in range(40)]
        async with asyncio.timeout(1.0):
            assert await survivor.ping()
            assert (await survivor.info("server"))["tcp_port"] == cluster.member(0).address[1]
            assert (await cluster_info(survivor))["cluster_state"] == "fail"
            assert await survivor.config_get("maxclients")
        async with asyncio.timeout(1.0):
            assert "cluster_members" in await page(cluster.member(0).http_address, "/metrics")
            assert await page(cluster.member(0).http_address, "/livez")
        replies = await asyncio.gather(*waiting)
        refused = [reply for reply in replies if isinstance(reply, RedisError)]
        assert refused
        assert {type(reply) for reply in refused} <= {ClusterDownError, TryAgainError}


async def test_a_refused_write_changes_nothing_else() -> None:
    """Commands that are refused leave the node and the connection in order."""
    async with Cluster(nodes=2) as cluster, clients(cluster.members()) as redis:
        await redis[0].set("text", "no number")
        for one in redis:
            for _ in range(50):
                with pytest.raises(ResponseError, match="not an integer"):
                    await one.incr("text")
            assert await one.ping()
            assert await one.info()
            assert await one.get("text") == b"no number"


async def _reply(command: object) -> object:
    """Give the reply to a command, or the error."""
    try:
        return await command  # type: ignore[misc] # redis-py types its commands for both kinds of clients
    except RedisError as failure:
        return failure
