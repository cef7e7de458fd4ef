"""What programs and operators are told of the cluster."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from integration.clients import clients, command, until
from integration.processes import eventually
from respcache import ClusterEvent
from respcache.cluster.membership import MemberState
from respcache.cluster.ownership.slots import SLOTS
from respcache.testing import Cluster

pytestmark = pytest.mark.integration

TIMEOUT_S = 15.0


async def take(events: AsyncIterator[ClusterEvent], *types: str) -> list[ClusterEvent]:
    """Read events until each of these types has come."""
    wanted, taken = set(types), []
    async with asyncio.timeout(TIMEOUT_S):
        async for event in events:
            taken.append(event)
            wanted.discard(event.type)
            if not wanted:
                return taken
    raise AssertionError(f"the stream ended without {wanted}")


async def test_events_tell_who_came_who_died_and_who_serves_instead() -> None:
    """A reader learns of a join, of a death with all its stages, and of slots with another node; then of the end."""
    async with Cluster(nodes=2) as cluster:
        first, second = cluster.members()
        events = first.events()
        third = await cluster.add_member()
        await cluster.wait_for_convergence(3)
        (joined,) = [event for event in await take(events, "joined", "moved") if event.type == "joined"]
        assert (joined.node, joined.address) == (third.name, "{}:{}".format(*third.address))

        await cluster.wait_for_copies()
        await cluster.kill(2)
        told = await take(events, "suspect", "dead", "failover")
        fallen = [event for event in told if event.type in {"suspect", "dead"}]
        assert [(event.type, event.node) for event in fallen] == [("suspect", third.name), ("dead", third.name)]
        assert all(event.source == third.name for event in told if event.type == "failover")
        assert {event.node for event in told if event.type == "failover"} <= {first.name, second.name}

        reading = asyncio.create_task(_rest(events))
        await cluster.close(0)
        assert all(event.node for event in await reading)


async def _rest(events: AsyncIterator[ClusterEvent]) -> list[ClusterEvent]:
    return [event async for event in events]


async def test_members_tell_how_far_away_they_are() -> None:
    """Round trips appear once a member was probed; this node itself has none."""
    async with Cluster(nodes=2) as cluster:
        first, second = cluster.members()
        views = {view.name: view for view in first.members()}

        def measured() -> bool:
            views.update({view.name: view for view in first.members()})
            return views[second.name].round_trip_s is not None

        await until(measured, "a round trip is known")
        assert 0 < (views[second.name].round_trip_s or 0) < 1
        assert views[first.name].round_trip_s is None


async def test_a_dead_node_is_listed_until_it_is_forgotten() -> None:
    """CLUSTER FORGET on one node is heeded by all; a node that lives is refused."""
    async with Cluster(nodes=3) as cluster:
        await cluster.wait_for_copies()
        ids = {view.name: view.node_id for view in cluster.member(0).members()}
        dead, alive = cluster.member(2).name, cluster.member(1).name
        await cluster.kill(2)
        async with clients(cluster.members()) as redis:
            for node in redis:
                await _listed(node, ids[dead], "fail")
            with pytest.raises(ResponseError, match="is not dead"):
                await command(redis[0], "CLUSTER", "FORGET", ids[alive])
            assert await command(redis[0], "CLUSTER", "FORGET", ids[dead])
            for node in redis:
                await _listed(node, ids[dead], None)


async def _listed(redis: Redis, node_id: str, flag: str | None) -> None:
    """Wait until a node lists another one with a flag, or not at all."""

    async def is_so() -> bool:
        listing = await command(redis, "CLUSTER", "NODES")
        assert isinstance(listing, bytes)
        flags = [line.split()[2].split(",") for line in listing.decode().splitlines() if line.startswith(node_id)]
        return flags == [] if flag is None else flag in flags[0]

    await eventually(is_so, f"{node_id} is listed as {flag}", TIMEOUT_S)


async def test_a_node_can_be_introduced_by_a_client() -> None:
    """CLUSTER MEET does for a waiting node what an address at its start would have done."""
    async with Cluster() as cluster:
        first = await cluster.add_member()
        waiting = asyncio.create_task(cluster.add_member(join=("127.0.0.1:1",)))
        await until(lambda: len(cluster._nodes) == 2 and cluster.member(1).state == "joining", "it waits")
        async with clients([cluster.member(1)]) as (redis,):

            async def is_introduced() -> bool:
                try:
                    return await command(redis, "CLUSTER", "MEET", *first.address) in {b"OK", True}
                except RedisError:
                    return False  # it does not listen yet

            await eventually(is_introduced, "it takes commands", TIMEOUT_S)
        await waiting
        await cluster.wait_for_convergence(2)
        assert {view.state for view in first.members()} == {MemberState.ALIVE.name.lower()}
        assert sum(last - start + 1 for view in first.members() for start, last in view.slots) == SLOTS
