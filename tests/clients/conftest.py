"""Three nodes for all tests of this folder; each test is run through each of them, on an empty cluster."""

import asyncio
import gc
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from respcache.testing import LocalCluster

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder: they are run by `task test:clients`."""
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.clients)
            item.add_marker(pytest.mark.filterwarnings("default"))  # what others' code warns of is for them to mend


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run the test if it is a coroutine function; leave others to pytest."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture(scope="session")
def cluster() -> Iterator[LocalCluster]:
    """Run three nodes."""
    with LocalCluster(nodes=3) as running:
        running.wait_for_copies()
        yield running


@pytest.fixture(params=[0, 1, 2], ids=["first", "second", "third"])
def url(cluster: LocalCluster, request: pytest.FixtureRequest) -> str:
    """Empty the cluster, and give the URL of one of its nodes."""
    through: str = cluster.node_urls[request.param]
    with redis.Redis.from_url(through) as client:
        client.flushall()
    return through


@pytest.fixture(autouse=True)
def swept() -> Iterator[None]:
    """Have what others' code leaves unclosed found within its own test, whose warnings are theirs."""
    yield
    gc.collect()
