"""Commands on strings.

GET and plain SET are the two that benchmarks and applications run most. Each costs
about a tenth of a microsecond here, so they leave by the first exit: SET writes out
`Partition.put`, whose call would be a third of it.
"""

from dataclasses import dataclass
from typing import Final

from respcache.commands.arguments import CLOCKS, deadline_unix_ms, integer, option
from respcache.commands.events import EXPIRE, WRITTEN
from respcache.commands.registry import ALL, PAIRS, Flags, Merge, key_command, keys_command
from respcache.errors import CommandError, SyntaxRefused, WrongArity
from respcache.reply import OK, Reply
from respcache.store.events import EXPIRED, MADE
from respcache.store.keyspace import Keyspace
from respcache.store.partition import NEVER_UNIX_MS, Argv, Partition
from respcache.store.texts import string_of
from respcache.store.values import STRING_MAX_BYTES

SET_OPTIONS: Final = frozenset((b"NX", b"XX", b"GET", b"KEEPTTL", *CLOCKS))
GETEX_OPTIONS: Final = frozenset((b"PERSIST", *CLOCKS))


@dataclass(slots=True)
class Options:
    """What stands behind the value of SET, or the key of GETEX."""

    condition: bytes | None = None
    """NX or XX."""
    lifetime: bytes | None = None
    """KEEPTTL, PERSIST or one of CLOCKS."""
    clock: bytes | None = None
    """The lifetime, if that is one of CLOCKS."""
    time: bytes = b""
    """The number behind the clock."""
    get: bool = False


@key_command("GET", arity=2, flags=Flags.READONLY | Flags.FAST, since="1.0.0")
def get(partition: Partition, argv: Argv) -> Reply:
    """Return the string value of a key."""
    return partition.read_string(argv[1])


@key_command("SET", arity=-3, flags=Flags.WRITE | Flags.DENYOOM, since="1.0.0")
def set_(partition: Partition, argv: Argv) -> Reply:
    """Set the string value of a key, whatever it held; options for conditions and lifetime."""
    if len(argv) == 3:
        key = argv[1]
        if partition.heavy:
            partition.retire(key)
        partition.values[key] = argv[2]
        if partition.due_unix_ms != NEVER_UNIX_MS:
            partition.undate(key)
        partition.changed = True
        return OK
    if len(argv) == 5 and (clock := argv[3].upper()) in CLOCKS:
        _put_until(partition, argv[1], argv[2], _deadline(partition, clock, argv[4], "set"))
        return OK
    return _set_with(partition, argv[1], argv[2], _options(argv, 3, SET_OPTIONS))


@key_command("SETNX", arity=3, flags=Flags.WRITE | Flags.DENYOOM | Flags.FAST, since="1.0.0")
def setnx(partition: Partition, argv: Argv) -> Reply:
    """Set the string value of a key that does not exist."""
    if partition.value(argv[1]) is not None:
        return 0
    partition.put(argv[1], argv[2])
    return 1


@key_command("SETEX", arity=4, flags=Flags.WRITE | Flags.DENYOOM, since="2.0.0")
def setex(partition: Partition, argv: Argv) -> Reply:
    """Set the string value of a key, and its time to live in seconds."""
    _put_until(partition, argv[1], argv[3], _deadline(partition, b"EX", argv[2], "setex"))
    return OK


@key_command("PSETEX", arity=4, flags=Flags.WRITE | Flags.DENYOOM, since="2.6.0")
def psetex(partition: Partition, argv: Argv) -> Reply:
    """Set the string value of a key, and its time to live in milliseconds."""
    _put_until(partition, argv[1], argv[3], _deadline(partition, b"PX", argv[2], "psetex"))
    return OK


@key_command("GETSET", arity=3, flags=Flags.WRITE | Flags.DENYOOM | Flags.FAST, since="1.0.0")
def getset(partition: Partition, argv: Argv) -> Reply:
    """Set the string value of a key, and return the old one."""
    old = partition.read_string(argv[1])
    partition.put(argv[1], argv[2])
    return old


@key_command("GETDEL", arity=2, flags=Flags.WRITE | Flags.FAST, since="6.2.0")
def getdel(partition: Partition, argv: Argv) -> Reply:
    """Return the string value of a key, and delete it."""
    old = partition.read_string(argv[1])
    if old is not None:
        partition.delete(argv[1])
    return old


@key_command("GETEX", arity=-2, flags=Flags.WRITE | Flags.FAST, since="6.2.0")
def getex(partition: Partition, argv: Argv) -> Reply:
    """Return the string value of a key, and change its lifetime."""
    key, options = argv[1], _options(argv, 2, GETEX_OPTIONS)
    found = partition.read_string(key)
    if found is None:
        return None
    if options.clock is not None:
        partition.expire_or_delete(key, _deadline(partition, options.clock, options.time, "getex"))
    elif options.lifetime is not None and partition.persist(key):
        partition.rewrite([b"PERSIST", key])
    return found


@keys_command("MGET", arity=-2, flags=Flags.READONLY | Flags.FAST, since="1.0.0", keys=ALL, merge=Merge.EACH)
def mget(space: Keyspace, argv: Argv) -> Reply:
    """Return the string values of several keys; null for one that is missing or no string."""
    found = [space.at(key).read(key) for key in argv[1:]]
    return [string_of(value) for value in found]


