"""Boards and panels, and the JSON that Grafana 10 and later import."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import ascii_uppercase
from typing import Final, Literal, TypeAlias

Json: TypeAlias = dict[str, object]

COLUMNS: Final = 24
"""Grafana's grid is so wide."""
SCHEMA_VERSION: Final = 39
"""Of Grafana 10.4; later versions read it too."""
DATASOURCE: Final[Json] = {"type": "prometheus", "uid": "${datasource}"}
NODES: Final = 'job=~"$job", instance=~"$instance"'
"""Every query is about the nodes that are chosen at the top of the board."""
REFRESH: Final = "30s"


def series(name: str, **labels: str) -> str:
    """Select a metric of the chosen nodes, and of it the series with these labels; alternatives have a bar between."""
    chosen = [f'{label}{"=~" if "|" in value else "="}"{value}"' for label, value in labels.items()]
    return f"{name}{{{', '.join((NODES, *chosen))}}}"


def rate(name: str, **labels: str) -> str:
    """Give the growth of a counter of the chosen nodes in a second."""
    return f"rate({series(name, **labels)}[$__rate_interval])"


@dataclass(frozen=True, slots=True)
class Query:
    """One expression of a panel."""

    expression: str
    legend: str
    """With labels in double braces; in tables, the heading of the column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel. Stats show the newest value, time series the past, tables a row per instance."""

    title: str
    description: str
    unit: str
    """Grafana's name of a unit."""
    queries: tuple[Query, ...]
    kind: Literal["stat", "timeseries", "table"] = "timeseries"
    width: int = 8
    height: int = 8
    steps: tuple[tuple[float, str], ...] = ()
    """Where colours begin, ascending; below the first it is green."""
    units: Mapping[str, str] = field(default_factory=dict)
    """In tables: units by heading, where they differ from `unit`."""

    def __post_init__(self) -> None:
        if not 0 < len(self.queries) <= len(ascii_uppercase):
            raise ValueError(f"panel {self.title!r} has {len(self.queries)} queries")


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A whole dashboard."""

    uid: str
    """Never changes, as links and bookmarks hold it."""
    title: str
    description: str
    panels: tuple[Panel, ...]
    events: tuple[Query, ...] = ()
    """Shown as vertical lines across all panels where the expression has a value."""

    def render(self) -> Json:
        """Make the JSON model."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["respcache"],
            "schemaVersion": SCHEMA_VERSION,
            "editable": True,
            "graphTooltip": 1,
            "refresh": REFRESH,
            "time": {"from": "now-1h", "to": "now"},
            "timezone": "browser",
            "annotations": {"list": [_event(query) for query in self.events]},
            "templating": {"list": _variables()},
            "links": [],
            "panels": _placed(self.panels),
        }


def _variables() -> list[Json]:
    return [
        {
            "name": "datasource",
            "label": "Prometheus",
            "type": "datasource",
            "query": "prometheus",
            "current": {},
            "hide": 0,
        },
        _variable("job", "Job", "label_values(respcache_build_info, job)"),
        _variable("instance", "Node", 'label_values(respcache_build_info{job=~"$job"}, instance)'),
    ]


def _variable(name: str, label: str, query: str) -> Json:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": 0,
    }


def _event(query: Query) -> Json:
    return {
        "name": query.legend,
        "enable": True,
        "iconColor": "orange",
        "datasource": DATASOURCE,
        "expr": query.expression,
        "step": "60s",
        "titleFormat": query.legend,
        "textFormat": "{{kind}}",
    }


def _placed(panels: Sequence[Panel]) -> list[Json]:
    """Put panels side by side, from left to right and from top to bottom; a row is as high as its first panel."""
    placed: list[Json] = []
    left = top = height = 0
    for number, panel in enumerate(panels, start=1):
        if left + panel.width > COLUMNS:
            left, top, height = 0, top + height, 0
        height = height or panel.height
        grid = {"x": left, "y": top, "w": panel.width, "h": panel.height}
        placed.append({"id": number, "gridPos": grid, **_panel(panel)})
        left += panel.width
    return placed


def _panel(panel: Panel) -> Json:
    steps: list[Json] = [{"color": "green", "value": None}]
    steps += [{"color": color, "value": bound} for bound, color in panel.steps]
    defaults: Json = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.kind == "timeseries":
        defaults |= {"custom": {"fillOpacity": 10, "showPoints": "never"}, "min": 0}
    rendered: Json = {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "targets": [
            _target(panel, letter, query) for letter, query in zip(ascii_uppercase, panel.queries, strict=False)
        ],
        "fieldConfig": {"defaults": defaults, "overrides": _overrides(panel)},
        "options": _options(panel),
    }
    if panel.kind == "table":
        rendered["transformations"] = _joined(panel)
    return rendered


def _target(panel: Panel, letter: str, query: Query) -> Json:
    return {
        "refId": letter,
        "datasource": DATASOURCE,
        "expr": query.expression,
        "legendFormat": query.legend,
        "format": "table" if panel.kind == "table" else "time_series",
        "instant": panel.kind == "table",
        "range": panel.kind != "table",
    }


def _options(panel: Panel) -> Json:
    if panel.kind == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area"}
    if panel.kind == "timeseries":
        return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
    return {"showHeader": True}


def _overrides(panel: Panel) -> list[Json]:
    return [
        {"matcher": {"id": "byName", "options": heading}, "properties": [{"id": "unit", "value": unit}]}
        for heading, unit in panel.units.items()
    ]


def _joined(panel: Panel) -> list[Json]:
    """Make one row per instance of the queries' answers; the first query's value is 1 and is not shown."""
    letters = ascii_uppercase[: len(panel.queries)]
    headings = {f"Value #{letter}": query.legend for letter, query in zip(letters, panel.queries, strict=True)}
    headings |= {label: label.capitalize() for label in ("instance", "node", "zone")}
    hidden = ["Value #A", "Time", *(f"Time {number}" for number in range(1, len(letters) + 1))]
    return [
        {"id": "joinByField", "options": {"byField": "instance", "mode": "outer"}},
        {
            "id": "organize",
            "options": {"excludeByName": dict.fromkeys(hidden, True), "renameByName": headings, "indexByName": {}},
        },
    ]
