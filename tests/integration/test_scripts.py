"""Scripts of applications, through any node of a cluster."""

import asyncio
from itertools import cycle

import pytest
from redis import Redis as BlockingRedis
from redis import RedisCluster
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, ResponseError

from integration.clients import clients
from integration.stores import copies, owner
from respcache.testing import Cluster, LocalCluster

pytestmark = pytest.mark.integration

MOVE = """
local from, to = tonumber(redis.call('get', KEYS[1]) or '100'), tonumber(redis.call('get', KEYS[2]) or '100')
if from < tonumber(ARGV[1]) then return 0 end
redis.call('set', KEYS[1], from - ARGV[1])
redis.call('set', KEYS[2], to + ARGV[1])
return 1
"""
LIMITER = """
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if count > tonumber(ARGV[1]) then return {0, redis.call('PTTL', KEYS[1])} end
return {1, count}
"""
ACCOUNTS = 6


@pytest.mark.parametrize("protocol", [2, 3])
def test_scripts_of_redis_py_run_through_any_node(protocol: int) -> None:
    """Registered once, called through every node with keys of all owners; Lock, which is three such scripts, too."""
    with LocalCluster(nodes=3) as cluster:
        nodes = [BlockingRedis(host, port, protocol=protocol) for host, port in cluster.addresses]
        limiter = nodes[0].register_script(LIMITER)
        for number in range(20):
            answers = [limiter(keys=[f"limit:{number}"], args=[2, 60_000], client=node) for node in nodes]
            assert answers[:2] == [[1, 1], [1, 2]]
            assert answers[2][0] == 0
            assert 0 < answers[2][1] <= 60_000
        for number, node in enumerate(nodes):
            name = f"lock:{number}"
            with node.lock(name, timeout=60) as lock:
                assert not nodes[number - 1].lock(name, timeout=60, blocking=False).acquire()
                assert lock.extend(30)
                assert lock.owned()
            assert not nodes[number - 2].exists(name)
        for node in nodes:
            node.close()


def test_a_script_is_known_on_all_nodes() -> None:
    """Run on one node, it is found from every other; loaded, it exists everywhere; flushed, it is gone everywhere."""
    with LocalCluster(nodes=3) as cluster:
        nodes = [BlockingRedis(host, port) for host, port in cluster.addresses]
        unknown = "f" * 40
        for number, node in enumerate(nodes):
            text = f"return {{KEYS[1], {number}}}"
            node.eval(text, 1, "a")
            digest = node.script_load(f"return {number}")
            assert [other.script_exists(digest, unknown) for other in nodes] == [[True, False]] * 3
            ran = node.eval("return redis.sha1hex(ARGV[1])", 0, text)
            for other in nodes:
                for key in ("a", "b", "c", "d", "e"):
                    assert other.evalsha(ran, 1, key) == [key.encode(), number]
                    assert other.evalsha(digest, 1, key) == number
                with other.pipeline() as pipeline:
                    pipeline.evalsha(ran, 1, "a")
                    pipeline.evalsha(digest, 0)
                    assert pipeline.execute() == [[b"a", number], number]
                with pytest.raises(NoScriptError):
                    other.evalsha(unknown, 1, "a")
        nodes[1].script_flush()
        for node in nodes:
            assert node.script_exists(digest) == [False]
            with pytest.raises(NoScriptError):
                node.evalsha(digest, 1, "a")
            node.close()


def test_a_script_reaches_what_it_declares_and_what_it_does_not() -> None:
    """Keys of several owners, declared or made up on the way; all of them or none."""
    with LocalCluster(nodes=3) as cluster:
        cluster.wait_for_copies()
        nodes = [BlockingRedis(host, port) for host, port in cluster.addresses]
        keys = [f"key:{number}" for number in range(30)]
        for node in nodes:
            count = "for at, key in ipairs(KEYS) do redis.call('incr', key) end return redis.call('mget', unpack(KEYS))"
            before = nodes[0].mget(keys)
            assert node.eval(count, len(keys), *keys) == [b"%d" % (int(value or 0) + 1) for value in before]
            assert node.eval("return redis.call('get', ARGV[1])", 1, "{x}1", "{x}2") is None
            made_up = "local sum = 0 for at = 0, 29 do sum = sum + redis.call('incr', 'key:' .. at) end return sum"
            assert node.eval(made_up, 1, "a") == sum(int(value or 0) + 2 for value in before)
            assert (
                node.eval("return redis.call('incr', ARGV[1])", 2, "key:1", "key:2", "key:3") == int(before[3] or 0) + 3
            )
            restored = "for at = 0, 29 do redis.call('incrby', 'key:' .. at, ARGV[1]) end redis.call('decr', 'key:3')"
            node.eval(restored, 0, -1)
            assert sorted(node.eval("return redis.call('keys', 'key:?')", 1, "a")) == [b"key:%d" % n for n in range(10)]
            with pytest.raises(ResponseError, match="DBSIZE is about the keys of all nodes"):
                node.eval("return redis.call('dbsize')", 1, "a")
            with pytest.raises(ResponseError, match=r"WRONGTYPE.*script: [0-9a-f]{40}, on @user_script:1\."):
                node.eval("redis.call('lpush', KEYS[1], 'x')", 1, "key:1")
            node.close()


