"""One row of the catalogue, and the ways to write one."""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from respcache.metrics.histogram import Distribution
from respcache.metrics.sources import Snapshot

PREFIX: Final = "respcache_"

Points: TypeAlias = Mapping[tuple[str, ...], float | Distribution]
"""Values by the values of the labels, in the order of the row's labels."""
Labels: TypeAlias = Mapping[str, str]
"""What each label means, by its name."""


class Kind(enum.Enum):
    """Prometheus' kinds of metric; the value is what TYPE lines say."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: what it is called, what it means, and how it is read."""

    name: str
    """As it is queried: with prefix, and `_total` for counters."""
    kind: Kind
    help: str
    labels: Labels
    read: Callable[[Snapshot], Points]

    @property
    def series_names(self) -> tuple[str, ...]:
        """The names under which its samples are stored."""
        if self.kind is Kind.HISTOGRAM:
            return tuple(self.name + suffix for suffix in ("_bucket", "_count", "_sum"))
        return (self.name,)


@dataclass(frozen=True, slots=True)
class Section:
    """Metrics on one subject."""

    title: str
    metrics: tuple[Metric, ...]


def gauge(name: str, meaning: str, read: Callable[[Snapshot], float | None]) -> Metric:
    """Declare one number that goes up and down; None leaves it out."""
    return Metric(PREFIX + name, Kind.GAUGE, meaning, {}, _single(read))


def counter(name: str, meaning: str, read: Callable[[Snapshot], float | None]) -> Metric:
    """Declare one number that only grows; None leaves it out."""
    return Metric(PREFIX + name, Kind.COUNTER, meaning, {}, _single(read))


def gauges(name: str, meaning: str, labels: Labels, read: Callable[[Snapshot], Points]) -> Metric:
    """Declare several numbers that go up and down."""
    return Metric(PREFIX + name, Kind.GAUGE, meaning, labels, read)


def counters(name: str, meaning: str, labels: Labels, read: Callable[[Snapshot], Points]) -> Metric:
    """Declare several numbers that only grow."""
    return Metric(PREFIX + name, Kind.COUNTER, meaning, labels, read)


def histogram(name: str, meaning: str, read: Callable[[Snapshot], Distribution]) -> Metric:
    """Declare one histogram."""
    return Metric(PREFIX + name, Kind.HISTOGRAM, meaning, {}, lambda snapshot: {(): read(snapshot)})


def histograms(name: str, meaning: str, labels: Labels, read: Callable[[Snapshot], Points]) -> Metric:
    """Declare several histograms."""
    return Metric(PREFIX + name, Kind.HISTOGRAM, meaning, labels, read)


def by(figures: Mapping[str, float]) -> Points:
    """Give numbers by one label."""
    return {(name,): figure for name, figure in figures.items()}


def _single(read: Callable[[Snapshot], float | None]) -> Callable[[Snapshot], Points]:
    def points(snapshot: Snapshot) -> Points:
        figure = read(snapshot)
        return {} if figure is None else {(): figure}

    return points
