"""The boards: sound in themselves, true to the catalogue, and alive on a real Prometheus and a real cluster."""

import json
import math
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import pytest
import redis
from prometheus_client import CollectorRegistry, ProcessCollector

from boards.generate import BOARDS, FOLDER, text_of
from boards.grafana import COLUMNS, Board, Query
from loopback import HOST, free_ports
from respcache.commands.families import ROWS
from respcache.metrics.catalogue import family_of, metrics
from respcache.testing import LocalCluster

PANELS_MAX: Final = 20
SERIES_MAX: Final = 350
"""Beside the two of each command that was ever called."""
TEXT_MAX_BYTES: Final = 38 * 1024
COMMAND_BYTES: Final = 130
"""Of the two series of a command."""
ALWAYS_THERE: Final = frozenset({"job", "instance", "le"})
"""Labels that Prometheus adds, and the bound of buckets."""
UNITS: Final = frozenset({"none", "short", "ops", "percentunit", "s", "bytes", "Bps"})

SCRAPE_INTERVAL: Final = "500ms"
RATE_INTERVAL: Final = "20s"
"""Takes the place of $__rate_interval: some scrapes long."""
DEADLINE_S: Final = 40.0
"""For any one query to have data."""
POLL_S: Final = 0.1
PAUSE_S: Final = 0.01
"""Between two rounds of the load."""
HTTP_TIMEOUT_S: Final = 10.0
PROMETHEUS: Final = shutil.which("prometheus")
PROMTOOL: Final = shutil.which("promtool")

MAY_BE_ZERO: Final = frozenset(
    {
        "too few copies",
        "not served",
        "oldest waiting",
        "redirected",
        "not answered: {{reason}}",
        "to {{instance}}",
        "worst score",
        "distrust of {{instance}}",
        "flaps",
        "refutations",
        "stalls",
        "waiting at {{instance}}",
        "dropped: {{reason}}",
        "syncs: {{result}}",
    }
)
"""Legends of what a cluster that is well does not have; all else has to be positive under load."""

SELECTION: Final = re.compile(r"\b([a-z]+_[a-z0-9_]+)\{([^}]*)\}")
GROUPING: Final = re.compile(r"\bby \(([^)]*)\)")

EXPRESSIONS: Final = [
    pytest.param(query, id=f"{board.uid}: {panel.title}: {query.legend}")
    for board in BOARDS.values()
    for panel in board.panels
    for query in panel.queries
]
EVENTS: Final = [pytest.param(query, id=query.legend) for board in BOARDS.values() for query in board.events]
EACH_BOARD: Final = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)


def known_labels() -> dict[str, frozenset[str]]:
    """Give the labels of every series that a node exports, by its name."""
    labels = {name: frozenset(metric.labels) for metric in metrics() for name in metric.series_names}
    for family in ProcessCollector(registry=CollectorRegistry()).collect():
        labels |= {sample.name: frozenset(sample.labels) for sample in family.samples}
    return labels


@EACH_BOARD
def test_boards_keep_to_a_size_and_explain_themselves(board: Board) -> None:
    """At most 20 panels; each with title, description and a known unit; titles are unique."""
    assert 0 < len(board.panels) <= PANELS_MAX
    assert len({panel.title for panel in board.panels}) == len(board.panels)
    for panel in board.panels:
        assert panel.title
        assert panel.description.endswith(".")
        assert {panel.unit, *panel.units.values()} <= UNITS
        assert all(query.legend for query in panel.queries)
        assert set(panel.units) <= {query.legend for query in panel.queries}


@EACH_BOARD
def test_panels_fill_the_grid_without_overlap(board: Board) -> None:
    """No two panels share a cell, none sticks out, and every row is full."""
    taken: set[tuple[int, int]] = set()
    model = msgspec.convert(board.render(), Model)
    for panel in model.panels:
        place = panel.gridPos
        cells = {(x, y) for x in range(place.x, place.x + place.w) for y in range(place.y, place.y + place.h)}
        assert not cells & taken
        taken |= cells
    bottom = max(y for _, y in taken) + 1
    assert taken == {(x, y) for x in range(COLUMNS) for y in range(bottom)}


@EACH_BOARD
def test_boards_are_portable(board: Board) -> None:
    """Stable uid, no database id, and every data source is the one chosen at the top of the board."""
    rendered = board.render()
    text = json.dumps(rendered)

    assert re.fullmatch(r"respcache-[a-z]+", board.uid)
    assert "id" not in rendered
    assert set(re.findall(r'"uid": "([^"]*)"', text)) == {board.uid, "${datasource}"}
    assert [variable.name for variable in msgspec.convert(rendered, Model).templating.list] == [
        "datasource",
        "job",
        "instance",
    ]


