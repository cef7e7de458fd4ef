"""That one client cannot harm the others: limits of a server, on live sockets."""

import asyncio
import resource
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from integration.clients import clients, until
from integration.stores import owner
from respcache.net.outgoing import UNSENT_PAUSE_BYTES
from respcache.node import Node
from respcache.resp.encode import request
from respcache.testing import Cluster, Setting

pytestmark = pytest.mark.integration

MIB = 1024 * 1024
TIMEOUT_S = 10.0
OPEN: Final[dict[str, Setting]] = {"bind": "0.0.0.0", "advertise": "127.0.0.1", "cluster_plaintext": True}  # noqa: S104 # that is the point
"""Settings of a node that other machines can reach."""


async def test_a_slow_reader_is_waited_for_without_piling_up_its_replies() -> None:
    """A client asks for 100 MiB and does not read: the node stops reading it, serves others, then sends all."""
    async with Cluster(nodes=2) as cluster, clients(cluster.members()) as redis:
        value = b"x" * MIB
        await redis[0].set("large", value)
        for node in cluster.members():
            reader, writer = await asyncio.open_connection(*node.address, limit=MIB)
            for _ in range(100):
                writer.write(request([b"GET", b"large"]))
                await redis[0].set("other", "value")
                assert await redis[1].get("other") == b"value"
            assert _unsent_bytes(node) < 8 * MIB
            expected = 100 * len(b"$1048576\r\n" + value + b"\r\n")
            async with asyncio.timeout(30):
                assert len(await reader.readexactly(expected)) == expected
            writer.close()


async def test_a_burst_of_requests_with_large_replies_takes_little_memory() -> None:
    """400 MiB of replies asked for in one breath: they are made as the client reads them, and others are served."""
    async with Cluster(nodes=1) as cluster, clients(cluster.members()) as (redis,):
        node = cluster.member(0)
        value = b"x" * MIB
        await redis.set("large", value)
        reader, writer = await asyncio.open_connection(*node.address, limit=MIB)
        before = _resident_bytes()
        writer.write(request([b"GET", b"large"]) * 400)
        assert await redis.get("large") == value
        one = len(b"$1048576\r\n" + value + b"\r\n")
        async with asyncio.timeout(30):
            for _ in range(400):
                assert len(await reader.readexactly(one)) == one
                assert _resident_bytes() - before < 100 * MIB
        writer.close()


async def test_a_burst_through_another_node_takes_little_memory_of_the_owner() -> None:
    """150 MiB asked for in one breath: the owner makes replies as the other node reads them, and in order."""
    async with Cluster(nodes=2) as cluster, clients(cluster.members()) as redis:
        await redis[0].set("large", b"x" * MIB)
        await cluster.wait_for_copies()  # and for primaries to be where they stay
        holder = owner(cluster.members(), b"large")
        (front,) = (node for node in cluster.members() if node is not holder)
        assert holder._runtime is not None
        reader, writer = await asyncio.open_connection(*front.address, limit=MIB)
        writer.write(request([b"GET", b"large"]) * 150 + request([b"PING"]))
        one = len(b"$1048576\r\n") + MIB + 2
        most = 0
        async with asyncio.timeout(60):
            for _ in range(150):
                assert len(await reader.readexactly(one)) == one
                link = holder._runtime.replicator.links.link(front.name)
                assert link is not None
                most = max(most, link._transport.get_write_buffer_size())
            assert await reader.readexactly(7) == b"+PONG\r\n"
        assert most < UNSENT_PAUSE_BYTES + 4 * MIB
        writer.close()


async def test_a_client_that_lets_too_many_replies_pile_up_is_disconnected() -> None:
    """Beyond `client-output-buffer-limit` the connection ends, and the memory is free; others see nothing of it."""
    async with (
        Cluster(nodes=1, client_output_buffer_limit_bytes=4 * MIB) as cluster,
        clients(cluster.members()) as (redis,),
    ):
        node = cluster.member(0)
        await redis.set("large", b"x" * MIB)
        reader, writer = await asyncio.open_connection(*node.address, limit=1024)
        writer.write(request([b"MGET", *[b"large"] * 40]))
        await until(lambda: _disconnects(node, "output_limit") == 1, "the slow reader is cut off")
        assert await redis.get("large") == b"x" * MIB
        assert _unsent_bytes(node) < 2 * MIB
        writer.close()
        del reader


async def test_one_client_too_many_is_told_so() -> None:
    """With `maxclients = 3` the fourth one gets Redis' error and is disconnected; a place that is left is free."""
    async with Cluster(nodes=1, maxclients=3) as cluster:
        node = cluster.member(0)
        some = [await asyncio.open_connection(*node.address) for _ in range(3)]
        for reader, writer in some:
            writer.write(b"PING\r\n")
            assert await reader.readline() == b"+PONG\r\n"
        assert await _said(node.address, b"PING\r\n") == b"-ERR max number of clients reached\r\n"
        some[0][1].close()
        await until(lambda: _clients(node) == 2, "one has gone")
        assert await _said(node.address, b"PING\r\nQUIT\r\n") == b"+PONG\r\n+OK\r\n"
        for _, writer in some[1:]:
            writer.close()


