"""How long a suspect may take to refute: the Lifeguard timer that shrinks with each independent accuser."""

import math
from collections.abc import Iterable

from respcache.cluster.membership.wire import ACCUSERS_MAX


class Suspicion:
    """The clock of one suspect; at `deadline` it is dead.

    With c of k expected confirmations it lasts
    `max - (max - min) * log(c + 1) / log(k + 1)` seconds, as in Lifeguard; the
    first accuser does not count. With k = 0 it lasts `min_s`, and while `held`
    always `max`: so many are accused at once that the accusers are in doubt.
    """

    __slots__ = ("_confirmations_wanted", "_max_s", "_min_s", "_postponed_s", "_started_at", "accusers", "held")

    def __init__(
        self, now: float, *, accusers: Iterable[str], min_s: float, max_s: float, confirmations_wanted: int
    ) -> None:
        self.accusers = frozenset(sorted(accusers)[:ACCUSERS_MAX])
        self._min_s, self._max_s = min_s, max_s
        self._confirmations_wanted = confirmations_wanted
        self._started_at = now
        self.held = False
        self._postponed_s = 0.0

    @property
    def confirmed(self) -> bool:
        """Whether further accusers would change nothing."""
        return len(self.accusers) > min(self._confirmations_wanted, ACCUSERS_MAX - 1)

    @property
    def deadline(self) -> float:
        """Monotonic time at which the suspect is dead."""
        return self._started_at + self._postponed_s + self._lasts_s()

    def confirm(self, accusers: Iterable[str]) -> bool:
        """Count further accusers. Returns whether one of them was new and wanted."""
        fresh = sorted(set(accusers) - self.accusers)[: ACCUSERS_MAX - len(self.accusers)]
        if not fresh or self.confirmed:
            return False
        self.accusers |= frozenset(fresh)
        return True

    def release(self, now: float) -> None:
        """End the hold and give the suspect the shortest time once more: it may be about to refute."""
        self.held = False
        self.postpone(now + self._min_s)

    def postpone(self, until: float, *, by_s: float = 0.0) -> None:
        """Give back `by_s` seconds in which this node was not running, and judge no earlier than `until`."""
        self._postponed_s += max(by_s, until - self.deadline)

    def _lasts_s(self) -> float:
        wanted = self._confirmations_wanted
        if self.held:
            return self._max_s
        if wanted <= 0:
            return self._min_s
        got = max(0, len(self.accusers) - 1)
        shrunk_s = self._max_s - (self._max_s - self._min_s) * math.log(got + 1) / math.log(wanted + 1)
        return max(self._min_s, shrunk_s)
