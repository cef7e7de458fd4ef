"""What must hold of a cluster at rest."""

from collections.abc import Iterable

from respcache.cluster.ownership.record import Record, Standing
from respcache.cluster.ownership.slots import partition_of
from simulation.ownership.clients import Client
from simulation.ownership.life import SimNode
from simulation.ownership.outcome import Violation
from simulation.ownership.world import World


def record_of(world: World, name: str) -> Record | None:
    """Return the record that a node holds."""
    return world.nodes[name].keeper._register.record


def check_served(world: World) -> None:
    """Raise Violation unless every partition is served."""
    live = world.live()
    for partition in range(world.config.partitions):
        if not any(world.serves(sim, partition) for sim in live):
            raise Violation(f"t={world.now:.3f} nobody serves {partition}")


def at_rest(world: World) -> bool:
    """Whether all nodes hold one record in which every partition is where it should be, and serve by it."""
    return unrest(world) == ""


def unrest(world: World) -> str:
    """Say what is not at rest yet; empty when all is."""
    live = world.live()
    record = record_of(world, live[0].name)
    if record is None:
        return f"{live[0].name} has no record"
    versions = {sim.name: sim.keeper.table.version for sim in live}
    if set(versions.values()) != {record.version}:
        return f"versions differ: {versions}"
    members = {node.life for node in record.nodes.values() if node.standing is Standing.MEMBER}
    staying = {sim.node.life for sim in live if not sim.leaving}
    if members != staying:
        return f"members are {members}, not {staying}"
    if not {voter.life for voter in record.voters} <= staying:
        return f"voters are {record.voters}, of {staying}"
    wanted = min(record.replica_count, len(members))
    for partition, entry in enumerate(record.entries):
        if len(entry.in_sync) != wanted or entry.learners:
            return f"partition {partition}: {entry}"
        if world.nodes[entry.primary].keeper.serving[partition] is None:
            return f"partition {partition} is not served by {entry.primary}"
    idle = [sim.name for sim in live if not sim.keeper.leased(world.clock(sim))]
    if idle:
        return f"without a lease: {idle}"
    crowded = [sim.name for sim in live if sim.keeper.holdings.surplus]
    if crowded:
        return f"not all that is no more theirs is deleted: {crowded}"
    busy = {sim.name: sim.keeper.figures(world.clock(sim)).pending_effects for sim in live}
    return f"effects pending: {busy}" if any(busy.values()) else ""


def holder(world: World, key: bytes) -> SimNode:
    """Give the primary of a key's partition, at rest."""
    record = record_of(world, world.live()[0].name)
    assert record is not None
    return world.nodes[record.entries[partition_of(key) % len(record.entries)].primary]


def check_all(world: World, clients: Iterable[Client]) -> None:
    """Check every promise at rest. Raises Violation."""
    check_copies(world)
    record = record_of(world, world.live()[0].name)
    assert record is not None
    for client in clients:
        client.check(world.nodes[record.entries[client.partition].primary])


def check_copies(world: World) -> None:
    """Check that copies are equal, and where they should be, at rest. Raises Violation."""
    record = record_of(world, world.live()[0].name)
    assert record is not None
    for partition, entry in enumerate(record.entries):
        copies = {name: world.nodes[name].life.contents(partition) for name in entry.in_sync}
        if any(copy != copies[entry.primary] for copy in copies.values()):
            raise Violation(f"copies of {partition} differ: {copies}, {entry}")
        for sim in world.live():
            if sim.name not in entry.in_sync and sim.life.contents(partition):
                raise Violation(f"{sim.name} still has data of {partition}, which is {entry}")
            if (sim.keeper.serving[partition] is not None) != (sim.name == entry.primary):
                raise Violation(f"{sim.name} serves {partition}: {entry}")