@pytest.mark.parametrize("query", [*EXPRESSIONS, *EVENTS])
def test_expressions_use_what_the_catalogue_declares(query: Query) -> None:
    """Every metric exists, with the labels that it is selected and grouped by, and is filtered by job and instance."""
    known = known_labels()
    selections = SELECTION.findall(query.expression)
    assert selections
    assert len(re.findall(r"\b(?:respcache|process|python)_\w+", query.expression)) == len(selections)
    there = set(ALWAYS_THERE)
    for name, matchers in selections:
        assert name in known
        assert {'job=~"$job"', 'instance=~"$instance"'} <= set(matchers.split(", "))
        assert set(re.findall(r"(\w+)[=!]", matchers)) <= known[name] | ALWAYS_THERE
        there |= known[name]
    for grouping in GROUPING.findall(query.expression):
        assert set(grouping.split(", ")) <= there


@pytest.mark.parametrize("query", EXPRESSIONS)
def test_counters_are_shown_as_rates_and_nothing_else_is(query: Query) -> None:
    """What ends in _total, _bucket, _count or _sum stands in rate() over $__rate_interval."""
    for name, matchers in SELECTION.findall(query.expression):
        grows = name.endswith(("_total", "_bucket", "_count", "_sum"))
        rated = f"rate({name}{{{matchers}}}[$__rate_interval])" in query.expression
        assert grows == rated


@pytest.mark.parametrize("name", BOARDS)
def test_committed_boards_are_what_the_code_makes(name: str) -> None:
    """The JSON file was generated from this code."""
    assert (FOLDER / name).read_text(encoding="utf-8") == text_of(BOARDS[name])


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not on PATH (Debian: prometheus)")
def test_the_example_of_a_scrape_configuration_is_valid() -> None:
    """Promtool accepts it."""
    assert PROMTOOL is not None
    example = FOLDER.parent / "deploy" / "prometheus" / "prometheus.yml"
    subprocess.run([PROMTOOL, "check", "config", "--syntax-only", example], check=True, capture_output=True)


# On a real Prometheus


class Place(msgspec.Struct):
    """Where a panel is, in columns and rows."""

    x: int
    y: int
    w: int
    h: int


class PlacedPanel(msgspec.Struct):
    """A panel of a board's JSON."""

    gridPos: Place  # noqa: N815 # Grafana's name


class Variable(msgspec.Struct):
    """A choice at the top of a board."""

    name: str
    definition: str = ""


class Templating(msgspec.Struct):
    """All choices."""

    list: list[Variable]


class Model(msgspec.Struct):
    """A board's JSON, as far as it is looked at here."""

    panels: list[PlacedPanel]
    templating: Templating


class Sample(msgspec.Struct):
    """One series of an answer."""

    metric: dict[str, str]
    value: tuple[float, str]


class Answer(msgspec.Struct):
    """The data of an instant query."""

    result: list[Sample]


class QueryReply(msgspec.Struct):
    """What Prometheus replies to an instant query."""

    data: Answer


class ValuesReply(msgspec.Struct):
    """What Prometheus replies to a question for a label's values."""

    data: list[str]


@dataclass(frozen=True, slots=True)
class Prometheus:
    """A running server."""

    url: str

    def values(self, expression: str) -> list[Sample]:
        """Evaluate an expression now; what is no number is left out."""
        reply = msgspec.json.decode(self._get("/api/v1/query", query=concrete(expression)), type=QueryReply)
        return [sample for sample in reply.data.result if math.isfinite(float(sample.value[1]))]

    def eventually(self, expression: str, *, above: float = -math.inf) -> list[Sample]:
        """Evaluate an expression until it has a value above `above`; give what it has then, or at the deadline."""
        gives_up_at = time.monotonic() + DEADLINE_S
        while True:
            samples = self.values(expression)
            if any(float(sample.value[1]) > above for sample in samples) or time.monotonic() > gives_up_at:
                return samples
            time.sleep(POLL_S)

    def label_values(self, label: str, selector: str) -> list[str]:
        """List the values of a label."""
        reply = self._get(f"/api/v1/label/{label}/values", **{"match[]": concrete(selector)})
        return msgspec.json.decode(reply, type=ValuesReply).data

    def ready(self) -> bool:
        """Tell whether it answers."""
        try:
            self._get("/-/ready")
        except OSError:
            return False
        return True

    def _get(self, path: str, **parameters: str) -> bytes:
        return fetch(f"{self.url}{path}?{urllib.parse.urlencode(parameters)}")


def fetch(url: str) -> bytes:
    """Read a page. Raises OSError."""
    with urllib.request.urlopen(url, timeout=HTTP_TIMEOUT_S) as page:  # noqa: S310 # loopback only
        text: bytes = page.read()
        return text


def concrete(expression: str) -> str:
    """Put values in the place of a board's variables."""
    values = {"$__rate_interval": RATE_INTERVAL, "$job": "respcache", "$instance": ".+"}
    for variable, value in values.items():
        expression = expression.replace(variable, value)
    return expression


def metrics_address(cluster: LocalCluster, index: int) -> str:
    """Give host:port of a node's HTTP port."""
    address = cluster.member(index).http_address
    assert address is not None
    return "{}:{}".format(*address)


