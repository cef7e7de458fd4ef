"""Commands on keys, whatever they hold."""

from typing import Final

from respcache.commands.arguments import option, other_database
from respcache.commands.events import COPIED_TO, MOVED_FROM, MOVED_TO, RENAMED_FROM, RENAMED_TO
from respcache.commands.registry import (
    ALL,
    FIRST,
    FIRST_TWO,
    NO_KEYS,
    Flags,
    KeySpec,
    Merge,
    command,
    family,
    key_command,
    keys_command,
)
from respcache.commands.session import Session
from respcache.commands.walking import ScanOptions, cursor, scan_options
from respcache.errors import CommandError, SyntaxRefused
from respcache.glob import matcher
from respcache.reply import OK, Reply, Status
from respcache.store.events import DELETED, MADE
from respcache.store.keyspace import Keyspace
from respcache.store.partition import Argv, Partition
from respcache.store.scan import Wanted, scan
from respcache.store.usage import Tracking
from respcache.store.values import KINDS, Value, copied, encoding, references

NO_KIND: Final = Status(b"none")
_KIND_REPLIES: Final = {kind: Status(name) for kind, name in KINDS.items()}

_OBJECT_KEY: Final = KeySpec(2, 2, 1)
OBJECT_HELP: Final[list[Reply]] = [
    Status(line)
    for line in (
        b"OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
        b"ENCODING <key>",
        b"    Return the kind of internal representation used in order to store the value",
        b"    associated with a <key>.",
        b"FREQ <key>",
        b"    Return the access frequency index of the <key>. The returned integer is",
        b"    proportional to the logarithm of the recent access frequency of the key.",
        b"IDLETIME <key>",
        b"    Return the idle time of the <key>, that is the approximated number of",
        b"    seconds elapsed since the last access to the key.",
        b"REFCOUNT <key>",
        b"    Return the number of references of the value associated with the specified",
        b"    <key>.",
        b"HELP",
        b"    Prints this help.",
    )
]


@keys_command("UNLINK", arity=-2, flags=Flags.WRITE | Flags.FAST, since="4.0.0", keys=ALL, merge=Merge.SUM)
@keys_command("DEL", arity=-2, flags=Flags.WRITE, since="1.0.0", keys=ALL, merge=Merge.SUM)
def delete(space: Keyspace, argv: Argv) -> Reply:
    """Delete keys, and return how many there were."""
    return sum([_delete(space.at(key), key) for key in argv[1:]])


@keys_command("TOUCH", arity=-2, flags=Flags.READONLY | Flags.FAST, since="3.2.1", keys=ALL, merge=Merge.SUM)
@keys_command("EXISTS", arity=-2, flags=Flags.READONLY | Flags.FAST, since="1.0.0", keys=ALL, merge=Merge.SUM)
def exists(space: Keyspace, argv: Argv) -> Reply:
    """Return how many of the keys exist; one that is named twice counts twice."""
    return sum([space.at(key).read(key) is not None for key in argv[1:]])


@key_command("TYPE", arity=2, flags=Flags.READONLY | Flags.FAST, since="1.0.0")
def type_(partition: Partition, argv: Argv) -> Reply:
    """Return the kind of value that a key holds."""
    found = partition.read(argv[1])
    return NO_KIND if found is None else _KIND_REPLIES[type(found)]


@keys_command("RENAME", arity=3, flags=Flags.WRITE, since="1.0.0", keys=FIRST_TWO)
def rename(space: Keyspace, argv: Argv) -> Reply:
    """Give a key another name, in place of what has that name."""
    _rename(space, argv[1], argv[2], replace=True)
    return OK


@keys_command("RENAMENX", arity=3, flags=Flags.WRITE | Flags.FAST, since="1.0.0", keys=FIRST_TWO)
def renamenx(space: Keyspace, argv: Argv) -> Reply:
    """Give a key another name, unless something has that name."""
    return int(_rename(space, argv[1], argv[2], replace=False))


@keys_command("COPY", arity=-3, flags=Flags.WRITE | Flags.DENYOOM, since="6.2.0", keys=FIRST_TWO)
def copy(space: Keyspace, argv: Argv) -> Reply:
    """Copy a key, to another database at wish."""
    target, replace = space, False
    arguments = iter(argv[3:])
    for argument in arguments:
        word = option(argument)
        database = next(arguments, None) if word == b"DB" else None
        if word == b"REPLACE":
            replace = True
        elif database is not None:
            target = other_database(space, database)
        else:
            raise SyntaxRefused
    source, name = argv[1], argv[2]
    if target.number == space.number and source == name:
        raise _SameObject
    found = space.at(source).read(source)
    if found is None or (target.at(name).value(name) is not None and not replace):
        return 0
    _place(target, name, copied(found), space.at(source).deadline(source))
    target.at(name).happened(COPIED_TO, name)
    return 1


@keys_command("MOVE", arity=3, flags=Flags.WRITE | Flags.FAST, since="1.0.0", keys=FIRST)
def move(space: Keyspace, argv: Argv) -> Reply:
    """Move a key to another database, unless that has such a key."""
    key, target = argv[1], other_database(space, argv[2])
    if target.number == space.number:
        raise _SameObject
    found = space.at(key).value(key)
    if found is None or target.at(key).value(key) is not None:
        return 0
    _place(target, key, found, space.at(key).deadline(key))
    space.at(key).detach(key)
    space.at(key).happened(MOVED_FROM, key)
    target.at(key).happened(MOVED_TO, key)
    return 1


