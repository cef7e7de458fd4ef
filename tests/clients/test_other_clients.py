"""Clients of Python other than redis-py: coredis and valkey-glide, plain and cluster-aware."""

import asyncio

import pytest

from respcache.testing import LocalCluster

REASON = "needs the extra `clients`"
TIMEOUT_S = 15.0


async def test_coredis(url: str) -> None:
    """Types, a pipeline, a transaction, publish and subscribe, walks."""
    coredis = pytest.importorskip("coredis", reason=REASON)
    async with coredis.Redis.from_url(url, decode_responses=True) as client:
        assert await client.set("key", "value", ex=60)
        assert await client.get("key") == "value"
        assert await client.hset("hash", {"a": "1", "b": "2"}) == 2
        assert await client.hgetall("hash") == {"a": "1", "b": "2"}
        assert await client.zadd("scores", {"a": 1.5, "b": 2}) == 2
        assert await client.zrange("scores", 0, -1, withscores=True) == (("a", 1.5), ("b", 2.0))
        async with client.pipeline(transaction=True) as pipe:
            set_ = pipe.set("one", "1")
            sum_ = pipe.incr("two")
        assert (await set_, await sum_) == (True, 1)
        assert await client.mset({f"k{number}": str(number) for number in range(50)})
        assert {key async for key in client.scan_iter("k[0-9]*")} == {f"k{number}" for number in range(50)}
        async with client.pubsub(channels=["news"]) as subscription:
            assert await client.publish("news", "text") == 1
            async with asyncio.timeout(TIMEOUT_S):
                async for message in subscription:
                    if message["type"] == "message":
                        assert message["data"] == "text"
                        break


async def test_coredis_finds_the_owners(cluster: LocalCluster, url: str) -> None:
    """Its cluster client reads and writes keys of all nodes."""
    coredis = pytest.importorskip("coredis", reason=REASON)
    host, _, port = url.removeprefix("redis://").partition(":")
    async with coredis.RedisCluster(host, int(port), decode_responses=True) as client:
        for number in range(50):
            await client.set(f"k{number}", str(number))
        assert [await client.get(f"k{number}") for number in range(50)] == [str(number) for number in range(50)]
    assert len(cluster.addresses) == 3


async def test_valkey_glide(cluster: LocalCluster) -> None:
    """Its two clients: one that is given all addresses, one that finds the owners from one of them."""
    glide = pytest.importorskip("glide", reason=REASON)
    for host, port in cluster.addresses:
        address = glide.NodeAddress(host, port)
        plain = await glide.GlideClient.create(glide.GlideClientConfiguration([address], request_timeout=5000))
        aware = await glide.GlideClusterClient.create(
            glide.GlideClusterClientConfiguration([address], request_timeout=5000)
        )
        try:
            await aware.flushall()
            for number in range(50):
                assert await aware.set(f"k{number}", str(number)) == "OK"
                assert await plain.get(f"k{number}") == b"%d" % number
            assert await aware.mget([f"k{number}" for number in range(50)]) == [b"%d" % n for n in range(50)]
            assert await plain.dbsize() == 50
            assert await plain.hset("hash", {"a": "1"}) == 1
            assert await aware.hgetall("hash") == {b"a": b"1"}
            batch = glide.Batch(is_atomic=True)
            batch.set("one", "1")
            batch.incr("two")
            assert await plain.exec(batch, raise_on_error=True) == ["OK", 1]
            batch = glide.ClusterBatch(is_atomic=False)
            for number in range(50):
                batch.incr(f"k{number}")
            assert await aware.exec(batch, raise_on_error=True) == [number + 1 for number in range(50)]
        finally:
            await plain.close()
            await aware.close()
