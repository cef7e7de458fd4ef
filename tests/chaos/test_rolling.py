"""That every node may be restarted, one after the other, and nobody notices."""

from pathlib import Path

import pytest

from chaos.figures import Figure, at_least, at_most, check, keep
from chaos.fleet import Fleet, fleet_of, wait_for
from chaos.judging import Judgement, Load, judged

SEED = 10
CALM = 5_000
"""Writes before a node goes: some seconds, so that the median second is one under full load."""
CUT_OFF = frozenset({"cut off", "ConnectionResetError", "BrokenPipeError"})
"""What a client sees that sends a command while the connection is being closed."""


def restart_all(fleet: Fleet, load: Load, *, warned: bool, calm: int = 300) -> int:
    """Restart every node by SIGTERM; return how many left with an exit status other than 0.

    Before each there are `calm` writes that nothing disturbs. Where clients are `warned` the next one waits until
    the whole cluster agrees that nothing is missing, else for what orchestrators ask: that this node is ready.
    """
    unclean = 0
    for server in list(fleet.servers):
        fleet.prepare(server)
        load.go_on(calm)
        if warned:
            load.avoid(fleet, server)
        unclean += server.terminate() != 0
        load.go_on(300)
        fleet.start(server)
        if warned:
            fleet.whole()
        else:
            wait_for(server.is_ready, f"{server.name} is ready", timeout_s=60.0)
        load.avoid(fleet, None)
    return unclean


def figures_of(judgement: Judgement, rounds: int, unclean: int) -> list[Figure]:
    """Say what is to be said of a run, and must hold."""
    errors = judgement.errors()
    return [
        at_least("restarts", 3 * rounds, 3 * rounds),
        at_least("acknowledged writes", 1_500 * rounds, judgement.writes),
        at_least("commands in the median second", 2_000, judgement.commands_a_second),
        at_most("keys lost", 0, judgement.lost, promise=1),
        at_most("keys with a wrong reply", 0, judgement.wrong, promise=2),
        at_most("keys undecided", 0, judgement.undecided),
        at_most("commands refused or in doubt", 0, sum(errors.values()) - cut_off(judgement), promise=4),
        at_most("nodes that did not hand everything over", 0, unclean),
    ]


def cut_off(judgement: Judgement) -> int:
    """Count the commands whose connection ended before their reply."""
    return sum(number for name, number in judgement.errors().items() if name in CUT_OFF)


@pytest.mark.chaos
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("warned", [True, False], ids=["warned", "unwarned"])
def test_ten_rolling_restarts_lose_nothing_and_fail_nothing(tmp_path: Path, warned: bool) -> None:  # noqa: FBT001 # pytest passes it
    """SIGTERM and a new start for each of three nodes, ten times under load.

    Clients that are `warned` leave a node before it is told to go, as behind a load balancer; others
    stay until it hangs up, and whatever it answers must hold.
    """
    rounds = 10
    with fleet_of(3, tmp_path, "--environment=lan") as fleet, Load.running(fleet, tmp_path, seed=SEED) as load:
        unclean = sum(restart_all(fleet, load, warned=warned, calm=CALM) for _ in range(rounds))
        judgement = judged(load.stop(), fleet)
    figures = figures_of(judgement, rounds, unclean)
    cut = at_most("commands cut off by the end of their connection", 0, cut_off(judgement), promise=4)
    print(judgement)  # noqa: T201 # what happened, if it fails
    keep(f"rolling restart by SIGTERM, clients {'warned' if warned else 'not warned'}", [*figures, cut])
    # A node cannot know that a client has just sent something as it hangs up: of 32 clients that may hit one a restart.
    most = at_most("commands cut off", 0 if warned else 3 * rounds, cut_off(judgement))
    check([*figures, most])


@pytest.mark.integration
@pytest.mark.timeout(300)
@pytest.mark.parametrize("warned", [True, False], ids=["warned", "unwarned"])
def test_a_rolling_restart_loses_nothing_and_fails_nothing(tmp_path: Path, warned: bool) -> None:  # noqa: FBT001 # pytest passes it
    """SIGTERM and a new start for each of three nodes: no command is refused, none cut off if warned, no key lost."""
    with (
        fleet_of(3, tmp_path, "--environment=lan") as fleet,
        Load.running(fleet, tmp_path, seed=SEED, commands_a_second=800.0) as load,
    ):
        assert restart_all(fleet, load, warned=warned) == 0
        judgement = judged(load.stop(), fleet)
    assert judgement.after.linearizable, str(judgement)
    assert set(judgement.errors()) <= (set() if warned else CUT_OFF), str(judgement)