async def test_a_node_without_password_refuses_clients_from_other_machines() -> None:
    """The refusal says why and what to do; with a password, or with protected mode off, they are let in."""
    host = _outward_address()
    if host is None:
        pytest.skip("this machine has no address but the loopback one")
    async with Cluster() as cluster:
        shut = await cluster.add_member(**OPEN)
        refusal = await _said((host, shut.address[1]), b"PING\r\n")
        assert refusal.startswith(b"-DENIED this node is in protected mode")
        for remedy in (b"requirepass", b"loopback", b"protected-mode"):
            assert remedy in refusal
        assert await _said(("127.0.0.1", shut.address[1]), b"PING\r\nQUIT\r\n") == b"+PONG\r\n+OK\r\n"
    for settings in ({"requirepass": "secret"}, {"protected_mode": False}):
        async with Cluster() as cluster:
            node = await cluster.add_member(**OPEN, **settings)
            said = await _said((host, node.address[1]), b"AUTH secret\r\nPING\r\nQUIT\r\n")
            assert said.endswith(b"+PONG\r\n+OK\r\n")


@pytest.mark.parametrize("verb", [b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS"])
async def test_a_browser_that_was_led_to_the_resp_port_is_cut_off(verb: bytes) -> None:
    """HTTP on the RESP port is answered with one error; commands in its body are not run."""
    async with Cluster(nodes=1) as cluster, clients(cluster.members()) as (redis,):
        body = b"SET injected yes\r\n"
        head = b"%b / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % (verb, len(body))
        said = await _said(cluster.member(0).address, head + body)
        assert all(line.startswith(b"-ERR") for line in said.splitlines())
        assert await redis.get("injected") is None


async def test_idle_clients_are_sent_away() -> None:
    """With `timeout = 1` a silent connection ends after a second or two; one that talks goes on."""
    async with Cluster(nodes=1, timeout_s=1) as cluster, clients(cluster.members()) as (redis,):
        reader, writer = await asyncio.open_connection(*cluster.member(0).address)
        async with asyncio.timeout(TIMEOUT_S):
            while not reader.at_eof():
                assert await redis.ping()
                await asyncio.wait([asyncio.ensure_future(reader.read(1))], timeout=0.2)
        writer.close()


async def test_a_request_that_never_ends_is_cut_off() -> None:
    """Beyond `client-query-buffer-limit` the connection ends, and what it sent is forgotten."""
    async with Cluster(nodes=1, client_query_buffer_limit_bytes=2 * MIB) as cluster:
        node = cluster.member(0)
        reader, writer = await asyncio.open_connection(*node.address)
        writer.write(b"*2\r\n$3\r\nGET\r\n$100000000\r\n" + b"x" * 8 * MIB)
        await until(lambda: _disconnects(node, "protocol") == 1, "the connection is cut")
        assert _clients(node) == 0
        writer.close()
        del reader


async def test_a_leaving_node_answers_what_it_has_taken_in() -> None:
    """Every request that was sent before the node began to leave gets its reply before the connection ends."""
    async with Cluster(nodes=2) as cluster:
        node = cluster.member(1)
        reader, writer = await asyncio.open_connection(*node.address)
        writer.write(b"".join(request([b"SET", b"key:%d" % n, b"value"]) for n in range(500)))
        assert await reader.readexactly(5) == b"+OK\r\n"
        closing = asyncio.create_task(cluster.close(1))
        async with asyncio.timeout(TIMEOUT_S):
            assert await reader.read(-1) == b"+OK\r\n" * 499
        assert await closing
        writer.close()


async def test_killing_a_client_ends_its_connection() -> None:
    """CLIENT KILL by ID, by another client."""
    async with Cluster(nodes=1) as cluster, clients(cluster.members()) as (redis,):
        reader, writer = await asyncio.open_connection(*cluster.member(0).address)
        writer.write(b"CLIENT ID\r\n")
        number = (await reader.readline())[1:-2]
        assert await redis.client_kill_filter(_id=number.decode()) == 1
        with suppress(ConnectionResetError):
            async with asyncio.timeout(TIMEOUT_S):
                assert await reader.read() == b""
        await until(lambda: _disconnects(cluster.member(0), "killed") == 1, "the client is gone")
        writer.close()


async def _said(address: tuple[str, int], words: bytes) -> bytes:
    """Send bytes and give all that is answered until the node hangs up."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(words)
        async with asyncio.timeout(TIMEOUT_S):
            return await reader.read(-1)
    finally:
        writer.close()


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def _unsent_bytes(node: Node) -> int:
    assert node._runtime is not None
    connections = node._runtime.server._connections
    return sum(connection._transport.get_write_buffer_size() for connection in connections)


def _clients(node: Node) -> int:
    assert node._runtime is not None
    return len(node._runtime.server.sessions())


def _disconnects(node: Node, reason: str) -> int:
    assert node._runtime is not None
    return node._runtime.stats.disconnects[reason]


def _outward_address() -> str | None:
    """Find an address of this machine that is not its loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        host: str = probe.getsockname()[0]
        return None if host.startswith("127.") else host
