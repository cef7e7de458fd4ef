"""That a node which dies without a word takes nothing with it that was acknowledged."""

import random
import statistics
import time
from pathlib import Path

import pytest

from chaos.figures import Figure, at_least, at_most, check, keep, stated
from chaos.fleet import Fleet, fleet_of
from chaos.judging import Judgement, Load, judged

SEED = 4
LIMITS_S = {"local": (0.7, 4.0), "lan": (1.5, 4.0)}
"""Outage of a kill by environment: median and longest."""
CALM = 10_000
"""Writes before a kill: some seconds, so that the median second is one under full load."""
TOLD = frozenset({"UNCERTAIN", "TRYAGAIN", "CLUSTERDOWN", "cut off", "ConnectionResetError", "BrokenPipeError"})
"""What clients may see of a kill, on a slow machine too: in doubt, certainly not done, or the end of a connection."""
SLOW_S = 20.0
"""An outage that no slow machine explains."""


def kill_one_by_one(fleet: Fleet, load: Load, kills: int, rng: random.Random, *, calm: int = 500) -> list[float]:
    """Kill a random node, let it come back, and wait until nothing lacks a copy; so many times. Return when.

    Before each there are `calm` writes that nothing disturbs.
    """
    times_s = []
    for _ in range(kills):
        victim = rng.choice(fleet.running)
        fleet.prepare(victim)
        load.go_on(calm)
        times_s.append(time.monotonic())
        victim.kill()
        load.go_on(1_000)
        fleet.start(victim)
        fleet.whole()
    return times_s


def figures_of(judgement: Judgement, times_s: list[float], environment: str) -> list[Figure]:
    """Say what is to be said of a run."""
    outages_s = judgement.outages_s(times_s)
    median_s, longest_s = LIMITS_S[environment]
    return [
        stated("kills", len(times_s)),
        at_least("acknowledged writes", 2_000 * len(times_s), judgement.writes),
        at_least("commands in the median second", 2_000, judgement.commands_a_second),
        at_most("keys lost", 0, judgement.lost, promise=1),
        at_most("keys with a wrong reply", 0, judgement.wrong, promise=2),
        at_most("keys undecided", 0, judgement.undecided),
        at_most("outage of a kill, median", median_s, statistics.median(outages_s), " s"),
        at_most("outage of a kill, longest", longest_s, max(outages_s), " s"),
    ]


@pytest.mark.chaos
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("environment", ["local", "lan"])
def test_fifty_kills_lose_nothing(tmp_path: Path, environment: str) -> None:
    """SIGKILL of a random node of three with restart, 50 times under load: every acknowledged write is there."""
    with (
        fleet_of(3, tmp_path, f"--environment={environment}") as fleet,
        Load.running(fleet, tmp_path, seed=SEED) as load,
    ):
        times_s = kill_one_by_one(fleet, load, 50, random.Random(SEED), calm=CALM)
        load.reach(100_000)
        judgement = judged(load.stop(), fleet)
    figures = figures_of(judgement, times_s, environment)
    print(judgement)  # noqa: T201 # what happened, if it fails
    keep(f"SIGKILL of a random node of three, `{environment}`", figures)
    check(figures)


@pytest.mark.integration
@pytest.mark.timeout(300)
def test_a_kill_under_load_loses_nothing(tmp_path: Path) -> None:
    """SIGKILL of a random node of three with restart, twice: whatever the clients were told holds."""
    with (
        fleet_of(3, tmp_path, "--environment=lan") as fleet,
        Load.running(fleet, tmp_path, seed=SEED, commands_a_second=1_000.0) as load,
    ):
        times_s = kill_one_by_one(fleet, load, 2, random.Random(SEED))
        judgement = judged(load.stop(), fleet)
    assert judgement.after.linearizable, str(judgement)
    assert judgement.writes > 2_000
    assert judgement.errors().keys() <= TOLD
    assert max(judgement.outages_s(times_s)) < SLOW_S
