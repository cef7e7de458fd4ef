"""A transport that leads nowhere: it notes what is written, and is as full as the test says."""

import asyncio
from collections.abc import Callable
from typing import Any


def at_once(call: Callable[[], None]) -> None:
    """Call a function at the end of this turn of the event loop: turns are as short as can be."""
    call()


def later_at_once(_delay_s: float, call: Callable[[], None]) -> None:
    """Call a function after some time, during which nothing happens."""
    call()


class NotedTransport(asyncio.Transport):
    """Takes everything in. `read` of the test is what the peer would have got."""

    def __init__(self, peer: tuple[str, int] | str = ("127.0.0.1", 50_000)) -> None:
        super().__init__({"peername": peer, "sockname": ("127.0.0.1", 6379)})
        self.written = b""
        self.writes = 0
        self.unsent_bytes = 0
        """What the peer has not read yet."""
        self.reading = True
        self.closed = False
        self.aborted = False

    def write(self, data: Any) -> None:
        """Note bytes; behind the end there must be none."""
        assert not self.closed, data
        self.written += bytes(data)
        self.writes += 1

    def take(self) -> bytes:
        """Give what was written since the last time."""
        written, self.written = self.written, b""
        return written

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing: the test is the buffer."""

    def get_write_buffer_size(self) -> int:
        """Tell what the test has set."""
        return self.unsent_bytes

    def pause_reading(self) -> None:
        """Note it."""
        self.reading = False

    def resume_reading(self) -> None:
        """Note it."""
        self.reading = True

    def is_closing(self) -> bool:
        """Tell whether either side has ended."""
        return self.closed

    def close(self) -> None:
        """Note it."""
        self.closed = True

    def abort(self) -> None:
        """Note it."""
        self.closed = self.aborted = True
