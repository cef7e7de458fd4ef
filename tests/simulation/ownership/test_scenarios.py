"""One thing at a time: forming, leaving, restarting, losing everything, splitting and healing."""

import random
from dataclasses import replace
from typing import TypeVar

import pytest

from respcache.cluster.effects import Differed, Dropped, Effect, Forced, ForeignCluster, Formed, Recreated
from respcache.cluster.ownership.record import Quorum
from respcache.cluster.replication.waits import Wait
from simulation.ownership.chaos import CONFIG as MAJORITY
from simulation.ownership.chaos import GONE_S, REST_S, begin, between, clients_of, settle, storm, write_everywhere
from simulation.ownership.checks import at_rest, check_all, record_of, unrest
from simulation.ownership.clients import primary_of
from simulation.ownership.outcome import Outcome
from simulation.ownership.views import LOOK_S, SUSPECT_S
from simulation.ownership.world import World, model_of
from simulation.replay import each_seed

CONFIG = replace(MAJORITY, quorum=Quorum.AUTO)

Kind = TypeVar("Kind", bound=Effect)


def effects_of(world: World, kind: type[Kind]) -> list[Kind]:
    """Return the effects of a kind, in order."""
    return [effect for _, _, effect in world.effects if isinstance(effect, kind)]


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
        assert sim.keeper.table.primary == [sim.name] * CONFIG.partitions
        assert None not in sim.keeper.serving


@each_seed(3)
def test_leaving_hands_over_even_the_only_copies(seed: int) -> None:
    """With one copy of everything, a node that leaves takes nothing along."""
    world = begin(seed, replace(CONFIG, replica_count=1), nodes=3)
    clients = clients_of(world)
    world.run(0.3)
    world.leave("n0")
    settle(world, clients)

    assert not world.nodes["n0"].alive
    assert world.nodes["n0"].drained
    assert all(client.uncertain == 0 for client in clients)


@pytest.mark.parametrize(("nodes", "leaving"), [(3, 2), (4, 3)])
@each_seed(3)
def test_nodes_that_leave_at_once_leave_everything_to_the_last(seed: int, nodes: int, leaving: int) -> None:
    """No two take each other for heirs, and none goes while the last one still counts on its vote.

    With seed 2 the last but one of four was the leader of two voters. It went as soon as it knew that it voted no
    more; the other one did not, and waited for its vote for ever.
    """
    world = begin(seed, replace(CONFIG, replica_count=1 + seed), nodes)
    clients = clients_of(world)
    world.run(0.3 + world.rng.random())
    names = [f"n{number}" for number in range(nodes)]
    world.rng.shuffle(names)
    for name in names[:leaving]:
        world.leave(name)
        world.run(world.rng.choice([0, 0, 0.02, 0.2]) * world.rng.random())
    settle(world, clients)

    assert all(world.nodes[name].drained for name in names[:leaving])
    assert all(client.uncertain == 0 for client in clients)


@pytest.mark.parametrize("nodes", [2, 3, 4])
@pytest.mark.parametrize("gap_s", [0.0, 0.001, 0.005])
@each_seed(4)
def test_nodes_that_all_leave_are_soon_gone(seed: int, nodes: int, gap_s: float) -> None:
    """At once, or as fast as somebody stops them: none waits for another one's vote, or for room for its copies."""
    world = begin(seed, CONFIG, nodes)
    write_everywhere(world, b"word")
    world.run(1.0)
    for name in random.Random(seed).sample(list(world.nodes), nodes):
        world.leave(name)
        world.run(gap_s)

    assert world.run_until(lambda: not world.live(), within_s=GONE_S), [sim.name for sim in world.live()]


def test_the_last_node_may_leave() -> None:
    """There is nobody to hand over to, and no waiting for it."""
    world = begin(1, CONFIG, nodes=1)
    world.leave("n0")
    world.run(0.1)

    assert world.nodes["n0"].drained


@each_seed(3)
def test_a_quick_restart_moves_no_partition_to_others(seed: int) -> None:
    """Within the rebuild delay the ring stays as it is: survivors gain no copies."""
    config = replace(CONFIG, rebuild_delay_s=30.0)
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
    config = replace(CONFIG, replica_count=1, unclean_after_s=3.0)
    world = begin(1, config, nodes=3)
    write_everywhere(world, b"before ")
    lost = {partition for partition, name in enumerate(world.nodes["n0"].keeper.table.primary) if name == "n1"}
    world.kill("n1")
    world.run(2.0)
    assert effects_of(world, Recreated) == []
    assert world.run_until(lambda: at_rest(world), within_s=REST_S), unrest(world)

    assert {p for effect in effects_of(world, Recreated) for p in effect.partitions} == lost
    check_all(world, [])


