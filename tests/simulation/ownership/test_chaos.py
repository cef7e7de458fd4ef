"""Nothing acknowledged is lost, whatever dies, joins, leaves, pauses or is cut off."""

from dataclasses import replace

import pytest

from simulation.ownership.chaos import CONFIG, begin, clients_of, settle, storm
from simulation.replay import each_seed


def weather(seed: int, replica_count: int, duration_s: float) -> int:
    """Let a storm pass; return how many writes were acknowledged."""
    world = begin(seed, replace(CONFIG, replica_count=replica_count), nodes=3 + seed % 3)
    clients = clients_of(world)
    storm(world, duration_s)
    settle(world, clients)
    return sum(client.acked for client in clients)


@each_seed(40)
def test_a_storm_loses_nothing_acknowledged(seed: int) -> None:
    """After faults of all kinds: all promises kept, all copies equal, all served."""
    assert weather(seed, replica_count=2 + seed % 2, duration_s=3.0) > 50


@pytest.mark.parametrize(
    ("seed", "replica_count", "duration_s"),
    [
        pytest.param(7, 3, 3.0, id="a voter was dismissed though another one had just died"),
        pytest.param(25, 3, 3.0, id="a leader went on from what it had before it learned of more"),
        pytest.param(31, 3, 3.0, id="an unfinished record had other voters than those that were left"),
        pytest.param(48, 2, 2.0, id="a copy was given up for one that had just died"),
        pytest.param(104, 2, 2.0, id="a node that was cut off took itself for the last one and left"),
        pytest.param(117, 3, 2.0, id="a node that had been stopped while joining founded another cluster"),
        pytest.param(326, 2, 3.0, id="a copy refused effects after it had been said to be in sync"),
    ],
)
def test_a_storm_that_once_did_harm(seed: int, replica_count: int, duration_s: float) -> None:
    """Each found a fault when it was first met; what it does by now may be another thing."""
    weather(seed, replica_count, duration_s)
