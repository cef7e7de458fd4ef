"""Fields of hashes that expire, through any node, on all copies, and for all who look on."""

import asyncio

import pytest
from redis.asyncio import Redis
from redis.exceptions import WatchError

from integration.clients import clients, command, until
from integration.stores import partition, stored
from respcache.resp.encode import request
from respcache.store.snapshot import dump
from respcache.store.volatile_hashes import VolatileHash
from respcache.testing import Cluster

pytestmark = pytest.mark.integration

PATIENCE_S = 20.0
FAR_UNIX_MS = 9_795_765_237_150


async def _set(redis: Redis, key: bytes, *options: object) -> None:
    """Give a hash the fields a and b, which expire, and c, which does not."""
    await command(redis, "HSET", key, "c", "3")
    assert await command(redis, "HSETEX", key, *options, "FIELDS", 2, "a", "1", "b", "2") == 1


async def _until_over(redis: Redis, key: bytes) -> None:
    while await redis.hexists(key, "a"):  # noqa: ASYNC110 # for want of an event
        await asyncio.sleep(0.01)


async def test_lifetimes_are_alike_on_all_copies_and_move_with_the_key() -> None:
    """Written on one node, read on another; under another name, in another database, and when the owner has died."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis:
        await cluster.wait_for_copies()
        keys = [b"kept:%d" % number for number in range(20)]
        for number, key in enumerate(keys):
            await _set(redis[number % 3], key, "PXAT", FAR_UNIX_MS)
            await command(redis[(number + 1) % 3], "HPERSIST", key, "FIELDS", 1, "b")
            held = [stored(node, key) for node in cluster.members()]
            assert len({dump(value) for value in held if value is not None}) == 1
        await command(redis[0], "COPY", keys[0], "copied")
        await command(redis[1], "RENAME", keys[1], "renamed")
        await command(redis[2], "MOVE", keys[2], 3)
        await cluster.kill(1)
        await cluster.wait_for_convergence(2)
        asked = ("FIELDS", 3, "a", "b", "c")
        for key in (b"copied", b"renamed", keys[0], *keys[3:]):
            assert await command(redis[2], "HPEXPIRETIME", key, *asked) == [FAR_UNIX_MS, -1, -1], key
        async with redis[0].client() as other:
            await other.select(3)
            assert await command(other, "HPEXPIRETIME", keys[2], *asked) == [FAR_UNIX_MS, -1, -1]


async def test_fields_expire_everywhere_though_nobody_looks() -> None:
    """Copies are told; a hash without other fields goes altogether."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as redis:
        await cluster.wait_for_copies()
        keys = [b"short:%d" % number for number in range(20)]
        for number, key in enumerate(keys):
            await _set(redis[number % 3], key, "PX", 50)
            if number % 2:
                await command(redis[0], "HDEL", key, "c")

        def done() -> bool:
            for number, key in enumerate(keys):
                for node in cluster.members():
                    held = stored(node, key)
                    if isinstance(held, VolatileHash) and (number % 2 or len(held.table.names) > 1):
                        return False
                    if partition(node, key).volatile:
                        return False
            return True

        await until(done, "all is taken out on all nodes", PATIENCE_S)
        for number, key in enumerate(keys):
            expected = {} if number % 2 else {b"c": b"3"}
            assert await redis[number % 3].hgetall(key) == expected


async def test_whoever_watches_hears_that_a_field_has_expired() -> None:
    """WATCH is over, and clients that cache the hash are told, though no command has changed it."""
    async with Cluster(nodes=2) as cluster, clients(cluster.members()) as redis:
        await cluster.wait_for_copies()
        for life_ms in (500, 4_000, 30_000):  # a slow machine needs more time to begin to watch
            await _set(redis[0], b"k", "PX", life_ms)
            reader, writer = await asyncio.open_connection(*cluster.members()[1].address)
            for argv in ([b"HELLO", b"3"], [b"CLIENT", b"TRACKING", b"ON"], [b"HGET", b"k", b"a"]):
                writer.write(request(argv))
            async with redis[1].pipeline() as pipe, asyncio.timeout(60):
                await reader.readuntil(b"+OK\r\n")
                await reader.readline()
                await reader.readline()  # the value
                await pipe.watch(b"k")
                in_time = await redis[0].hexists(b"k", "a")
                if in_time:
                    await reader.readuntil(b"invalidate\r\n*1\r\n$1\r\nk\r\n")
                    await _until_over(redis[0], b"k")
                    pipe.multi()  # type: ignore[no-untyped-call] # redis-py leaves it so
                    pipe.hlen(b"k")
                    with pytest.raises(WatchError):
                        await pipe.execute()
            writer.close()
            if in_time:
                return
        pytest.fail("to watch a key takes half a minute")


async def test_scripts_and_sort_see_no_field_that_is_over() -> None:
    """Nor do they change it: HINCRBY begins anew, without the lifetime."""
    script = (
        "return {redis.call('HLEN', KEYS[1]), redis.call('HINCRBY', KEYS[1], 'a', 5), redis.call('HGET', KEYS[1], 'b')}"
    )
    async with Cluster(nodes=2) as cluster, clients(cluster.members()) as redis:
        await _set(redis[0], b"{k}1", "PX", 30)
        await command(redis[0], "RPUSH", "{k}list", "1")
        async with asyncio.timeout(PATIENCE_S):
            await _until_over(redis[1], b"{k}1")
        assert await command(redis[1], "SORT", "{k}list", "BY", "nosort", "GET", "{k}*->a", "GET", "{k}*->c") == [
            None,
            b"3",
        ]
        assert await command(redis[1], "EVAL", script, 1, b"{k}1") == [1, 5, None]
        assert await command(redis[0], "HTTL", b"{k}1", "FIELDS", 1, "a") == [-1]
