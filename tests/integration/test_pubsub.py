"""Publish and subscribe with redis-py through any node: nobody is forgotten, nothing comes twice or out of order."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from time import monotonic

import pytest
import redis
import redis.asyncio
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.cluster import ClusterPubSub, RedisCluster

from integration.clients import clients, command, until
from integration.stores import owner, settled
from respcache.resp.encode import request
from respcache.testing import Cluster, LocalCluster

pytestmark = pytest.mark.integration

MIB = 1024 * 1024
TIMEOUT_S = 10.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Run three nodes for all tests of this module that break none."""
    with LocalCluster(nodes=3) as running:
        yield running


@asynccontextmanager
async def subscribed(client: Redis, *channels: str, pattern: str = "") -> AsyncIterator[PubSub]:
    """Subscribe a client to channels and perhaps a pattern, and return when all are confirmed."""
    subscriber = client.pubsub()
    try:
        if channels:
            await subscriber.subscribe(*channels)
        if pattern:
            await subscriber.psubscribe(pattern)
        for _ in range(len(channels) + bool(pattern)):
            await next_message(subscriber)
        yield subscriber
    finally:
        with suppress(redis.ConnectionError):
            await subscriber.aclose()  # type: ignore[no-untyped-call] # redis-py leaves it so


async def next_message(subscriber: PubSub) -> tuple[str, bytes, object]:
    """Wait for what comes next: kind, channel, payload or count."""
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            found = await subscriber.get_message(timeout=TIMEOUT_S)
            if found is not None:
                return str(found["type"]), found["channel"], found["data"]


async def until_receivers(client: Redis, channel: str, count: int) -> None:
    """Publish until so many get it: a node that has died or come is known after a while only."""
    async with asyncio.timeout(TIMEOUT_S):
        while await client.publish(channel, "hello") != count:  # noqa: ASYNC110 # deaths have no events
            await asyncio.sleep(0.01)


def sharded_messages(subscriber: ClusterPubSub, count: int) -> list[dict[str, bytes]]:
    """Wait for the next messages of a cluster client, whichever of its connections they come by."""
    found: list[dict[str, bytes]] = []
    give_up_s = monotonic() + TIMEOUT_S
    while len(found) < count:
        assert monotonic() < give_up_s, f"{len(found)} of {count} messages"
        message = subscriber.get_sharded_message(timeout=0.01)  # type: ignore[no-untyped-call] # redis-py leaves it so
        if message is not None:
            found.append(message)
    return found


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_blocking_client_subscribes_and_publishes_on_any_node(cluster: LocalCluster, protocol: int) -> None:
    """A subscription that is confirmed on one node is known on all: the very next message reaches it."""
    made = [redis.Redis.from_url(url, protocol=protocol) for url in cluster.node_urls]
    subscribers = [client.pubsub() for client in made]  # type: ignore[no-untyped-call] # redis-py leaves it so
    for turn, subscriber in enumerate(subscribers, 1):
        subscriber.subscribe("news")
        assert subscriber.get_message(timeout=TIMEOUT_S) is not None
        for client in made:
            assert client.publish("news", f"to {turn}") == turn
    for subscriber in subscribers:
        subscriber.psubscribe("n?ws")
        confirmed = None
        while confirmed is None or confirmed["type"] != "psubscribe":
            confirmed = subscriber.get_message(timeout=TIMEOUT_S)
    for client in made:
        assert client.publish("news", "last") == 6
        assert client.pubsub_numsub("news", "none") == [(b"news", 3), (b"none", 0)]
        assert client.pubsub_channels("n*") == [b"news"]
        assert client.pubsub_numpat() == 1
    for subscriber in subscribers:
        kinds = [found["type"] for _ in range(6) if (found := subscriber.get_message(timeout=TIMEOUT_S))]
        assert kinds == ["message", "pmessage"] * 3
        subscriber.close()
    for client in made:
        assert client.publish("news", "nobody") == 0
        client.close()


@pytest.mark.parametrize("protocol", [2, 3])
def test_handlers_run_in_the_thread_of_redis_py(cluster: LocalCluster, protocol: int) -> None:
    """`run_in_thread`, with a handler for a channel and one for a pattern."""
    first, second, _ = cluster.node_urls
    heard: list[bytes] = []
    with redis.Redis.from_url(first, protocol=protocol) as client, redis.Redis.from_url(second) as other:
        subscriber = client.pubsub(ignore_subscribe_messages=True)
        subscriber.subscribe(jobs=lambda found: heard.append(found["data"]))
        subscriber.psubscribe(**{"jo*": lambda found: heard.append(b"p" + found["data"])})
        thread = subscriber.run_in_thread(sleep_time=0.01)
        try:
            while other.publish("jobs", "ready?") < 2:
                pass
            other.publish("jobs", "last")
            deadline = 1000
            while b"plast" not in heard and deadline:
                deadline -= 1
                thread.join(0.01)
        finally:
            thread.stop()
            thread.join(TIMEOUT_S)
    assert heard[-2:] == [b"last", b"plast"]


