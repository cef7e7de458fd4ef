"""The checkers are worth their name: each planted bug is caught."""

from collections.abc import Callable, Iterable
from random import Random

import pytest

from respcache.cluster.config import KeeperConfig
from respcache.cluster.keeper import Keeper
from respcache.cluster.ownership.record import Node
from respcache.cluster.replication.copying import Copying, Job
from respcache.cluster.replication.log import Gate, Log
from respcache.cluster.replication.replica import Replica
from respcache.cluster.replication.storage import Storage
from respcache.cluster.replication.wire import Item
from simulation.ownership.chaos import begin, clients_of, settle
from simulation.ownership.clients import Violation

SEEDS = 2
CONFIG = {
    copies: KeeperConfig(replica_count=copies, settle_s=2.0, rebuild_delay_s=0.5, unclean_after_s=None)
    for copies in (2, 3)
}

Scenario = Callable[[int, type[Keeper], int], None]


class AcksBeforeReplicating(Keeper):
    """Answers as soon as it has executed."""

    def gate(self, logs: Iterable[Log]) -> Gate | None:
        """Wait for nothing."""
        del logs
        return None


class HalfCopying(Copying):
    """Says that a copy is complete when half of it is there."""

    def _begin(self, job: Job, number: int) -> None:
        super()._begin(job, number)
        del job.keys[::2]


class CountsHalfCopies(Keeper):
    """Takes learners for in sync before the snapshot has ended."""

    def __init__(self, me: Node, config: KeeperConfig, storage: Storage, rng: Random) -> None:
        super().__init__(me, config, storage, rng)
        self._holdings.copying = HalfCopying(storage, step_keys=config.copy_step_keys)


class ForgetfulReplica(Replica):
    """Pretends that copies which are behind lack nothing."""

    def tails(self, wanted: dict[int, int]) -> dict[int, list[Item]]:
        """Return nothing to send again."""
        return {partition: [] for partition in wanted}


class SendsNoTail(Keeper):
    """As a new primary, serves without making its copies equal."""

    def __init__(self, me: Node, config: KeeperConfig, storage: Storage, rng: Random) -> None:
        super().__init__(me, config, storage, rng)
        self._holdings.replica = ForgetfulReplica(storage)


def half_heard(seed: int, keeper: type[Keeper], replica_count: int) -> None:
    """A primary loses the link to one of its copies, is written to, and dies; nobody writes afterwards."""
    world = begin(seed, CONFIG[replica_count], nodes=3, keeper=keeper)
    clients = clients_of(world, writers=100)
    world.run(0.1)
    world.cut("n1", "n2", for_s=0.5)
    world.run(0.05)
    world.kill("n1")
    settle(world, clients)


def join(seed: int, keeper: type[Keeper], replica_count: int) -> None:
    """A node joins while clients write."""
    world = begin(seed, CONFIG[replica_count], nodes=2, keeper=keeper)
    clients = clients_of(world, writers=60)
    world.run(0.1)
    world.start("n2")
    world.run(1.0)
    settle(world, clients)


def for_each_seed(scenario: Scenario, keeper: type[Keeper], replica_count: int) -> None:
    """Run a scenario with a few seeds."""
    for seed in range(SEEDS):
        scenario(seed, keeper, replica_count)


SCENARIOS = pytest.mark.parametrize(
    ("scenario", "bug", "replica_count"),
    [(half_heard, AcksBeforeReplicating, 2), (half_heard, SendsNoTail, 3), (join, CountsHalfCopies, 2)],
)


@SCENARIOS
def test_a_planted_bug_is_caught(scenario: Scenario, bug: type[Keeper], replica_count: int) -> None:
    """A keeper with the bug breaks a promise."""
    with pytest.raises(Violation):
        for_each_seed(scenario, bug, replica_count)


@SCENARIOS
def test_without_the_bug_all_is_well(scenario: Scenario, bug: type[Keeper], replica_count: int) -> None:
    """It is the bug that is caught, and not the scenario."""
    del bug
    for_each_seed(scenario, Keeper, replica_count)
