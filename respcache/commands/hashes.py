"""Commands on hashes."""

from respcache.commands import longdouble
from respcache.commands.arguments import INT64_MAX, INT64_MIN, integer, option, ranged
from respcache.commands.registry import Flags, key_command
from respcache.commands.walking import ENDED, REPEATED_MAX, cursor, scan_options
from respcache.errors import CommandError, NotAFloat, NotAnInteger, OutOfRange, SyntaxRefused, WrongArity
from respcache.reply import OK, Pairs, Reply
from respcache.store.hashes import Hash
from respcache.store.partition import Argv, Partition
from respcache.store.volatile_hashes import VolatileHash

_READS = Flags.READONLY | Flags.FAST
_WRITES = Flags.WRITE | Flags.DENYOOM | Flags.FAST


@key_command("HSET", arity=-4, flags=_WRITES, since="2.0.0")
def hset(partition: Partition, argv: Argv) -> Reply:
    """Set fields of a hash, and return how many are new."""
    return _set(partition, argv, "hset")


@key_command("HMSET", arity=-4, flags=_WRITES, since="2.0.0")
def hmset(partition: Partition, argv: Argv) -> Reply:
    """Set fields of a hash."""
    _set(partition, argv, "hmset")
    return OK


@key_command("HSETNX", arity=4, flags=_WRITES, since="2.0.0")
def hsetnx(partition: Partition, argv: Argv) -> Reply:
    """Set a field of a hash that does not exist."""
    found = partition.aggregate(argv[1], Hash)
    if found is not None and found.get(argv[2]) is not None:
        return 0
    made = _made(partition, argv[1], found)
    made.set(argv[2], argv[3], partition.ledger.limits)
    partition.grown(len(made))
    return 1


@key_command("HGET", arity=3, flags=_READS, since="2.0.0")
def hget(partition: Partition, argv: Argv) -> Reply:
    """Return the value of a field of a hash."""
    found = partition.read_aggregate(argv[1], Hash)
    return None if found is None else found.get(argv[2])


@key_command("HMGET", arity=-3, flags=_READS, since="2.0.0")
def hmget(partition: Partition, argv: Argv) -> Reply:
    """Return the values of several fields of a hash; null for one that does not exist."""
    found = partition.read_aggregate(argv[1], Hash)
    return [None if found is None else found.get(field) for field in argv[2:]]


@key_command("HDEL", arity=-3, flags=Flags.WRITE | Flags.FAST, since="2.0.0")
def hdel(partition: Partition, argv: Argv) -> Reply:
    """Delete fields of a hash, and return how many there were."""
    found = partition.aggregate(argv[1], Hash)
    if found is None:
        return 0
    deleted = sum([found.remove(field) for field in argv[2:]])
    if deleted:
        partition.touched(argv[1], found)
    return deleted


@key_command("HLEN", arity=2, flags=_READS, since="2.0.0")
def hlen(partition: Partition, argv: Argv) -> Reply:
    """Return how many fields a hash has."""
    found = partition.read_aggregate(argv[1], Hash)
    return 0 if found is None else len(found)


@key_command("HEXISTS", arity=3, flags=_READS, since="2.0.0")
def hexists(partition: Partition, argv: Argv) -> Reply:
    """Tell whether a hash has a field."""
    found = partition.read_aggregate(argv[1], Hash)
    return int(found is not None and found.get(argv[2]) is not None)


@key_command("HSTRLEN", arity=3, flags=_READS, since="3.2.0")
def hstrlen(partition: Partition, argv: Argv) -> Reply:
    """Return the length of the value of a field; 0 for one that does not exist."""
    found = partition.read_aggregate(argv[1], Hash)
    return 0 if found is None else len(found.get(argv[2]) or b"")


@key_command("HKEYS", arity=2, flags=Flags.READONLY, since="2.0.0")
def hkeys(partition: Partition, argv: Argv) -> Reply:
    """Return all fields of a hash."""
    found = partition.read_aggregate(argv[1], Hash)
    return [] if found is None else list[Reply](found.fields())


@key_command("HVALS", arity=2, flags=Flags.READONLY, since="2.0.0")
def hvals(partition: Partition, argv: Argv) -> Reply:
    """Return all values of a hash."""
    found = partition.read_aggregate(argv[1], Hash)
    return [] if found is None else list[Reply](found.contents())


@key_command("HGETALL", arity=2, flags=Flags.READONLY, since="2.0.0")
def hgetall(partition: Partition, argv: Argv) -> Reply:
    """Return all fields of a hash with their values."""
    found = partition.read_aggregate(argv[1], Hash)
    return {} if found is None else dict(found.items())


