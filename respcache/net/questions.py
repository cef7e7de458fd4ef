"""The commands that a link asks its peer to run, gathered into frames. Pure."""

from collections.abc import Callable
from typing import Final

from respcache.cluster.ownership.slots import PARTITIONS
from respcache.net import frames, messages
from respcache.net.messages import Sent

SAME_TIME_S: Final = 0.01
"""Deadlines that are no further apart count as one, the first: each command reads the clock for its own."""

FRAME_BYTES: Final = 4 * 1024 * 1024
"""Requests, or replies, of one turn that are larger go in several frames, each larger by one of them at most."""

ALONE: Final = [(number,) for number in range(PARTITIONS)]
"""The partitions of a command on one key, by partition."""


class Questions:
    """What is to go out with the next frame of asks, and what is the same for all of it."""

    __slots__ = (
        "_bytes",
        "_database",
        "_deadline_s",
        "_frame",
        "_protocol",
        "_requests",
        "_timeout_s",
        "_version",
        "_writer",
    )

    def __init__(self, frame: Callable[[int, bytes], None]) -> None:
        """`frame` sends a frame: kind and body."""
        self._frame: Final = frame
        self._requests: list[Sent] = []
        self._bytes = 0
        self._version = (0, 0)
        self._database = 0
        self._protocol = 0
        self._writer: tuple[str, int] | None = None
        self._timeout_s = 0.0
        self._deadline_s = 0.0
        """When `_timeout_s` is over."""

    def add(
        self,
        request: Sent,
        version: tuple[int, int],
        database: int,
        protocol: int,
        deadline_s: float,
        writer: tuple[str, int] | None,
        clock: Callable[[], float],
    ) -> bool:
        """Add a request, to a frame of those that are like it; tell whether it is the first in one.

        `clock` gives monotonic seconds; it is asked once a frame.
        """
        begins = (
            not self._requests
            or abs(deadline_s - self._deadline_s) > SAME_TIME_S
            or database != self._database
            or protocol != self._protocol
            or writer is not self._writer
            or version != self._version
        )
        if begins:
            self.flush()
            self._version, self._database, self._protocol, self._writer = version, database, protocol, writer
            self._deadline_s = deadline_s
            self._timeout_s = max(deadline_s - clock(), 0.0)
        self._requests.append(request)
        self._bytes += len(request[2][-1])
        if self._bytes > FRAME_BYTES:
            self.flush()
        return begins

    def flush(self) -> None:
        """Send what there is."""
        if self._requests:
            requests, self._requests, self._bytes = self._requests, [], 0
            writer = 0 if self._writer is None else self._writer[1]
            body = messages.encode_ask(self._version, self._database, self._protocol, self._timeout_s, requests, writer)
            self._frame(frames.ASK, body)
