"""How late another thread's event loop is, found out by asking it for a sign of life. Pure."""

import math
from typing import Final

HUNG_S: Final = 5.0
"""A loop that gives no sign of life for so long hangs: other work than one long command, or a pause of the machine."""
PERIOD_S: Final = 0.5
"""From one beat to the next, at least: each wakes the other thread up."""


class Pulse:
    """One beat is under way at a time, so a loop that hangs is not sent more and more of them.

    resting --beat--> under way --answer--> resting

    The asking thread calls `beat` and `lag_s`, the asked one `answer`. `now` is monotonic seconds.
    """

    __slots__ = ("_began_s", "_last_s", "_under_way")

    def __init__(self) -> None:
        self._under_way = False
        self._began_s = -math.inf
        self._last_s = 0.0

    def beat(self, now: float) -> bool:
        """Begin a beat if it is time for one, and none is under way; tell whether it has to be sent."""
        if self._under_way or now < self._began_s + PERIOD_S:
            return False
        self._began_s, self._under_way = now, True
        return True

    def answer(self, now: float) -> None:
        """End the beat that is under way."""
        self._last_s = max(0.0, now - self._began_s)
        self._under_way = False

    def lag_s(self, now: float) -> float:
        """Return the age of the beat that is under way, or else how long the last one took, if that is more."""
        return max(self._last_s, now - self._began_s) if self._under_way else self._last_s

    def hangs(self, now: float) -> bool:
        """Tell whether the loop hangs: the beat that is under way has had no answer for HUNG_S."""
        return self._under_way and now >= self._began_s + HUNG_S
