"""That the scenarios can fail: what the protocol cannot do without is taken away, and some scenario misses it."""

from collections.abc import Callable, Collection, Sequence

import pytest

from respcache.cluster.membership import Address, Swim
from respcache.cluster.membership.prober import Prober
from respcache.cluster.membership.seeds import Seeds
from respcache.cluster.membership.view import Heard, View
from respcache.cluster.membership.wire import Rumor
from simulation.membership.scenarios import play

SEEDS = 100


def never_refutes(view: View, now: float, rumor: Rumor) -> Heard:
    """Let all be said of oneself."""
    del view, now, rumor
    return Heard.KNOWN


def calls_no_dead(
    seeds: Seeds, now: float, *, live: Collection[Address], dead: Sequence[Address], tick: Callable[..., list[Address]]
) -> list[Address]:
    """Call the join addresses alone."""
    del dead
    return tick(seeds, now, live=live, dead=[])


def does_nothing(*_: object) -> None:
    """Leave something out."""


MUTATIONS = {
    "refutation": ("split", View, "_hear_of_self", never_refutes),
    "helpers": ("one-way", Prober, "_ask_helpers", does_nothing),
    "notice of own stalls": ("pause", Swim, "_notice_stall", does_nothing),
    "comparison of digests": ("split", Swim, "_compare", does_nothing),
    "names that are taken": ("conflict", Swim, "_holder_of_name", does_nothing),
}
"""What is taken away, the scenario that misses it, and how it is taken away."""


@pytest.mark.parametrize("what", MUTATIONS)
def test_what_is_taken_away_is_missed(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one of a hundred seeds at the latest the scenario fails."""
    scenario, owner, name, instead = MUTATIONS[what]
    monkeypatch.setattr(owner, name, instead)
    with pytest.raises(AssertionError):
        play_until_it_fails(scenario)


def test_calling_the_dead_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes without join addresses that do not call the dead stay apart for ever once they were."""
    tick = Seeds.tick
    monkeypatch.setattr(
        Seeds, "tick", lambda seeds, now, *, live, dead: calls_no_dead(seeds, now, live=live, dead=dead, tick=tick)
    )
    with pytest.raises(AssertionError):
        play_until_it_fails("split")


def play_until_it_fails(scenario: str) -> None:
    """Run a scenario with one seed after the other."""
    for seed in range(SEEDS):
        play(scenario, seed)
