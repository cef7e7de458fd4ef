"""Client-side caching with redis-py through any node: nobody keeps what has been overwritten, whoever owns it."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

import pytest
import redis
from redis.cache import CacheConfig

from integration.clients import clients, until
from integration.stores import owner
from respcache.node import Node
from respcache.resp.encode import request
from respcache.testing import Cluster, LocalCluster

pytestmark = pytest.mark.integration

TIMEOUT_S: Final = 20.0
KEYS: Final = tuple(b"k%d" % number for number in range(60))


class Cache:
    """A connection in RESP3 that reads keys, and forgets what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader: Final = reader
        self._writer: Final = writer
        self.values: Final[dict[bytes, bytes]] = {}
        self._asked: Final[list[bytes]] = []
        self.flushes = 0
        self.alive = True
        self._task: asyncio.Task[None]

    @classmethod
    async def to(cls, node: Node, *options: bytes) -> "Cache":
        """Connect to a node, and be tracked."""
        made = cls(*await asyncio.open_connection(*node.address))
        made._writer.write(request([b"HELLO", b"3"]) + request([b"CLIENT", b"TRACKING", b"ON", *options]))
        while await made._reader.readline() != b"+OK\r\n":
            pass
        made._task = asyncio.get_running_loop().create_task(made._listen())
        return made

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def read(self, keys: Sequence[bytes]) -> None:
        """Read keys, and wait until each has its value."""
        self._asked.extend(keys)
        self._writer.write(b"".join(request([b"GET", key]) for key in keys))
        await until(lambda: not self._asked, "replies", TIMEOUT_S)

    async def say(self, *words: bytes) -> None:
        """Send a command, and wait until it is answered."""
        self._asked.append(b"")
        self._writer.write(request(words))
        await until(lambda: not self._asked, "a reply", TIMEOUT_S)

    async def until_without(self, keys: Sequence[bytes]) -> None:
        """Wait until these keys are forgotten."""
        gone = set(keys)
        await until(lambda: not gone & self.values.keys(), f"{len(gone)} keys forgotten", TIMEOUT_S)

    async def until_only(self, value: bytes) -> None:
        """Wait until no key has another value."""
        await until(lambda: set(self.values.values()) <= {value}, f"nothing but {value!r}", TIMEOUT_S)

    async def _listen(self) -> None:
        try:
            while True:
                await self._take(await self._reader.readuntil(b"\r\n"))
        except (asyncio.IncompleteReadError, ConnectionError):
            self.alive = False

    async def _take(self, head: bytes) -> None:
        if head.startswith(b">"):
            assert await self._bulk(await self._reader.readuntil(b"\r\n")) == b"invalidate"
            keys = await self._reader.readuntil(b"\r\n")
            if keys == b"_\r\n":
                self.values.clear()
                self.flushes += 1
                return
            for _ in range(int(keys[1:])):
                self.values.pop(await self._bulk(await self._reader.readuntil(b"\r\n")), None)
        else:
            key = self._asked.pop(0)
            if head.startswith(b"$"):
                self.values[key] = await self._bulk(head)

    async def _bulk(self, head: bytes) -> bytes:
        return (await self._reader.readexactly(int(head[1:]) + 2))[:-2]


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Run three nodes for all tests of this module that break none."""
    with LocalCluster(nodes=3) as running:
        running.wait_for_copies()  # keys that change hands are invalidated
        yield running


def test_the_cache_of_redis_py_hears_of_what_other_nodes_write(cluster: LocalCluster) -> None:
    """`cache_config` of redis-py: values are taken from memory, until they change through any node."""
    first, second, third = cluster.node_urls
    with (
        redis.Redis.from_url(first, protocol=3, cache_config=CacheConfig(max_size=1000)) as caching,
        redis.Redis.from_url(second) as writer,
        redis.Redis.from_url(third) as other,
    ):
        writer.mset(dict.fromkeys(KEYS, b"0"))
        assert [caching.get(key) for key in KEYS] == [b"0"] * len(KEYS)
        cache = caching.get_cache()
        assert cache is not None
        assert cache.size == len(KEYS)
        for number, key in enumerate(KEYS):
            (writer, other)[number % 2].set(key, b"%d" % (number + 1))
        for number, key in enumerate(KEYS):
            _until_read(caching, key, b"%d" % (number + 1))
        other.flushall()
        for key in KEYS[:5]:
            _until_read(caching, key, None)


def _until_read(client: redis.Redis, key: bytes, value: bytes | None) -> None:
    """Read until it is so: the message may still be under way."""
    for _ in range(5000):
        if client.get(key) == value:
            return
    raise AssertionError(f"{key!r} is still {client.get(key)!r}")


@pytest.mark.parametrize("options", [(), (b"BCAST",)])
async def test_clients_on_all_nodes_forget_what_changes_and_nothing_else(options: tuple[bytes, ...]) -> None:
    """Written through any node, one of three owns the key: half of the keys go, on each node, the others stay."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as (one, two, three):
        await cluster.wait_for_copies()
        await one.mset(dict.fromkeys(KEYS, b"0"))
        caches = [await Cache.to(node, *options) for node in cluster.members()]
        for cache in caches:
            await cache.read(KEYS)
        half = KEYS[::2]
        for number, key in enumerate(half):
            await (one, two, three)[number % 3].set(key, b"1")
        for cache in caches:
            await cache.until_without(half)
            assert cache.values.keys() == set(KEYS[1::2])
        await two.flushdb()
        for cache in caches:
            await cache.until_without(KEYS)
            assert cache.flushes
            await cache.close()


