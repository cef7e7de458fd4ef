"""That the death of a majority takes nothing from the nodes that are left."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from chaos.figures import Figure, at_least, at_most, check, keep
from chaos.fleet import Fleet, Server, fleet_of, wait_for
from chaos.judging import Judgement, Load, judged
from chaos.load import Sent
from respcache.cluster.ownership.slots import PARTITIONS, partition_of

SEED = 35
NODES, COPIES, VICTIMS = 5, 3, 3
CALM = 10_000
"""Writes before the nodes go."""
UNCLEAN_AFTER_S = 5.0
"""Until partitions of which no copy is left begin anew, empty: then clients are served everywhere again."""
LEASE_S = 2.0
"""No lease of `lan` lasts longer than that."""


@dataclass(frozen=True, slots=True)
class Deaths:
    """What came of them."""

    held: frozenset[int]
    """Partitions of which a survivor had a copy in sync."""
    served_s: float
    """From the operator's word until all of those were served."""
    acknowledged: int
    """Writes that were acknowledged between the end of the leases and that word."""


def held_by(survivors: Sequence[Server]) -> frozenset[int]:
    """List the partitions of which one of these has a copy in sync, by the newest record that they know."""
    newest = max((server.memory() for server in survivors), key=lambda memory: memory.version)
    names = {server.name for server in survivors}
    return frozenset(number for number, in_sync in enumerate(newest.in_sync) if names & set(in_sync))


def kill_a_majority(fleet: Fleet, load: Load, rng: random.Random) -> Deaths:
    """Kill three of five nodes, have an operator vouch for the other two, then bring the three back, empty."""
    victims = rng.sample(fleet.running, VICTIMS)
    survivors = [server for server in fleet.servers if server not in victims]
    for server in victims:
        fleet.prepare(server)
    load.go_on(CALM)
    for server in victims:
        server.process.kill()  # type: ignore[union-attr] # it runs; all are dead before the first is waited for
    for server in victims:
        server.reap()
    held = held_by(survivors)
    version = max(server.memory().version for server in survivors)
    time.sleep(LEASE_S)  # their leases end, and then, for as long again, they must not serve
    before = load.count().writes
    time.sleep(LEASE_S)
    acknowledged = load.count().writes - before
    told_s = time.monotonic()
    with survivors[0].client() as operator:
        operator.execute_command("CLUSTER", "FAILOVER", "TAKEOVER")

    def served() -> set[int]:
        memories = [memory for server in survivors if (memory := server.memory()).version > version]
        return {number for memory in memories for number, serves in enumerate(memory.serving) if serves}

    wait_for(lambda: held <= served(), lambda: f"{len(held - served())} partitions are not served", 60.0)
    served_s = time.monotonic() - told_s
    for server in victims:
        fleet.start(server)
    fleet.whole(90.0)
    load.go_on(1_000)
    return Deaths(held, served_s, acknowledged)


def kept(history: Sequence[Sent], held: frozenset[int]) -> list[Sent]:
    """Pick what was done to keys that the survivors had."""
    return [sent for sent in history if partition_of(sent.key) in held]


def figures_of(judgement: Judgement, deaths: Deaths) -> list[Figure]:
    """Say what is to be said of a run."""
    return [
        at_least("nodes killed at once, of five", VICTIMS, VICTIMS),
        at_least("partitions of which a survivor had a copy", PARTITIONS // 2, len(deaths.held)),
        at_least("acknowledged writes to them", CALM // 2, judgement.writes),
        at_most("keys of them lost", 0, judgement.lost, promise=5),
        at_most("keys of them with a wrong reply", 0, judgement.wrong, promise=2),
        at_most("keys of them undecided", 0, judgement.undecided),
        at_most("writes acknowledged without a majority", 0, deaths.acknowledged, promise=3),
        at_most("from `CLUSTER FAILOVER TAKEOVER` until all of them are served", 15.0, deaths.served_s, " s"),
    ]


@pytest.mark.chaos
@pytest.mark.timeout(600)
def test_the_death_of_a_majority_costs_the_survivors_nothing(tmp_path: Path) -> None:
    """SIGKILL of three of five nodes under load: all keys of which one of the other two has a copy are served again."""
    flags = ("--environment=lan", f"--replica-count={COPIES}", f"--unclean-after={UNCLEAN_AFTER_S}")
    with fleet_of(NODES, tmp_path, *flags) as fleet, Load.running(fleet, tmp_path, seed=SEED) as load:
        deaths = kill_a_majority(fleet, load, random.Random(SEED))
        judgement = judged(kept(load.stop(), deaths.held), fleet)
    figures = figures_of(judgement, deaths)
    print(judgement, figures)  # noqa: T201 # what happened, if it fails
    keep("SIGKILL of three of five nodes at once, three copies", figures)
    check(figures)
