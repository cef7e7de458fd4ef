"""The oracle, and what is compared with it."""

from collections.abc import Callable, Iterator
from typing import Final

import pytest

from compat.oracle import redis_server, why_not
from compat.wire import RawConnection

Connect = Callable[[int], RawConnection]
"""Connects to the oracle with a RESP version."""

_REASON: Final = why_not()


@pytest.fixture(scope="session")
def oracle() -> Iterator[Connect]:
    """Run a real Redis; each RESP version has one connection for all tests."""
    if _REASON is not None:
        pytest.skip(_REASON)
    with redis_server() as port, RawConnection(port) as older, RawConnection(port, protocol=3) as newer:
        yield {2: older, 3: newer}.__getitem__
