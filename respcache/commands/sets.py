"""Commands on sets."""

from collections.abc import Callable
from typing import Final

from respcache.commands.arguments import INT64_MAX, bounded, counted_keys, option, ranged
from respcache.commands.events import (
    ADDED,
    REMOVED,
    SET_DIFFERENCE_STORED,
    SET_INTERSECTION_STORED,
    SET_UNION_STORED,
)
from respcache.commands.registry import ALL, COUNTED, FIRST_TWO, Flags, key_command, keys_command
from respcache.commands.walking import ENDED, REPEATED_MAX, cursor, scan_options
from respcache.errors import OutOfRange, SyntaxRefused
from respcache.reply import Members, Reply
from respcache.store.events import DELETED, MADE, Event
from respcache.store.keyspace import Keyspace
from respcache.store.limits import Limits
from respcache.store.partition import Argv, Partition
from respcache.store.sets import Set, of

_READS = Flags.READONLY | Flags.FAST
_WRITES = Flags.WRITE | Flags.DENYOOM

NONE: Final = Set()
"""What a key that does not exist stands for; nothing is ever added to it."""


@key_command("SADD", arity=-3, flags=_WRITES | Flags.FAST, since="1.0.0")
def sadd(partition: Partition, argv: Argv) -> Reply:
    """Add members to a set, and return how many are new."""
    found = partition.aggregate(argv[1], Set)
    if found is None:
        found = Set()
        partition.put(argv[1], found)
    limits = partition.ledger.limits
    added = int(found.add(argv[2], limits)) if len(argv) == 3 else sum([found.add(one, limits) for one in argv[2:]])
    if added:
        partition.grown(len(found))
    return added


@key_command("SREM", arity=-3, flags=Flags.WRITE | Flags.FAST, since="1.0.0")
def srem(partition: Partition, argv: Argv) -> Reply:
    """Remove members from a set, and return how many there were."""
    found = partition.aggregate(argv[1], Set)
    if found is None:
        return 0
    removed = sum([found.remove(member) for member in argv[2:]])
    if removed:
        partition.touched(argv[1], found)
    return removed


@key_command("SISMEMBER", arity=3, flags=_READS, since="1.0.0")
def sismember(partition: Partition, argv: Argv) -> Reply:
    """Tell whether a set has a member."""
    found = partition.read_aggregate(argv[1], Set)
    return int(found is not None and argv[2] in found)


@key_command("SMISMEMBER", arity=-3, flags=_READS, since="6.2.0")
def smismember(partition: Partition, argv: Argv) -> Reply:
    """Tell of several members whether a set has them."""
    found = partition.read_aggregate(argv[1], Set)
    return [int(found is not None and member in found) for member in argv[2:]]


@key_command("SCARD", arity=2, flags=_READS, since="1.0.0")
def scard(partition: Partition, argv: Argv) -> Reply:
    """Return how many members a set has."""
    found = partition.read_aggregate(argv[1], Set)
    return 0 if found is None else len(found)


@key_command("SMEMBERS", arity=2, flags=Flags.READONLY, since="1.0.0")
def smembers(partition: Partition, argv: Argv) -> Reply:
    """Return all members of a set."""
    found = partition.read_aggregate(argv[1], Set)
    return Members([] if found is None else found.members())


@key_command("SPOP", arity=-2, flags=Flags.WRITE | Flags.FAST, since="1.0.0")
def spop(partition: Partition, argv: Argv) -> Reply:
    """Remove a random member of a set, or several, and return them."""
    key, rng = argv[1], partition.ledger.rng
    if len(argv) == 2:
        found = partition.aggregate(key, Set)
        if found is None:
            return None
        member = rng.choice(found.table.names)
        found.remove(member)
        partition.touched(key, found)
        partition.rewrite([b"SREM", key, member])
        return member
    if len(argv) > 3:
        raise SyntaxRefused
    count = bounded(argv[2], least=0, refusal="value is out of range, must be positive")
    found = partition.aggregate(key, Set)
    if found is None or not count:
        return Members()
    if count >= len(found):
        members = found.members()
        partition.delete(key)
        return Members(members)
    chosen = rng.sample(found.table.names, count)
    for member in chosen:
        found.remove(member)
    partition.touched(key, found)
    partition.rewrite([b"SREM", key, *chosen])
    return Members(chosen)


@key_command("SRANDMEMBER", arity=-2, flags=Flags.READONLY, since="1.0.0")
def srandmember(partition: Partition, argv: Argv) -> Reply:
    """Return a random member of a set, or several, distinct or (with a negative count) not."""
    rng = partition.ledger.rng
    if len(argv) == 2:
        found = partition.read_aggregate(argv[1], Set)
        return None if found is None else rng.choice(found.table.names)
    if len(argv) > 3:
        raise SyntaxRefused
    count = ranged(argv[2], -INT64_MAX, INT64_MAX)
    found = partition.read_aggregate(argv[1], Set)
    if found is None or not count:
        return []
    if count >= len(found):
        return list(found.members())
    if count > 0:
        return list(rng.sample(found.table.names, count))
    if count < -REPEATED_MAX:
        raise OutOfRange
    return list(rng.choices(found.table.names, k=-count))


