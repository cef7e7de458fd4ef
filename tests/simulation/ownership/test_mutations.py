"""The checkers are worth their name: each planted bug is caught."""

import math
from collections.abc import Callable, Container, Iterable
from dataclasses import replace
from functools import partial
from random import Random

import pytest

from respcache.cluster.config import KeeperConfig
from respcache.cluster.keeper import Keeper
from respcache.cluster.ownership.lease import DRIFT, Lease
from respcache.cluster.ownership.record import Entry, Life, Node, Version
from respcache.cluster.replication.copying import Copying, Job
from respcache.cluster.replication.fencing import Fencing
from respcache.cluster.replication.inbound import Copy
from respcache.cluster.replication.items import Item
from respcache.cluster.replication.storage import KeyList, Storage, StoredKey
from respcache.cluster.replication.tail import Tail
from simulation.ownership.chaos import CONFIG, begin, between, clients_of, settle
from simulation.ownership.clients import primary_of
from simulation.ownership.model import Make
from simulation.ownership.outcome import Violation
from simulation.ownership.world import World

SEEDS = 2
SLOW, FAST = 0.92, 1.08
"""How fast clocks run, so that one sees (1 + DRIFT) / (1 - DRIFT) of the time that another does, or a little less."""
CONFIGS = {copies: replace(CONFIG, replica_count=copies, partitions=32) for copies in (2, 3)}

Scenario = Callable[[int, Make, int], None]


def acks_before_replicating(
    me: Node, config: KeeperConfig, storage: Storage, rng: Random, locked: Container[int]
) -> Keeper:
    """Answers as soon as it has executed."""
    return Keeper(me, replace(config, asynchronous=True), storage, rng, locked)


class HalfOfThem(KeyList):
    """Leaves out every other key."""

    def pop(self) -> StoredKey | None:
        """Take one, and drop one."""
        stored = super().pop()
        if self:
            super().pop()
        return stored


class HalfCopying(Copying):
    """Says that a copy is complete when half of it is there."""

    def _begin(self, job: Job, number: int) -> None:
        super()._begin(job, number)
        job.keys = HalfOfThem(self._storage, job.log.partition)


def counts_half_copies(me: Node, config: KeeperConfig, storage: Storage, rng: Random, locked: Container[int]) -> Keeper:
    """Takes learners for in sync before the snapshot has ended."""
    keeper = Keeper(me, config, storage, rng, locked)
    keeper.holdings.copying = HalfCopying(storage, step_keys=config.copy_step_keys)
    return keeper


class BlindCopying(Copying):
    """Goes on with the pieces of a large value that has changed meanwhile."""

    def _restart(self, job: Job, stored: StoredKey) -> None:
        del job, stored


def sends_stale_pieces(me: Node, config: KeeperConfig, storage: Storage, rng: Random, locked: Container[int]) -> Keeper:
    """Makes copies of large values as they were when their first piece was cut."""
    keeper = Keeper(me, config, storage, rng, locked)
    keeper.holdings.copying = BlindCopying(storage, step_keys=config.copy_step_keys)
    return keeper


class NoTail(Tail):
    """Pretends that copies which are behind lack nothing."""

    def after(self, copies: dict[int, Copy], wanted: dict[int, int]) -> dict[int, list[Item]]:
        """Return nothing to send again."""
        del copies
        return {partition: [] for partition in wanted}


def sends_no_tail(me: Node, config: KeeperConfig, storage: Storage, rng: Random, locked: Container[int]) -> Keeper:
    """As a new primary, serves without making its copies equal."""
    keeper = Keeper(me, config, storage, rng, locked)
    keeper.holdings.replica.tail = NoTail()
    return keeper


class UnfencedLease(Lease):
    """Lasts for ever once it was granted."""

    def _reckon(self) -> None:
        super()._reckon()
        if self.until_s > -math.inf:
            self.until_s = math.inf


def serves_without_a_lease(
    me: Node, config: KeeperConfig, storage: Storage, rng: Random, locked: Container[int]
) -> Keeper:
    """Once it may serve it does so until it hears that it may not."""
    keeper = Keeper(me, config, storage, rng, locked)
    keeper._tenure.lease = UnfencedLease(me.life, config.lease_s)
    return keeper


class WaitsForNobody(Fencing):
    """Takes all former primaries for harmless."""

    def harmless_s(self, partition: int) -> float:
        """Return long ago."""
        del partition
        return -math.inf


def serves_unfenced(me: Node, config: KeeperConfig, storage: Storage, rng: Random, locked: Container[int]) -> Keeper:
    """As a new primary, serves while the former one may."""
    keeper = Keeper(me, config, storage, rng, locked)
    keeper.holdings.fencing = WaitsForNobody(config.lease_s)
    return keeper


def counts_on_too_much(me: Node, config: KeeperConfig, storage: Storage, rng: Random, locked: Container[int]) -> Keeper:
    """As a holder, takes leases for longer than voters do: a margin of the wrong sign."""
    keeper = Keeper(me, config, storage, rng, locked)
    keeper._tenure.lease = Lease(me.life, config.lease_s * 3)
    return keeper


class MarginlessFencing(Fencing):
    """Waits for a lease as long as it is by the own clock."""

    def __init__(self, lease_s: float) -> None:
        super().__init__(lease_s / (1 + DRIFT))

    def answered(self, now: float, voter: Life, version: Version, remaining_s: Iterable[tuple[Life, float]]) -> None:
        """Take what is left of leases as it is told."""
        super().answered(now, voter, version, [(life, left_s / (1 + DRIFT)) for life, left_s in remaining_s])


