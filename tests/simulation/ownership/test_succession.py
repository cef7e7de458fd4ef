"""A voter begins to lead, and what the former leader had been asked for is asked of it."""

from respcache.cluster.ownership.changes import Demote
from respcache.cluster.ownership.register import RETRY_S
from simulation.ownership.chaos import CONFIG, begin, clients_of, may_die, settle
from simulation.ownership.checks import record_of
from simulation.ownership.life import SimNode
from simulation.ownership.world import World
from simulation.replay import each_seed


@each_seed(3)
def test_who_begins_to_lead_decides_nothing_that_the_dead_have_asked_for(seed: int) -> None:
    """A primary that does not reach the leader asks the next oldest voter to have its only copy demoted, and dies.

    The leader has not decided it when it is cut off. That voter takes over, is stopped once it has asked for promises,
    and reads them before it reads of the death.
    """
    world = begin(seed, CONFIG, nodes=5)
    clients = clients_of(world, writers=60)
    primary, copy, other = _chosen(world)
    world.run(0.1)
    world.wires.snap("n0", primary, for_s=5.0)
    world.wires.cut([(copy, primary)])  # its acks are missed for as long as a copy is waited for
    world.run(CONFIG.replica_timeout_s * 0.9)
    world.wires.cut([("n1", "n0")])
    successor = world.nodes["n1"]
    assert world.run_until(lambda: _passes_on(successor), within_s=1.0)
    world.run(RETRY_S / 4)  # all that the primary wants has been passed on, and it does not repeat it yet
    for name in ("n1", copy, other):
        world.wires.snap("n0", name, for_s=1.0)
    promises = [(copy, "n1"), (other, "n1")]
    world.wires.cut(promises)
    world.run(0.003)
    assert successor.keeper._register._proposer.preparation is not None
    world.pause("n1", for_s=0.01)
    world.wires.mend(promises)
    world.run(0.003)
    assert may_die(world, primary)
    world.kill(primary)
    settle(world, clients)


def _chosen(world: World) -> tuple[str, str, str]:
    """Choose a primary and its copy from among the three youngest; give the third as well."""
    record = record_of(world, "n0")
    assert record is not None
    young = {"n2", "n3", "n4"}
    primary, copy = next(
        (entry.primary, copy)
        for entry in record.entries
        for copy in entry.in_sync
        if copy != entry.primary and {copy, entry.primary} <= young
    )
    (other,) = young - {primary, copy}
    return primary, copy, other


def _passes_on(sim: SimNode) -> bool:
    """Whether a node passes a demotion on."""
    proposals = sim.keeper._register._proposals
    return any(isinstance(proposals[number], Demote) for number in proposals._relayed.values())
