"""Nothing acknowledged is lost, whatever dies, joins, leaves, pauses or is cut off."""

from functools import partial
from typing import Final

import pytest

from cores import CORES, Cores
from simulation.linearizability import Kind
from simulation.ownership.chaos import weather, weather_each
from simulation.ownership.clients import History
from simulation.ownership.outcome import Outcome, Violation
from simulation.replay import seeds

pytestmark = pytest.mark.timeout(600)
"""Seconds; 20,000 seeds have a limit of their own in the Taskfile."""

SEEDS: Final = 100
SEEDS_LARGE: Final = 2
ACKED_MIN: Final = 30
"""Writes for each seed on average, or else nothing was tested."""


def test_a_storm_loses_nothing_acknowledged(cores: Cores) -> None:
    """After faults of all kinds: all promises kept, every history in order, all copies equal, all served."""
    storms = partial(weather_each, scenario="test_a_storm_loses_nothing_acknowledged", duration_s=1.5, nodes=3)
    all_seeds = seeds(SEEDS)
    acked = cores.each(storms, [all_seeds[core::CORES] for core in range(CORES)])
    assert sum(acked) > ACKED_MIN * len(all_seeds)


def test_a_storm_over_many_nodes_loses_nothing_acknowledged(cores: Cores) -> None:
    """It holds for seven to eleven nodes, too."""
    name = "test_a_storm_over_many_nodes_loses_nothing_acknowledged"
    storms = partial(weather_each, scenario=name, duration_s=2.0, nodes=7, nodes_max=11)
    all_seeds = seeds(SEEDS_LARGE)
    acked = cores.each(storms, [all_seeds[core::CORES] for core in range(CORES)])
    assert sum(acked) > ACKED_MIN * len(all_seeds)


@pytest.mark.parametrize(
    ("seed", "replica_count", "duration_s", "nodes"),
    [
        pytest.param(7, 3, 3.0, 3, id="a voter was dismissed though another one had just died"),
        pytest.param(25, 3, 3.0, 3, id="a leader went on from what it had before it learned of more"),
        pytest.param(31, 3, 3.0, 3, id="an unfinished record had other voters than those that were left"),
        pytest.param(48, 2, 2.0, 3, id="a copy was given up for one that had just died"),
        pytest.param(104, 2, 2.0, 3, id="a node that was cut off took itself for the last one and left"),
        pytest.param(117, 3, 2.0, 3, id="a node that had been stopped while joining founded another cluster"),
        pytest.param(326, 2, 3.0, 3, id="a copy refused effects after it had been said to be in sync"),
        pytest.param(100_288, 2, 1.5, 4, id="a leader with nothing to propose did not see that another had led"),
        pytest.param(
            100_690, 2, 1.5, 4, id="a node asked for the record while it was taken for dead, and had no answer"
        ),
    ],
)
def test_a_storm_that_once_did_harm(seed: int, replica_count: int, duration_s: float, nodes: int) -> None:
    """Each found a fault when it was first met; what it does by now may be another thing."""
    weather(seed, replica_count, duration_s, nodes=nodes)


@pytest.mark.parametrize("outcome", [Outcome.SAFE, Outcome.UNCERTAIN, Outcome.REFUSED])
def test_a_history_is_judged_by_what_clients_were_told(outcome: Outcome) -> None:
    """Two who are told the same sum are one too many; a lost increment counts only if it was acknowledged."""
    lost, twice = History(b"key"), History(b"key")
    lost.end(lost.begin(1.0, Kind.INCR, b"1"), 2.0, outcome, 1)
    for _ in range(2):
        twice.end(twice.begin(1.0, Kind.INCR, b"1"), 2.0, outcome, 1)
    if outcome is Outcome.SAFE:
        with pytest.raises(Violation, match="no order explains"):
            lost.check(3.0, None)
        with pytest.raises(Violation, match="no order explains"):
            twice.check(3.0, b"2")
    else:
        lost.check(3.0, None)
    if outcome is Outcome.REFUSED:
        with pytest.raises(Violation, match="no order explains"):
            lost.check(3.0, b"1")