def knows_no_margin(me: Node, config: KeeperConfig, storage: Storage, rng: Random, locked: Container[int]) -> Keeper:
    """Takes all clocks for equally fast, as a holder of leases and as one who waits for their end."""
    keeper = Keeper(me, config, storage, rng, locked)
    keeper._tenure.lease = Lease(me.life, config.lease_s / (1 - DRIFT))
    keeper.holdings.fencing = MarginlessFencing(config.lease_s)
    return keeper


def half_heard(seed: int, keeper: Make, replica_count: int) -> None:
    """A primary loses the link to one of its copies, is written to, and dies; nobody writes afterwards."""
    world = begin(seed, CONFIGS[replica_count], nodes=3, keeper=keeper)
    clients = clients_of(world, writers=100)
    world.run(0.1)
    world.wires.snap("n1", "n2", for_s=0.5)
    world.run(0.05)
    world.kill("n1")
    for client in clients:
        client.stopped = True
    settle(world, clients)


def join(seed: int, keeper: Make, replica_count: int) -> None:
    """A node joins while clients write."""
    world = begin(seed, CONFIGS[replica_count], nodes=2, keeper=keeper)
    clients = clients_of(world, writers=60)
    world.run(0.1)
    world.start("n2")
    world.run(1.0)
    settle(world, clients)


def join_under_fire(seed: int, keeper: Make, replica_count: int) -> None:
    """A node joins while a few keys are written to as fast as can be, and a former owner dies when it has."""
    world = begin(seed, CONFIGS[replica_count], nodes=2, keeper=keeper)
    clients = clients_of(world, writers=2)

    def write(partition: int) -> None:
        if (sim := primary_of(world, partition)) is not None:
            world.execute(sim, partition, [b"APPEND", b"hot", b"+"], lambda _: None)
        if world.now < ends:
            world.after((0.000_05, 0.000_2), partial(write, partition))

    ends = world.now + 1.0
    for partition in range(0, world.config.partitions, 4):
        write(partition)
    world.run(0.1)
    world.start("n2")
    world.run(0.9)
    settle(world, clients)


def frozen(seed: int, keeper: Make, replica_count: int) -> None:
    """Owners are stopped for longer than a lease, one after the other."""
    world = begin(seed, CONFIGS[replica_count], nodes=3, keeper=keeper)
    clients = clients_of(world, writers=30, registers=6)
    for name in ("n1", "n2", "n0"):
        world.run(0.3)
        world.pause(name, for_s=1.5)
        world.run(2.5)
    settle(world, clients)


def overlooked(seed: int, keeper: Make, replica_count: int) -> None:
    """Owners are taken for dead that live, reach a majority, and do not hear from the leader."""
    world = begin(seed, CONFIGS[replica_count], nodes=3, keeper=keeper)
    clients = clients_of(world, writers=30, registers=6)
    for name in ("n1", "n2", "n1", "n2"):
        world.run(0.3)
        world.wires.cut([("n0", name)])
        world.views.hide(name, 1.7)
        world.run(2.0)
        world.wires.heal()
        world.run(1.0)
    settle(world, clients)


def slow(seed: int, keeper: Make, replica_count: int) -> None:
    """Owners whose clocks are slow are taken for dead, and cut off in the moment in which that is decided."""
    world = begin(seed, CONFIGS[replica_count], nodes=3, keeper=keeper)
    clients = clients_of(world, writers=30, registers=6)
    for name in ("n1", "n2", "n1", "n2"):
        world.run(0.3)
        for sim in world.live():
            world.pace(sim, SLOW if sim.name == name else FAST)
        world.wires.cut([("n0", name)])
        world.views.hide(name, 1.7)
        ends = world.now + 1.7
        while world.now < ends and any(entry.primary == name for entry in agreed(world)):
            world.run(0.000_1)
        world.wires.cut(between(world, {name}))
        world.run(ends - world.now)
        world.wires.heal()
        world.run(1.0)
    settle(world, clients)


def agreed(world: World) -> tuple[Entry, ...]:
    """Return the entries of the newest record that anybody knows."""
    records = [record for sim in world.live() for record in sim.records()]
    return max(records, key=lambda record: record.version).entries


def cut_off(seed: int, keeper: Make, replica_count: int) -> None:
    """Owners are cut off from everybody, and go on until their leases end."""
    world = begin(seed, CONFIGS[replica_count], nodes=3, keeper=keeper)
    clients = clients_of(world, writers=30, registers=6)
    for name in ("n1", "n2", "n1"):
        world.run(0.3)
        world.wires.cut(between(world, {name}))
        world.run(1.2)
        world.wires.heal()
        world.run(1.0)
    settle(world, clients)


def for_each_seed(scenario: Scenario, keeper: Make, replica_count: int) -> None:
    """Run a scenario with a few seeds."""
    for seed in range(SEEDS):
        scenario(seed, keeper, replica_count)


SCENARIOS = pytest.mark.parametrize(
    ("scenario", "bug", "replica_count"),
    [
        (half_heard, acks_before_replicating, 2),
        (half_heard, sends_no_tail, 3),
        (join, counts_half_copies, 2),
        (join_under_fire, sends_stale_pieces, 2),
        (frozen, serves_without_a_lease, 2),
        (overlooked, serves_unfenced, 2),
        (cut_off, counts_on_too_much, 2),
        (slow, knows_no_margin, 2),
    ],
)


@SCENARIOS
def test_a_planted_bug_is_caught(scenario: Scenario, bug: Make, replica_count: int) -> None:
    """A keeper with the bug breaks a promise."""
    with pytest.raises(Violation):
        for_each_seed(scenario, bug, replica_count)


@SCENARIOS
def test_without_the_bug_all_is_well(scenario: Scenario, bug: Make, replica_count: int) -> None:
    """It is the bug that is caught, and not the scenario."""
    del bug
    for_each_seed(scenario, Keeper, replica_count)
