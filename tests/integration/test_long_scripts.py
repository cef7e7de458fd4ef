"""Scripts that run for long, on real nodes: the node goes on, they can be ended, and copies get all or nothing."""

import asyncio

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from integration.clients import clients, command, until
from integration.stores import copies, owner, settled
from respcache.cluster.ownership.slots import partition_of
from respcache.node import Node
from respcache.testing import Cluster

pytestmark = pytest.mark.integration

KEY = "key"
FOREVER = "pcall(function() while true do end end) return 1"
WRITES_FOREVER = "redis.call('SET', KEYS[1], 'half') while true do end"
THRESHOLD_MS = 200
BUSY_S = 2.0
"""Longer than it takes to find a node dead that does nothing else."""


def primaries(node: Node) -> list[str]:
    """List the owners of all partitions, as a node knows them."""
    assert node._runtime is not None
    return list(node._runtime.keeper.table.primary)


def rests(node: Node) -> bool:
    """Tell whether a node has a script in its midst."""
    assert node._runtime is not None
    return node._runtime.scripts.strand.is_resting


def has_put_off(node: Node) -> bool:
    """Tell whether changes of functions wait for a script of a node."""
    assert node._runtime is not None
    return bool(node._runtime.replicator.sharing._put_off)


async def refusal(redis: Redis, *words: object) -> str:
    """Give the error of a command that must have one."""
    with pytest.raises(ResponseError) as raised:
        await command(redis, *words)
    return str(raised.value)


async def test_a_node_goes_on_while_a_script_runs_for_long() -> None:
    """It keeps what it owns, and its clients have the keys of others; through any node the script is ended."""
    async with Cluster(nodes=3, environment="lan", lua_time_limit_ms=THRESHOLD_MS) as cluster:
        nodes = cluster.members()
        await until(lambda: settled(nodes), "every partition where it belongs", 30)
        before, busy = primaries(nodes[0]), owner(nodes, KEY.encode())
        at = nodes.index(busy)
        elsewhere = next(key for key in map(str, range(100)) if before[partition_of(key.encode())] != busy.name)
        async with clients(nodes) as redis:
            one, other = redis[at - 1], redis[at - 2]
            script = asyncio.ensure_future(one.eval(FOREVER, 1, KEY))
            await until(lambda: rests(busy), "the script runs")
            assert await refusal(other, "GET", KEY) == (
                "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
            )
            loop = asyncio.get_running_loop()
            ends_s = loop.time() + BUSY_S
            while loop.time() < ends_s:
                assert (await refusal(redis[at], "PING")).startswith("BUSY ")
                assert await redis[at].incr(elsewhere)
                assert (await one.execute_command("CLUSTER INFO"))["cluster_state"] == "ok"  # type: ignore[no-untyped-call] # redis-py leaves it so
            assert await one.ping()
            transaction = other.pipeline()
            transaction.incr(elsewhere)
            transaction.incr(KEY)
            with pytest.raises(ResponseError, match="Transaction discarded because of: BUSY "):
                await transaction.execute()
            assert await other.script_kill()
            with pytest.raises(ResponseError, match="Script killed by user with SCRIPT KILL"):
                await script
            assert await refusal(one, "SCRIPT", "KILL") == "NOTBUSY No scripts in execution right now."
            assert await other.set(KEY, 1)
        assert primaries(nodes[0]) == before


