"""Running a command on partitions that this node serves, and telling the copies what it has changed."""

from respcache.cluster.ownership.slots import partition_of
from respcache.commands.registry import Command, Merge
from respcache.commands.replay import changed_keys
from respcache.errors import CommandError, WrongArity
from respcache.reply import Reply
from respcache.store.copies import entry_effect
from respcache.store.keyspace import Keyspace, Store
from respcache.store.partition import Argv, Log, Partition


def on_key(row: Command, argv: Argv, partition: Partition) -> tuple[Reply, Log | None]:
    """Run a command on one key; give the log until which the reply has to wait, if any. Raises CommandError."""
    try:
        reply = row.on_key(partition, argv)
    except CommandError:
        partition.ship(None)
        raise
    if partition.changed:
        partition.ship(argv if row.writes else None)
    return reply, partition.awaits()


def act(row: Command, argv: Argv, keyspace: Keyspace, partitions: tuple[int, ...]) -> tuple[Reply, list[Log]]:
    """Run a command on these partitions; give the logs until which the reply has to wait. Raises CommandError."""
    if row.key_at:
        reply, log = on_key(row, argv, keyspace.at(argv[row.key_at]))
        return reply, [] if log is None else [log]
    check_pairs(row, argv)
    assert row.on_keys is not None
    try:
        reply = row.on_keys(keyspace if row.keys.names_keys else keyspace.only(partitions), argv)
    except CommandError:
        for number in partitions:
            keyspace.partitions[number].ship(None)
        raise
    return reply, _collect(keyspace.store, row, argv, partitions)


def check_pairs(row: Command, argv: Argv) -> None:
    """See to it that each key has its value. Raises WrongArity."""
    if row.keys.step > 1 and (len(argv) - row.keys.first) % row.keys.step:
        raise WrongArity(row.name)


def _collect(store: Store, row: Command, argv: Argv, partitions: tuple[int, ...]) -> list[Log]:
    """Send what a command on several keys has changed to the copies.

    Where a command that cannot be split does not say itself what its effects on a
    partition are (`Partition.rewrite`), the resulting state of its keys there is the effect.
    """
    states = row.merge is Merge.NONE and row.writes
    keys = frozenset(key for _, key in changed_keys(0, argv)) if states else frozenset()
    unclean: list[Log] = []
    for keyspace in store.used():
        for number in partitions:
            partition = keyspace.partitions[number]
            if partition.changed:
                if row.merge is Merge.NONE and not partition.rewritten:  # only keys found expired are told
                    for effect in _states(partition, keys):
                        partition.rewrite(effect)
                partition.ship(None)
            log = partition.awaits()
            if log is not None:
                unclean.append(log)
    return unclean


def _states(partition: Partition, keys: frozenset[bytes]) -> list[Argv]:
    """Make the effects that bring copies to the state in which a partition's keys among these are now."""
    return [entry_effect(partition, key) for key in sorted(keys) if partition_of(key) == partition.number]
