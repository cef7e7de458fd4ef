"""That a cluster which the network has split becomes one again by itself, and that nodes answer meanwhile."""

import asyncio
import logging
import os
import time
from collections.abc import Sequence

import pytest
from redis.exceptions import ClusterDownError, RedisError, ResponseError, TryAgainError

from integration.clients import clients, cluster_info, in_batches, page, until
from integration.network import cut
from integration.stores import copies, settled
from respcache.cluster.ownership.record import Record
from respcache.node import Node
from respcache.testing import Cluster

pytestmark = pytest.mark.integration

CUT_S = float(os.environ.get("RESPCACHE_TEST_CUT_S", "4"))
"""How long the network stays cut once both sides have given up on each other; 40 for the whole experiment."""

LOST = "what it wrote to them since is gone"
"""What the log says of keys that were dropped."""
ORPHANED = "respcache_rebalance_keys_orphaned_total"


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


@pytest.mark.parametrize("alone", [0, 2])
async def test_where_every_side_goes_on_the_newer_record_wins(alone: int, caplog: pytest.LogCaptureFixture) -> None:
    """Both sides write all keys; then there is one record, what its side wrote, equal copies, and a count of the rest.

    One copy has to be enough to write, for one is what there is on the side of one node.
    """
    split = Cluster(nodes=3, replica_count=3, min_in_sync=1, quorum="any")
    async with split as cluster, clients(cluster.members()) as redis:
        await cluster.wait_for_copies()
        nodes = cluster.members()
        sides = [nodes[alone : alone + 1], [node for node in nodes if node is not nodes[alone]]]
        with cut(*sides):
            await until(lambda: sorted(len(node.members()) for node in nodes) == [1, 2, 2], "two views")
            for side in sides:
                written = [("SET", f"key:{n}", _word(side)) for n in range(300)]
                assert await in_batches(redis[nodes.index(side[0])], written) == [True] * 300
            versions = [_record(side[0]).version for side in sides]
            newer = versions.index(max(versions))
            winner, loser = sides[newer], sides[1 - newer]
            assert [await _orphaned(node) for node in nodes] == [0, 0, 0]
        await cluster.wait_for_convergence(3)
        await until(lambda: len({_record(node).version for node in nodes}) == 1, "one record")
        await cluster.wait_for_copies()
        await until(lambda: settled(nodes), "the keys are spread over all nodes", timeout_s=30.0)
        assert _record(nodes[0]).version > max(versions)
        for one in redis:
            seen = await in_batches(one, [("GET", f"key:{n}") for n in range(300)])
            assert seen == [_word(winner).encode()] * 300
        for n in range(300):
            assert copies(nodes, b"key:%d" % n) == [_word(winner).encode()] * 3
        assert sum([await _orphaned(node) for node in loser]) == 300
        assert [await _orphaned(node) for node in winner] == [0] * len(winner)
    warned = [record.args for record in caplog.records if record.levelno == logging.WARNING and LOST in record.msg]
    assert sum(int(str(words[2])) for words in warned if isinstance(words, tuple)) == 300


async def _orphaned(node: Node) -> int:
    """Read how many keys a node has dropped of which it was the primary."""
    lines = (await page(node.http_address, "/metrics")).splitlines()
    return next(int(float(line.split()[1])) for line in lines if line.startswith(f"{ORPHANED} "))


def _word(side: Sequence[Node]) -> str:
    """Say what a side writes."""
    return "-".join(node.name for node in side)


def _record(node: Node) -> Record:
    assert node._runtime is not None
    record = node._runtime.keeper._register.record
    assert record is not None
    return record


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
