"""A node that is busy is not taken for dead."""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from integration.clients import until
from integration.stores import partition
from respcache.config import ClusterConfig, Config, HttpConfig, ServerConfig
from respcache.node import Node
from respcache.testing import LocalCluster

pytestmark = pytest.mark.integration

BLOCKED_S = 3.0
"""Long enough to be suspected several times over, and to be found dead."""
LEASE_S = 2.0
HUNG_MAX_S = 60.0
"""Within which the others should have taken over: it is silent after HUNG_S, and suspected some seconds later."""
KEYS = 50


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


def test_keys_of_a_node_that_hangs_are_served_by_the_others() -> None:
    """Its event loop stands until they are; then it takes part again, and leaves in order."""
    with LocalCluster(nodes=3, environment="local", lease_s=LEASE_S) as others:
        served = threading.Event()

        def look() -> None:
            redis = Redis.from_url(others.url, socket_timeout=0.5, retry=Retry(NoBackoff(), 0))
            ends_at = time.monotonic() + HUNG_MAX_S
            left = list(range(KEYS))
            while left and time.monotonic() < ends_at:
                with suppress(RedisError):
                    assert redis.get(f"key:{left[-1]}") == b"%d" % left[-1]
                    left.pop()
            if not left:
                served.set()

        async def main() -> None:
            join = tuple("{}:{}".format(*address) for address in others.addresses)
            config = Config(
                server=ServerConfig(port=0),
                cluster=ClusterConfig(name="hung", environment="local", lease_s=LEASE_S, join=join),
                http=HttpConfig(enabled=False),
            )
            async with Node(config) as hung:
                await until(lambda: len(hung.members()) == 4, "all see each other")
                for number in range(KEYS):
                    await hung.set(f"key:{number}", number)
                await until(lambda: hung.copies_missing == hung.primaries_pending == 0, "all is in place", 60.0)
                assert any(partition(hung, b"key:%d" % number).serving for number in range(KEYS))
                thread = threading.Thread(target=look)
                thread.start()
                served.wait(HUNG_MAX_S)  # which blocks the event loop
                assert served.is_set()
                thread.join()
                await until(lambda: len(hung.members()) == 4, "it takes part again", 60.0)

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