async def test_errors_of_what_waits_for_a_script_are_counted() -> None:
    """As are those of all commands: under what the client sent, and by their codes."""
    async with Cluster(nodes=2, lua_time_limit_ms=60_000) as cluster:
        nodes = cluster.members()
        busy = owner(nodes, KEY.encode())
        async with clients([busy, busy]) as (one, other):
            script = asyncio.ensure_future(one.eval(FOREVER, 1, KEY))
            await until(lambda: rests(busy), "the script runs")
            change = asyncio.ensure_future(refusal(other, "FUNCTION", "DELETE", "nothing"))
            await until(lambda: has_put_off(busy), "the change waits for it")
            async with clients(nodes) as (third, _):
                assert await third.script_kill()
            with pytest.raises(ResponseError, match="Script killed by user with SCRIPT KILL"):
                await script
            assert await change == "Library not found"
            assert (await refusal(other, "SCRIPT", "KILL")).startswith("NOTBUSY ")
            calls = await other.info("commandstats")
            assert [calls[f"cmdstat_{name}"]["failed_calls"] for name in ("function|delete", "script|kill")] == [1, 1]
            assert (await other.info("errorstats"))["errorstat_NOTBUSY"] == {"count": 1}


async def test_copies_know_nothing_of_a_script_that_has_not_ended() -> None:
    """It cannot be killed once it has written; if its node dies, the keys are as they were before it."""
    async with Cluster(nodes=3, environment="lan", lua_time_limit_ms=THRESHOLD_MS) as cluster:
        nodes = cluster.members()
        await until(lambda: settled(nodes), "every partition where it belongs", 30)
        busy = owner(nodes, KEY.encode())
        others = [node for node in nodes if node is not busy]
        async with clients(others) as redis:
            assert await redis[0].set(KEY, "whole")
            script = asyncio.ensure_future(redis[0].eval(WRITES_FOREVER, 1, KEY))
            await until(lambda: rests(busy), "the script runs")
            assert (await refusal(redis[1], "GET", KEY)).startswith("BUSY ")
            assert (await refusal(redis[1], "SCRIPT", "KILL")).startswith(
                "UNKILLABLE Sorry the script already executed"
            )
            assert copies([busy], KEY.encode()) == [b"half"]
            assert set(copies(others, KEY.encode())) == {b"whole"}
            await busy.kill()
            with pytest.raises(RedisError, match="UNCERTAIN"):
                await script
            assert await redis[1].get(KEY) == b"whole"


async def test_copies_get_all_of_a_long_script() -> None:
    """Once it has ended, and before its reply."""
    text = "redis.call('SET', KEYS[1], 0) for at = 1, 20000 do redis.call('INCR', KEYS[1]) end return 'done'"
    async with Cluster(nodes=3, environment="lan") as cluster:
        nodes = cluster.members()
        await until(lambda: settled(nodes), "every partition where it belongs", 30)
        async with clients(nodes) as redis:
            assert await redis[0].eval(text, 1, KEY) == b"done"
            assert set(copies(nodes, KEY.encode())) == {b"20000"}


@pytest.mark.parametrize(("text", "ends"), [(FOREVER, True), (WRITES_FOREVER, False)])
async def test_shutdown_waits_for_a_long_script_unless_told_otherwise(text: str, ends: bool) -> None:  # noqa: FBT001 # both kinds
    """Without NOSAVE it is refused; with it, it ends what has written nothing, and all keys are handed over."""
    async with Cluster(nodes=2, environment="lan", lua_time_limit_ms=THRESHOLD_MS) as cluster:
        nodes = cluster.members()
        await until(lambda: settled(nodes), "every partition where it belongs", 30)
        busy = owner(nodes, KEY.encode())
        async with clients([busy]) as (redis,), clients([busy]) as (operator,):
            script = asyncio.ensure_future(redis.eval(text, 1, KEY))
            await until(lambda: rests(busy), "the script runs")
            await until(lambda: busy._runtime.scripts.busy() is not None, "it is long")  # type: ignore[union-attr] # it runs
            assert (await refusal(operator, "SHUTDOWN")).startswith("BUSY ")
            assert not busy.stopping.is_set()
            asking = asyncio.ensure_future(command(operator, "SHUTDOWN", "NOSAVE"))
            await busy.stopping.wait()
            if ends:
                with pytest.raises(ResponseError, match="Script killed by user"):
                    await script
                assert await busy.close()
            else:
                assert rests(busy)
                await busy.kill()
            with pytest.raises(RedisError):
                await asking
            await asyncio.gather(script, return_exceptions=True)
