"""Streams and groups of consumers through any node of three."""

import pytest

from integration.clients import clients
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
            seen = []
            for number in range(9):
                [[_, entries]] = await nodes[number % 3].xreadgroup("g", f"c{number % 2}", {key: ">"}, count=1)
                seen += entries
            assert [fields[b"n"] for _, fields in seen] == [b"%d" % number for number in range(9)]
            assert await nodes[0].xack(key, "g", *[number for number, _ in seen[:4]]) == 4
            assert (await nodes[1].xpending(key, "g"))["pending"] == 5
            claimed = await nodes[2].xautoclaim(key, "g", "c9", 0, justid=True)
            assert claimed == [number for number, _ in seen[4:]]
