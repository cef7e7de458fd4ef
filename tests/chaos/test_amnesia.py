"""That a node which comes back without its memory is not taken for the one that it was."""

import random
import time
from pathlib import Path

import pytest

from chaos.figures import at_least, at_most, check, keep
from chaos.fleet import Fleet, fleet_of, wait_for
from chaos.judging import Load, judged

SEED = 50
CALM = 5_000
"""Writes before a node goes: some seconds, so that the median second is one under full load."""
BACK_S = 1.0
"""Within this time the node is back: mostly before anybody has noticed that it was gone."""


def lose_memory(fleet: Fleet, load: Load, times: int, rng: random.Random, *, calm: int = 500) -> list[float]:
    """Kill a node and start it again at once, so many times; return how long each was away.

    Before each there are `calm` writes that nothing disturbs.
    """
    took_s = []
    for _ in range(times):
        server = rng.choice(fleet.running)
        fleet.prepare(server)
        load.go_on(calm)
        started = time.monotonic()
        server.kill()
        server.go()
        wait_for(server.listens, f"{server.name} is back")
        took_s.append(time.monotonic() - started)
        server.wait()
        load.go_on(500)
        fleet.whole()
    return took_s


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_fifty_returns_without_memory_lose_nothing(tmp_path: Path) -> None:
    """An owner is killed and back under its name within a second, 50 times under load: nothing is lost."""
    with fleet_of(3, tmp_path, "--environment=lan") as fleet, Load.running(fleet, tmp_path, seed=SEED) as load:
        took_s = lose_memory(fleet, load, 50, random.Random(SEED), calm=CALM)
        judgement = judged(load.stop(), fleet)
    quick = sum(each < BACK_S for each in took_s)
    figures = [
        at_least("returns", 50, len(took_s)),
        at_least("of these within a second", 25, quick),
        at_least("acknowledged writes", 50_000, judgement.writes),
        at_least("commands in the median second", 2_000, judgement.commands_a_second),
        at_most("keys lost", 0, judgement.lost, promise=1),
        at_most("keys with a wrong reply", 0, judgement.wrong, promise=2),
        at_most("keys undecided", 0, judgement.undecided),
    ]
    print(judgement)  # noqa: T201 # what happened, if it fails
    keep("an owner that returns without its memory, `lan`", figures)
    check(figures)


@pytest.mark.integration
@pytest.mark.timeout(300)
def test_a_return_without_memory_loses_nothing(tmp_path: Path) -> None:
    """Twice, on a smaller load."""
    with (
        fleet_of(3, tmp_path, "--environment=lan") as fleet,
        Load.running(fleet, tmp_path, seed=SEED, commands_a_second=800.0) as load,
    ):
        lose_memory(fleet, load, 2, random.Random(SEED))
        judgement = judged(load.stop(), fleet)
    assert judgement.after.linearizable, str(judgement)
