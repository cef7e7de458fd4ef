"""Nodes that are stopped before they belong to a cluster: nobody waits for them, and nobody is lost with them."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest

from integration.clients import client, command, until
from loopback import HOST, free_ports
from respcache import ClusterConfig, Config, HttpConfig, JoinTimeout, Node, NodeClosed, ServerConfig
from respcache.cluster.membership import MemberState
from respcache.errors import Outranked
from respcache.net.membership import Membership
from respcache.net.runtime import Runtime
from respcache.testing import Cluster

pytestmark = pytest.mark.integration


def newcomer(*seeds: Node | str, port: int = 0, expect: int = 0, join_timeout_s: float = 30.0) -> Node:
    """Make a node that is to join others."""
    return Node(
        Config(
            server=ServerConfig(port=port),
            cluster=ClusterConfig(
                port=0,
                join=tuple(seed if isinstance(seed, str) else str(seed.address) for seed in seeds),
                environment="local",
                lease_s=2.0,
                quorum="majority",
                expect=expect,
                join_timeout_s=join_timeout_s,
            ),
            http=HttpConfig(enabled=False),
        )
    )


@asynccontextmanager
async def starting(node: Node) -> AsyncIterator[asyncio.Task[None]]:
    """Have a node start meanwhile."""
    task = asyncio.create_task(node.start())
    yield task
    await node.kill()
    await asyncio.gather(task, return_exceptions=True)


async def at_once(condition: Callable[[], bool]) -> None:
    """Wait for a condition, and go on in the very turn of the event loop that brings it."""
    while not condition():  # noqa: ASYNC110 # it is about the turn, which no event tells
        await asyncio.sleep(0)


def is_met(by: Node, node: Node) -> Callable[[], bool]:
    """Tell whether a node has heard of another one that is just starting."""
    return lambda: node._runtime is not None and node._runtime.name in by._running().membership.snapshot.members


def is_let_in(node: Node) -> Callable[[], bool]:
    """Tell whether a node belongs to a cluster, be its start over or not."""
    return lambda: node._runtime is not None and node._runtime.keeper.joined


@pytest.mark.parametrize("let_in", ["met", "let in"])
async def test_a_start_that_is_cancelled_leaves_the_cluster_as_it_was(
    let_in: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node may be let in just as it stops, and would be a voter that never answers: both would be the majority."""
    close = Membership.close

    async def slow(membership: Membership) -> None:
        await asyncio.sleep(0.3)
        await close(membership)

    monkeypatch.setattr(Membership, "close", slow)
    async with Cluster(nodes=1, quorum="majority") as cluster:
        (first,) = cluster.members()
        await first.set("k", "v")
        node = newcomer(first)
        async with starting(node) as start:
            await at_once(is_let_in(node) if let_in == "let in" else is_met(first, node))
            start.cancel()
            with pytest.raises(asyncio.CancelledError):
                await start
            assert node.state == "left"
            assert await node.close()
        assert [member.name for member in first.members() if member.state in {"alive", "suspect", "dead"}] == [
            first.name
        ]
        health = first._running().keeper.health(asyncio.get_running_loop().time())
        assert health is not None
        assert (health.voters, health.leased) == (1, True)
        assert await first.get("k") == b"v"


async def test_nobody_takes_a_node_for_dead_that_gives_up() -> None:
    """It says good-bye to those that it has met, though it was not let in: too few are there for that."""
    ports = free_ports(2)
    seeds = [f"{HOST}:{port}" for port in ports]
    nodes = [
        newcomer(*seeds, port=port, expect=3, join_timeout_s=timeout_s)
        for port, timeout_s in zip(ports, (1.0, 4.0), strict=True)
    ]
    gives_up, stays = nodes
    async with starting(stays):
        with pytest.raises(JoinTimeout, match="2 are here"):
            await gives_up.start()
        membership = stays._running().membership
        member = membership.member(gives_up.name)
        assert member is not None
        assert member.state is MemberState.LEFT


