"""That a node which slept does not go on as if it had not."""

import random
import signal
import time
from pathlib import Path

import pytest

from chaos.figures import Figure, at_least, at_most, check, keep, stated
from chaos.fleet import Fleet, Server, fleet_of, wait_for
from chaos.judging import Judgement, Load, judged

SEED = 60
PAUSES_S = (1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0, 35.0, 60.0)
CALM_S = 3.0
"""For how long the load is measured before anything stops: afterwards the clients of a sleeper wait."""
CALM_WRITES = 8_000
"""Of 3,000 commands a second two thirds write: four seconds."""
IMPATIENCE_S = 1.0
"""How long clients wait for a reply before they try again: some have asked the sleeper while it slept."""


def pause(fleet: Fleet, load: Load, server: Server, for_s: float) -> None:
    """Stop the process of a node for a while."""
    load.go_on(300)
    server.signal(signal.SIGSTOP)
    woken_at_s = time.monotonic() + for_s
    wait_for(lambda: time.monotonic() >= woken_at_s, "the end of the pause", for_s + 5.0)
    server.signal(signal.SIGCONT)
    load.go_on(300)
    fleet.whole()


def late_writes(judgement: Judgement) -> int:
    """Count acknowledged writes of the keys that are lost: what an old owner took and nobody has."""
    wrong = {violation.key for violation in judgement.during.violations}
    return sum(violation.key not in wrong for violation in judgement.after.violations)


def figures_of(judgement: Judgement, calm: float, pauses: int) -> list[Figure]:
    """Say what is to be said of a run."""
    return [
        at_least("pauses of 1 to 60 s", pauses, pauses),
        at_least("acknowledged writes", 10_000, judgement.writes),
        at_least("commands a second before the first pause", 2_000, calm),
        stated("commands in the median second, pauses included", judgement.commands_a_second),
        at_most("keys with a stale or otherwise wrong reply", 0, judgement.wrong, promise=2),
        at_most("keys with an acknowledged write that nobody has", 0, late_writes(judgement), promise=1),
        at_most("keys undecided", 0, judgement.undecided),
    ]


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_a_paused_owner_gives_nothing_stale_and_takes_nothing_late(tmp_path: Path) -> None:
    """SIGSTOP of a random node of three for 1 to 60 s, under load, with clients that ask it meanwhile."""
    rng = random.Random(SEED)
    with (
        fleet_of(3, tmp_path, "--environment=local") as fleet,
        Load.running(fleet, tmp_path, seed=SEED, timeout_s=IMPATIENCE_S, stays=True) as load,
    ):
        load.go_on(CALM_WRITES)
        paused_at_s = time.monotonic()
        for for_s in PAUSES_S:
            pause(fleet, load, rng.choice(fleet.servers), for_s)
        judgement = judged(load.stop(), fleet)
    figures = figures_of(judgement, judgement.rate(paused_at_s - CALM_S, paused_at_s), len(PAUSES_S))
    print(judgement)  # noqa: T201 # what happened, if it fails
    keep("SIGSTOP of an owner", figures)
    check(figures)