@each_seed(4)
def test_an_operator_who_takes_over_keeps_what_is_left(seed: int) -> None:
    """Copies of the node that is left, though their primaries are long dead, and have started again with nothing."""
    world = begin(seed, replace(MAJORITY, unclean_after_s=1.5), nodes=3)
    write_everywhere(world, b"before ")
    world.run(1.0)
    left = world.nodes["n0"]
    held = {p for p, entry in enumerate(record_of(world, "n0").entries) if "n0" in entry.in_sync}  # type: ignore[union-attr]  # at rest
    others = [name for name in world.nodes if name != "n0"]
    for name in others:
        world.kill(name)
    world.run(6.0)
    for name in others:
        world.start(name)
    world.run(seed * 0.5)
    world.lineage.told.add("n0")
    world.put(left, left.keeper.take_over)

    assert world.run_until(lambda: at_rest(world), within_s=REST_S), unrest(world)
    recreated = {p for effect in effects_of(world, Recreated) for p in effect.partitions}
    assert held
    assert recreated == set(range(CONFIG.partitions)) - held
    check_all(world, [])


def test_a_last_copy_that_comes_back_without_a_restart_has_everything() -> None:
    """A node that was taken for dead, and was the only copy, goes on where it was."""
    world = begin(1, replace(CONFIG, replica_count=1, rebuild_delay_s=5.0), nodes=3)
    clients = clients_of(world)
    world.run(0.3)
    world.views.hide("n1", 2.0)
    world.run(3.0)
    settle(world, clients)

    assert all(not effect.orphaned_keys for effect in effects_of(world, Dropped))


@each_seed(4)
def test_a_healed_split_ends_with_one_record_and_equal_copies(seed: int) -> None:
    """Both sides went on alone; the newer record wins, and the other side's nodes take its data."""
    config = replace(CONFIG, quorum=Quorum.ANY, unclean_after_s=1.5)
    world = begin(seed, config, nodes=4)
    write_everywhere(world, b"before ")
    world.splits = True
    world.wires.cut(between(world, {"n0", "n1"} if seed % 2 else {"n0"}))
    for _ in range(4):
        world.run(1.0)
        write_everywhere(world, b"split ")
    assert len({sim.keeper.table.version for sim in world.live()}) == 2
    world.wires.heal()

    assert world.run_until(lambda: at_rest(world), within_s=REST_S), unrest(world)
    world.run(1.0)
    check_all(world, [])
    assert len({sim.keeper.table.version for sim in world.live()}) == 1
    assert sum(effect.orphaned_keys for effect in effects_of(world, Dropped)) > 0


@pytest.mark.parametrize("victim", ["n0", "n1"])
@each_seed(2)
def test_a_pair_outlives_the_death_of_either(seed: int, victim: str) -> None:
    """The survivor goes on alone, with everything."""
    world = begin(seed, CONFIG, nodes=2)
    clients = clients_of(world)
    world.run(0.5)
    world.kill(victim)
    settle(world, clients)

    assert len(effects_of(world, Forced)) == 1
    assert sum(client.acked for client in clients) > 100


@each_seed(3)
def test_a_minority_stops_within_a_lease_and_acknowledges_nothing(seed: int) -> None:
    """The majority goes on; once healed, one view, and nothing acknowledged is lost."""
    world = begin(seed, CONFIG, nodes=5)
    clients = clients_of(world)
    world.run(0.5)
    minority = {"n0", "n1"} if seed % 2 else {"n4"}
    world.wires.cut(between(world, minority))
    world.run(CONFIG.lease_s)

    assert not any(sim.keeper.leased(world.clock(sim)) for sim in world.live() if sim.name in minority)
    world.run(3.0)
    assert all(sim.keeper.leased(world.clock(sim)) for sim in world.live() if sim.name not in minority)
    served = {p for sim in world.live() for p, log in enumerate(sim.keeper.serving) if log and sim.name not in minority}
    assert len(served) >= CONFIG.partitions / 2
    settle(world, clients)


@each_seed(5)
def test_a_death_is_outlived_at_suspicion(seed: int) -> None:
    """What the dead node was the primary of is served again before it is taken for dead."""
    world = begin(seed, CONFIG, nodes=3)
    clients = clients_of(world)
    world.run(0.5)
    world.kill(f"n{seed % 3}")
    died = world.now

    def served() -> bool:
        live = [sim for sim in world.live() if sim.keeper.leased(world.clock(sim))]
        return all(any(sim.keeper.serving[p] for sim in live) for p in range(CONFIG.partitions))

    assert world.run_until(served, within_s=10.0)
    assert world.now - died < LOOK_S * 2 + SUSPECT_S[1] + CONFIG.lease_s
    settle(world, clients)


