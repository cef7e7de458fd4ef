"""What this node learned first hand of a peer: round trips and lag."""

import math
from typing import Final

_GAIN_MEAN: Final = 1 / 8
_GAIN_DEVIATION: Final = 1 / 4
_DEVIATIONS: Final = 4
_SHORTEST_SHARE: Final = 1 / 4
"""A measured round trip never cuts the timeout below this share: a peer may be busy for once."""


class Contact:
    """First-hand knowledge of one peer; it is never passed on."""

    __slots__ = ("_deviation_s", "lag_ms", "notified_at", "round_trip_s")

    def __init__(self) -> None:
        self.round_trip_s: float | None = None
        """Smoothed round trip of direct pings, seconds; None before the first."""
        self._deviation_s = 0.0
        self.lag_ms = 0
        """The peer's event loop lag as it last reported it, milliseconds."""
        self.notified_at = -math.inf
        """When this peer was last told that it is held dead."""

    def measured(self, round_trip_s: float) -> None:
        """Take in one round trip (Jacobson and Karels' estimator, as in RFC 6298)."""
        if self.round_trip_s is None:
            self.round_trip_s, self._deviation_s = round_trip_s, round_trip_s / 2
            return
        off_s = round_trip_s - self.round_trip_s
        self._deviation_s += _GAIN_DEVIATION * (abs(off_s) - self._deviation_s)
        self.round_trip_s += _GAIN_MEAN * off_s

    def timeout_s(self, longest_s: float) -> float:
        """How long to wait for a direct ack before helpers are asked, at most `longest_s`."""
        if self.round_trip_s is None:
            return longest_s
        expected_s = self.round_trip_s + _DEVIATIONS * self._deviation_s
        return min(longest_s, max(longest_s * _SHORTEST_SHARE, expected_s))
