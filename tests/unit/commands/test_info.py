"""The figures of a node, as monitors parse them."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.commands.info import OWN, SECTIONS, percentile_us
from respcache.commands.registry import lookup
from respcache.config import ClusterConfig, Config, ServerConfig
from respcache.reply import Verbatim
from unit.commands.front import HEALTH, NOW_UNIX_MS, Front, view


def text(front: Front, *sections: bytes) -> str:
    """Ask for INFO."""
    reply = front.ask(front.client(), b"INFO", *sections)
    assert isinstance(reply, Verbatim)
    return reply.text.decode()


def heads(answer: str) -> list[str]:
    """Find the heads of the sections."""
    return re.findall(r"^# (\w+)\r$", answer, re.MULTILINE)


def test_sections_come_in_the_order_and_under_the_heads_of_redis() -> None:
    """By default without the two long ones, with ALL and EVERYTHING all of them."""
    front = Front()
    every = "Server Clients Memory Persistence Stats Replication CPU Modules Commandstats Errorstats Latencystats"
    assert heads(text(front, b"all")) == heads(text(front, b"EVERYTHING")) == [*every.split(), "Cluster", "Keyspace"]
    rare = {"Commandstats", "Latencystats"}
    assert (
        heads(text(front))
        == heads(text(front, b"default"))
        == [head for head in heads(text(front, b"all")) if head not in rare]
    )
    assert heads(text(front, b"keyspace", b"nothing", b"Server")) == ["Server", "Keyspace"]
    assert heads(text(front, b"default", b"commandstats"))[-4:] == ["Commandstats", "Errorstats", "Cluster", "Keyspace"]
    assert text(front, b"nothing") == ""


def test_every_line_is_a_field_or_a_head() -> None:
    """Lines end with CRLF, and an empty one stands between two sections."""
    front = Front()
    front.host.stats.calls[0] = 1
    answer = text(front, b"all")
    assert answer.endswith("\r\n")
    assert answer.count("\r\n\r\n") == len(SECTIONS) - len(OWN) - 1
    for line in answer.split("\r\n"):
        assert re.fullmatch(r"(# \w+|[\w|.-]+:.*|)", line), line


def test_clients_decide_by_version_and_mode() -> None:
    """The version is that of the Redis which the replies are compared with."""
    answer = text(Front(), b"server", b"cluster")
    assert "redis_version:7.4.0\r\n" in answer
    assert "redis_mode:cluster\r\n" in answer
    assert "cluster_enabled:1\r\n" in answer


def test_the_keyspace_counts_keys_that_are_served_here() -> None:
    """Copies of other nodes' keys are counted apart; a database without keys has no line."""
    front = Front(Config(cluster=ClusterConfig(replica_count=2)))
    client = front.client()
    for key in (b"a", b"b", b"c"):
        front.ask(client, b"SET", key, b"x")
    space = front.host.store.keyspace(0)
    space.at(b"a").expire_at(b"a", NOW_UNIX_MS + 5000)
    front.host.store.keyspace(3)
    assert text(front, b"keyspace") == "# Keyspace\r\ndb0:keys=3,expires=1,avg_ttl=5000,keys_with_volatile_items=0\r\n"
    front.host.store.mark(space.at(b"b").number, serving=False, log=None)
    assert "db0:keys=2," in text(front, b"keyspace")
    assert {"cluster_served_keys:2", "cluster_copied_keys:1"} <= set(text(front, b"cluster").split("\r\n"))


def test_command_figures_have_the_shapes_that_exporters_parse() -> None:
    """Calls without those rejected, whole microseconds, two digits per call, bounds of latencies."""
    front = Front()
    stats, row = front.host.stats, lookup(b"GET")
    assert row is not None
    stats.calls[row.index], stats.rejected[row.index], stats.failed[row.index] = 5, 1, 2
    stats.duration_ns[row.index] = 10_500
    stats.durations[row.index][2] = 4
    stats.count_error("WRONGTYPE")
    answer = text(front, b"commandstats", b"errorstats", b"latencystats")
    assert "cmdstat_get:calls=4,usec=10,usec_per_call=2.50,rejected_calls=1,failed_calls=2\r\n" in answer
    assert "errorstat_WRONGTYPE:count=1\r\n" in answer
    assert "latency_percentiles_usec_get:p50=4.000,p99=4.000,p99.9=4.000\r\n" in answer