@key_command("HINCRBY", arity=4, flags=_WRITES, since="2.0.0")
def hincrby(partition: Partition, argv: Argv) -> Reply:
    """Add to the integer in a field of a hash, and return the sum."""
    amount = integer(argv[3])
    found = partition.aggregate(argv[1], Hash)
    stored = None if found is None else found.get(argv[2])
    try:
        total = amount if stored is None else integer(stored) + amount
    except NotAnInteger:
        raise CommandError("hash value is not an integer") from None
    if not INT64_MIN <= total <= INT64_MAX:
        raise CommandError("increment or decrement would overflow")
    _keep(partition, argv[1], found, argv[2], b"%d" % total)
    return total


@key_command("HINCRBYFLOAT", arity=4, flags=_WRITES, since="2.6.0")
def hincrbyfloat(partition: Partition, argv: Argv) -> Reply:
    """Add to the number in a field of a hash, and return the sum."""
    increment = longdouble.parse(argv[3])
    if increment is None:
        raise CommandError("value is NaN or Infinity")
    found = partition.aggregate(argv[1], Hash)
    stored = None if found is None else found.get(argv[2])
    try:
        number = longdouble.ZERO if stored is None else longdouble.parse(stored)
    except NotAFloat:
        raise CommandError("hash value is not a float") from None
    total = None if number is None else longdouble.add(number, increment)
    if total is None:
        raise CommandError("increment would produce NaN or Infinity")
    text = longdouble.text(total)
    _keep(partition, argv[1], found, argv[2], text)
    if isinstance(found, VolatileHash):
        partition.rewrite([b"HSETEX", argv[1], b"KEEPTTL", b"FIELDS", b"1", argv[2], text])
    else:
        partition.rewrite([b"HSET", argv[1], argv[2], text])
    return text


@key_command("HRANDFIELD", arity=-2, flags=Flags.READONLY, since="6.2.0")
def hrandfield(partition: Partition, argv: Argv) -> Reply:
    """Return a random field of a hash, or several, distinct or (with a negative count) not."""
    if len(argv) == 2:
        found = partition.read_aggregate(argv[1], Hash)
        if found is None:
            return None
        names = found.table.names
        return names[partition.ledger.rng.choice(found.in_view(range(len(names))))]
    count = ranged(argv[2], -INT64_MAX, INT64_MAX)
    with_values = len(argv) == 4 and option(argv[3]) == b"WITHVALUES"
    if len(argv) > 3 and not with_values:
        raise SyntaxRefused
    if with_values and not -INT64_MAX // 2 < count <= INT64_MAX // 2:
        raise OutOfRange
    found = partition.read_aggregate(argv[1], Hash)
    if found is None:
        return Pairs([]) if with_values else []
    table, rng = found.table, partition.ledger.rng
    positions = found.in_view(range(len(table.names)))
    if count >= len(positions):
        chosen = list(positions)
    elif count >= 0:
        chosen = rng.sample(positions, count)
    elif count >= -REPEATED_MAX:
        chosen = rng.choices(positions, k=-count)
    else:
        raise OutOfRange
    if with_values:
        return Pairs([(table.names[position], table.values[position]) for position in chosen])
    return [table.names[position] for position in chosen]


@key_command("HSCAN", arity=-3, flags=Flags.READONLY, since="2.8.0")
def hscan(partition: Partition, argv: Argv) -> Reply:
    """Walk through the fields of a hash a few at a time; return where to go on, and what was found.

    NOVALUES leaves out their values.
    """
    start = cursor(argv[2])
    found = partition.read_aggregate(argv[1], Hash)
    if found is None:
        return ENDED
    options, table = scan_options(argv, 3, with_values=True), found.table
    following, positions = table.walk(start, options.count)
    matches = options.matches
    pairs: list[Reply] = []
    for position in found.in_view(positions):
        if matches is None or matches(table.names[position]):
            pairs.append(table.names[position])
            if not options.names_alone:
                pairs.append(table.values[position])
    return [b"%d" % following, pairs]


def _set(partition: Partition, argv: Argv, command: str) -> int:
    if len(argv) % 2:
        raise WrongArity(command)
    found = _made(partition, argv[1], partition.aggregate(argv[1], Hash))
    limits = partition.ledger.limits
    if len(argv) == 4:
        new = int(found.set(argv[2], argv[3], limits))
    else:
        new = sum([found.set(argv[place], argv[place + 1], limits) for place in range(2, len(argv), 2)])
    partition.grown(len(found))
    return new


def _keep(partition: Partition, key: bytes, found: Hash | None, field: bytes, value: bytes) -> None:
    """Set a field, which keeps its deadline."""
    made = _made(partition, key, found)
    made.keep(field, value, partition.ledger.limits)
    partition.grown(len(made))


def _made(partition: Partition, key: bytes, found: Hash | None) -> Hash:
    """Give the hash at key, a new one if there was none; nothing may be refused any more."""
    if found is None:
        found = Hash()
        partition.put(key, found)
    return found
