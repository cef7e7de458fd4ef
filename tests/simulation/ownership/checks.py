"""What must hold of a cluster at rest."""

from collections.abc import Iterable

from respcache.cluster.ownership.record import Record, Standing
from respcache.cluster.ownership.slots import PARTITIONS
from simulation.ownership.clients import Counter, Violation, Writer
from simulation.ownership.world import World


def record_of(world: World, name: str) -> Record | None:
    """Return the record that a node holds."""
    return world.nodes[name].keeper._register.record


def at_rest(world: World) -> bool:
    """Whether all nodes hold one committed record in which every partition is where it should be."""
    return unrest(world) == ""


def unrest(world: World) -> str:
    """Say what is not at rest yet; empty when all is."""
    live = world.live()
    registers = [sim.keeper._register for sim in live]
    record = registers[0].record
    if record is None:
        return f"{live[0].name} has no record"
    versions = {sim.name: (sim.keeper.table.version, sim.keeper._register.committed is not None) for sim in live}
    if any(register.record is None or register.record.version != record.version for register in registers):
        return f"versions differ: {versions}"
    if any(register.committed is not register.record for register in registers):
        return f"not committed everywhere: {versions}"
    members = {node.life for node in record.nodes.values() if node.standing is Standing.MEMBER}
    staying = {sim.node.life for sim in live if not sim.leaving}
    if members != staying:
        return f"members are {members}, not {staying}"
    wanted = min(record.replica_count, len(members))
    for partition, entry in enumerate(record.entries):
        if len(entry.in_sync) != wanted or entry.learners:
            return f"partition {partition}: {entry}"
        if world.nodes[entry.primary].keeper.serving[partition] is None:
            return f"partition {partition} is not served by {entry.primary}"
    busy = {sim.name: sim.keeper.figures(world.now).pending_effects for sim in live}
    return f"effects pending: {busy}" if any(busy.values()) else ""


def check_all(world: World, clients: Iterable[Writer | Counter]) -> None:
    """Check every promise at rest. Raises Violation."""
    record = record_of(world, world.live()[0].name)
    assert record is not None
    for partition in range(PARTITIONS):
        entry = record.entries[partition]
        copies = {name: world.nodes[name].store.partitions.get(partition, {}) for name in entry.in_sync}
        if any(copy != copies[entry.primary] for copy in copies.values()):
            raise Violation(f"copies of {partition} differ: {copies}, {entry}")
        for sim in world.live():
            if sim.name not in entry.in_sync and sim.store.partitions.get(partition):
                raise Violation(f"{sim.name} still has data of {partition}, which is {entry}")
            if (sim.keeper.serving[partition] is not None) != (sim.name == entry.primary):
                raise Violation(f"{sim.name} serves {partition}: {entry}")
    for client in clients:
        client.check(world.nodes[record.entries[client.partition].primary])