def test_members_are_listed_if_asked_for() -> None:
    """A line each, the name last and on that line whatever it holds; those that have left are gone."""
    odd = replace(view("b", ((0, 99), (200, 200)), state="suspect"), name="b,=\r\n", host="::1")
    front = Front(nodes=(view("a", ((100, 199),), myself=True), odd, view("c", (), state="left")))
    assert text(front, b"members").split("\r\n")[1:-1] == [
        "member0:address=127.0.0.1:7097,state=alive,slots=100,name=a",
        "member1:address=[::1]:7098,state=suspect,slots=101,name=b,=  ",
    ]
    assert "member0" not in text(front) + text(front, b"all")


def test_copies_are_counted_as_the_cluster_has_agreed() -> None:
    """Not as this node was configured; nothing is said before there is a cluster."""
    front = Front(Config(cluster=ClusterConfig(replica_count=3)))
    assert "cluster_replica_count:3\r\n" in text(front, b"cluster")
    assert "cluster_copies" not in text(front, b"cluster")
    copies = replace(HEALTH.redundancy, missing=5, partitions_bare=3)
    front.health = replace(HEALTH, redundancy=copies)
    told = set(text(front, b"cluster").split("\r\n"))
    assert {"cluster_replica_count:2", "cluster_copies_wanted:2", "cluster_copies_missing:5"} <= told
    assert {"cluster_partitions_without_copy:3", "cluster_lease_held:1"} <= told


def test_hits_and_misses_are_the_ledgers() -> None:
    """A read of a missing key is a miss and no hit."""
    front = Front()
    client = front.client()
    front.ask(client, b"SET", b"a", b"x")
    front.ask(client, b"GET", b"a")
    front.ask(client, b"GET", b"b")
    assert {"keyspace_hits:1", "keyspace_misses:1"} <= set(text(front, b"stats").split("\r\n"))


def test_memory_is_what_keys_take_and_what_they_may_take() -> None:
    """Used is what the store weighs, not above the peak, and beside it what the process takes, and the limit."""
    front = Front(Config(server=ServerConfig(maxmemory_bytes=3 << 20, maxmemory_policy="volatile-ttl")))
    ledger = front.host.store.ledger
    ledger.weight_bytes, ledger.peak_bytes, ledger.evicted = 2 << 20, 4 << 20, 7
    figures = dict(line.split(":") for line in text(front, b"memory").split("\r\n")[1:-1])
    assert (figures["used_memory"], figures["used_memory_human"]) == ("2097152", "2.00M")
    assert (figures["used_memory_peak"], figures["used_memory_peak_perc"]) == ("4194304", "50.00%")
    assert (figures["maxmemory"], figures["maxmemory_human"]) == ("3145728", "3.00M")
    assert figures["maxmemory_policy"] == "volatile-ttl"
    assert int(figures["used_memory_rss"]) > 1_000_000
    assert "\r\nevicted_keys:7\r\n" in text(front, b"stats")


@given(st.lists(st.integers(min_value=0, max_value=50), min_size=1, max_size=32).filter(any))
def test_a_percentile_is_the_first_bound_with_enough_below_it(histogram: list[int]) -> None:
    """At least so many percent lie below it, and fewer below half of it."""
    for percent in (50.0, 99.0, 99.9):
        bucket = percentile_us(histogram, percent).bit_length() - 1
        needed = sum(histogram) * percent / 100
        assert sum(histogram[: bucket + 1]) >= needed > sum(histogram[:bucket])


@pytest.mark.parametrize("protocol", [2, 3])
def test_the_text_is_verbatim_in_resp3(protocol: int) -> None:
    """A bulk string in RESP2."""
    front = Front()
    client = front.client()
    client.protocol = protocol
    assert front.wire(client, b"INFO", b"nothing") == {2: b"$0\r\n\r\n", 3: b"=4\r\ntxt:\r\n"}[protocol]
