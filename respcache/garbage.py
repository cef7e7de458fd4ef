"""The collections of garbage of this process, counted and timed: while one lasts nothing else runs.

All nodes of a process share its collector, so each of them shows the same. What is done about the
pauses is up to whoever owns the process: see `cli.collecting`.
"""

import gc
from time import perf_counter_ns
from typing import Final

GENERATIONS: Final = 3
"""Python's collector looks at young objects often (0), and at all of them seldom (2)."""


class Garbage:
    """The pauses since a node has started, by the generation that was looked at."""

    def __init__(self) -> None:
        self.collections: Final = [0] * GENERATIONS
        self.found: Final = [0] * GENERATIONS
        """Objects in cycles that were freed."""
        self.paused_ns: Final = [0] * GENERATIONS
        self.longest_ns: Final = [0] * GENERATIONS
        self._began_ns = 0

    def watch(self) -> None:
        """Count from now on."""
        gc.callbacks.append(self._collected)

    def unwatch(self) -> None:
        """Count no more; nothing happens if that is so already."""
        if self._collected in gc.callbacks:
            gc.callbacks.remove(self._collected)

    def _collected(self, phase: str, figures: dict[str, int]) -> None:
        """Hear of the beginning and the end of a collection, from the collector."""
        if phase == "start":
            self._began_ns = perf_counter_ns()
        elif self._began_ns:
            generation, paused_ns = figures["generation"], perf_counter_ns() - self._began_ns
            self.collections[generation] += 1
            self.found[generation] += figures["collected"]
            self.paused_ns[generation] += paused_ns
            self.longest_ns[generation] = max(self.longest_ns[generation], paused_ns)
