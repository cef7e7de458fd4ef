"""What clients are told while fewer copies of a key are in sync than it takes to write (`min-in-sync`)."""

import pytest
from redis.exceptions import ResponseError

from integration.clients import clients, in_batches
from respcache.testing import Cluster

pytestmark = pytest.mark.integration

KEYS = [f"key:{number}" for number in range(200)]


async def test_writes_without_enough_copies_are_refused_and_not_done() -> None:
    """A node of three dies: the keys of which it had one of two copies can be read, and written once there are two."""
    async with Cluster(nodes=3, replica_count=2, min_in_sync=2, rebuild_delay_s=6.0) as cluster:
        await cluster.wait_for_copies()
        async with clients(cluster.members()[:2]) as (one, other):
            assert await in_batches(one, [("SET", key, "old") for key in KEYS]) == [True] * len(KEYS)
            await cluster.kill(2)
            await cluster.wait_for_convergence(2)
            told = await in_batches(one, [("SET", key, "new") for key in KEYS])
            refused = {key for key, reply in zip(KEYS, told, strict=True) if reply is not True}
            assert 0 < len(refused) < len(KEYS)
            for key, reply in zip(KEYS, told, strict=True):
                if key in refused:
                    assert isinstance(reply, ResponseError)
                    assert str(reply).startswith("NOREPLICAS ")
            kept = await in_batches(other, [("GET", key) for key in KEYS])
            assert kept == [b"old" if key in refused else b"new" for key in KEYS]
            await cluster.wait_for_copies()
            assert await in_batches(other, [("SET", key, "new") for key in KEYS]) == [True] * len(KEYS)