@keys_command("KEYS", arity=2, flags=Flags.READONLY, since="1.0.0", keys=NO_KEYS, merge=Merge.CONCAT)
def keys(space: Keyspace, argv: Argv) -> Reply:
    """Return all keys that match a pattern."""
    found = [key for partition in space.served() for key in partition.live_keys()]
    if argv[1] == b"*":
        return list(found)
    matches = matcher(argv[1])
    return [key for key in found if matches(key)]


@keys_command("RANDOMKEY", arity=1, flags=Flags.READONLY, since="1.0.0", keys=NO_KEYS, merge=Merge.ANY)
def randomkey(space: Keyspace, argv: Argv) -> Reply:
    """Return any key."""
    del argv
    partitions = [partition for partition in space.served() if partition.values]
    rng = space.ledger.rng
    while partitions:
        partition = rng.choices(partitions, [len(partition.values) for partition in partitions])[0]
        candidates = list(partition.live_keys())
        if candidates:
            return rng.choice(candidates)
        partitions.remove(partition)
    return None


@keys_command("SCAN", arity=-2, flags=Flags.READONLY, since="2.8.0", keys=NO_KEYS, merge=Merge.WALK)
def scan_(space: Keyspace, argv: Argv) -> Reply:
    """Walk through the keys a few at a time; return where to go on, and what was found."""
    start = cursor(argv[1])
    options = scan_options(argv, 2, with_type=True)
    following, found = scan(space, start, options.count, _wanted(options))
    return [b"%d" % following, list(found)]


family("OBJECT", since="2.2.3")


@key_command("OBJECT|ENCODING", arity=3, flags=Flags.READONLY, since="2.2.3", keys=_OBJECT_KEY)
def object_encoding(partition: Partition, argv: Argv) -> Reply:
    """Return how Redis would store the value of a key."""
    found = partition.inspect(argv[2])
    return None if found is None else encoding(found)


@key_command("OBJECT|REFCOUNT", arity=3, flags=Flags.READONLY, since="2.2.3", keys=_OBJECT_KEY)
def object_refcount(partition: Partition, argv: Argv) -> Reply:
    """Return how many references Redis would hold to the value of a key."""
    found = partition.inspect(argv[2])
    return None if found is None else references(found)


@key_command("OBJECT|IDLETIME", arity=3, flags=Flags.READONLY, since="2.2.3", keys=_OBJECT_KEY)
def object_idletime(partition: Partition, argv: Argv) -> Reply:
    """Return the seconds since a key was used; 0 unless `maxmemory-policy` is one of lru, for it is not recorded."""
    key, ledger = argv[2], partition.ledger
    if partition.inspect(key) is None:
        return None
    if ledger.usage.tracking is Tracking.FREQUENCY:
        raise _NotTracked("An LFU maxmemory policy is selected, idle time not tracked.")
    return ledger.usage.idle_ms(partition, key, ledger.now_unix_ms) // 1000


@key_command("OBJECT|FREQ", arity=3, flags=Flags.READONLY, since="4.0.0", keys=_OBJECT_KEY)
def object_freq(partition: Partition, argv: Argv) -> Reply:
    """Return how often a key is used, from 0 to 255 on a scale of powers, if `maxmemory-policy` is one of lfu."""
    key, usage = argv[2], partition.ledger.usage
    if partition.inspect(key) is None:
        return None
    if usage.tracking is not Tracking.FREQUENCY:
        raise _NotTracked("An LFU maxmemory policy is not selected, access frequency not tracked.")
    return usage.frequency(partition, key)


@command("OBJECT|HELP", arity=2, flags=Flags.LOADING | Flags.STALE, since="6.2.0")
def object_help(session: Session, argv: Argv) -> Reply:
    """Describe the OBJECT commands."""
    del session, argv
    return OBJECT_HELP


class _NotTracked(CommandError):
    """What was asked for is not recorded under the policy that is set."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"{reason} Please note that when switching between policies at runtime LRU and LFU data will take some "
            "time to adjust."
        )


class _SameObject(CommandError):
    """Source and target are one key; nothing was done."""

    def __init__(self) -> None:
        super().__init__("source and destination objects are the same")


def _rename(space: Keyspace, source: bytes, name: bytes, *, replace: bool) -> bool:
    """Move a value and its deadline to another name; False if that is taken. Raises CommandError."""
    found = space.at(source).value(source)
    if found is None:
        raise CommandError("no such key")
    if source == name:
        return False
    if not replace and space.at(name).value(name) is not None:
        return False
    partition = space.at(source)
    deadline = partition.deadline(source)
    partition.detach(source)
    _place(space, name, found, deadline)
    if space.at(name) is partition:
        partition.rewrite([b"RENAME", source, name])  # copies have the value, be it of a million elements
    partition.happened(RENAMED_FROM, source)
    space.at(name).happened(RENAMED_TO, name)
    return True


def _delete(partition: Partition, key: bytes) -> bool:
    deleted = partition.delete(key)
    if deleted:
        partition.happened(DELETED, key)
    return deleted


def _place(space: Keyspace, key: bytes, value: Value, deadline: int | None) -> None:
    """Put a value and its deadline in place of whatever the key held."""
    partition = space.at(key)
    partition.happened(MADE, key)
    partition.put(key, value)
    if deadline is not None:
        partition.expire_at(key, deadline)


def _wanted(options: ScanOptions) -> Wanted | None:
    matches, kind = options.matches, options.kind
    if matches is None and kind is None:
        return None

    def wanted(partition: Partition, key: bytes) -> bool:
        return (matches is None or matches(key)) and (kind is None or KINDS[type(partition.values[key])] == kind)

    return wanted
