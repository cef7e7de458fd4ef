"""What holds for clients of whole nodes: transactions, commands that wait, and writes that are too many."""

from functools import partial
from typing import Final

import pytest

from cores import CORES, Cores
from simulation.commands.storms import calm, each, weather
from simulation.replay import seeds

pytestmark = pytest.mark.timeout(600)
"""Seconds; 20,000 seeds have a limit of their own in the Taskfile."""

SEEDS: Final = 24
SEEDS_CALM: Final = 10
"""Far more is done where nothing fails."""
SAFE_MIN: Final = 150
"""Requests for each seed that are answered, on average, or else nothing was tested."""


def told(cores: Cores, kind: str, scenario: str, all_seeds: range) -> dict[str, float]:
    """Count what clients were told in a run of a kind, on average; all cores share them."""
    runs = partial(each, kind=kind, scenario=scenario, duration_s=1.5, nodes=3)
    counts = cores.each(runs, [all_seeds[core::CORES] for core in range(CORES)])
    return {name: sum(count.get(name, 0) for count in counts) / len(all_seeds) for name in counts[0]}


def test_a_storm_over_whole_nodes_loses_nothing(cores: Cores) -> None:
    """Transactions are isolated, elements taken once, what is refused is not done, all is answered, nothing locked."""
    counts = told(cores, "storm", "test_a_storm_over_whole_nodes_loses_nothing", seeds(SEEDS))
    assert counts["SAFE"] > SAFE_MIN
    if len(seeds(SEEDS)) >= SEEDS:
        assert counts["TRYAGAIN"] > 0
        assert counts["UNCERTAIN"] > 0


def test_in_calm_weather_nothing_is_in_doubt(cores: Cores) -> None:
    """Nodes come and go: nothing is uncertain or refused, who waited longest is served first, and nobody in vain."""
    assert told(cores, "calm", "test_in_calm_weather_nothing_is_in_doubt", seeds(SEEDS_CALM))["SAFE"] > SAFE_MIN


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(16, id="a transaction read what its owner had not copied yet"),
        pytest.param(22, id="a client waited at an owner that its node had lost before"),
        pytest.param(64, id="two clients waited at an owner that their node had lost before"),
    ],
)
def test_a_storm_over_whole_nodes_that_once_did_harm(seed: int) -> None:
    """Each found a fault when it was first met; what it does by now may be another thing."""
    weather(seed, 1.5, nodes=3 + seed % 3)


@pytest.mark.parametrize("seed", [pytest.param(3, id="a node kept the question of a client that waited no more")])
def test_calm_weather_that_once_did_harm(seed: int) -> None:
    """Each found a fault when it was first met; what it does by now may be another thing."""
    calm(seed, 1.5, nodes=3 + seed % 3)
