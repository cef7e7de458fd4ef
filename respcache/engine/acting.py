"""Running a command on partitions that this node serves, and telling the copies what it has changed."""

from collections.abc import Iterable
from typing import Final

from respcache.cluster.ownership.slots import partition_of
from respcache.commands.events import note_events
from respcache.commands.registry import Command, Merge
from respcache.commands.replay import changed_keys, keys_named
from respcache.errors import CommandError, WrongArity
from respcache.reply import Reply
from respcache.store.aggregate import Aggregate
from respcache.store.copies import entry_effect
from respcache.store.keyspace import Keyspace, Store
from respcache.store.lists import List
from respcache.store.partition import Argv, Log, Partition
from respcache.store.scale import entry_bytes, weight
from respcache.store.texts import Text
from respcache.store.values import Value

ELEMENT_BYTES: Final = 120
"""What an element of an aggregate takes besides its own bytes."""
LIST_ELEMENT_BYTES: Final = 48
"""The same for lists, where it stands alone."""


def on_key(row: Command, argv: Argv, partition: Partition) -> tuple[Reply, Log | None]:
    """Run a command on one key; give the log until which the reply has to wait, if any. Raises CommandError."""
    try:
        reply = answer(row, argv, partition)
    except CommandError:
        partition.ship(None)
        raise
    if partition.changed:
        partition.ship(argv if row.writes else None)
    return reply, partition.awaits()


def answer(row: Command, argv: Argv, partition: Partition) -> Reply:
    """Run a command on one key, noting of it what is to be noted, and tell nobody. Raises CommandError."""
    return noted(row, argv, partition) if partition.ledger.noting else row.on_key(partition, argv)


def noted(row: Command, argv: Argv, partition: Partition) -> Reply:
    """Run a command on one key; note what somebody wants to know of it. Raises CommandError."""
    ledger = partition.ledger
    if not ledger.journal.listening or not row.writes:
        return _weighed(row, argv, partition) if ledger.weighing else row.on_key(partition, argv)
    key = argv[row.key_at]
    before = partition.value(key)  # one that has expired goes first: what changes from then on, the command has changed
    size = 0 if before is None else len(before)
    partition.ship(None)
    reply = _weighed(row, argv, partition) if ledger.weighing else row.on_key(partition, argv)
    if partition.changed:
        note_events(row, argv, reply, partition, existed=before is not None, size=size)
    return reply


def _weighed(row: Command, argv: Argv, partition: Partition) -> Reply:
    """Run a command on one key; note that the key is used, and what it weighs more. Raises CommandError."""
    key = argv[row.key_at]
    if not row.writes:
        reply = row.on_key(partition, argv)
        if row.uses and key in partition.values:
            partition.ledger.usage.mark(partition, key, new=False)
        return reply
    before = partition.values.get(key)
    size = 0 if before is None else len(before)
    try:
        return row.on_key(partition, argv)
    finally:
        _note_write(partition, argv, key, before, size, uses=row.uses)


def _note_write(partition: Partition, argv: Argv, key: bytes, before: Value | None, size: int, *, uses: bool) -> None:
    """Note what became of the value that a key held, of such a size: in constant time, so roughly for aggregates."""
    after = partition.values.get(key)
    if after is not before:
        entry = entry_bytes(key)
        gained = weight(after) - weight(before)
        if before is None:
            partition.gain(gained + entry, 1)
        elif after is None:
            partition.gain(gained - entry, -1)
        else:
            partition.gain(gained, 0)
    elif isinstance(after, Aggregate) and len(after) != size:
        more = len(after) - size
        if isinstance(after, Text):
            partition.gain(more, 0)
        elif more > 0:
            each = LIST_ELEMENT_BYTES if isinstance(after, List) else ELEMENT_BYTES
            partition.gain(each * more + sum([len(argument) for argument in argv[2:]]), 0)
        else:
            partition.gain(more * (weight(after) // len(after)), 0)
    if after is not None and uses:
        partition.ledger.usage.mark(partition, key, new=before is None)


def act(row: Command, argv: Argv, keyspace: Keyspace, partitions: tuple[int, ...]) -> tuple[Reply, list[Log]]:
    """Run a command on these partitions; give the logs until which the reply has to wait. Raises CommandError."""
    if row.key_at:
        reply, log = on_key(row, argv, keyspace.at(argv[row.key_at]))
        return reply, [] if log is None else [log]
    check_pairs(row, argv)
    assert row.on_keys is not None
    held = _held(row, argv, keyspace) if keyspace.ledger.weighing and row.keys.names_keys else []
    try:
        reply = row.on_keys(keyspace if row.keys.names_keys else keyspace.only(partitions), argv)
    except CommandError:
        for number in partitions:
            keyspace.partitions[number].ship(None)
        raise
    for partition, key, value, size in held:
        if row.writes:
            _note_write(partition, [], key, value, size, uses=True)
        elif key in partition.values:
            partition.ledger.usage.mark(partition, key, new=False)
    return reply, _collect(keyspace.store, row, argv, partitions)


def _held(row: Command, argv: Argv, keyspace: Keyspace) -> list[tuple[Partition, bytes, Value | None, int]]:
    """List the keys of a command that it uses, each once, with what they hold and how many elements that has."""
    if not row.uses:
        return []
    databases = len(keyspace.store)
    found: list[tuple[Partition, bytes, Value | None, int]] = []
    for number, key in dict.fromkeys(keys_named(row, keyspace.number, argv, databases)):
        partition = keyspace.store.keyspace(number).at(key)
        value = partition.values.get(key)
        found.append((partition, key, value, 0 if value is None else len(value)))
    return found


def check_pairs(row: Command, argv: Argv) -> None:
    """See to it that each key has its value. Raises WrongArity."""
    if row.keys.step > 1 and (len(argv) - row.keys.first) % row.keys.step:
        raise WrongArity(row.name)


def unclean(keyspace: Keyspace, numbers: Iterable[int]) -> list[Log]:
    """List the logs until which a refusal has to wait that tells of what is in these partitions, as any reply has."""
    logs = [keyspace.partitions[number].awaits() for number in numbers]
    return [log for log in logs if log is not None]


def _collect(store: Store, row: Command, argv: Argv, partitions: tuple[int, ...]) -> list[Log]:
    """Send what a command on several keys has changed to the copies.

    Where a command that cannot be split does not say itself what its effects on a
    partition are (`Partition.rewrite`), the resulting state of its keys there is the effect.
    """
    states = row.merge is Merge.NONE and row.writes
    keys = frozenset(key for _, key in changed_keys(0, argv, len(store))) if states else frozenset()
    found: list[Log] = []
    for keyspace in store.used():
        for number in partitions:
            partition = keyspace.partitions[number]
            if partition.changed:
                if row.merge is Merge.NONE and partition.has_copies and not partition.rewritten:
                    # Only keys found expired are told.
                    for effect in _states(partition, keys):
                        partition.rewrite(effect)
                partition.ship(None)
            log = partition.awaits()
            if log is not None:
                found.append(log)
    return found


def _states(partition: Partition, keys: frozenset[bytes]) -> list[Argv]:
    """Make the effects that bring copies to the state in which a partition's keys among these are now."""
    return [entry_effect(partition, key) for key in sorted(keys) if partition_of(key) == partition.number]
