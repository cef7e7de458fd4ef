"""Settings that hold for all nodes: of each the value that was chosen last, wherever in the cluster that was. Pure.

What a node was started with is no choice, and holds there until somebody makes one.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from respcache.pubsub.wire import CHOICE_TIME_MAX_UNIX_MS, Choice


class Choices:
    """What one node knows to have been chosen. Of two choices the later one holds; of the same time, the greater."""

    def __init__(self, names: frozenset[str]) -> None:
        """`names` are the settings that there are choices of; what others tell of any else is passed over."""
        self._names: Final = names
        self._made: Final[dict[str, tuple[int, str]]] = {}
        """Time and value by name."""

    def choose(self, values: Mapping[str, str], now_unix_ms: int) -> None:
        """Choose these: each holds from now on, though the clock be behind that of whoever chose before."""
        for name, value in values.items():
            assert name in self._names
            before = self._made.get(name)
            unix_ms = now_unix_ms if before is None else max(now_unix_ms, before[0] + 1)
            self._made[name] = (min(unix_ms, CHOICE_TIME_MAX_UNIX_MS), value)

    def hear(self, told: Sequence[Choice]) -> dict[str, str]:
        """Take in what another node knows; return the values that are news, by name."""
        news: dict[str, str] = {}
        for name, unix_ms, value in told:
            before = self._made.get(name)
            if name in self._names and (before is None or (unix_ms, value) > before):
                self._made[name] = (unix_ms, value)
                news[name] = value
        return news

    def told(self) -> tuple[Choice, ...]:
        """Write down all that is known."""
        return tuple([(name, unix_ms, value) for name, (unix_ms, value) in self._made.items()])