@pytest.mark.parametrize("protocol", [2, 3])
def test_a_cluster_client_has_its_sharded_channels_at_their_owners(cluster: LocalCluster, protocol: int) -> None:
    """RedisCluster is sent to the owner; a client that knows nothing of slots is served anywhere, and both meet."""
    host, port = cluster.addresses[0]
    names = [f"shard:{number}" for number in range(20)]
    plain = redis.Redis.from_url(cluster.node_urls[2], protocol=protocol)
    with RedisCluster(host=host, port=port, protocol=protocol) as routed:
        subscriber = routed.pubsub()
        anywhere = plain.pubsub()  # type: ignore[no-untyped-call] # redis-py leaves it so
        subscriber.ssubscribe(*names)
        anywhere.ssubscribe(*names)
        assert {found["channel"].decode() for found in sharded_messages(subscriber, len(names))} == set(names)
        for _ in names:
            assert anywhere.get_message(timeout=TIMEOUT_S) is not None
        for name in names:
            assert routed.spublish(name, "from the owner") == 2
            assert plain.spublish(name, "from anywhere") == 2
        sent = sorted((name.encode(), payload) for name in names for payload in (b"from the owner", b"from anywhere"))
        assert sorted((found["channel"], found["data"]) for found in sharded_messages(subscriber, len(sent))) == sent
        heard = [anywhere.get_message(timeout=TIMEOUT_S) for _ in sent]
        assert sorted((found["channel"], found["data"]) for found in heard if found is not None) == sent
        subscriber.close()
        anywhere.close()
    plain.close()


async def test_a_plain_client_is_moved_once_it_knows_the_slots() -> None:
    """SSUBSCRIBE and SPUBLISH are answered with MOVED then; channels of several slots with CROSSSLOT."""
    async with Cluster(nodes=2) as cluster:
        first, second = cluster.members()
        await until(lambda: settled(cluster.members()), "the keys are spread over both nodes")
        there = next(b"key:%d" % n for n in range(1000) if owner(cluster.members(), b"key:%d" % n) is second)
        host, port = first.address
        async with redis.asyncio.Redis(host=host, port=port, single_connection_client=True) as one:
            assert await command(one, "SPUBLISH", there, "m") == 0
            await command(one, "READONLY")
            with pytest.raises(redis.exceptions.MovedError) as moved:
                await command(one, "SPUBLISH", there, "m")
            assert (moved.value.host, moved.value.port) == second.address
            with pytest.raises(redis.exceptions.MovedError):
                await command(one, "SSUBSCRIBE", there)
            with pytest.raises(redis.exceptions.ClusterCrossSlotError):
                await command(one, "SSUBSCRIBE", there, b"key:a", b"key:b")


@pytest.mark.parametrize("seed", [1, 2])
async def test_each_subscriber_hears_each_publisher_in_order(seed: int) -> None:
    """Six publishers on all nodes, pipelines of random length, a subscriber on each node: none misses a message."""
    rng = random.Random(f"order {seed}")
    total = 150

    async def publish(publisher: Redis, name: int) -> None:
        sent = 0
        while sent < total:
            pipe = publisher.pipeline(transaction=False)
            for _ in range(min(rng.randint(1, 60), total - sent)):
                pipe.publish("load", f"{name}:{sent}")
                pipe.set(f"key:{rng.randrange(100)}", "x")
                sent += 1
            assert set(await pipe.execute()) == {3, True}, f"seed {seed}"

    async def listen(subscriber: PubSub) -> dict[bytes, list[int]]:
        heard: dict[bytes, list[int]] = {}
        for _ in range(6 * total):
            _, _, payload = await next_message(subscriber)
            assert isinstance(payload, bytes)
            name, _, number = payload.partition(b":")
            heard.setdefault(name, []).append(int(number))
        return heard

    async with (
        Cluster(nodes=3) as cluster,
        clients(cluster.members()) as (one, two, three),
        subscribed(one, "load") as first,
        subscribed(two, "other", pattern="load*") as second,
        subscribed(three, "load") as third,
    ):
        async with asyncio.TaskGroup() as group:
            listening = [group.create_task(listen(subscriber)) for subscriber in (first, second, third)]
            for name, publisher in enumerate((one, two, three) * 2):
                group.create_task(publish(publisher, name))
        for task in listening:
            assert task.result() == {b"%d" % name: list(range(total)) for name in range(6)}, f"seed {seed}"


