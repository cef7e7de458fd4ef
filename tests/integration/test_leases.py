"""That nobody serves who may have been replaced: cut off, or stopped for a while."""

import asyncio
import fcntl
import signal
import struct
import termios

import pytest
from redis.asyncio import Redis
from redis.exceptions import ClusterDownError, RedisError

from integration.clients import clients, in_batches, until
from integration.network import cut
from integration.processes import Processes
from integration.stores import voters
from respcache.node import Node
from respcache.resp.encode import bulk, request
from respcache.testing import Cluster

pytestmark = pytest.mark.integration

KEYS = 200


async def test_a_minority_stops_while_the_majority_goes_on_and_nothing_acknowledged_is_lost() -> None:
    """The node that is cut off acknowledges no write, and says so; the other two serve all keys, and keep them."""
    async with Cluster(nodes=3, command_timeout_s=3.0) as cluster, clients(cluster.members()) as redis:
        await cluster.wait_for_copies()
        nodes = cluster.members()
        await until(lambda: all(voters(node) == 3 and _ready(node) for node in nodes), "all three vote, and serve")
        acked = await _acknowledged(redis[0], "before")
        assert len(acked) == KEYS
        with cut(nodes[:1], nodes[1:]):
            await until(lambda: not _leased(nodes[0]), "the minority has no lease")
            assert [_ready(node) for node in nodes] == [False, True, True]
            early = await in_batches(redis[0], [("SET", f"minority:{n}", n) for n in range(50)])
            assert all(isinstance(reply, RedisError) for reply in early)  # uncertain, where links seemed to stand
            await until(lambda: len(nodes[0].members()) == 1, "the minority is alone", timeout_s=30.0)
            late = await in_batches(redis[0], [("SET", f"late:{n}", n) for n in range(50)])
            assert {type(reply) for reply in late} == {ClusterDownError}
            assert await redis[0].ping()
            assert await redis[0].info("server")
            await until(lambda: all(_leased(node) for node in nodes[1:]), "the majority serves", timeout_s=20.0)
            await until(lambda: nodes[0].name not in nodes[1]._runtime.keeper.table.primary, "it serves all", 30.0)  # type: ignore[union-attr] # a node that runs has one
            acked |= await _acknowledged(redis[1], "during")
            assert len(acked) == 2 * KEYS
        await cluster.wait_for_convergence(3, timeout_s=30.0)
        await until(lambda: all(_leased(node) for node in nodes), "all may serve again", timeout_s=30.0)
        assert all(_ready(node) for node in nodes)
        for one in redis:
            names = sorted(acked)
            assert await in_batches(one, [("GET", name) for name in names]) == [acked[name] for name in names]
            assert await in_batches(one, [("EXISTS", f"late:{n}") for n in range(50)]) == [0] * 50


async def test_a_write_that_nobody_confirms_is_answered_within_the_time_limit() -> None:
    """No two nodes hear of each other, so no copy is taken off the record: who wrote is told that nobody knows."""
    async with Cluster(nodes=3, command_timeout_s=2.0) as cluster, clients(cluster.members()) as redis:
        await cluster.wait_for_copies()
        nodes = cluster.members()
        await until(lambda: all(_leased(node) for node in nodes), "all serve")
        with cut(nodes[:1], nodes[1:]), cut(nodes[1:2], nodes[2:]):
            async with asyncio.timeout(20.0):  # without a limit of its own nothing answers before the network heals
                replies = await in_batches(redis[0], [("SET", f"key:{n}", n) for n in range(KEYS)])
            assert all(isinstance(reply, RedisError) for reply in replies)
            codes = {str(reply).split()[0] for reply in replies}
            assert "UNCERTAIN" in codes
            assert codes <= {"UNCERTAIN", "CLUSTERDOWN", "TRYAGAIN"}


async def test_a_stopped_owner_answers_nothing_stale_when_it_goes_on() -> None:
    """SIGSTOP for longer than a lease: it answers what the others wrote meanwhile, from the first request on."""
    async with Processes() as processes:
        for _ in range(3):
            await processes.add("--command-timeout=10", "--lease=1")
        await processes.converge(3, timeout_s=30.0)
        await processes.spare_one()
        writer, victim = processes.servers[0], processes.servers[1]
        assert await in_batches(writer.redis, [("SET", f"key:{n}", "old") for n in range(KEYS)]) == [True] * KEYS
        reader, early = await asyncio.open_connection(*victim.address)
        early.write(request([b"PING"]))
        assert await reader.readline() == b"+PONG\r\n"
        victim.process.send_signal(signal.SIGSTOP)
        try:
            missing = [f"key:{n}" for n in range(KEYS)]
            for _ in range(10):  # what was under way to the stopped node is uncertain, and done again
                replies = await in_batches(writer.redis, [("SET", name, "new") for name in missing])
                missing = [name for name, reply in zip(missing, replies, strict=True) if reply is not True]
            assert missing == []
            early.writelines(request([b"GET", b"key:%d" % n]) for n in range(KEYS))
            await until(lambda: _unread_bytes(early) == 0, "the requests lie in the socket of the stopped node")
        finally:
            victim.process.send_signal(signal.SIGCONT)
        expected = bulk(b"new") * KEYS
        assert await reader.readexactly(len(expected)) == expected
        assert await in_batches(victim.redis, [("GET", f"key:{n}") for n in range(KEYS)]) == [b"new"] * KEYS
        early.close()


async def _acknowledged(redis: Redis, word: str) -> dict[str, bytes]:
    """Write some keys; return those of which the write was acknowledged."""
    names = [f"{word}:{n}" for n in range(KEYS)]
    replies = await in_batches(redis, [("SET", name, name) for name in names])
    assert all(reply is True or isinstance(reply, RedisError) for reply in replies)
    return {name: name.encode() for name, reply in zip(names, replies, strict=True) if reply is True}


def _unread_bytes(writer: asyncio.StreamWriter) -> int:
    """Count what the other end's kernel has not taken yet."""
    waiting = struct.unpack("i", fcntl.ioctl(writer.get_extra_info("socket"), termios.TIOCOUTQ, bytes(4)))[0]
    return int(waiting) + writer.transport.get_write_buffer_size()


def _ready(node: Node) -> bool:
    assert node._runtime is not None
    return node._runtime.preparation.verdict().ready


def _leased(node: Node) -> bool:
    """Whether a node may serve."""
    assert node._runtime is not None
    return node._runtime.keeper.leased(asyncio.get_running_loop().time())