@key_command("SSCAN", arity=-3, flags=Flags.READONLY, since="2.8.0")
def sscan(partition: Partition, argv: Argv) -> Reply:
    """Walk through the members of a set a few at a time; return where to go on, and what was found."""
    start = cursor(argv[2])
    found = partition.read_aggregate(argv[1], Set)
    if found is None:
        return ENDED
    options, names = scan_options(argv, 3), found.table.names
    following, positions = found.table.walk(start, options.count)
    members = found.members() if found.table.compact else [names[position] for position in positions]
    matches = options.matches
    return [b"%d" % following, [member for member in members if matches is None or matches(member)]]


@keys_command("SMOVE", arity=4, flags=Flags.WRITE | Flags.FAST, since="1.0.0", keys=FIRST_TWO)
def smove(space: Keyspace, argv: Argv) -> Reply:
    """Move a member from one set to another."""
    source, target, member = argv[1], argv[2], argv[3]
    found = space.at(source).aggregate(source, Set)
    if found is None:
        return 0
    other = space.at(target).aggregate(target, Set)
    if source == target:
        return int(member in found)
    if not found.remove(member):
        return 0
    space.at(source).touched(source, found)
    space.at(source).rewrite([b"SREM", source, member])
    space.at(source).happened(REMOVED, source)
    if not len(found):
        space.at(source).happened(DELETED, source)
    if other is None:
        other = Set()
        space.at(target).happened(MADE, target)
        space.at(target).put(target, other)
    if other.add(member, space.ledger.limits):
        space.at(target).touched(target, other)
        space.at(target).rewrite([b"SADD", target, member])
        space.at(target).happened(ADDED, target)
    return 1


@keys_command("SINTER", arity=-2, flags=Flags.READONLY, since="1.0.0", keys=ALL)
def sinter(space: Keyspace, argv: Argv) -> Reply:
    """Return the members that all of the sets have."""
    return Members(_intersection(_read(space, argv[1:]), space.ledger.limits).members())


@keys_command("SUNION", arity=-2, flags=Flags.READONLY, since="1.0.0", keys=ALL)
def sunion(space: Keyspace, argv: Argv) -> Reply:
    """Return the members that any of the sets has."""
    return Members(_union(_read(space, argv[1:]), space.ledger.limits).members())


@keys_command("SDIFF", arity=-2, flags=Flags.READONLY, since="1.0.0", keys=ALL)
def sdiff(space: Keyspace, argv: Argv) -> Reply:
    """Return the members of the first set that none of the others has."""
    return Members(_difference(_read(space, argv[1:]), space.ledger.limits).members())


@keys_command("SINTERCARD", arity=-3, flags=Flags.READONLY | Flags.MOVABLEKEYS, since="7.0.0", keys=COUNTED)
def sintercard(space: Keyspace, argv: Argv) -> Reply:
    """Return how many members all of the sets have, counting no further than a limit."""
    keys, options = counted_keys(argv, 1, refusal="numkeys should be greater than 0")
    limit, arguments = 0, iter(options)
    for argument in arguments:
        operand = next(arguments, None)
        if option(argument) != b"LIMIT" or operand is None:
            raise SyntaxRefused
        limit = bounded(operand, least=0, refusal="LIMIT can't be negative")
    return len(_intersection(_read(space, keys), space.ledger.limits, limit))


@keys_command("SINTERSTORE", arity=-3, flags=_WRITES, since="1.0.0", keys=ALL)
def sinterstore(space: Keyspace, argv: Argv) -> Reply:
    """Store the members that all of the sets have, and return how many there are."""
    return _store(space, argv, _intersection, SET_INTERSECTION_STORED)


@keys_command("SUNIONSTORE", arity=-3, flags=_WRITES, since="1.0.0", keys=ALL)
def sunionstore(space: Keyspace, argv: Argv) -> Reply:
    """Store the members that any of the sets has, and return how many there are."""
    return _store(space, argv, _union, SET_UNION_STORED)


@keys_command("SDIFFSTORE", arity=-3, flags=_WRITES, since="1.0.0", keys=ALL)
def sdiffstore(space: Keyspace, argv: Argv) -> Reply:
    """Store the members of the first set that none of the others has, and return how many there are."""
    return _store(space, argv, _difference, SET_DIFFERENCE_STORED)


def _store(space: Keyspace, argv: Argv, combined: Callable[[list[Set], Limits], Set], event: Event) -> int:
    target = argv[1]
    result = combined(_read(space, argv[2:]), space.ledger.limits)
    space.at(target).place(target, result if len(result) else None, event)
    return len(result)


def _read(space: Keyspace, keys: Argv) -> list[Set]:
    return [space.at(key).read_aggregate(key, Set) or NONE for key in keys]


def _intersection(sets: list[Set], limits: Limits, limit: int = 0) -> Set:
    """Give what all have in common, or the first `limit` of it."""
    first, *others = sorted(sets, key=len)
    common = Set()
    for member in first.members():
        if all(member in other for other in others):
            common.add(member, limits)
            if len(common) == limit:
                break
    return common


def _union(sets: list[Set], limits: Limits) -> Set:
    return of((member for found in sets for member in found.members()), limits)


def _difference(sets: list[Set], limits: Limits) -> Set:
    first, *others = sets
    return of((member for member in first.members() if not any(member in other for other in others)), limits)
