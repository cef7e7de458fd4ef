"""Metrics: the catalogue, what is read for it, and the text that Prometheus gets."""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from respcache.cluster.membership import PROFILES, Meta, Swim
from respcache.cluster.membership.snapshot import MembershipSnapshot
from respcache.cluster.membership.tally import Tally
from respcache.cluster.sealing.channel import Identity
from respcache.cluster.sealing.keyring import Key, Keyring
from respcache.cluster.sealing.sealing import Sealing
from respcache.cluster.stats import KeeperFigures
from respcache.commands.families import ROWS
from respcache.config import ClusterConfig, Config
from respcache.errors import CommandError
from respcache.metrics import LoopLag, Readiness, Sources, expose, registry_of, status_of
from respcache.metrics.catalogue import CLASSES, ERROR_CODES, class_of, family_of, metrics
from respcache.metrics.exposition import SAMPLES_PER_PIECE
from respcache.metrics.histogram import added, distribution
from respcache.metrics.lag import PERIOD_S
from respcache.metrics.metric import Kind
from respcache.metrics.reference import page
from respcache.monitors import Monitors
from respcache.pubsub.exchange import Exchange
from respcache.stats import DURATION_BUCKETS, Stats
from respcache.store.keyspace import Store
from unit.commands.front import Front
from unit.tracking.houses import Houses

REPOSITORY: Final = Path(__file__).parents[2]
SERIES_MAX: Final = 348
"""Beside the two of each command that was ever called."""
TEXT_MAX_BYTES: Final = 38 * 1024
COMMAND_BYTES: Final = 130
"""Of the two series of a command."""

FIGURES: Final = KeeperFigures(
    version=(2, 17),
    changes_total={"failover": 1, "handover": 2, "isr": 3, "members": 4, "unclean": 0, "voters": 5},
    voters=3,
    leading=True,
    lease_held=True,
    lease_renewals_total={"granted": 8, "void": 1},
    partitions_primary=512,
    partitions_replica=500,
    partitions_learner=12,
    partitions_under_replicated=3,
    partitions_unowned=1,
    copies_out_pending=2,
    copies_in_pending=0,
    copies_lacking=0,
    keys_out_total=10,
    bytes_out_total=1000,
    keys_in_total=20,
    bytes_in_total=2000,
    pending_effects=5,
    pending_bytes=50,
    arriving_bytes=60,
    pressed=False,
    lag_s=0.25,
    effects_out_total=100,
    effects_in_total=90,
    effects_refused_total=1,
    acks_total=7,
    ack_us_buckets=tuple(1 if bucket == 8 else 0 for bucket in range(32)),
    dropped_keys_total=9,
    orphaned_keys_total=3,
    checks_total=4,
    rebalance_duration_s=2.5,
    rebalance_ended_ago_s=60.0,
    demoted_differing_total=0,
    demoted_slow_total=1,
)


@dataclass
class Traffic:
    """Bytes of gossip."""

    datagrams_in: int = 11
    datagrams_out: int = 22
    streams_in: int = 33
    streams_out: int = 44


@dataclass
class TwoLinks:
    """Links to two peers, one of them redialled."""

    reconnects: int = 1

    def __len__(self) -> int:
        return 2


HOUSES: Final = Houses()
"""For clients that are tracked."""


def idle_node() -> Sources:
    """Describe a node that nobody has used yet."""
    swim = Swim(
        name="a",
        address=("127.0.0.1", 16379),
        meta=Meta(client_port=6379, http_port=9379),
        profile=PROFILES["lan"],
        rng=random.Random(1),
        now=0.0,
        epoch_unix_ms=1,
    )
    return Sources(
        name="a",
        version="0.1.0",
        event_loop="asyncio",
        config=lambda: Config(cluster=ClusterConfig(zone="z1")),
        stats=Stats(len(ROWS)),
        store=Store(),
        exchange=Exchange(),
        tracking=lambda: HOUSES.a.tracking,
        events=lambda: 4,
        monitors=Monitors(lambda: None),
        scripts=Front().scripts,
        lag=LoopLag(),
        state=lambda: "serving",
        readiness=lambda: Readiness(ready=True, reason="The node serves clients."),
        sessions=tuple,
        keeper=lambda: FIGURES,
        membership=lambda: MembershipSnapshot.of(swim),
        traffic=Traffic,
        tally=Tally(),
        links=TwoLinks(),
        sealing=None,
        rejected=lambda: {"auth": 3, "key": 0},
        topology=tuple,
    )


