"""What a link has to write, in order: large parts piece by piece, as fast as the other end takes them.

A transport copies what the socket does not take at once, and sealing takes as long as there are bytes: a hundred
megabytes at once would stop everything else.

    empty --put a large part--> under way --its end--> empty
                                 |     ^
                                 `pause`, `resume`: the transport has enough for now
"""

from collections import deque
from collections.abc import Callable
from typing import Final

UNSENT_PAUSE_BYTES: Final = 16 * 1024 * 1024
"""As much unread, and nothing more is run for the peer until it has read: more answers would only wait here."""
PIECE_BYTES: Final = 256 * 1024
TURN_BYTES: Final = 4 * 1024 * 1024
"""So much is written in one turn of the event loop: two milliseconds of work, twice that where it is sealed."""


class Outgoing:
    """The parts that are not written yet. Nothing that comes later overtakes them."""

    __slots__ = ("_at", "_drained", "_parts", "_paused", "_soon", "_waking", "_write", "unsent_bytes")

    def __init__(
        self,
        write: Callable[[bytes], None],
        soon: Callable[[Callable[[], None]], object],
        drained: Callable[[], None],
    ) -> None:
        """`write` takes a piece; `soon` calls back in the next turn of the event loop.

        `drained` is told when there is room for more: after large parts, or a pause, and when all is written.
        """
        self._write: Final = write
        self._drained: Final = drained
        self._soon: Final = soon
        self._parts: Final[deque[bytes]] = deque()
        self._at = 0
        """So much of the first one is written."""
        self._paused = self._waking = False
        self.unsent_bytes = 0

    def put(self, part: bytes) -> None:
        """Write a part, behind those before it."""
        if not self._parts and len(part) <= PIECE_BYTES:
            self._write(part)
            return
        self._parts.append(part)
        self.unsent_bytes += len(part)
        if not self._waking:
            self._write_some()

    def pause(self) -> None:
        """Write no more of large parts for now; small ones with nothing before them are written all the same."""
        self._paused = True

    def resume(self) -> None:
        """Go on."""
        self._paused = False
        if not self._waking:
            self._go_on()

    def clear(self) -> None:
        """Forget everything: nobody takes it any more."""
        self._parts.clear()
        self._at = self.unsent_bytes = 0

    def _go_on(self) -> None:
        self._waking = False
        self._write_some()
        if not self._parts and not self._paused:
            self._drained()

    def _write_some(self) -> None:
        """Write some pieces, and go on with the others in the next turn."""
        room, parts = TURN_BYTES, self._parts
        while parts and room > 0 and not self._paused:
            part = parts[0]
            piece = part[self._at : self._at + PIECE_BYTES]
            self._at += len(piece)
            if self._at >= len(part):
                parts.popleft()
                self._at = 0
            self.unsent_bytes -= len(piece)
            room -= len(piece)
            self._write(piece)
        if parts and not self._paused:
            self._waking = True
            self._soon(self._go_on)
