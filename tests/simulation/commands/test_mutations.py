"""The checkers of storms over whole nodes are worth their name: each planted bug is caught."""

from typing import Final

import pytest

from simulation.commands.bugs import (
    GivesTwice,
    HoldsNothingBehind,
    SaysTryAgain,
    ServesTheLast,
    TakesTwice,
    TellsTooEarly,
    UnlocksAtOnce,
    with_participant,
    with_tickets,
)
from simulation.commands.node import CommandNode
from simulation.commands.storms import Make, calm, weather
from simulation.ownership.outcome import Violation

SEED: Final = 9
CALM_S: Final = 0.6
"""Long enough for each bug that needs no faults to show."""


@pytest.mark.parametrize(
    ("bug", "says"),
    [
        (with_participant(UnlocksAtOnce), "no order explains|is no beginning of|has something twice|is lost in part"),
        (with_tickets(TakesTwice), "acknowledged, never taken, and not there"),
        (with_tickets(GivesTwice), "was taken"),
        (with_tickets(ServesTheLast), "had waited longer"),
        (SaysTryAgain, "was refused, and yet"),
    ],
)
def test_a_planted_bug_is_caught_where_nothing_else_fails(bug: Make, says: str) -> None:
    """Nodes with the bug break a promise."""
    with pytest.raises(Violation, match=says):
        calm(SEED, CALM_S, make=bug)


def test_without_the_bugs_all_is_well() -> None:
    """It is the bugs that are caught, and not the scenario."""
    calm(SEED, CALM_S, make=CommandNode)


def test_a_transaction_that_is_answered_too_early_is_caught() -> None:
    """What was acknowledged is lost with its owner, in one of sixteen storms."""
    with pytest.raises(Violation):  # noqa: PT012 # the first storm that shows it ends the search
        for seed in range(20, 80):
            weather(seed, 1.5, make=with_participant(TellsTooEarly))


def test_a_write_behind_a_command_that_waits_is_caught_if_it_is_answered_too_early() -> None:
    """Only clients that pipeline send such writes; they are lost with their owner in one of forty storms."""
    with pytest.raises(Violation):  # noqa: PT012 # the first storm that shows it ends the search
        for seed in range(80, 300):
            weather(seed, 1.5, make=HoldsNothingBehind, pipelining=True)
