"""Hearing of changes to keys, at no cost where nobody listens.

Changes are heard of where effects for the copies go: a partition with an observer gets a
log that shows it each effect before it passes it on. The others have their own log, or none,
so commands pay nothing for what nobody observes.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from respcache.store.partition import Argv, Log


class Observer(Protocol):
    """Whoever wants to hear of changes in some partitions."""

    def observes(self, number: int) -> bool:
        """Tell whether it wants to hear of changes in a partition."""

    def touched(self, number: int, database: int, argv: Argv) -> None:
        """Take note of an effect on a partition."""


SOMEBODY: Final[Sequence[object]] = (object(),)
"""Whom effects on an observed partition are to be told, though there be no copies."""


class ObservedLog:
    """The log of a partition that is observed."""

    __slots__ = ("_number", "_observers", "inner", "streams")

    def __init__(self, observers: Sequence[Observer], number: int, inner: Log | None) -> None:
        self._observers: Final = observers
        self._number: Final = number
        self.inner: Final = inner
        self.streams: Final = SOMEBODY
        """Never empty. Nor does it hold the log itself: that would be left to the collector of garbage."""

    @property
    def clean(self) -> bool:
        """Whether all effects so far are on every copy that counts."""
        return self.inner is None or self.inner.clean

    def append(self, database: int, argv: Argv) -> None:
        """Take one effect."""
        for observer in self._observers:
            observer.touched(self._number, database, argv)
        if self.inner is not None and self.inner.streams:
            self.inner.append(database, argv)


def observed(observers: Sequence[Observer], number: int, log: Log | None) -> Log | None:
    """Give the log that a partition shall have whose true one is `log`."""
    interested = [observer for observer in observers if observer.observes(number)]
    return ObservedLog(interested, number, log) if interested else log


def true_log(log: object) -> object:
    """Give the log behind that of an observed partition."""
    return log.inner if isinstance(log, ObservedLog) else log


def true_logs(logs: list[Log]) -> list[Log]:
    """Give the logs behind those of observed partitions."""
    found = [log.inner if isinstance(log, ObservedLog) else log for log in logs]
    return [log for log in found if log is not None]