@keys_command("MSET", arity=-3, flags=Flags.WRITE | Flags.DENYOOM, since="1.0.1", keys=PAIRS, merge=Merge.OK)
def mset(space: Keyspace, argv: Argv) -> Reply:
    """Set the string values of several keys."""
    if len(argv) % 2 == 0:
        raise WrongArity("mset")
    told = space.ledger.journal.listening != 0
    for at in range(1, len(argv), 2):
        key, value = argv[at], argv[at + 1]
        partition = space.at(key)
        if told:
            partition.place(key, value, WRITTEN)
        else:
            partition.put(key, value)
        if partition.has_copies:
            partition.rewrite([b"SET", key, value])
    return OK


@keys_command("MSETNX", arity=-3, flags=Flags.WRITE | Flags.DENYOOM, since="1.0.1", keys=PAIRS)
def msetnx(space: Keyspace, argv: Argv) -> Reply:
    """Set the string values of several keys if none of them exists."""
    pairs = _pairs(argv, "msetnx")
    if any(space.at(key).value(key) is not None for key, _ in pairs):
        return 0
    for key, value in pairs:
        space.at(key).place(key, value, WRITTEN)
    return 1


@key_command("APPEND", arity=3, flags=Flags.WRITE | Flags.DENYOOM | Flags.FAST, since="2.0.0")
def append(partition: Partition, argv: Argv) -> Reply:
    """Add to the end of a string, and return its length."""
    old = partition.text(argv[1])
    if old is None:
        partition.put(argv[1], argv[2])
        return len(argv[2])
    _refuse_too_long(len(old) + len(argv[2]))
    return partition.overwrite(argv[1], len(old), argv[2])


@key_command("STRLEN", arity=2, flags=Flags.READONLY | Flags.FAST, since="2.2.0")
def strlen(partition: Partition, argv: Argv) -> Reply:
    """Return the length of a string; 0 for a key that does not exist."""
    return len(partition.read_text(argv[1]) or b"")


@key_command("SUBSTR", arity=4, flags=Flags.READONLY, since="1.0.0")
@key_command("GETRANGE", arity=4, flags=Flags.READONLY, since="2.4.0")
def getrange(partition: Partition, argv: Argv) -> Reply:
    """Return a part of a string, both ends included; negative positions count from the end."""
    start, end = integer(argv[2]), integer(argv[3])
    text = partition.read_text(argv[1]) or b""
    if end < start < 0:
        return b""
    first = start if start >= 0 else max(0, len(text) + start)
    last = end if end >= 0 else max(0, len(text) + end)
    return (
        bytes(text[first : last + 1]) if first <= last else b""
    )  # mypyc 2.4 fails on a slice that ends before it begins


@key_command("SETRANGE", arity=4, flags=Flags.WRITE | Flags.DENYOOM, since="2.2.0")
def setrange(partition: Partition, argv: Argv) -> Reply:
    """Overwrite a string from a position on, and return its length; zero bytes fill a gap."""
    offset, piece = integer(argv[2]), argv[3]
    if offset < 0:
        raise CommandError("offset is out of range")
    old = partition.text(argv[1]) or b""
    if not piece:
        return len(old)
    _refuse_too_long(offset + len(piece))
    return partition.overwrite(argv[1], offset, piece)


def _set_with(partition: Partition, key: bytes, value: bytes, options: Options) -> Reply:
    deadline = None if options.clock is None else _deadline(partition, options.clock, options.time, "set")
    old = partition.read_string(key) if options.get else None
    exists = old is not None if options.get else partition.value(key) is not None
    if options.condition is not None and exists == (options.condition == b"NX"):
        return old
    if deadline is not None:
        _put_until(partition, key, value, deadline)
    elif options.lifetime is not None:
        partition.keep(key, value)
    else:
        partition.put(key, value)
    return old if options.get else OK


def _put_until(partition: Partition, key: bytes, value: bytes, deadline: int) -> None:
    if deadline <= partition.ledger.now_unix_ms:
        if not partition.delete(key):
            for event in (MADE, WRITTEN, EXPIRE, EXPIRED):
                partition.happened(event, key)
        return
    partition.put(key, value)
    partition.expire_at(key, deadline)
    partition.rewrite([b"SET", key, value, b"PXAT", b"%d" % deadline])


def _deadline(partition: Partition, clock: bytes, time: bytes, command: str) -> int:
    return deadline_unix_ms(time, clock, now_unix_ms=partition.ledger.now_unix_ms, command=command)


def _options(argv: Argv, start: int, known: frozenset[bytes]) -> Options:
    """Read the options from `start` on: one condition, one lifetime. Raises SyntaxRefused."""
    options = Options()
    arguments = iter(argv[start:])
    for argument in arguments:
        word = option(argument)
        if word not in known:
            raise SyntaxRefused
        if word == b"GET":
            options.get = True
        elif word in {b"NX", b"XX"}:
            if options.condition not in {None, word}:
                raise SyntaxRefused
            options.condition = word
        else:
            if options.lifetime not in {None, word}:
                raise SyntaxRefused
            options.lifetime = word
            if word in CLOCKS:
                options.clock, time = word, next(arguments, None)
                if time is None:
                    raise SyntaxRefused
                options.time = time
    return options


def _pairs(argv: Argv, command: str) -> list[tuple[bytes, bytes]]:
    if len(argv) % 2 == 0:
        raise WrongArity(command)
    return list(zip(argv[1::2], argv[2::2], strict=True))


def _refuse_too_long(length: int) -> None:
    if length > STRING_MAX_BYTES:
        raise CommandError("string exceeds maximum allowed size (proto-max-bulk-len)")
