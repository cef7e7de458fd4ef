"""What holds for clients of whole nodes: transactions, commands that wait, and writes that are too many."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Final

import pytest

from simulation.commands.storms import calm, company, weather
from simulation.ownership.forecast import sight_of
from simulation.replay import chunks, each, seeds

SEEDS: Final = 24
SEEDS_CALM: Final = 10
"""Far more is done where nothing fails."""
SEEDS_ASLEEP: Final = 8
SEEDS_OTHERWISE: Final = 8
"""With other settings."""
SEEDS_AT_ONCE: Final = 4
SEEDS_PER_TEST: Final = 12
"""So that several processes share them, and each has storms of all kinds."""
DURATION_S: Final = 1.5
SAFE_MIN: Final = 150
"""Requests for each seed that are answered, on average, or else nothing was tested."""


def storm_of(seed: int) -> dict[str, int]:
    """Let the storm of a seed pass; in every other four the nodes have their failure detectors, too."""
    return weather(seed, DURATION_S, sight=sight_of(seed))


def scarce_of(seed: int) -> dict[str, int]:
    """Let one pass over nodes that write nothing which fewer than two copies have."""
    return weather(seed, DURATION_S, sight=sight_of(seed), min_in_sync=2)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("some", chunks(seeds(SEEDS), SEEDS_PER_TEST), ids=str)
def test_a_storm_over_whole_nodes_loses_nothing(some: Sequence[int]) -> None:
    """Transactions are isolated, elements taken once, what is refused is not done, all is answered, nothing locked."""
    told: Counter[str] = Counter()
    for counts in each(some, storm_of, scenario="test_a_storm_over_whole_nodes_loses_nothing"):
        told.update(counts)
    assert told["SAFE"] > SAFE_MIN * len(some)
    if len(some) == SEEDS_PER_TEST:
        assert told["TRYAGAIN"] > 0
        assert told["UNCERTAIN"] > 0


@pytest.mark.timeout(600)
def test_a_storm_in_which_machines_sleep_loses_nothing() -> None:
    """The same, where the clocks of most nodes that are stopped stand still."""
    run = partial(weather, duration_s=DURATION_S, sleeps=True)
    told = each(seeds(SEEDS_ASLEEP), run, scenario="test_a_storm_in_which_machines_sleep_loses_nothing")
    assert sum(counts["SAFE"] for counts in told) > SAFE_MIN * len(told)


def test_a_storm_in_which_two_copies_are_needed_loses_nothing() -> None:
    """The same, where two of three copies have to be in sync: writes are refused while there are fewer."""
    scenario = "test_a_storm_in_which_two_copies_are_needed_loses_nothing"
    told = each(seeds(SEEDS_OTHERWISE), scarce_of, scenario=scenario)
    assert sum(counts["SAFE"] for counts in told) > SAFE_MIN * len(told)
    if len(told) == SEEDS_OTHERWISE:
        assert sum(counts["NOREPLICAS"] for counts in told) > 0


def test_a_storm_over_nodes_that_answer_at_once_leaves_copies_equal() -> None:
    """What was answered may be lost with an owner; that all copies become equal, and everybody is answered, may not."""
    run = partial(weather, duration_s=DURATION_S, asynchronous=True)
    told = each(seeds(SEEDS_OTHERWISE), run, scenario="test_a_storm_over_nodes_that_answer_at_once_leaves_copies_equal")
    assert sum(counts["SAFE"] for counts in told) > SAFE_MIN * len(told)


def test_in_calm_weather_nothing_is_lost_though_writes_are_answered_at_once() -> None:
    """Whoever leaves hands over: all that clients were told holds, as where writes wait for the copies."""
    run = partial(calm, duration_s=DURATION_S, asynchronous=True)
    scenario = "test_in_calm_weather_nothing_is_lost_though_writes_are_answered_at_once"
    told = each(seeds(SEEDS_AT_ONCE), run, scenario=scenario)
    assert sum(counts["SAFE"] for counts in told) > SAFE_MIN * len(told)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("some", chunks(seeds(SEEDS_CALM), SEEDS_PER_TEST // 2), ids=str)
def test_in_calm_weather_nothing_is_in_doubt(some: Sequence[int]) -> None:
    """Nodes come and go: nothing is uncertain or refused, who waited longest is served first, and nobody in vain."""
    told = each(some, partial(calm, duration_s=DURATION_S), scenario="test_in_calm_weather_nothing_is_in_doubt")
    assert sum(counts["SAFE"] for counts in told) > SAFE_MIN * len(some)


@pytest.mark.parametrize("seed", range(4))
def test_a_node_that_gets_company_loses_nothing(seed: int) -> None:
    """It has everything and agrees with itself, and hands over while clients pipeline writes: nothing is refused."""
    outcomes = company(seed, 0.4)
    assert outcomes["SAFE"] > SAFE_MIN
    assert outcomes["REFUSED"] == 0


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
    weather(seed, DURATION_S)


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(3, id="a node kept the question of a client that waited no more"),
        pytest.param(5026, id="a newcomer waited for a lease before it served what was handed over to it"),
    ],
)
def test_calm_weather_that_once_did_harm(seed: int) -> None:
    """Each found a fault when it was first met; what it does by now may be another thing."""
    calm(seed, DURATION_S)