async def test_nobody_takes_a_node_for_dead_whose_start_is_cut_short() -> None:
    """It may be known already to those whom it has just called, and know none of them."""
    rng = Random(1)
    async with Cluster(nodes=1) as cluster:
        (first,) = cluster.members()
        names: list[str] = []
        for _ in range(15):
            node = newcomer(first)
            async with starting(node) as start:
                await asyncio.wait({start}, timeout=rng.uniform(0.002, 0.02))
                if start.cancel():
                    await asyncio.wait({start})
                    names += [] if node._runtime is None else [node._runtime.name]
        members = first._running().membership.snapshot.members
        known = [members[name].state for name in names if name in members]
        assert set(known) <= {MemberState.LEFT}


async def test_a_start_that_is_cancelled_while_an_outranked_run_closes_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever has cancelled it does not close the node besides."""
    closing: list[Runtime] = []
    close = Runtime.close

    async def outranked(runtime: Runtime) -> None:
        raise Outranked(runtime._run)

    async def noted(runtime: Runtime) -> None:
        closing.append(runtime)
        await close(runtime)

    monkeypatch.setattr(Runtime, "joined", outranked)
    monkeypatch.setattr(Runtime, "close", noted)
    node = newcomer(f"{HOST}:1")
    start = asyncio.create_task(node.start())
    await at_once(lambda: bool(closing))
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert node.state == "left"
    name = f"membership-{closing[0].name}"
    await until(lambda: all(thread.name != name for thread in threading.enumerate()), "its thread has ended")


async def test_a_node_that_is_closed_before_its_start_has_begun_never_serves() -> None:
    """The start may be a task that has not had its first turn."""
    node = newcomer()
    start = asyncio.create_task(node.start())
    assert await node.close()
    with pytest.raises(NodeClosed):
        await start
    assert node.state == "left"


async def test_a_node_that_is_not_let_in_waits_for_no_replies() -> None:
    """None are to come; a client that has asked for a key is no reason to go on."""
    node = newcomer(f"{HOST}:1")
    async with starting(node):
        await until(lambda: node.state == "joining", "it has begun")
        async with client(node.address) as redis:
            asked = asyncio.create_task(command(redis, "GET", "k"))
            await until(lambda: any(session.last_command for session in node._running().server.sessions()), "it asks")
            async with asyncio.timeout(3.0):
                await node.close()
            await asyncio.gather(asked, return_exceptions=True)


async def test_closing_ends_a_start() -> None:
    """At once, however long it may wait for a cluster; closing the node again changes nothing."""
    node = newcomer(f"{HOST}:1")
    async with starting(node) as start:
        await until(lambda: node.state == "joining", "it has begun")
        async with asyncio.timeout(5.0):
            assert await node.close()
            with pytest.raises(NodeClosed, match="before it belonged to a cluster"):
                await start
        assert node.state == "left"
        assert await node.close()


async def test_a_node_that_is_closed_as_it_is_let_in_hands_over_and_never_serves() -> None:
    """Whoever waits for its start is told."""
    async with Cluster(nodes=1) as cluster:
        (first,) = cluster.members()
        node = newcomer(first)
        async with starting(node) as start:
            await at_once(is_let_in(node))
            assert await node.close()
            with pytest.raises(NodeClosed):
                await start
            assert node.state == "left"
        await cluster.wait_for_convergence(1, timeout_s=5.0)


async def test_killing_cuts_closing_short() -> None:
    """Where nobody is left to hand over to, closing takes all the time that there is."""
    async with Cluster(nodes=3) as cluster:
        await cluster.wait_for_copies()
        node, *others = cluster.members()
        await node.set("k", "v")
        await asyncio.gather(*(other.kill() for other in others))
        closing = asyncio.create_task(node.close())
        await until(lambda: node.state == "draining", "it is closing")
        async with asyncio.timeout(3.0):
            await node.kill()
            assert not await closing
        assert node.state == "left"