def test_redis_cluster_runs_scripts_at_the_owner() -> None:
    """By the slot of the first key, with digests that it has loaded on all nodes."""
    with LocalCluster(nodes=3) as cluster:
        host, port = cluster.addresses[1]
        with RedisCluster(host, port) as redis:
            limiter = redis.register_script(LIMITER)
            for number in range(20):
                assert limiter(keys=[f"limit:{number}"], args=[1, 60_000]) == [1, 1]
                assert redis.eval("return redis.call('get', KEYS[1])", 1, f"limit:{number}") == b"1"


async def test_scripts_are_isolated_and_their_effects_are_on_every_copy() -> None:
    """Clients of three nodes move amounts between keys of several owners; the sum stays, and all copies agree."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as nodes:
        await cluster.wait_for_copies()
        accounts = [f"account:{number}" for number in range(ACCOUNTS)]
        await nodes[0].mset(dict.fromkeys(accounts, 100))

        async def move(redis: Redis, start: int) -> None:
            for step in range(20):
                one, other = accounts[(start + step) % ACCOUNTS], accounts[(start + 3 * step + 1) % ACCOUNTS]
                if one != other:
                    await redis.eval(MOVE, 2, one, other, 7)

        await asyncio.gather(*(move(redis, start) for redis, start in zip(cycle(nodes), range(6))))
        values = await nodes[1].mget(accounts)
        assert sum(int(value or 0) for value in values) == 100 * ACCOUNTS
        members = cluster.members()
        for key, value in zip(accounts, values, strict=True):
            assert set(copies(members, key.encode())) == {value}
            assert len(copies(members, key.encode())) == 2


async def test_scripts_serve_those_who_wait() -> None:
    """A client waits through one node; a script through another one pushes, with keys of one owner or more."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as nodes:
        await cluster.wait_for_copies()
        push = "for _, key in ipairs(KEYS) do redis.call('rpush', key, ARGV[1]) end return 1"
        for number in range(5):
            waiting = asyncio.ensure_future(nodes[0].blpop([f"list:{number}"], timeout=60))
            assert await nodes[1].eval(push, 2, f"list:{number}", f"other:{number}", "x") == 1
            assert list(await waiting or ()) == [f"list:{number}".encode(), b"x"]
            assert await nodes[2].eval(push, 1, f"list:{number}", "y") == 1
            popped = await nodes[0].blpop([f"list:{number}"], timeout=60)
            assert list(popped or ()) == [f"list:{number}".encode(), b"y"]


async def test_a_script_outlives_the_node_that_it_was_loaded_on() -> None:
    """The other nodes know it; what it wrote is on the copies."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as nodes:
        await cluster.wait_for_copies()
        digest = await nodes[0].script_load("return redis.call('incrby', KEYS[1], ARGV[1])")
        members = cluster.members()
        key = next(f"key:{number}" for number in range(1000) if owner(members, b"key:%d" % number) is members[0])
        assert await nodes[1].evalsha(digest, 1, key, 5) == 5
        await cluster.kill(0)
        for redis in nodes[1:]:
            assert int(await redis.evalsha(digest, 1, key, 1)) in {6, 7}
        assert await nodes[1].get(key) == b"7"


def test_what_a_script_publishes_reaches_listeners_on_all_nodes() -> None:
    """It is told of those on the node that runs it, for it cannot wait."""
    with LocalCluster(nodes=3) as cluster:
        nodes = [BlockingRedis(host, port) for host, port in cluster.addresses]
        listeners = [node.pubsub(ignore_subscribe_messages=True) for node in nodes]  # type: ignore[no-untyped-call] # redis-py leaves it so
        for listener in listeners:
            listener.subscribe("news")
            assert listener.get_message(timeout=5) is None  # the confirmation
        text = "return redis.call('PUBLISH', 'news', KEYS[1])"
        assert [nodes[0].eval(text, 1, key) for key in ("a", "b", "c", "d")] == [1] * 4
        for listener in listeners:
            heard = [listener.get_message(timeout=10) for _ in range(4)]
            assert sorted(message["data"] for message in heard if message is not None) == [b"a", b"b", b"c", b"d"]
            listener.close()


async def test_a_script_cannot_write_more_than_copies_can_be_told_at_once() -> None:
    """The write that is too much is refused; what is before it stays, on both copies, and the node goes on."""
    limit, value = 16 * 1024 * 1024, b"x" * 1024 * 1024
    write = "for at = 1, ARGV[2] do redis.call('SET', KEYS[1], at .. ARGV[1]) end return 'done'"
    settings = {"unacked_limit_bytes": limit, "peer_unacked_limit_bytes": limit}
    async with Cluster(nodes=2, **settings) as cluster, clients(cluster.members()) as nodes:
        await cluster.wait_for_copies()
        with pytest.raises(ResponseError, match="more than copies can be told at once"):
            await nodes[0].eval(write, 1, "k", value, 40)
        last = b"16" + value  # with it the limit was passed
        assert await nodes[1].get("k") == last
        assert copies(cluster.members(), b"k") == [last, last]
        assert await nodes[0].eval(write, 1, "k", value, 10) == b"done"
    async with Cluster(nodes=1, **settings) as cluster, clients(cluster.members()) as (alone,):
        assert await alone.eval(write, 1, "k", value, 40) == b"done", "there is nobody to tell"
