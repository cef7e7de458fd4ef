"""The documentation's page on metrics, made of the catalogue.

Run as `python -m respcache.metrics.reference > docs/metrics.md`.
"""

import sys
from collections.abc import Iterator

from respcache.metrics.catalogue import CATALOGUE
from respcache.metrics.metric import Metric, Section

INTRODUCTION = """\
# Metrics

Every node shows its own metrics under `/metrics` on its HTTP port, as Prometheus text or
OpenMetrics. `job` and `instance` come from Prometheus; to see names of nodes, join with
`respcache_node_info`. The process and garbage collector metrics of prometheus-client
(`process_*`, `python_gc_*`) are there too; nodes that share a process all show that one.

A node has fewer than 500 series: no label holds a key, an address or a text that clients
chose. This page is generated from the catalogue in `respcache/metrics/catalogue.py`.
"""


def page() -> str:
    """Write the page in Markdown."""
    return "\n".join([INTRODUCTION, *(_section(section) for section in CATALOGUE)])


def _section(section: Section) -> str:
    heading = [f"## {section.title}", "", "| metric | type | meaning | labels |", "|---|---|---|---|"]
    return "\n".join([*heading, *_rows(section), ""])


def _rows(section: Section) -> Iterator[str]:
    for metric in section.metrics:
        yield f"| `{metric.name}` | {metric.kind.value} | {metric.help} | {_labels(metric)} |"


def _labels(metric: Metric) -> str:
    return "<br>".join(f"`{name}`: {meaning}" for name, meaning in metric.labels.items())


if __name__ == "__main__":
    sys.stdout.write(page())
