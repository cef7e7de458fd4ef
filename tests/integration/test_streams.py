"""Streams and groups of consumers through any node of three."""

import asyncio

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from integration.clients import clients, until
from respcache.testing import Cluster

pytestmark = pytest.mark.integration

KEYS = [f"stream:{number}" for number in range(6)]


async def test_a_group_shares_entries_through_any_node() -> None:
    """Each entry goes to one consumer, and is pending until it is acknowledged, whichever node is asked."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as nodes:
        await cluster.wait_for_copies()
        for place, key in enumerate(KEYS):
            await nodes[place % 3].xgroup_create(key, "g", id="$", mkstream=True)
            for number in range(9):
                await nodes[number % 3].xadd(key, {"n": number})
            seen: list[tuple[bytes, dict[bytes, bytes]]] = []
            for number in range(9):
                reply = await nodes[number % 3].xreadgroup("g", f"c{number % 2}", {key: ">"}, count=1)
                assert isinstance(reply, list)
                seen += reply[0][1]
            assert [fields[b"n"] for _, fields in seen] == [b"%d" % number for number in range(9)]
            assert await nodes[0].xack(key, "g", *[number for number, _ in seen[:4]]) == 4
            assert (await nodes[1].xpending(key, "g"))["pending"] == 5
            claimed = await nodes[2].xautoclaim(key, "g", "c9", 0, justid=True)
            assert claimed == [number for number, _ in seen[4:]]


async def test_a_reader_waits_for_streams_of_all_owners() -> None:
    """Streams that have entries already are no reason to wake it; the first new entry anywhere is."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as nodes:
        await cluster.wait_for_copies()
        for turn in range(9):
            reading = asyncio.create_task(_read(nodes[turn % 3]))
            await until(lambda: _blocked(cluster) == 1, "the reader waits")
            key = KEYS[turn % len(KEYS)]
            added = await nodes[(turn + 1) % 3].xadd(key, {"turn": turn})
            assert await reading == [[key.encode(), [(added, {b"turn": b"%d" % turn})]]]


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (("XGROUP", "DESTROY", "stream", "g"), "the consumer group this client was blocked on no longer exists"),
        (("DEL", "stream"), "the stream key no longer exists"),
        (("SET", "stream", "v"), "the stream key no longer exists"),
    ],
)
async def test_a_consumer_is_told_that_what_it_waits_for_is_gone(command: tuple[str, ...], text: str) -> None:
    """Whichever node it asked."""
    async with Cluster(nodes=3) as cluster, clients(cluster.members()) as nodes:
        await cluster.wait_for_copies()
        for place, node in enumerate(nodes):
            await nodes[0].delete("stream")
            await nodes[0].xgroup_create("stream", "g", mkstream=True)
            waiting = asyncio.create_task(_read_as(node, "c"))
            await until(lambda: _blocked(cluster) == 1, "the consumer waits")
            await nodes[place - 1].execute_command(*command)  # type: ignore[no-untyped-call] # redis-py leaves it so
            with pytest.raises(ResponseError, match=text):
                await waiting


async def _read(node: Redis) -> object:
    return await node.xread(dict.fromkeys(KEYS, "$"), block=0)


async def _read_as(node: Redis, consumer: str) -> object:
    return await node.xreadgroup("g", consumer, {"stream": ">"}, block=0)


def _blocked(cluster: Cluster) -> int:
    """Count the clients that wait, of all nodes."""
    runtimes = [node._runtime for node in cluster.members()]
    return sum(
        session.is_blocked for runtime in runtimes if runtime is not None for session in runtime.server.sessions()
    )