async def test_keys_are_forgotten_when_their_owner_leaves_or_dies() -> None:
    """A graceful leave, then a death: no client keeps what the new owners have overwritten."""
    async with Cluster(nodes=4) as cluster:
        await cluster.wait_for_copies()
        nodes = cluster.members()
        async with clients(nodes[:1]) as (one,):
            await one.mset(dict.fromkeys(KEYS, b"0"))
            cache, broadcast = await Cache.to(nodes[0]), await Cache.to(nodes[0], b"BCAST")
            for value, end in ((b"1", cluster.close), (b"2", cluster.kill)):
                for each in (cache, broadcast):
                    await each.read(KEYS)
                await end(len(cluster.members()) - 1)
                await cluster.wait_for_convergence()
                await one.mset(dict.fromkeys(KEYS, value))
                for each in (cache, broadcast):
                    await each.until_only(value)
            await cache.close()
            await broadcast.close()


async def test_only_nodes_with_clients_that_cache_get_bytes() -> None:
    """A key that nobody has read is told to nobody; one that clients of one node have read to that one, once."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as (one, *_):
        await cluster.wait_for_copies()
        nodes = cluster.members()
        trackings = [node._runtime.replicator.messenger.tracking for node in nodes if node._runtime is not None]
        key = next(key for key in KEYS if owner(nodes, key) is nodes[0])
        for number in range(100):
            await one.set(key, b"%d" % number)
        assert [tracking.told for tracking in trackings] == [0, 0, 0]
        cache = await Cache.to(nodes[1])
        for number in range(3):
            await cache.read([key])
            await one.set(key, b"x%d" % number)
            await cache.until_without([key])
        assert [tracking.told for tracking in trackings] == [3, 0, 0]
        await cache.close()


@pytest.mark.parametrize("paused", [False, True])
async def test_who_lets_another_client_go_on_hears_of_its_changes(*, paused: bool) -> None:
    """Though it wants to hear of none of its own, and the other one goes on within its command."""
    async with Cluster(nodes=1) as alone, clients(alone.members()) as (redis,):
        await redis.set("k", "0")
        cache = await Cache.to(alone.member(0), b"NOLOOP")
        await cache.read([b"k"])
        other, calls = await asyncio.open_connection(*alone.member(0).address)
        if paused:
            await cache.say(b"CLIENT", b"PAUSE", b"60000", b"WRITE")
            calls.write(request([b"SET", b"k", b"1"]) + request([b"PING"]))
            ending = [b"CLIENT", b"UNPAUSE"]
        else:
            calls.write(request([b"CLIENT", b"ID"]))
            number = (await other.readline())[1:-2]
            calls.write(request([b"BLPOP", b"q", b"0"]) + request([b"SET", b"k", b"1"]))
            ending = [b"CLIENT", b"UNBLOCK", number]
        server = alone.member(0)._running().server
        await until(lambda: any(session.barrier for session in server.sessions()), "the other one waits")
        await cache.say(*ending)
        await cache.until_without([b"k"])
        calls.close()
        await calls.wait_closed()
        await cache.close()
