"""The latency monitor: which kinds of work held the node up, when, and for how long.

Nothing is noted until a threshold is set (`latency-monitor-threshold`). What is kept is bounded: kinds are few and
fixed, each has its last HISTORY_MAX seconds in which it took long, and of each second the longest time.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

HISTORY_MAX: Final = 160
"""Spikes that are kept of each kind of work, as many as in Redis."""

COMMAND: Final = "command"
"""A command, but for those that COMMAND INFO calls fast."""
FAST_COMMAND: Final = "fast-command"
EXPIRE_CYCLE: Final = "expire-cycle"
"""Deleting keys whose time is over, between commands."""
EVICTION_CYCLE: Final = "eviction-cycle"
"""Deleting keys for want of memory."""


@dataclass(slots=True)
class Spike:
    """One second in which work of some kind took long."""

    at_unix_s: int
    duration_ms: int
    """The longest time in that second."""


@dataclass(slots=True)
class History:
    """The spikes of one kind of work."""

    spikes: deque[Spike]
    """The newest last."""
    longest_ms: int = 0
    """Of all that there ever were."""


class LatencyMonitor:
    """Keeps the spikes of a node. To be told of all that took as long as `threshold_us`."""

    def __init__(self) -> None:
        self.threshold_ms = 0
        """How long is long; 0 while nothing is noted."""
        self._histories: Final[dict[str, History]] = {}

    @property
    def threshold_us(self) -> int:
        """The same in microseconds, negative while nothing is noted."""
        return self.threshold_ms * 1000 or -1

    def record(self, event: str, duration_us: int, at_unix_s: int) -> None:
        """Note that work has taken so long, if that is long."""
        if not duration_us >= self.threshold_us >= 0:
            return
        history = self._histories.get(event)
        if history is None:
            history = self._histories[event] = History(deque(maxlen=HISTORY_MAX))
        duration_ms = duration_us // 1000
        history.longest_ms = max(history.longest_ms, duration_ms)
        last = history.spikes[-1] if history.spikes else None
        if last is not None and last.at_unix_s == at_unix_s:
            last.duration_ms = max(last.duration_ms, duration_ms)
        else:
            history.spikes.append(Spike(at_unix_s, duration_ms))

    def histories(self) -> dict[str, History]:
        """Give what was noted, by kind of work."""
        return self._histories

    def forget(self, events: list[str] | None = None) -> int:
        """Forget the spikes of some kinds of work, or of all, and return of how many there were any."""
        gone = [event for event in (events or list(self._histories)) if self._histories.pop(event, None) is not None]
        return len(gone)
