"""How late the event loop is: the delay from when a timer was due to when it ran."""

from typing import Final

from respcache.stats import DURATION_BUCKETS

PERIOD_S: Final = 0.25
"""From one sample to the next."""
STALL_S: Final = 1.0
"""A lag that is worth a line in the log: commands have waited for so long, and peers may begin to doubt."""


class LoopLag:
    """A timer that measures itself. Whoever owns the event loop sets it.

    First `loop.call_at(lag.start(loop.time()), sample)`, then again and again in that
    callback `loop.call_at(lag.sample(loop.time()), sample)`.
    """

    __slots__ = ("_due_s", "buckets", "last_s", "sum_s")

    def __init__(self) -> None:
        self.buckets: Final = [0] * DURATION_BUCKETS
        """Bucket i counts lags from 2**(i-1) to below 2**i microseconds."""
        self.sum_s = 0.0
        self.last_s = 0.0
        """The newest sample."""
        self._due_s = 0.0

    def start(self, now: float) -> float:
        """Begin to measure; return when the first sample is due."""
        self._due_s = now + PERIOD_S
        return self._due_s

    def sample(self, now: float) -> float:
        """Take a sample; return when the next one is due. A stall counts once, however long it was."""
        lag_s = max(0.0, now - self._due_s)
        self.buckets[min(int(lag_s * 1e6).bit_length(), DURATION_BUCKETS - 1)] += 1
        self.sum_s += lag_s
        self.last_s = lag_s
        return self.start(now)
