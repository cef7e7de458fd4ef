"""Prometheus' view of one node: families of samples, read when Prometheus asks."""

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from respcache.metrics.catalogue import metrics
from respcache.metrics.histogram import Distribution
from respcache.metrics.metric import Kind, Metric
from respcache.metrics.sources import Snapshot, Sources


class NodeCollector(Collector):
    """Reads the catalogue from one node. A node is asked family by family, as they are taken."""

    def __init__(self, sources: Sources) -> None:
        self._sources: Final = sources

    def describe(self) -> Iterator[Family]:
        """Name the families without asking the node: it may not have started."""
        for metric in metrics():
            yield _family(metric)

    def collect(self) -> Iterator[Family]:
        """Read everything; families without a single sample are left out."""
        snapshot = Snapshot.of(self._sources)
        for metric in metrics():
            family = _filled(metric, snapshot)
            if family.samples:
                yield family


def registry_of(sources: Sources) -> CollectorRegistry:
    """Make the registry of one node: its own metrics, and those of its process and garbage collector."""
    registry = CollectorRegistry()
    registry.register(NodeCollector(sources))
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def _family(metric: Metric) -> Family:
    """Make an empty family; prometheus_client adds the suffix of counters itself."""
    name = metric.name.removesuffix("_total") if metric.kind is Kind.COUNTER else metric.name
    return Family(name, metric.help, metric.kind.value)


def _filled(metric: Metric, snapshot: Snapshot) -> Family:
    family = _family(metric)
    names = tuple(metric.labels)
    for values, figure in metric.read(snapshot).items():
        labels = dict(zip(names, values, strict=True))
        if isinstance(figure, Distribution):
            _add_distribution(family, metric.name, labels, figure)
        else:
            family.add_sample(metric.name, labels, float(figure))
    return family


def _add_distribution(family: Family, name: str, labels: dict[str, str], figure: Distribution) -> None:
    for bound_s, count in zip(figure.bounds_s, figure.cumulative, strict=True):
        family.add_sample(f"{name}_bucket", {**labels, "le": repr(bound_s)}, count)
    family.add_sample(f"{name}_bucket", {**labels, "le": "+Inf"}, figure.count)
    if figure.sum_s is not None:  # the formats allow a count only together with a sum
        family.add_sample(f"{name}_count", labels, figure.count)
        family.add_sample(f"{name}_sum", labels, figure.sum_s)
