"""One thing at a time: forming, leaving, restarting, losing everything, splitting and healing."""

from typing import TypeVar

from respcache.cluster.config import KeeperConfig
from respcache.cluster.effects import Dropped, Effect, ForeignCluster, Formed, Recreated
from respcache.cluster.ownership.slots import PARTITIONS
from simulation.ownership.chaos import REST_S, begin, clients_of, settle
from simulation.ownership.checks import at_rest, check_all, unrest
from simulation.ownership.world import World
from simulation.replay import each_seed

CONFIG = KeeperConfig(replica_count=2, settle_s=2.0, rebuild_delay_s=0.5, unclean_after_s=None)


Kind = TypeVar("Kind", bound=Effect)


def effects_of(world: World, kind: type[Kind]) -> list[Kind]:
    """Return the effects of a kind, in order."""
    return [effect for _, _, effect in world.effects if isinstance(effect, kind)]


def write_everywhere(world: World, word: bytes) -> int:
    """Write one key to every partition that anybody serves; return how many writes that were."""
    written = 0
    for sim in world.live():
        for partition in range(0, PARTITIONS, 8):
            written += world.execute(sim, partition, [b"SET", b"key", word + sim.name.encode()], lambda _: None)
    return written


@each_seed(3)
def test_nodes_that_start_together_form_one_cluster(seed: int) -> None:
    """Nodes with nothing but each other found one cluster, and share it."""
    world = World(seed, CONFIG)
    for number in range(3):
        world.start(f"n{number}")

    assert world.run_until(lambda: at_rest(world), within_s=REST_S), unrest(world)
    assert len(effects_of(world, Formed)) == 1


def test_a_node_with_seeds_never_founds_a_cluster_alone() -> None:
    """It waits for others, however long that takes."""
    world = World(1, CONFIG)
    world.start("n0")
    world.run(60.0)

    assert effects_of(world, Formed) == []


def test_clusters_that_were_founded_apart_are_never_merged() -> None:
    """Two founders hear of each other, say so, and go on alone."""
    world = World(1, CONFIG)
    world.start("n0", seeded=False)
    world.start("n1", seeded=False)
    world.run(5.0)

    assert len(effects_of(world, ForeignCluster)) == 2
    for sim in world.live():
        assert sim.keeper.table.primary == [sim.name] * PARTITIONS
        assert None not in sim.keeper.serving


@each_seed(3)
def test_leaving_hands_over_even_the_only_copies(seed: int) -> None:
    """With one copy of everything, a node that leaves takes nothing along."""
    world = begin(seed, KeeperConfig(replica_count=1, settle_s=2.0, unclean_after_s=None), nodes=3)
    clients = clients_of(world)
    world.run(0.3)
    world.leave("n0")
    settle(world, clients)

    assert not world.nodes["n0"].alive
    assert world.nodes["n0"].drained
    assert all(client.uncertain == 0 for client in clients)


def test_the_last_node_may_leave() -> None:
    """There is nobody to hand over to, and no waiting for it."""
    world = begin(1, CONFIG, nodes=1)
    world.leave("n0")
    world.run(0.1)

    assert world.nodes["n0"].drained


@each_seed(3)
def test_a_quick_restart_moves_no_partition_to_others(seed: int) -> None:
    """Within the rebuild delay the ring stays as it is: survivors gain no copies."""
    config = KeeperConfig(replica_count=2, settle_s=2.0, rebuild_delay_s=30.0, unclean_after_s=None)
    world = begin(seed, config, nodes=3)
    clients = clients_of(world)
    before = world.nodes["n0"].keeper.figures(world.now).keys_in_total
    world.kill("n1")
    world.run(1.0)
    world.start("n1")
    settle(world, clients)

    assert world.nodes["n0"].keeper.figures(world.now).keys_in_total == before


def test_what_is_lost_for_good_is_recreated_loudly() -> None:
    """With all copies gone and the time up, partitions are served again, empty, and that is told."""
    config = KeeperConfig(replica_count=1, settle_s=2.0, rebuild_delay_s=0.5, unclean_after_s=3.0)
    world = begin(1, config, nodes=2)
    write_everywhere(world, b"before ")
    lost = {partition for partition, name in enumerate(world.nodes["n0"].keeper.table.primary) if name == "n1"}
    world.kill("n1")
    world.run(2.0)
    assert effects_of(world, Recreated) == []
    assert world.run_until(lambda: at_rest(world), within_s=REST_S), unrest(world)

    assert {p for effect in effects_of(world, Recreated) for p in effect.partitions} == lost
    check_all(world, [])


def test_a_last_copy_that_comes_back_without_a_restart_has_everything() -> None:
    """A node that was taken for dead, and was the only copy, goes on where it was."""
    world = begin(1, KeeperConfig(replica_count=1, settle_s=2.0, rebuild_delay_s=5.0, unclean_after_s=None), nodes=2)
    clients = clients_of(world)
    world.run(0.3)
    world.suspect_wrongly("n1", for_s=1.0)
    world.run(3.0)
    settle(world, clients)

    assert all(not effect.orphaned_keys for effect in effects_of(world, Dropped))


@each_seed(4)
def test_a_healed_split_ends_with_one_record_and_equal_copies(seed: int) -> None:
    """Both sides went on alone; the newer record wins, and the other side's nodes take its data."""
    config = KeeperConfig(replica_count=2, settle_s=2.0, rebuild_delay_s=0.5, unclean_after_s=1.5)
    world = begin(seed, config, nodes=4)
    write_everywhere(world, b"before ")
    world.split({"n0", "n1"} if seed % 2 else {"n0"})
    for _ in range(4):
        world.run(1.0)
        write_everywhere(world, b"split ")
    assert len({sim.keeper.table.version for sim in world.live()}) == 2
    world.heal()

    assert world.run_until(lambda: at_rest(world), within_s=REST_S), unrest(world)
    world.run(1.0)
    check_all(world, [])
    assert len({sim.keeper.table.version for sim in world.live()}) == 1
    assert sum(effect.orphaned_keys for effect in effects_of(world, Dropped)) > 0
