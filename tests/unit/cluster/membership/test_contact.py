"""Timeouts from measured round trips."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.membership.contact import Contact


def test_without_a_measurement_the_longest_timeout_holds() -> None:
    """Nothing is known of a stranger's distance."""
    assert Contact().timeout_s(0.2) == 0.2


def test_a_near_peer_is_given_a_quarter_at_least() -> None:
    """A fast link shortens the wait for an ack, but a busy peer keeps some time."""
    contact = Contact()
    for _ in range(50):
        contact.measured(0.001)

    assert contact.round_trip_s == pytest.approx(0.001)
    assert contact.timeout_s(0.2) == 0.05


@given(st.lists(st.floats(0, 10), min_size=1, max_size=50))
def test_the_timeout_stays_within_its_bounds(round_trips_s: list[float]) -> None:
    """Whatever was measured, it lies between a quarter and the whole of the longest one."""
    contact = Contact()
    for round_trip_s in round_trips_s:
        contact.measured(round_trip_s)

    assert 0.05 <= contact.timeout_s(0.2) <= 0.2
