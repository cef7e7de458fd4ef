"""MONITOR: clients that are shown every command of a node's clients, as it is run.

What is run in a turn of the event loop is written down once and goes to each of them at its end, in one
write, behind the replies that they wait for.
"""

from collections.abc import Callable
from time import time_ns
from typing import Final, Protocol

from respcache.slowlog import redacted

ESCAPES: Final = {ord("\\"): b"\\\\", ord('"'): b'\\"', 10: b"\\n", 13: b"\\r", 9: b"\\t", 7: b"\\a", 8: b"\\b"}
SHOWN: Final = [
    ESCAPES.get(byte, bytes((byte,)) if ord(" ") <= byte <= ord("~") else b"\\x%02x" % byte) for byte in range(256)
]
"""How Redis writes each byte between quotes."""
SCRIPT: Final = b"lua"
"""What stands for the address of a client where a script has made the call."""


class Watcher(Protocol):
    """A client, as far as it is shown something. Compared by identity."""

    transmit: Callable[[bytes], None] | None
    """Sends what it has not asked for; None once it is gone."""


class Monitors:
    """All clients of one node that watch."""

    def __init__(self, changed: Callable[[], None]) -> None:
        """`changed` is called when there is one and was none before, or none any more."""
        self.wake: Callable[[], object] = _asleep
        """Called with the first line of a turn; whoever sets it calls `flush` at its end."""
        self._changed: Final = changed
        self._watchers: Final[dict[Watcher, None]] = {}
        self._lines: list[bytes] = []
        self.shown = 0
        """Commands that were shown so far."""

    def __len__(self) -> int:
        """Count those who watch."""
        return len(self._watchers)

    @property
    def is_on(self) -> bool:
        """Whether anybody watches."""
        return bool(self._watchers)

    def join(self, watcher: Watcher) -> None:
        """Show a client all that is run from now on."""
        self.flush()
        self._watchers[watcher] = None
        if len(self._watchers) == 1:
            self._changed()

    def leave(self, watcher: Watcher) -> None:
        """Show a client nothing any more, if it watches."""
        if watcher in self._watchers:
            self.flush()
            del self._watchers[watcher]
            if not self._watchers:
                self._changed()

    def show(self, address: bytes, database: int, argv: list[bytes]) -> None:
        """Show a command that was run, less the passwords in it."""
        if not self._watchers:
            return
        seconds, microseconds = divmod(time_ns() // 1000, 1_000_000)
        words = b" ".join([b'"%b"' % b"".join([SHOWN[byte] for byte in word]) for word in redacted(argv)])
        self._lines.append(b"+%d.%06d [%d %b] %b\r\n" % (seconds, microseconds, database, address, words))
        if len(self._lines) == 1:
            self.wake()

    def flush(self) -> None:
        """Send what was run since the last time."""
        lines, self._lines = self._lines, []
        if lines:
            self.shown += len(lines)
            wire = b"".join(lines)
            for watcher in list(self._watchers):
                if watcher.transmit is not None:
                    watcher.transmit(wire)


def _asleep() -> None:
    """Send it when somebody thinks of it."""
