"""Every scenario with many seeds, and that a failure can be seen again."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from cores import CORES, Cores
from respcache.cluster.membership import LOCAL
from simulation import sim
from simulation.membership.scenarios import SCENARIOS, Run, play, play_each
from simulation.replay import seeds

pytestmark = pytest.mark.timeout(600)
"""Seconds of CPU on a quiet machine; one that is busy with other things may take many times that."""

SEEDS: Final = 500


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_may_happen_ends_well(name: str, cores: Cores) -> None:
    """Every scenario holds its promise with every one of 500 seeds."""
    all_seeds = seeds(SEEDS)
    cores.each(partial(play_each, name), [all_seeds[core::CORES] for core in range(CORES)])


def broken(run: Run) -> None:
    """Fail in the midst of something, always alike for a seed."""
    cluster = run.settled(LOCAL, 3)
    cluster.network.crash(run.rng.choice(cluster.running))
    cluster.network.run(run.rng.uniform(1, 5))
    raise AssertionError(cluster.describe())


def test_a_failure_prints_the_line_that_replays_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line, typed as it stands, gives the same failure: the same words and the same story."""
    monkeypatch.setitem(SCENARIOS, "broken", broken)
    run = Run(41)
    with pytest.raises(AssertionError) as failure:
        play("broken", 41, run)
    story = sim.timeline(run.story)
    note = failure.value.__notes__[0]
    assert note == "seed 41; replay: task sim -- broken 41"

    command = note.partition("task sim -- ")[2].split()
    assert sim.main(command) == 1
    printed = capsys.readouterr().out
    assert str(failure.value) in printed
    assert note in printed
    assert story
    assert "\n".join(story) in printed


@pytest.mark.parametrize("name", ["storm", "join"])
def test_a_seed_gives_the_same_run_in_every_process(name: str) -> None:
    """Nothing depends on the hashes of strings or on addresses in memory, which differ from process to process."""
    tests = Path(__file__).parents[2]
    stories = {
        subprocess.run(
            [sys.executable, "-P", "-m", "simulation.sim", name, "3"],
            env=os.environ | {"PYTHONPATH": str(tests), "PYTHONHASHSEED": salt},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for salt in ("1", "2")
    }

    assert len(stories) == 1
    assert "Joined" in stories.pop()


def test_without_arguments_the_scenarios_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever types `task sim` learns what there is; a wrong name is answered alike, as a failure."""
    assert sim.main([]) == 0
    assert all(name in capsys.readouterr().out for name in SCENARIOS if name == "storm")
    assert sim.main(["strom", "1"]) == 2


def test_many_seeds_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """A range of seeds of a scenario says how many of them failed."""
    assert sim.main(["leave", "7", "2"]) == 0
    assert capsys.readouterr().out == "leave: 2 seeds, 0 failed\n"
