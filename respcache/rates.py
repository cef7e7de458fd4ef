"""How much a node does a second at the moment: commands, bytes in, bytes out."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from respcache.stats import Stats

SAMPLES: Final = 16
"""With ten samples a second the rates are those of the last second and a half, as Redis has them."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What has been counted up to some moment."""

    commands: int
    input_bytes: int
    output_bytes: int

    @classmethod
    def of(cls, stats: Stats) -> Self:
        """Take them from what a node counts."""
        return cls(sum(stats.calls), stats.input_bytes, stats.output_bytes)


class Rates:
    """Remembers a few totals, and tells how fast they have grown."""

    def __init__(self) -> None:
        self._samples: Final[deque[tuple[float, Totals]]] = deque(maxlen=SAMPLES)

    def sample(self, now_s: float, totals: Totals) -> None:
        """Take the totals of this moment; to be called several times a second."""
        if self._samples and totals.commands < self._samples[-1][1].commands:
            self._samples.clear()  # CONFIG RESETSTAT began anew
        self._samples.append((now_s, totals))

    @property
    def commands_per_s(self) -> float:
        """Commands a second."""
        return self._per_s(lambda totals: totals.commands)

    @property
    def input_bytes_per_s(self) -> float:
        """Bytes read from clients a second."""
        return self._per_s(lambda totals: totals.input_bytes)

    @property
    def output_bytes_per_s(self) -> float:
        """Bytes written to clients a second."""
        return self._per_s(lambda totals: totals.output_bytes)

    def _per_s(self, figure: Callable[[Totals], int]) -> float:
        if len(self._samples) < 2:
            return 0.0
        (began_s, before), (ended_s, after) = self._samples[0], self._samples[-1]
        return (figure(after) - figure(before)) / (ended_s - began_s) if ended_s > began_s else 0.0