@each_seed(5)
def test_a_paused_owner_answers_nothing_stale(seed: int) -> None:
    """Whoever asks it the moment it goes on is refused, for others have been serving since."""
    world = begin(seed, CONFIG, nodes=3)
    clients = clients_of(world, writers=20, registers=6)
    for number in range(4):
        world.run(0.3)
        world.pause(f"n{number % 3}", for_s=2.0)
        world.run(3.0)
    settle(world, clients)


@each_seed(3)
def test_a_copy_that_is_stuck_holds_writes_up_within_bounds_and_then_is_done_without(seed: int) -> None:
    """It lives, but acks nothing: what waits for it stays below the limit, writes wait, then go on without it."""
    limit, size = 30_000, 1_000
    config = replace(MAJORITY, peer_unacked_bytes_max=limit, unacked_bytes_max=2 * limit)
    world = begin(seed, config, nodes=3)
    outcomes: list[tuple[float, Outcome]] = []
    worst = 0

    def write() -> None:
        nonlocal worst
        sim, partition = world.nodes["n0"], world.rng.randrange(config.partitions)
        argv = [b"SET", b"key%d" % world.rng.randrange(20), bytes(size)]
        world.execute(sim, partition, argv, lambda outcome: outcomes.append((world.now, outcome)))
        worst = max(worst, *(stream.unacked_bytes for stream in sim.keeper._holdings.replication.streams.values()))
        if world.now < ends:
            world.after((0.000_5, 0.004), write)

    ways = [("n0", "n1"), ("n1", "n0")]  # n2 reaches both, so nobody is suspected
    ends = world.now + 8.0
    world.wires.cut(ways)
    write()
    world.run(0.5)
    assert world.nodes["n0"].keeper.figures(world.now).pressed
    assert not all(sim.keeper.holdings.congestion.partitions for sim in world.live()), (
        "only the partitions with copies there wait"
    )
    world.run(config.replica_timeout_s * 2)
    assert not world.nodes["n0"].keeper.figures(world.now).pressed
    before = len(outcomes)
    world.run(3.0)
    served = [outcome for _, outcome in outcomes[before:]]
    assert served.count(Outcome.SAFE) > 100
    assert worst < limit + 100 * size, "one turn and the chunks of a copy are all that comes on top"
    assert world.nodes["n0"].keeper.figures(world.now).pending_bytes < limit
    world.wires.heal()
    world.run(ends - world.now + 0.1)
    assert world.run_until(lambda: at_rest(world), within_s=REST_S), unrest(world)
    check_all(world, [])


@each_seed(2)
def test_a_storm_with_little_room_for_effects_breaks_no_promise(seed: int) -> None:
    """Whatever is refused because copies do not keep up is certainly not done."""
    config = replace(MAJORITY, peer_unacked_bytes_max=300, unacked_bytes_max=500)
    world = begin(seed, config, nodes=4)
    clients = clients_of(world)
    storm(world, 3.0)
    settle(world, clients)


@each_seed(3)
def test_what_copies_have_confirmed_survives_though_writes_are_answered_at_once(seed: int) -> None:
    """With asynchronous replication the death of an owner may cost what was answered, but not what was waited for."""
    world = begin(seed, replace(MAJORITY, asynchronous=True), nodes=3)
    asked: list[tuple[int, int, Wait]] = []
    answered = [0] * world.config.partitions

    def write() -> None:
        partition = world.rng.randrange(world.config.partitions)
        sim = primary_of(world, partition)
        number = answered[partition] + 1

        def done(outcome: Outcome) -> None:
            if outcome is Outcome.SAFE:
                answered[partition] = number

        if sim is not None:
            before = sim.keeper.serving[partition]
            world.execute(sim, partition, [b"SET", b"key", b"%d" % number], done)
            if answered[partition] == number and sim.keeper.serving[partition] is before and number % 3 == 0:
                asked.append((partition, number, sim.keeper.wait([partition], 1)))
        if world.now < ends:
            world.after((0.000_1, 0.002), write)

    ends = world.now + 2.0
    write()
    world.run(0.5)
    world.wires.cut([("n0", "n1")])
    world.run(0.05)
    world.kill("n0")
    world.wires.heal()
    world.run(ends - world.now)
    assert world.run_until(lambda: at_rest(world), within_s=REST_S), unrest(world)
    record = record_of(world, "n1")
    assert record is not None
    confirmed = 0
    for partition, number, wait in asked:
        if wait.done and wait.count:
            confirmed += 1
            stored = model_of(world.nodes[record.entries[partition].primary]).store.dump(partition, 0, b"key")
            assert int(stored or b"0") >= number, (partition, number)
    assert confirmed > 100
    assert set(world.acknowledged) <= {wait for _, _, wait in asked}
    assert world.nodes["n1"].keeper.holdings.breaks > 0


