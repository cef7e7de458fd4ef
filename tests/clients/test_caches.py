"""Libraries that cache what functions return: Flask-Caching, aiocache, cashews, dogpile.cache."""

import asyncio

import pytest
import redis

from respcache.testing import LocalCluster

REASON = "needs the extra `clients`"


def test_flask_caching(url: str) -> None:
    """Views are cached, functions memoised and forgotten, many values set at once, all cleared."""
    flask = pytest.importorskip("flask", reason=REASON)
    flask_caching = pytest.importorskip("flask_caching", reason=REASON)
    app = flask.Flask(__name__)
    config = {"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": f"{url}/2", "CACHE_KEY_PREFIX": "site:"}
    cache = flask_caching.Cache(app, config=config)
    calls: list[int] = []

    @app.route("/")
    @cache.cached(timeout=60)
    def view() -> str:
        calls.append(0)
        return "page"

    @cache.memoize(60)
    def double(number: int) -> int:
        calls.append(number)
        return 2 * number

    with app.app_context():
        browser = app.test_client()
        assert browser.get("/").data == browser.get("/").data == b"page"
        assert (double(2), double(2), double(3)) == (4, 4, 6)
        assert calls == [0, 2, 3]
        cache.delete_memoized(double, 2)
        assert (double(2), double(3)) == (4, 6)
        assert calls == [0, 2, 3, 2]
        assert cache.set_many({f"k{number}": number for number in range(50)})
        assert cache.get_many(*(f"k{number}" for number in range(50))) == list(range(50))
        assert (cache.add("k1", 7), cache.has("k1"), cache.delete("k1"), cache.get("k1")) == (False, True, True, None)
        assert cache.cache.inc("count", 2) == 2
        assert cache.clear()
        assert cache.get("k2") is None


async def test_aiocache(url: str) -> None:
    """Values, many at once, deadlines, counters, a lock against stampedes, a decorator."""
    aiocache = pytest.importorskip("aiocache", reason=REASON)
    locks = pytest.importorskip("aiocache.lock", reason=REASON)
    host, _, port = url.removeprefix("redis://").partition(":")
    cache = aiocache.RedisCache(
        endpoint=host, port=int(port), namespace="site:", serializer=aiocache.serializers.JsonSerializer()
    )
    async with cache:
        assert await cache.set("key", {"a": 1}, ttl=60)
        assert await cache.get("key") == {"a": 1}
        with pytest.raises(ValueError, match="already exists"):
            await cache.add("key", 1)
        assert await cache.multi_set([(f"k{number}", number) for number in range(50)], ttl=60)
        assert await cache.multi_get([f"k{number}" for number in range(50)]) == list(range(50))
        assert await cache.increment("count", 5) == 5
        assert (await cache.expire("key", 1), await cache.exists("key"), await cache.delete("key")) == (True, True, 1)
        calls = []

        async def once() -> None:
            async with locks.RedLock(cache, "slow", lease=5):
                if await cache.get("slow") is None:
                    calls.append(1)
                    await cache.set("slow", 1)

        await asyncio.gather(*(once() for _ in range(5)))
        assert calls == [1]
        assert await cache.clear(namespace="site:")
        assert await cache.get("k1") is None


async def test_cashews(url: str) -> None:
    """Values, patterns, tags, counters, locks, bits, a transaction."""
    cashews = pytest.importorskip("cashews", reason=REASON)
    cache = cashews.Cache()
    cache.setup(f"{url}/0", client_side=False, suppress=False)
    await cache.set("key", {"a": 1}, expire="1m")
    assert await cache.get("key") == {"a": 1}
    assert 0 < await cache.get_expire("key") <= 60
    assert not await cache.set("key", 2, exist=False)
    await cache.set_many({f"k:{number}": number for number in range(50)}, expire=60)
    assert await cache.get_many(*(f"k:{number}" for number in range(50))) == tuple(range(50))
    assert len([key async for key in cache.scan("k:*")]) == 50
    assert {key async for key, _ in cache.get_match("k:1*")} == {"k:1", *(f"k:{number}" for number in range(10, 20))}
    await cache.delete_match("k:*")
    assert await cache.get("k:1") is None
    assert (await cache.incr("count", expire=60), await cache.incr("count")) == (1, 2)
    assert await cache.incr_bits("bits", 0, 3, size=4, by=2) == (2, 2)
    assert await cache.set_add("set", "a", "b") in {None, 2}
    async with cache.lock("lock", expire=10):
        assert await cache.is_locked("lock")
    assert not await cache.is_locked("lock")
    async with cache.transaction():
        await cache.set("in:transaction", 1, expire=60)
    assert await cache.get("in:transaction") == 1
    calls: list[int] = []

    @cache(ttl="1m", key="double:{number}", tags=["doubles"])
    async def double(number: int) -> int:  # the library wants a coroutine
        calls.append(number)
        return 2 * number

    assert (await double(2), await double(2)) == (4, 4)
    await cache.delete_tags("doubles")
    assert await double(2) == 4
    assert calls == [2, 2]
    await cache.clear()
    assert await cache.get("key") is None
    await cache.close()


async def test_cashews_client_side(url: str, cluster: LocalCluster) -> None:
    """Its client-side cache takes values from memory, and drops what is written through another node."""
    cashews = pytest.importorskip("cashews", reason=REASON)
    cache = cashews.Cache()
    # In RESP3, which redis-py 8 speaks unless told otherwise, it does not understand what it is told, by any server.
    cache.setup(f"{url}/0?protocol=2", client_side=True, suppress=False)
    await cache.init()
    await cache.set("key", 1, expire="1m")
    assert await cache.get("key") == 1
    other = redis.Redis.from_url(next(one for one in cluster.node_urls if one != url))
    [stored] = other.keys("*")  # with its prefix
    async with asyncio.timeout(30):
        while await cache.get("key") is not None:  # its own messages may come in between
            other.set(stored, b"1")
            other.delete(stored)
            await asyncio.sleep(0.2)
    other.close()
    await cache.close()


def test_dogpile_cache(url: str) -> None:
    """A region makes each value once, under a lock of the cluster; many at once; invalidation."""
    dogpile = pytest.importorskip("dogpile.cache", reason=REASON)
    region = dogpile.make_region().configure(
        "dogpile.cache.redis",
        expiration_time=60,
        arguments={
            "url": f"{url}/3",
            "distributed_lock": True,
            "thread_local_lock": False,
            "redis_expiration_time": 100,
        },
    )
    calls: list[int] = []

    @region.cache_on_arguments()
    def double(number: int) -> int:
        calls.append(number)
        return 2 * number

    assert (double(2), double(2)) == (4, 4)
    double.invalidate(2)
    assert (double(2), calls) == (4, [2, 2])
    region.set_multi({f"k{number}": number for number in range(50)})
    assert region.get_multi([f"k{number}" for number in range(50)]) == list(range(50))
    region.delete_multi([f"k{number}" for number in range(50)])
    assert region.get("k1") is dogpile.api.NO_VALUE
