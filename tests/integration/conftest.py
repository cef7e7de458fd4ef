"""Runs coroutine tests, each on an event loop of its own."""

import asyncio
import gc
import inspect
from collections.abc import Awaitable

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run the test if it is a coroutine function; leave others to pytest."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(alone(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})))
    return True


async def alone(test: Awaitable[None]) -> None:
    """Run a test so that its failure is one failure: connections that it did not get to close are cut.

    Left to the garbage collector they would be warned of, as an error, during whatever test comes next.
    """
    try:
        await test
    except BaseException:
        for left in gc.get_objects():
            if isinstance(left, asyncio.WriteTransport) and not left.is_closing():
                left.abort()
        await asyncio.sleep(0)  # that is when they close their sockets
        raise