def scrape(sources: Sources) -> str:
    """Scrape a node as Prometheus does, in plain text."""
    return b"".join(expose(registry_of(sources), "").pieces).decode()


def samples(text: str) -> dict[str, float]:
    """Give the values by series, as they are written in the text."""
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {series: float(value) for series, _, value in lines}


def codes(kind: type[CommandError]) -> Iterator[str]:
    """Go through the error codes of a class and of all below."""
    yield kind.code
    for child in kind.__subclasses__():
        yield from codes(child)


def test_a_node_that_was_asked_for_everything_stays_small() -> None:
    """With every command called and every error seen: below 346 series and 38 KiB, and two series a command."""
    sources = idle_node()
    for row in ROWS:
        sources.stats.calls[row.index] += 1
        sources.stats.duration_ns[row.index] += 123_456_789
        sources.stats.durations[row.index][9] += 1
    for code in (*ERROR_CODES, "SURPRISE"):
        sources.stats.count_error(code)
    text = scrape(sources)

    commands = len({family_of(row) for row in ROWS})
    assert len(samples(text)) < SERIES_MAX + 2 * commands
    assert len(text) < TEXT_MAX_BYTES + COMMAND_BYTES * commands


def test_both_formats_are_what_prometheus_client_itself_can_read() -> None:
    """Plain text and OpenMetrics parse without an error and hold the same families."""
    sources = idle_node()
    sources.stats.calls[0] = 1
    plain = {family.name for family in parse_text(scrape(sources))}
    exposition = expose(registry_of(sources), "application/openmetrics-text; version=1.0.0")
    text = b"".join(exposition.pieces).decode()

    assert exposition.content_type.startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")
    assert text.count("# EOF") == 1
    assert {family.name for family in parse_openmetrics(text)} == plain  # type: ignore[no-untyped-call] # not ours


def test_every_declared_metric_of_a_used_node_is_exported_under_its_type() -> None:
    """The text has a TYPE line for each row of the catalogue, but for the member count that nobody expects."""
    sources = idle_node()
    sources.stats.calls[0] = sources.stats.duration_ns[0] = 1
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", scrape(sources), re.MULTILINE))

    declared = {metric.name: metric.kind.value for metric in metrics()}
    del declared["respcache_cluster_members_expected"]
    assert {name: kind for name, kind in types.items() if name.startswith("respcache_")} == declared


def test_names_follow_the_conventions_of_prometheus() -> None:
    """Counters end in _total and nothing else does; names are unique; everything is explained."""
    rows = metrics()

    assert len({metric.name for metric in rows}) == len(rows)
    for metric in rows:
        assert re.fullmatch(r"respcache_[a-z][a-z0-9_]*", metric.name)
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
        assert metric.help.endswith(".")
        assert not {"job", "instance", "le"} & set(metric.labels)


def test_figures_of_the_cluster_arrive_under_their_names() -> None:
    """What the keeper and the membership machine count is what is exported."""
    values = samples(scrape(idle_node()))

    assert values["respcache_ring_ownership_ratio"] == 0.5
    assert values['respcache_ring_partitions{role="learner"}'] == 12
    assert values["respcache_ownership_version"] == 17
    assert values['respcache_ownership_changes_total{kind="isr"}'] == 3
    assert values['respcache_replication_effects_total{direction="in",result="refused"}'] == 1
    assert values["respcache_replication_lag_seconds"] == 0.25
    assert values['respcache_rebalance_active{direction="out"}'] == 1
    assert values['respcache_rebalance_active{direction="in"}'] == 0
    assert values['respcache_gossip_bytes_total{direction="out",transport="udp"}'] == 22
    assert values["respcache_peer_connections"] == 2
    assert values['respcache_cluster_members{state="alive"}'] == 1
    assert values['respcache_cluster_members{state="dead"}'] == 0


