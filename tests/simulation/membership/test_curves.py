"""The figures that the protocol is to hold, at sizes that take seconds; `large` has the others."""

import statistics

import pytest

from respcache.cluster.membership import LAN, LOCAL, GossipConfig
from simulation.membership import measure

pytestmark = pytest.mark.timeout(600)
"""Seconds of CPU on a quiet machine; one that is busy with other things may take many times that."""
ON_ITS_WAY_S = 0.01
"""How long before a death a ping may have been sent that did not arrive any more."""


def test_a_rumor_reaches_nearly_all_in_time() -> None:
    """99 % know within 0.9 s of 100 nodes and 1.1 s of 1,000; ten times the nodes take about the same time longer."""
    runs = {10: 10, 100: 6, 1_000: 2}
    reached_s = {count: [measure.rumor_s(count, seed) for seed in range(seeds)] for count, seeds in runs.items()}
    ten, hundred, thousand = (statistics.mean(times_s) for times_s in reached_s.values())

    assert max(reached_s[100]) <= 0.9
    assert max(reached_s[1_000]) <= 1.1
    assert all(0.05 <= step_s <= 0.35 for step_s in (hundred - ten, thousand - hundred)), reached_s


@pytest.mark.parametrize(
    ("profile", "count", "deaths", "half_s"),
    [
        pytest.param(LOCAL, 2, 100, 1.0, id="local-2"),
        pytest.param(LOCAL, 3, 200, 1.0, id="local-3"),
        pytest.param(LOCAL, 10, 50, 1.0, id="local-10"),
        pytest.param(LOCAL, 30, 20, 1.3, id="local-30"),
        pytest.param(LAN, 2, 100, 2.8, id="lan-2"),
        pytest.param(LAN, 3, 200, 2.8, id="lan-3"),
        pytest.param(LAN, 10, 50, 2.9, id="lan-10"),
        pytest.param(LAN, 30, 20, 3.9, id="lan-30"),
    ],
)
def test_a_death_is_noticed_in_time(profile: GossipConfig, count: int, deaths: int, half_s: float) -> None:
    """First suspicion within 1.75 probe intervals in the mean, half of all verdicts in time, all of them right.

    And never before a whole probe was in vain: a quarter of the timeout for the ping, and one for the helpers.
    """
    found = measure.detection(profile, count, 11, deaths=deaths)

    assert (found.wrong, found.unnoticed) == (0, 0)
    assert statistics.mean(found.first_periods) <= 1.75
    assert min(found.first_periods) * profile.probe_interval_s >= 1.25 * profile.probe_timeout_s - ON_ITS_WAY_S
    assert statistics.median(found.dead_s) <= half_s


def test_lifeguard_spares_the_healthy() -> None:
    """Four of a hundred nodes stall for 5 s again and again: at least 50 times fewer healthy nodes are held dead."""
    with_it = measure.false_deaths(LAN, 100, 1, duration_s=10)
    without_it = measure.false_deaths(measure.without_lifeguard(LAN), 100, 1, duration_s=10)

    assert without_it >= 50
    assert 50 * with_it <= without_it


def test_a_long_split_into_halves_heals() -> None:
    """After ten minutes apart all are one within a reseed interval and two seconds."""
    healed_s = measure.split_healed_s(LAN, 10, 1, apart_s=600)

    assert healed_s <= LAN.reseed_interval_s + 2


@pytest.mark.parametrize("profile", [LOCAL, LAN])
@pytest.mark.parametrize("count", [5, 20, 100])
def test_all_nodes_restarted_at_once_are_seen_alive(profile: GossipConfig, count: int) -> None:
    """Within two sync intervals every node holds every other one's new run alive."""
    assert measure.restarted_s(profile, count, 3) <= 2 * profile.sync_interval_s


@pytest.mark.parametrize("count", [5, 20])
def test_no_member_is_missed_after_one_sync(count: int) -> None:
    """A quarter of all packets is lost, and whoever has synced once since all have joined knows all."""
    assert [measure.missed_under_loss(LAN, count, seed, loss=0.25) for seed in range(3)] == [0, 0, 0]


def test_what_a_node_sends_does_not_grow_with_the_cluster() -> None:
    """Per second as many datagrams, hardly more bytes and as many steps in a cluster of 300 as in one of 10."""
    small, big = (measure.idle_cost(LAN, count, 1, duration_s=10) for count in (10, 300))
    few, many = (measure.idle_calls(LAN, count, 1, duration_s=3) for count in (10, 300))

    assert big.datagrams == pytest.approx(small.datagrams, rel=0.05)
    assert big.bytes <= 1.15 * small.bytes
    assert many == pytest.approx(few, rel=0.1)


def test_a_hundred_nodes_send_less_than_memberlist_would() -> None:
    """Though they probe twice as often: for there is no periodic exchange of everything."""
    ours = measure.idle_cost(LAN, 100, 1, duration_s=10).bytes

    assert ours < measure.memberlist_bytes(100)
