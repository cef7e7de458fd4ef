"""Nothing acknowledged is lost, whatever dies, joins, leaves, pauses or is cut off."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import pytest

from simulation.linearizability import Kind
from simulation.ownership.chaos import CONFIG, Aftermath, Storm, weather
from simulation.ownership.clients import History
from simulation.ownership.forecast import hasty_of, pair_of, parted_of, scarce_of, storm_of, weather_of
from simulation.ownership.outcome import Outcome, Violation
from simulation.replay import chunks, each, seeds

SEEDS: Final = 1_000
SEEDS_OTHERWISE: Final = 25
"""Of each kind of storm with other settings."""
SEEDS_PER_TEST: Final = 25
"""So that several processes share them, and a long run shows how far it is."""
ACKED_MIN: Final = 30
"""Writes for each seed on average, or else nothing was tested."""
REBORN_MAX: Final = 0.05
"""How many partitions may begin anew, where that is possible: of these nothing can be said."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("some", chunks(seeds(SEEDS), SEEDS_PER_TEST), ids=str)
def test_a_storm_loses_nothing_acknowledged(some: Sequence[int]) -> None:
    """After faults of all kinds: all promises kept, every history in order, all copies equal, all served."""
    passed = each(some, weather_of, scenario="test_a_storm_loses_nothing_acknowledged")
    assert sum(aftermath.acked for aftermath in passed) > ACKED_MIN * len(some)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("some", chunks(seeds(SEEDS_OTHERWISE), SEEDS_PER_TEST), ids=str)
def test_a_storm_in_which_two_copies_are_needed_keeps_all_on_two(some: Sequence[int]) -> None:
    """Two of three copies have what is acknowledged, the moment it is; with fewer in sync writes are refused."""
    passed = each(some, scarce_of, scenario="test_a_storm_in_which_two_copies_are_needed_keeps_all_on_two")
    assert sum(aftermath.acked for aftermath in passed) > ACKED_MIN * len(some)
    if len(some) == SEEDS_PER_TEST:
        assert sum(aftermath.refused for aftermath in passed) > 0


@pytest.mark.timeout(600)
@pytest.mark.parametrize("some", chunks(seeds(SEEDS_OTHERWISE), SEEDS_PER_TEST), ids=str)
def test_a_storm_over_nodes_that_answer_at_once_keeps_what_was_handed_over(some: Sequence[int]) -> None:
    """Whoever succeeds an owner that did not hand over goes on from some moment of the past; nothing else is lost."""
    passed = each(some, hasty_of, scenario="test_a_storm_over_nodes_that_answer_at_once_keeps_what_was_handed_over")
    assert sum(aftermath.acked for aftermath in passed) > ACKED_MIN * len(some)
    if len(some) == SEEDS_PER_TEST:
        assert sum(aftermath.breaks for aftermath in passed) > 0


@pytest.mark.timeout(600)
@pytest.mark.parametrize("some", chunks(seeds(SEEDS_OTHERWISE), SEEDS_PER_TEST), ids=str)
def test_a_storm_over_sides_that_go_on_keeps_what_the_last_record_came_from(some: Sequence[int]) -> None:
    """The newer record wins: what led to it has lost nothing, its owners were alone, and what others wrote is told."""
    passed = each(some, parted_of, scenario="test_a_storm_over_sides_that_go_on_keeps_what_the_last_record_came_from")
    check_sides(passed)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("some", chunks(seeds(SEEDS_OTHERWISE), SEEDS_PER_TEST), ids=str)
def test_a_storm_over_a_pair_keeps_what_the_last_record_came_from(some: Sequence[int]) -> None:
    """Either goes on alone, and once there were three only a majority does."""
    passed = each(some, pair_of, scenario="test_a_storm_over_a_pair_keeps_what_the_last_record_came_from")
    check_sides(passed)


def check_sides(passed: Sequence[Aftermath]) -> None:
    """See that storms have split clusters, and that little was exempt from the check."""
    assert sum(aftermath.acked for aftermath in passed) > ACKED_MIN * len(passed)
    assert sum(aftermath.reborn for aftermath in passed) < REBORN_MAX * CONFIG.partitions * len(passed)
    if len(passed) == SEEDS_PER_TEST:
        assert sum(aftermath.sides for aftermath in passed) > 0
        assert sum(aftermath.orphans for aftermath in passed) > 0


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
        pytest.param(550, 2, 1.5, 4, id="a primary was told that a copy counts before the record that said so"),
        pytest.param(100_288, 2, 1.5, 4, id="a leader with nothing to propose did not see that another had led"),
        pytest.param(
            100_690, 2, 1.5, 4, id="a node asked for the record while it was taken for dead, and had no answer"
        ),
    ],
)
def test_a_storm_that_once_did_harm(seed: int, replica_count: int, duration_s: float, nodes: int) -> None:
    """Each found a fault when it was first met; what it does by now may be another thing."""
    weather(seed, Storm(replica_count, duration_s, nodes=nodes))


@pytest.mark.parametrize(
    ("seed", "replica_count"),
    [
        pytest.param(0, 2, id="a node that was left out and taken back within a lease did not ask for one"),
        pytest.param(276, 3, id="a leader left as the last one within a lease of one that it took for dead"),
        pytest.param(1_860, 2, id="a leader that had been stopped counted on a voter that had died meanwhile"),
        pytest.param(10_516, 3, id="one of two voters left before the other knew that it was the only one now"),
    ],
)
def test_a_hasty_storm_that_once_did_harm(seed: int, replica_count: int) -> None:
    """Faults come in quick succession."""
    few = Storm(replica_count, 0.8, nodes_max=4, writers=4, counters=1, registers=1, after_s=0.2)
    weather(seed, replace(few, lulls_s=(0.01, 0.1, 0.4), pauses_s=(0.05, 0.4, 1.2)))


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(4_455, id="a leader left after it had taken another one off the ring by that one's own vote"),
        pytest.param(18_479, id="a dead primary's last word was that its only heir is no copy in sync"),
        pytest.param(210_919, id="a leader that left as the last one let a newcomer in, made it a voter, and was gone"),
        pytest.param(308_292, id="a leader never looked again whether a member that it had not seen yet was there"),
        pytest.param(318_440, id="two left at once, and one decided that it was the last one; two were cut off"),
        pytest.param(319_464, id="a node that was taken for dead on its way out was let in again, and made a voter"),
        pytest.param(450_459, id="a leader that had been stopped read what a primary had asked for before it died"),
    ],
)
def test_a_storm_of_the_long_run_that_once_did_harm(seed: int) -> None:
    """Each found a fault when it was first met; what it does by now may be another thing."""
    weather(seed, storm_of(seed))


@pytest.mark.parametrize(
    ("brings", "seed"),
    [
        pytest.param(scarce_of, 14, id="a successor wrote to one copy until the record changed"),
        pytest.param(scarce_of, 36, id="a write was acknowledged since no copy was left that had to confirm it"),
        pytest.param(pair_of, 1_085, id="two that had taken each other for dead went by two records"),
        pytest.param(pair_of, 1_388, id="two that had taken each other for dead went by two records, again"),
    ],
)
def test_a_storm_with_other_settings_that_once_did_harm(brings: Callable[[int], Aftermath], seed: int) -> None:
    """Each found a fault when it was first met; what it does by now may be another thing."""
    brings(seed)


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
