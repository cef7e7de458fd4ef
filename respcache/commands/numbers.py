"""Commands on strings that hold a number."""

from respcache.commands import longdouble
from respcache.commands.arguments import INT64_MAX, INT64_MIN, integer
from respcache.commands.registry import Flags, key_command
from respcache.errors import CommandError
from respcache.reply import Reply
from respcache.store.partition import Argv, Partition

_COUNTS = Flags.WRITE | Flags.DENYOOM | Flags.FAST


@key_command("INCR", arity=2, flags=_COUNTS, since="1.0.0")
def incr(partition: Partition, argv: Argv) -> Reply:
    """Add one to the integer at a key."""
    return _add(partition, argv[1], 1)


@key_command("DECR", arity=2, flags=_COUNTS, since="1.0.0")
def decr(partition: Partition, argv: Argv) -> Reply:
    """Subtract one from the integer at a key."""
    return _add(partition, argv[1], -1)


@key_command("INCRBY", arity=3, flags=_COUNTS, since="1.0.0")
def incrby(partition: Partition, argv: Argv) -> Reply:
    """Add to the integer at a key."""
    return _add(partition, argv[1], integer(argv[2]))


@key_command("DECRBY", arity=3, flags=_COUNTS, since="1.0.0")
def decrby(partition: Partition, argv: Argv) -> Reply:
    """Subtract from the integer at a key."""
    amount = integer(argv[2])
    if amount == INT64_MIN:
        raise CommandError("decrement would overflow")
    return _add(partition, argv[1], -amount)


@key_command("INCRBYFLOAT", arity=3, flags=_COUNTS, since="2.6.0")
def incrbyfloat(partition: Partition, argv: Argv) -> Reply:
    """Add to the number at a key, and return the sum."""
    stored = partition.string(argv[1])
    number = longdouble.parse(stored) if stored is not None else longdouble.ZERO
    increment = longdouble.parse(argv[2])
    total = longdouble.add(number, increment) if number is not None and increment is not None else None
    if total is None:
        raise CommandError("increment would produce NaN or Infinity")
    text = longdouble.text(total)
    partition.keep(argv[1], text)
    partition.rewrite([b"SET", argv[1], text, b"KEEPTTL"])
    return text


def _add(partition: Partition, key: bytes, amount: int) -> int:
    """Add to the integer at a key, 0 if there is none. Raises NotAnInteger, or ERR beyond 64 bits."""
    stored = partition.string(key)
    total = amount if stored is None else integer(stored) + amount
    if not INT64_MIN <= total <= INT64_MAX:
        raise CommandError("increment or decrement would overflow")
    partition.keep(key, str(total).encode())
    return total
