"""Commands on the lifetime of keys."""

from typing import Final

from respcache.commands.arguments import INT64_MAX, INT64_MIN, integer, option
from respcache.commands.registry import Flags, key_command
from respcache.errors import CommandError, InvalidExpiry, echoed
from respcache.reply import Reply
from respcache.store.partition import Argv, Partition

CONDITIONS: Final = frozenset((b"NX", b"XX", b"GT", b"LT"))
NO_KEY: Final = -2
NO_DEADLINE: Final = -1

_CHANGES = Flags.WRITE | Flags.FAST
_READS = Flags.READONLY | Flags.FAST


@key_command("EXPIRE", arity=-3, flags=_CHANGES, since="1.0.0")
def expire(partition: Partition, argv: Argv) -> Reply:
    """Set the time to live of a key in seconds."""
    return _expire(partition, argv, unit_ms=1000, since_unix_ms=partition.ledger.now_unix_ms)


@key_command("PEXPIRE", arity=-3, flags=_CHANGES, since="2.6.0")
def pexpire(partition: Partition, argv: Argv) -> Reply:
    """Set the time to live of a key in milliseconds."""
    return _expire(partition, argv, unit_ms=1, since_unix_ms=partition.ledger.now_unix_ms)


@key_command("EXPIREAT", arity=-3, flags=_CHANGES, since="1.2.0")
def expireat(partition: Partition, argv: Argv) -> Reply:
    """Set the time when a key expires, in Unix seconds."""
    return _expire(partition, argv, unit_ms=1000, since_unix_ms=0)


@key_command("PEXPIREAT", arity=-3, flags=_CHANGES, since="2.6.0")
def pexpireat(partition: Partition, argv: Argv) -> Reply:
    """Set the time when a key expires, in Unix milliseconds."""
    return _expire(partition, argv, unit_ms=1, since_unix_ms=0)


@key_command("PERSIST", arity=2, flags=_CHANGES, since="2.2.0")
def persist(partition: Partition, argv: Argv) -> Reply:
    """Let a key live until it is deleted."""
    return int(partition.persist(argv[1]))


@key_command("TTL", arity=2, flags=_READS, since="1.0.0")
def ttl(partition: Partition, argv: Argv) -> Reply:
    """Return how long a key has to live, in seconds."""
    left_ms = _deadline(partition, argv[1], partition.ledger.now_unix_ms)
    return left_ms if left_ms < 0 else (left_ms + 500) // 1000


@key_command("PTTL", arity=2, flags=_READS, since="2.6.0")
def pttl(partition: Partition, argv: Argv) -> Reply:
    """Return how long a key has to live, in milliseconds."""
    return _deadline(partition, argv[1], partition.ledger.now_unix_ms)


@key_command("EXPIRETIME", arity=2, flags=_READS, since="7.0.0")
def expiretime(partition: Partition, argv: Argv) -> Reply:
    """Return when a key expires, in Unix seconds."""
    deadline = _deadline(partition, argv[1], 0)
    return deadline if deadline < 0 else (deadline + 500) // 1000


@key_command("PEXPIRETIME", arity=2, flags=_READS, since="7.0.0")
def pexpiretime(partition: Partition, argv: Argv) -> Reply:
    """Return when a key expires, in Unix milliseconds."""
    return _deadline(partition, argv[1], 0)


def _deadline(partition: Partition, key: bytes, since_unix_ms: int) -> int:
    """Give the deadline of a key in milliseconds after `since_unix_ms`, or NO_KEY or NO_DEADLINE."""
    if partition.read(key) is None:
        return NO_KEY
    deadline = partition.deadline(key)
    return NO_DEADLINE if deadline is None else deadline - since_unix_ms


def _expire(partition: Partition, argv: Argv, *, unit_ms: int, since_unix_ms: int) -> int:
    """Set a deadline if the conditions hold; one that is past deletes the key. 1 if it was done."""
    conditions = conditions_of(argv[3:]) if len(argv) > 3 else None
    deadline = integer(argv[2]) * unit_ms
    if not INT64_MIN <= deadline <= INT64_MAX - since_unix_ms:
        raise InvalidExpiry(argv[0].decode("ascii").lower())
    deadline += since_unix_ms
    key = argv[1]
    if partition.value(key) is None or (conditions and not holds(conditions, partition.deadline(key), deadline)):
        partition.did_nothing()  # but for a field whose time was over; on a copy, where the time is 0, LT would hold
        return 0
    partition.expire_or_delete(key, deadline)
    return 1


def conditions_of(words: list[bytes]) -> set[bytes]:
    """Read conditions. Raises CommandError for what is none, and for those that exclude each other."""
    conditions: set[bytes] = set()
    for argument in words:
        word = option(argument)
        if word not in CONDITIONS:
            shown = argument.partition(b"\0")[0].rstrip(b"\r\n")
            raise CommandError(f"Unsupported option {echoed(shown)}")
        conditions.add(word)
    if b"NX" in conditions and len(conditions) > 1:
        raise CommandError("NX and XX, GT or LT options at the same time are not compatible")
    if {b"GT", b"LT"} <= conditions:
        raise CommandError("GT and LT options at the same time are not compatible")
    return conditions


def holds(conditions: set[bytes], old: int | None, new: int) -> bool:
    """Tell whether all conditions hold; what has no deadline counts as living for ever."""
    if old is None:
        return conditions.isdisjoint((b"XX", b"GT"))
    return not (b"NX" in conditions or (b"GT" in conditions and new <= old) or (b"LT" in conditions and new >= old))
