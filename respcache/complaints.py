"""Lines of the log that others cause: however many they send, a few are written.

Whoever reaches a port can do what is worth a line, as often as it likes. What it did is counted elsewhere, all of it.
"""

import logging
import math
from collections import Counter
from collections.abc import Callable
from time import monotonic
from typing import Final

INTERVAL_S: Final = 60.0
"""From one line about the same to the next."""
SOURCES_MAX: Final = 32
"""Pairs of a reason and a source that have lines of their own in this time; of all others each reason has one."""


class Complaints:
    """Writes the first line of each reason and source in an interval.

    The next one of that reason tells how many more there would have been.
    """

    def __init__(self, log: logging.Logger, now_s: Callable[[], float] = monotonic) -> None:
        """`now_s` reads a clock that nobody sets back."""
        self._log: Final = log
        self._now_s: Final = now_s
        self._written_s: dict[tuple[str, str], float] = {}
        self._left_out: Final = Counter[str]()

    def warn(self, reason: str, source: str, line: str, *values: object) -> None:
        """Warn of what came from `source`, a host say. Reasons are few, and ours: no word that came from there."""
        if (more := self._due(reason, source)) is not None:
            self._log.warning(line + more, *values)

    def fault(self, source: str, line: str, fault: BaseException, *values: object) -> None:
        """Tell of a defect of this program that came to light by what `source` sent, its traceback included."""
        if (more := self._due(type(fault).__name__, source)) is not None:
            self._log.error(line + more, *values, exc_info=fault)

    def _due(self, reason: str, source: str) -> str | None:
        """Give what is to be added to a line that is due; None for one that is to be left out."""
        now_s, about = self._now_s(), (reason, source)
        if about not in self._written_s and len(self._written_s) >= SOURCES_MAX:
            self._written_s = {one: at_s for one, at_s in self._written_s.items() if now_s - at_s < INTERVAL_S}
            if len(self._written_s) >= SOURCES_MAX:
                about = (reason, "")
        if now_s - self._written_s.get(about, -math.inf) < INTERVAL_S:
            self._left_out[reason] += 1
            return None
        self._written_s[about] = now_s
        left_out = self._left_out.pop(reason, 0)
        return f" (and {left_out} more of which nothing was written)" if left_out else ""
