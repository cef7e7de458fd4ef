"""Commands on the lifetime of the fields of hashes.

Syntax and error texts are those of Valkey 9.1, which takes all that Redis 8 does. Fields are decided on in the order in
which they are named, so that one named twice is gone the second time if the first has deleted it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from respcache.commands.arguments import CLOCKS, INT64_MAX, integer, option
from respcache.commands.expiry import conditions_of, holds
from respcache.commands.registry import Flags, key_command
from respcache.errors import CommandError, InvalidExpiry, SyntaxRefused
from respcache.reply import Reply
from respcache.store.field_expiry import note_fields, with_deadlines
from respcache.store.hashes import Hash
from respcache.store.partition import Argv, Partition
from respcache.store.volatile_hashes import VolatileHash

NO_FIELD: Final = -2
NO_DEADLINE: Final = -1
REFUSED: Final = 0
DONE: Final = 1
DELETED: Final = 2
"""Instead of DONE, where the deadline had passed already."""
FIELDS: Final = b"FIELDS"

_CHANGES = Flags.WRITE | Flags.FAST
_READS = Flags.READONLY | Flags.FAST


@dataclass(frozen=True, slots=True)
class Lifetime:
    """What the options of HGETEX or HSETEX ask for."""

    clock: bytes = b""
    """One of CLOCKS, PERSIST or KEEPTTL; empty for none of them."""
    time: bytes = b""
    """The number behind a clock."""
    key: bytes = b""
    """NX or XX: what the key has to be."""
    fields: bytes = b""
    """FNX or FXX: what all fields have to be."""


@key_command("HEXPIRE", arity=-6, flags=_CHANGES, since="7.4.0")
def hexpire(partition: Partition, argv: Argv) -> Reply:
    """Set the time to live of fields of a hash in seconds."""
    return _expire(partition, argv, unit_ms=1000, since_unix_ms=partition.ledger.now_unix_ms)


@key_command("HPEXPIRE", arity=-6, flags=_CHANGES, since="7.4.0")
def hpexpire(partition: Partition, argv: Argv) -> Reply:
    """Set the time to live of fields of a hash in milliseconds."""
    return _expire(partition, argv, unit_ms=1, since_unix_ms=partition.ledger.now_unix_ms)


@key_command("HEXPIREAT", arity=-6, flags=_CHANGES, since="7.4.0")
def hexpireat(partition: Partition, argv: Argv) -> Reply:
    """Set the time when fields of a hash expire, in Unix seconds."""
    return _expire(partition, argv, unit_ms=1000, since_unix_ms=0)


@key_command("HPEXPIREAT", arity=-6, flags=_CHANGES, since="7.4.0")
def hpexpireat(partition: Partition, argv: Argv) -> Reply:
    """Set the time when fields of a hash expire, in Unix milliseconds."""
    return _expire(partition, argv, unit_ms=1, since_unix_ms=0)


@key_command("HTTL", arity=-5, flags=_READS, since="7.4.0")
def httl(partition: Partition, argv: Argv) -> Reply:
    """Return how long fields of a hash have to live, in seconds."""
    return _deadlines(partition, argv, unit_ms=1000, since_unix_ms=partition.ledger.now_unix_ms)


@key_command("HPTTL", arity=-5, flags=_READS, since="7.4.0")
def hpttl(partition: Partition, argv: Argv) -> Reply:
    """Return how long fields of a hash have to live, in milliseconds."""
    return _deadlines(partition, argv, unit_ms=1, since_unix_ms=partition.ledger.now_unix_ms)


@key_command("HEXPIRETIME", arity=-5, flags=_READS, since="7.4.0")
def hexpiretime(partition: Partition, argv: Argv) -> Reply:
    """Return when fields of a hash expire, in Unix seconds."""
    return _deadlines(partition, argv, unit_ms=1000, since_unix_ms=0)


@key_command("HPEXPIRETIME", arity=-5, flags=_READS, since="7.4.0")
def hpexpiretime(partition: Partition, argv: Argv) -> Reply:
    """Return when fields of a hash expire, in Unix milliseconds."""
    return _deadlines(partition, argv, unit_ms=1, since_unix_ms=0)


@key_command("HPERSIST", arity=-5, flags=_CHANGES, since="7.4.0")
def hpersist(partition: Partition, argv: Argv) -> Reply:
    """Let fields of a hash live until they are deleted."""
    if option(argv[2]) != FIELDS:
        raise SyntaxRefused
    key, fields = argv[1], _counted(argv, 2)
    found = partition.aggregate(key, Hash)
    if found is None:
        return [NO_FIELD] * len(fields)
    replies: list[Reply] = []
    for field in fields:
        if found.get(field) is None:
            replies.append(NO_FIELD)
        else:
            replies.append(DONE if found.persist(field) else NO_DEADLINE)
    _persisted(partition, key, found, changed=DONE in replies)
    return replies


@key_command("HGETEX", arity=-5, flags=_CHANGES, since="8.0.0")
def hgetex(partition: Partition, argv: Argv) -> Reply:
    """Return the values of fields of a hash, and set when they expire, or that they do not."""
    at = _fields_at(argv, 2)
    lifetime = _lifetime(argv[2:at], (*CLOCKS, b"PERSIST"))
    key, fields = argv[1], _counted(argv, at)
    found = partition.read_aggregate(key, Hash)
    deadline = _moment(partition, lifetime, "hgetex")
    if found is None:
        partition.did_nothing()
        return [None] * len(fields)
    values: list[Reply] = []
    if deadline is None:
        persists = lifetime.clock == b"PERSIST"
        values += [found.get(field) for field in fields]
        changed = sum([found.persist(field) for field in fields]) if persists else 0
        _persisted(partition, key, found, changed=changed > 0)
        return values
    over = _is_over(partition, found, deadline)
    reached: list[bytes] = []
    for field in fields:
        value = found.get(field)
        values.append(value)
        if value is not None:
            found = _set_deadline(partition, key, found, field, None if over else deadline)
            reached.append(field)
    _reached(partition, key, found, reached, None if over else deadline)
    return values


@key_command("HGETDEL", arity=-5, flags=_CHANGES, since="8.0.0")
def hgetdel(partition: Partition, argv: Argv) -> Reply:
    """Return the values of fields of a hash, and delete the fields."""
    if option(argv[2]) != FIELDS:
        raise SyntaxRefused
    key, fields = argv[1], _counted(argv, 2)
    found = partition.aggregate(key, Hash)
    if found is None:
        return [None] * len(fields)
    values: list[Reply] = []
    deleted = 0
    for field in fields:
        values.append(found.get(field))
        deleted += found.remove(field)
    if deleted:
        partition.touched(key, found)
    return values


@key_command("HSETEX", arity=-6, flags=_CHANGES | Flags.DENYOOM, since="8.0.0")
def hsetex(partition: Partition, argv: Argv) -> Reply:
    """Set fields of a hash, and when they expire, if key and fields are as they have to be; return 1, else 0."""
    at = _fields_at(argv, 2)
    lifetime = _lifetime(argv[2:at], (*CLOCKS, b"KEEPTTL", b"NX", b"XX", b"FNX", b"FXX"))
    key, pairs = argv[1], _counted(argv, at, step=2)
    found = partition.aggregate(key, Hash)
    if lifetime.key and (found is None) != (lifetime.key == b"NX"):
        partition.did_nothing()
        return 0
    deadline = _moment(partition, lifetime, "hsetex")
    fields = pairs[::2]
    if lifetime.fields and not _all_are(found, fields, there=lifetime.fields == b"FXX"):
        partition.did_nothing()
        return 0
    if deadline is not None and _is_over(partition, found, deadline):
        partition.rewrite([b"HDEL", key, *fields])
        partition.changed = True
        partition.ledger.expired_fields += len(set(fields))
        if found is not None and sum([found.remove(field) for field in fields]):
            partition.touched(key, found)
        return 1
    _set(partition, key, found, pairs, deadline, keeps=lifetime.clock == b"KEEPTTL")
    return 1


def _expire(partition: Partition, argv: Argv, *, unit_ms: int, since_unix_ms: int) -> Reply:
    """Set the deadline of fields where the conditions hold; one that has passed deletes them."""
    at = _fields_at(argv, 3)
    conditions = conditions_of(argv[3:at])
    key, fields = argv[1], _counted(argv, at)
    deadline = _time(argv[2], unit_ms, since_unix_ms, argv[0].decode("ascii").lower())
    found = partition.aggregate(key, Hash)
    if found is None:
        partition.did_nothing()
        return [NO_FIELD] * len(fields)
    over = _is_over(partition, found, deadline)
    replies: list[Reply] = []
    reached: list[bytes] = []
    for field in fields:
        if found.get(field) is None:
            replies.append(NO_FIELD)
        elif conditions and not holds(conditions, found.deadline(field), deadline):
            replies.append(REFUSED)
        else:
            found = _set_deadline(partition, key, found, field, None if over else deadline)
            reached.append(field)
            replies.append(DELETED if over else DONE)
    _reached(partition, key, found, reached, None if over else deadline)
    return replies


def _set(
    partition: Partition, key: bytes, found: Hash | None, pairs: list[bytes], deadline: int | None, *, keeps: bool
) -> None:
    """Set fields of the hash at key, which there may not be yet, and give all of them a deadline, if there is one."""
    if found is None:
        found = Hash()
        partition.put(key, found)
    how = [b"KEEPTTL"] if keeps else []
    if deadline is None:
        put = found.keep if keeps else found.set
        limits = partition.ledger.limits
        for place in range(0, len(pairs), 2):
            put(pairs[place], pairs[place + 1], limits)
    else:
        timed = with_deadlines(partition, key, found)
        for place in range(0, len(pairs), 2):
            timed.set(pairs[place], pairs[place + 1])
            timed.expire(pairs[place], deadline)
        note_fields(partition, key, timed)
        how = [b"PXAT", b"%d" % deadline]
        found = timed
    partition.grown(len(found))
    partition.rewrite([b"HSETEX", key, *how, FIELDS, b"%d" % (len(pairs) // 2), *pairs])


def _set_deadline(partition: Partition, key: bytes, found: Hash, field: bytes, deadline: int | None) -> Hash:
    """Give a field that is there a deadline, or, with None, delete it; give the hash that is at key then."""
    if deadline is None:
        found.remove(field)
        return found
    timed = with_deadlines(partition, key, found)
    timed.expire(field, deadline)
    return timed


def _reached(partition: Partition, key: bytes, found: Hash, reached: list[bytes], deadline: int | None) -> None:
    """Note, and tell the copies, that fields have got a deadline, or, with None, were deleted."""
    if not reached:
        partition.did_nothing()
    elif deadline is None:
        partition.ledger.expired_fields += len(reached)
        partition.rewrite([b"HDEL", key, *reached])
        partition.touched(key, found)
    else:
        assert isinstance(found, VolatileHash)
        note_fields(partition, key, found)
        partition.changed = True
        partition.rewrite([b"HPEXPIREAT", key, b"%d" % deadline, FIELDS, b"%d" % len(reached), *reached])


def _persisted(partition: Partition, key: bytes, found: Hash, *, changed: bool) -> None:
    """Note that fields have lost their deadlines, or that none has. The copies do what the command says."""
    if not changed:
        partition.did_nothing()
        return
    partition.changed = True
    if isinstance(found, VolatileHash):
        note_fields(partition, key, found)


def _deadlines(partition: Partition, argv: Argv, *, unit_ms: int, since_unix_ms: int) -> Reply:
    """Give the deadline of each field in units after `since_unix_ms`, or NO_FIELD or NO_DEADLINE."""
    if option(argv[2]) != FIELDS or integer(argv[3]) != len(argv) - 4:
        raise SyntaxRefused
    found = partition.read_aggregate(argv[1], Hash)
    replies: list[Reply] = []
    for field in argv[4:]:
        if found is None or found.get(field) is None:
            replies.append(NO_FIELD)
            continue
        deadline = found.deadline(field)
        if deadline is None:
            replies.append(NO_DEADLINE)
        else:
            replies.append((deadline - since_unix_ms + unit_ms // 2) // unit_ms)
    return replies


def _is_over(partition: Partition, found: Hash | None, deadline: int) -> bool:
    """Tell whether a deadline has passed: by the clock, or, if that was set back, for the hash."""
    horizon = found.horizon_unix_ms if isinstance(found, VolatileHash) else 0
    return deadline <= max(partition.ledger.now_unix_ms, horizon)


def _all_are(found: Hash | None, fields: list[bytes], *, there: bool) -> bool:
    """Tell whether all fields are there, or are not."""
    return all((found is not None and found.get(field) is not None) == there for field in fields)


def _lifetime(words: list[bytes], allowed: Collection[bytes]) -> Lifetime:
    """Read options, of which one kind each may be there. Raises SyntaxRefused."""
    clock = time = key = fields = b""
    arguments = iter(words)
    for argument in arguments:
        word = option(argument)
        if word not in allowed:
            raise SyntaxRefused
        if word in {b"NX", b"XX"}:
            if key not in {b"", word}:
                raise SyntaxRefused
            key = word
        elif word in {b"FNX", b"FXX"}:
            if fields not in {b"", word}:
                raise SyntaxRefused
            fields = word
        else:
            if clock not in {b"", word}:
                raise SyntaxRefused
            clock = word
            if word in CLOCKS:
                operand = next(arguments, None)
                if operand is None:
                    raise SyntaxRefused
                time = operand
    return Lifetime(clock, time, key, fields)


def _moment(partition: Partition, lifetime: Lifetime, command: str) -> int | None:
    """Read the deadline that options name, None if they name none. Raises NotAnInteger or InvalidExpiry."""
    if lifetime.clock not in CLOCKS:
        return None
    unit_ms, relative = CLOCKS[lifetime.clock]
    return _time(lifetime.time, unit_ms, partition.ledger.now_unix_ms if relative else 0, command)


def _time(text: bytes, unit_ms: int, since_unix_ms: int, command: str) -> int:
    """Read a time in units after `since_unix_ms`; give Unix milliseconds. Raises NotAnInteger or InvalidExpiry."""
    amount = integer(text)
    if amount < 0 or amount * unit_ms > INT64_MAX - since_unix_ms:
        raise InvalidExpiry(command)
    return amount * unit_ms + since_unix_ms


def _fields_at(argv: Argv, first: int) -> int:
    """Find the word FIELDS behind the options, and in front of something. Raises CommandError."""
    for at in range(first, len(argv) - 1):
        if option(argv[at]) == FIELDS:
            return at
    raise _Miscounted


def _counted(argv: Argv, at: int, step: int = 1) -> list[bytes]:
    """Read the number behind the word FIELDS, and what follows it: so many times `step` words. Raises CommandError."""
    count = integer(argv[at + 1])
    if count < 1 or count * step != len(argv) - at - 2:
        raise _Miscounted
    return argv[at + 2 :]


class _Miscounted(CommandError):
    """There are more or fewer fields than the request says, or none."""

    def __init__(self) -> None:
        super().__init__("numfields should be greater than 0 and match the provided number of fields")