async def test_a_dead_node_is_not_waited_for_and_its_clients_come_back_elsewhere() -> None:
    """PUBLISH and SUBSCRIBE go on when a node dies; whoever subscribes elsewhere, or on a new node, hears the rest."""
    async with (
        Cluster(nodes=3) as cluster,
        clients(cluster.members()) as (one, two, three),
        subscribed(one, "news"),
        subscribed(two, "news"),
        subscribed(three, "news"),
    ):
        assert await one.publish("news", "all") == 3
        await cluster.kill(2)
        await until_receivers(one, "news", 2)
        async with subscribed(two, "news") as again:
            assert await one.publish("news", "again") == 3
            assert await next_message(again) == ("message", b"news", b"again")
        newcomer = await cluster.add_member()
        await cluster.wait_for_convergence(3)
        async with clients([newcomer]) as (four,), subscribed(four, "news") as elsewhere:
            await until_receivers(one, "news", 3)
            while await next_message(elsewhere) != ("message", b"news", b"hello"):
                pass
            await until_receivers(four, "news", 3)


async def test_only_nodes_with_somebody_who_listens_get_bytes() -> None:
    """A thousand messages for clients of one node pass one link, and no other."""
    async with (
        Cluster(nodes=3) as cluster,
        clients(cluster.members()) as (publisher, _, listener),
        subscribed(listener, "narrow"),
    ):
        pipe = publisher.pipeline(transaction=False)
        for _ in range(1000):
            pipe.publish("narrow", "x")
            pipe.publish("nobody", "x")
        assert await pipe.execute() == [1, 0] * 1000
        first, second, third = [node._runtime.exchange for node in cluster.members() if node._runtime is not None]
        assert (first.published, first.sent, second.received, third.received) == (2000, 1000, 0, 1000)
        assert [exchange.delivered for exchange in (first, second, third)] == [0, 0, 1000]


async def test_a_subscriber_that_does_not_read_is_cut_off_and_the_others_are_not() -> None:
    """Beyond `pubsub-output-buffer-limit`, on whichever node it is; publishers never wait for it."""
    async with (
        Cluster(nodes=2, pubsub_output_buffer_limit_bytes=4 * MIB) as cluster,
        clients(cluster.members()) as (publisher, listener),
        subscribed(listener, "flood") as subscriber,
    ):
        node = cluster.member(1)
        reader, writer = await asyncio.open_connection(*node.address, limit=1024)
        writer.write(request([b"SUBSCRIBE", b"flood"]))
        assert await reader.readline() == b"*3\r\n"
        payload = b"x" * (MIB // 2)
        heard = 0
        async with asyncio.timeout(60):
            while await publisher.publish("flood", payload) == 2:
                assert await next_message(subscriber) == ("message", b"flood", payload)
                heard += 1
        assert heard >= 8
        assert node._runtime is not None
        assert node._runtime.stats.disconnects["output_limit"] == 1
        assert await next_message(subscriber) == ("message", b"flood", payload)
        writer.close()


async def test_subscribers_hear_of_the_cluster_from_their_own_node() -> None:
    """`__cluster__:events`: each node tells its own clients, in JSON, who joined, died, and serves slots instead."""
    async with (
        Cluster(nodes=2) as cluster,
        clients(cluster.members()) as (one, two),
        subscribed(one, "__cluster__:events") as first,
        subscribed(two, pattern="__cluster__:*") as second,
    ):
        third = await cluster.add_member()
        await cluster.wait_for_convergence(3)
        await cluster.wait_for_copies()
        await cluster.kill(2)
        for subscriber in (first, second):
            heard: list[dict[str, object]] = []
            while {"joined", "moved", "dead", "failover"} - {str(event["type"]) for event in heard}:
                _, channel, payload = await next_message(subscriber)
                assert channel == b"__cluster__:events"
                assert isinstance(payload, bytes)
                heard.append(json.loads(payload))
            joined, dead = ([event for event in heard if event["type"] == kind] for kind in ("joined", "dead"))
            assert [event["node"] for event in joined] == [event["node"] for event in dead] == [third.name]
            assert all(event["source"] == third.name for event in heard if event["type"] == "failover")
