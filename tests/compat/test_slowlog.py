"""The slow log beside a real Redis: what is in it when a command has waited."""

from time import monotonic
from typing import Final

import pytest

from compat.wire import Frame, RawConnection
from respcache.resp.encode import request
from respcache.testing import LocalCluster

pytestmark = pytest.mark.integration

PATIENCE_S: Final = 30.0
WAITING: Final = b"blocked_clients:1\r\n"


def text(frame: Frame, *path: int) -> bytes:
    """Find a string within a reply."""
    for place in path:
        assert frame.elements is not None
        frame = frame.elements[place]
    return frame.wire


def logged(port: int) -> list[bytes]:
    """Have a client wait for an element that another gives it in a transaction; give the words of the newest entry."""
    with RawConnection(port) as waiter, RawConnection(port) as other:
        other.run([[b"FLUSHALL"], [b"CONFIG", b"SET", b"slowlog-log-slower-than", b"0"]])
        waiter.send(request([b"blpop", b"list", b"0"]))
        ends_s = monotonic() + PATIENCE_S
        while WAITING not in other.run([[b"INFO", b"clients"]])[0].wire:
            assert monotonic() < ends_s, "it does not wait"
        other.run([[b"MULTI"], [b"LPUSH", b"list", b"x"], [b"SLOWLOG", b"RESET"], [b"EXEC"]])
        waiter.receive(1)
        [found] = other.run([[b"SLOWLOG", b"GET", b"1"]])
        [calls] = other.run([[b"INFO", b"commandstats"]])
        other.run([[b"CONFIG", b"SET", b"slowlog-log-slower-than", b"10000"], [b"SLOWLOG", b"RESET"]])
        assert b"cmdstat_blpop:calls=" in calls.wire
        return [text(found, 0, 3, place) for place in range(3)]


def test_a_command_that_has_waited_is_logged_when_it_is_served(oracle_port: int) -> None:
    """As its client wrote it, and behind the transaction that served it."""
    with LocalCluster(nodes=1) as cluster:
        ((_, port),) = cluster.addresses
        assert logged(port) == logged(oracle_port) == [b"$5\r\nblpop\r\n", b"$4\r\nlist\r\n", b"$1\r\n0\r\n"]