def test_expected_members_are_exported_if_configured() -> None:
    """`expect = 3` shows as 3."""
    sources = replace(idle_node(), config=lambda: Config(cluster=ClusterConfig(expect=3)))

    assert samples(scrape(sources))["respcache_cluster_members_expected"] == 3


def test_a_state_set_names_every_state_and_marks_one() -> None:
    """All five states have a series, and their sum is 1."""
    values = samples(scrape(replace(idle_node(), state=lambda: "draining")))
    states = {series: value for series, value in values.items() if series.startswith("respcache_node_state")}

    assert states.pop('respcache_node_state{state="draining"}') == 1
    assert list(states.values()) == [0, 0, 0, 0]


def test_keys_are_counted_by_role_over_all_databases() -> None:
    """Keys in partitions that are not served here count as copies."""
    sources = idle_node()
    for database in (0, 3):
        first, second = sources.store.keyspace(database).partitions[:2]
        first.values = {b"x": b"1", b"y": b"1"}
        first.expires = {b"x": 5}
        second.values = {b"z": b"1"}
    sources.store.mark(1, serving=False, log=None)
    values = samples(scrape(sources))

    assert values['respcache_keys{role="primary"}'] == 4
    assert values['respcache_keys{role="replica"}'] == 2
    assert values['respcache_keys_with_expiry{role="primary"}'] == 2
    assert values['respcache_keys_with_expiry{role="replica"}'] == 0


def test_subcommands_count_as_their_command_and_silent_commands_have_no_series() -> None:
    """CLIENT|ID and CLIENT|LIST add up to `client`; what was never called is absent."""
    sources = idle_node()
    for row in ROWS:
        if row.name in {"CLIENT|ID", "CLIENT|LIST"}:
            sources.stats.calls[row.index] = 2
            sources.stats.duration_ns[row.index] = 500_000_000
    values = samples(scrape(sources))

    assert values['respcache_commands_total{command="client"}'] == 4
    assert values['respcache_commands_duration_seconds_total{command="client"}'] == 1.0
    assert sum(series.startswith("respcache_commands_total") for series in values) == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [("GET", "read"), ("SET", "write"), ("MGET", "multikey"), ("KEYS", "multikey"), ("PING", "admin")],
)
def test_classes_are_told_by_what_the_duration_depends_on(name: str, expected: str) -> None:
    """One key, several keys or none; changing or not."""
    (row,) = (row for row in ROWS if row.name == name)

    assert class_of(row) == expected


def test_every_command_has_a_known_class_and_a_tame_label() -> None:
    """Labels come from the table alone: small letters, no subcommands."""
    for row in ROWS:
        assert class_of(row) in CLASSES
        assert re.fullmatch(r"[a-z_]+", family_of(row))


def test_every_error_code_of_the_program_is_told_apart() -> None:
    """No class of error is counted as `other`."""
    assert {code for code in codes(CommandError) if code} <= set(ERROR_CODES)


def test_unknown_error_codes_share_one_series() -> None:
    """Whatever code turns up, the number of series stays."""
    sources = idle_node()
    before = len(samples(scrape(sources)))
    for code in ("SURPRISE", "SHOCK", "WRONGTYPE"):
        sources.stats.count_error(code)
    values = samples(scrape(sources))

    assert values['respcache_command_errors_total{code="other"}'] == 2
    assert values['respcache_command_errors_total{code="WRONGTYPE"}'] == 1
    assert len(values) == before


@given(st.lists(st.integers(0, 2**40), max_size=50), st.integers(1, 3))
def test_exported_buckets_count_what_lies_below_their_bounds(durations_us: list[int], step: int) -> None:
    """Each bucket holds exactly the durations below its bound, and the count holds all."""
    buckets = [0] * DURATION_BUCKETS
    for duration_us in durations_us:
        buckets[min(duration_us.bit_length(), DURATION_BUCKETS - 1)] += 1
    made = distribution(buckets, sum_s=None, step=step)

    assert made.count == len(durations_us)
    for bound_s, count in zip(made.bounds_s, made.cumulative, strict=True):
        assert count == sum(duration_us < round(bound_s * 1e6) for duration_us in durations_us)