def work(urls: list[str], done: threading.Event, failures: list[redis.RedisError]) -> None:
    """Use nodes like a few applications: reads, writes, misses, errors, commands on several keys."""
    clients = [redis.Redis.from_url(url) for url in urls]
    turn = 0
    try:
        while not done.wait(PAUSE_S):
            turn += 1
            for client in clients:
                client.set(f"key:{turn % 500}", "value", ex=3600)
                client.mget([f"key:{number}" for number in range(10)])
                client.get(f"key:{turn % 700}")
                client.get("missing")
                with suppress(redis.ResponseError):
                    client.incr(f"key:{turn % 500}")
    except redis.RedisError as failure:
        failures.append(failure)
    for client in clients:
        client.close()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Run three nodes under load, and a Prometheus that scrapes them; one of the nodes leaves meanwhile."""
    if PROMETHEUS is None:
        pytest.skip("prometheus is not on PATH (Debian: prometheus)")
    done = threading.Event()
    failures: list[redis.RedisError] = []
    with LocalCluster(nodes=3) as cluster:
        load = threading.Thread(target=work, args=(cluster.node_urls[:2], done, failures))
        load.start()
        targets = [metrics_address(cluster, index) for index in range(3)]
        server = start_prometheus(PROMETHEUS, tmp_path_factory.mktemp("prometheus"), targets)
        try:
            scraped = "count(count_over_time(respcache_ready[1m]) >= 3) == 3"
            assert server.api.eventually(scraped), server.log.read_text(encoding="utf-8")
            cluster.close(2)
            yield server.api
        finally:
            done.set()
            load.join()
            server.process.terminate()
            server.process.wait()
    assert not failures


@dataclass(frozen=True, slots=True)
class Started:
    """A Prometheus process."""

    process: subprocess.Popen[bytes]
    api: Prometheus
    log: Path


def start_prometheus(program: str, folder: Path, targets: list[str]) -> Started:
    """Start Prometheus on a free port and wait until it answers."""
    address = f"{HOST}:{free_ports(1)[0]}"
    config, log = folder / "prometheus.yml", folder / "log"
    scrape = {"job_name": "respcache", "static_configs": [{"targets": targets}]}
    config.write_text(
        json.dumps({"global": {"scrape_interval": SCRAPE_INTERVAL}, "scrape_configs": [scrape]}), encoding="utf-8"
    )
    command = [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    api = Prometheus(f"http://{address}")
    gives_up_at = time.monotonic() + DEADLINE_S
    while not api.ready():
        if process.poll() is not None or time.monotonic() > gives_up_at:
            process.kill()
            process.wait()
            pytest.fail(log.read_text(encoding="utf-8"))
        time.sleep(POLL_S)
    return Started(process, api, log)


@pytest.mark.integration
@pytest.mark.parametrize("query", EXPRESSIONS)
def test_every_expression_has_data(query: Query, prometheus: Prometheus) -> None:
    """Prometheus finds numbers for it, not only zeros, and the labels that its legend names."""
    above = -math.inf if query.legend in MAY_BE_ZERO else 0.0
    samples = prometheus.eventually(query.expression, above=above)

    assert any(float(sample.value[1]) > above for sample in samples), concrete(query.expression)
    for label in re.findall(r"\{\{(\w+)\}\}", query.legend):
        assert all(label in sample.metric for sample in samples)


@pytest.mark.integration
@pytest.mark.parametrize("query", EVENTS)
def test_a_node_that_leaves_is_an_event(query: Query, prometheus: Prometheus) -> None:
    """Its partitions get other owners, and the board marks when."""
    assert prometheus.eventually(query.expression), concrete(query.expression)


@pytest.mark.integration
@EACH_BOARD
def test_every_choice_has_values(board: Board, prometheus: Prometheus) -> None:
    """The lists at the top of the board hold the job and all three nodes."""
    found = {}
    for variable in msgspec.convert(board.render(), Model).templating.list:
        asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable.definition)
        if asked is not None:
            found[variable.name] = prometheus.label_values(asked[2], asked[1])

    assert found["job"] == ["respcache"]
    assert len(found["instance"]) == 3


@pytest.mark.integration
def test_a_node_that_was_asked_for_every_command_stays_small() -> None:
    """After each command was called once, each on its own connection: 350 series, 38 KiB, and two series a command."""
    with LocalCluster(nodes=1) as cluster:
        host, port = cluster.addresses[0]
        for row in ROWS:
            if row.name in {"SHUTDOWN", "CLUSTER|LEAVE", "CONFIG|RESETSTAT"}:
                continue
            argv = row.name.encode().split(b"|")
            argv += [b"1"] * (row.argc_min - len(argv))
            with socket.create_connection((host, port), HTTP_TIMEOUT_S) as client:
                client.sendall(b"*%d\r\n" % len(argv) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in argv))
                client.sendall(b"*1\r\n$4\r\nPING\r\n")
                client.recv(1)
        text = fetch(f"http://{metrics_address(cluster, 0)}/metrics").decode()

    series = [line for line in text.splitlines() if not line.startswith("#")]
    commands = len({family_of(row) for row in ROWS})
    assert len(series) < SERIES_MAX + 2 * commands
    assert len(text) < TEXT_MAX_BYTES + COMMAND_BYTES * commands
    assert sum(line.startswith("respcache_commands_total{") for line in series) > 50
