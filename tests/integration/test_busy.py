"""A node that is busy is not taken for dead."""

import asyncio
import time
from collections.abc import Callable

import pytest

from integration.clients import until
from respcache.config import ClusterConfig, Config, HttpConfig, ServerConfig
from respcache.node import Node
from respcache.testing import LocalCluster

pytestmark = pytest.mark.integration

BLOCKED_S = 3.0
"""Long enough to be suspected several times over, and to be found dead."""
LEASE_S = 2.0


def spin(seconds: float) -> None:
    """Compute, in Python, without a pause."""
    ends_at = time.monotonic() + seconds
    while time.monotonic() < ends_at:
        pass


@pytest.mark.parametrize("block", [time.sleep, spin])
def test_a_blocked_event_loop_is_lag_and_not_death(block: Callable[[float], None]) -> None:
    """For 3 s a node answers no client; the others suspect nobody, and see how late it is."""
    with LocalCluster(nodes=2, environment="lan", lease_s=LEASE_S) as others:

        async def main() -> None:
            config = Config(
                server=ServerConfig(port=0),
                cluster=ClusterConfig(
                    name="busy",
                    environment="lan",
                    lease_s=LEASE_S,
                    join=tuple("{}:{}".format(*a) for a in others.addresses),
                ),
                http=HttpConfig(enabled=False),
            )
            async with Node(config) as busy:
                await until(lambda: len(busy.members()) == 3, "all see each other")
                await asyncio.to_thread(others.wait_for_convergence, 3)
                block(BLOCKED_S)
                assert [transitions(others, index)["suspect"] for index in (0, 1)] == [0, 0]
                assert [transitions(others, index)["dead"] for index in (0, 1)] == [0, 0]
                assert max(lag_of_busy(others, index) for index in (0, 1)) > BLOCKED_S / 6  # each asks once a second

        asyncio.run(main())


def transitions(cluster: LocalCluster, index: int) -> dict[str, int]:
    """Count what a node saw."""

    async def count() -> dict[str, int]:
        runtime = cluster.member(index)._runtime
        assert runtime is not None
        return dict(runtime.tally.transitions)

    return cluster.run(count())


def lag_of_busy(cluster: LocalCluster, index: int) -> float:
    """Ask a node how late the busy one is."""

    async def look() -> float:
        return next(view.lag_s for view in cluster.member(index).members() if view.name == "busy")

    return cluster.run(look())