@each_seed(2)
def test_a_copy_that_differs_is_found_and_made_afresh(seed: int) -> None:
    """Whether a value is another, a key is missing or one too many, while clients write; and nothing else is."""
    world = begin(seed, replace(MAJORITY, check_round_s=2.0), nodes=3)
    clients = clients_of(world)
    write_everywhere(world, b"right ")
    world.run(3.0)
    assert not any(sim.keeper.figures(world.now).demoted_differing_total for sim in world.live())
    record = record_of(world, "n0")
    assert record is not None
    spoilt = {}
    for partition, harm in ((1, b"wrong"), (5, None), (9, b"strange")):
        entry = record.entries[partition]
        copy = world.nodes[next(name for name in entry.in_sync if name != entry.primary)]
        key = b"strange" if harm == b"strange" else b"key"
        model_of(copy).store.restore(partition, 0, key, harm)
        spoilt[partition] = copy.name
    world.run(8.0)
    found = sorted(partition for effect in effects_of(world, Differed) for partition in effect.partitions)
    assert found == sorted(spoilt)
    assert sum(sim.keeper.figures(world.now).demoted_differing_total for sim in world.live()) == len(spoilt)
    assert sum(sim.keeper.figures(world.now).checks_total for sim in world.live()) > 30
    settle(world, clients)
    assert all(client.uncertain == 0 for client in clients)


@each_seed(2)
def test_comparing_finds_nothing_in_a_storm(seed: int) -> None:
    """Copies are equal at equal sequence, whatever happens to nodes and links."""
    world = begin(seed, replace(MAJORITY, check_round_s=0.5), nodes=4)
    clients = clients_of(world)
    storm(world, 3.0)
    settle(world, clients)
    assert effects_of(world, Differed) == []
    assert any(sim.keeper.figures(world.now).checks_total for sim in world.live())


@pytest.mark.parametrize("force", [False, True])
@each_seed(3)
def test_an_operator_makes_a_node_the_primary_of_its_copies(seed: int, force: bool) -> None:  # noqa: FBT001 # both kinds
    """It stays so until members come or go; asked for gently it costs nobody a write, by force no acknowledged one."""
    world = begin(seed, MAJORITY, nodes=3)
    clients = clients_of(world)
    world.run(0.3)
    held = {p for p, entry in enumerate(record_of(world, "n1").entries) if "n1" in entry.in_sync}  # type: ignore[union-attr]  # at rest
    world.put(world.nodes["n1"], lambda now: world.nodes["n1"].keeper.fail_over(now, force=force))

    def led() -> set[int]:
        return {p for p, log in enumerate(world.nodes["n1"].keeper.serving) if log is not None}

    assert world.run_until(lambda: led() == held, within_s=5.0), held - led()
    world.run(3.0)
    assert led() == held
    assert _to_move(world) == [0, 0, 0], "nobody waits for them to move back"
    if not force:
        assert all(client.uncertain == 0 for client in clients)
    world.start("n3")
    settle(world, clients)
    assert led() != held
    assert _to_move(world) == [0, 0, 0, 0]


@each_seed(3)
def test_what_an_operator_chose_ends_with_the_life_of_any_node(seed: int) -> None:
    """Though copies are then placed as before: a node that starts knows nothing of the choice."""
    world = begin(seed, MAJORITY, nodes=3)
    clients = clients_of(world)
    world.run(0.3)
    preferred = list(world.nodes["n1"].keeper.table.primary)
    world.put(world.nodes["n1"], lambda now: world.nodes["n1"].keeper.fail_over(now, force=False))
    world.run(3.0)
    assert world.nodes["n1"].keeper.table.primary != preferred
    world.kill("n0")
    world.start("n0")
    settle(world, clients)
    assert world.nodes["n1"].keeper.table.primary == preferred
    assert _to_move(world) == [0, 0, 0]


def _to_move(world: World) -> list[int]:
    """How many primaries each node says are yet to move."""
    healths = [sim.keeper.health(world.now) for sim in world.live()]
    return [health.rebalance.primaries_pending for health in healths if health is not None]


@each_seed(10)
def test_who_leaves_before_it_is_let_in_takes_no_vote_along(seed: int) -> None:
    """A newcomer that is stopped at once, as by Ctrl-C: it may be made a voter just then, as in world 404."""
    world = begin(400 + seed, MAJORITY, nodes=1)
    clients = clients_of(world)
    world.run(0.3)
    world.start("n1")
    world.run(world.rng.uniform(0.0, 0.3))
    world.leave("n1")
    world.run(2.0)
    assert not world.nodes["n1"].alive
    settle(world, clients)