def test_command_histograms_reach_from_16_us_to_2_s() -> None:
    """The bounds are the powers of two between."""
    made = distribution([0] * DURATION_BUCKETS, sum_s=0.0)

    assert made.bounds_s[0] == 16e-6
    assert made.bounds_s[-1] == pytest.approx(2.097152)
    assert len(made.bounds_s) == 18


def test_histograms_add_up_bucket_by_bucket() -> None:
    """The sum has as many buckets."""
    assert added([[1, 0, 2], [0, 5, 1]]) == [1, 5, 3]


def test_lag_is_how_late_a_sample_was() -> None:
    """Due at 10.25 and run at 10.28: 30 ms; the next is due a period after that."""
    lag = LoopLag()

    assert lag.start(10.0) == 10.0 + PERIOD_S
    assert lag.sample(10.28) == 10.28 + PERIOD_S
    assert lag.last_s == pytest.approx(0.03)
    assert lag.sum_s == pytest.approx(0.03)
    assert lag.buckets[(29_999).bit_length()] == 1


def test_a_timer_that_runs_early_is_no_lag() -> None:
    """Clocks are coarse: early counts as on time."""
    lag = LoopLag()
    lag.start(10.0)
    lag.sample(10.0)

    assert lag.last_s == 0.0
    assert lag.buckets[0] == 1


def test_pieces_are_small_and_made_only_when_taken() -> None:
    """No piece exceeds its samples unless one family does; the node is not asked before the first."""
    asked = []
    sources = idle_node()

    def figures() -> KeeperFigures:
        asked.append("figures")
        return FIGURES

    pieces = expose(registry_of(replace(sources, keeper=figures)), "").pieces
    assert not asked
    sizes = [(len(samples(piece.decode())), piece.count(b"# TYPE")) for piece in pieces]

    assert len(sizes) > 1
    assert all(size <= SAMPLES_PER_PIECE or families == 1 for size, families in sizes)


def test_status_says_who_and_how() -> None:
    """The page has the node's name, its verdict and its partitions."""
    status = status_of(idle_node())

    assert status["node"] == "a"
    assert status["ready"] is True
    assert status["partitions"] == {
        "primary": 512,
        "replica": 500,
        "learner": 12,
        "under_replicated": 3,
        "unowned": 1,
    }


def test_the_documentation_is_what_the_catalogue_says() -> None:
    """docs/metrics.md was generated from this catalogue."""
    assert (REPOSITORY / "docs" / "metrics.md").read_text(encoding="utf-8") == page()


def test_what_was_dropped_is_counted_before_and_after_the_seal() -> None:
    """Under one name: some reasons are known to both."""
    key = Key.of(bytes(32))
    sealing = Sealing(Keyring((key,)), Identity("a", 1), label="", entropy=random.Random(1).randbytes)
    known = idle_node().membership()
    node = replace(idle_node(), sealing=sealing, membership=lambda: known)
    sealing.datagrams.dropped["replay"] = 2
    sealing.datagrams.dropped["stale"] = 3
    known.stats.dropped["stale"] = 4
    found = samples(scrape(node))
    assert found['respcache_gossip_dropped_total{reason="replay"}'] == 2
    assert found['respcache_gossip_dropped_total{reason="stale"}'] == 7
    assert found['respcache_gossip_dropped_total{reason="label"}'] == 0
    assert found['respcache_peer_rejected_total{reason="auth"}'] == 3
    assert found["respcache_cluster_keys"] == 1
    assert samples(scrape(idle_node()))["respcache_cluster_keys"] == 0


def test_what_clients_are_told_of_changes_is_counted() -> None:
    """Who is tracked, what they may have, and what was said to them and to other nodes."""
    houses = Houses()
    sources = replace(idle_node(), tracking=lambda: houses.a.tracking)
    near, far = houses.a.client(), houses.b.client()
    for client in (near, far):
        client.read(b"x", b"y")
    houses.settle()
    houses.a.write(b"SET", b"x", b"1")
    houses.settle()
    found = {name: value for name, value in samples(scrape(sources)).items() if "tracking" in name}
    assert found["respcache_tracking_clients"] == 1
    assert found["respcache_tracking_keys"] == 1
    assert found["respcache_tracking_invalidations_total"] == 1
    assert found["respcache_tracking_relayed_total"] >= 1
