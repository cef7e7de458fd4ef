"""DUMP and RESTORE: values in Redis' own format, to be carried from one server to another."""

from dataclasses import dataclass

from respcache.commands.arguments import INT64_MAX, integer, option
from respcache.commands.registry import Flags, key_command
from respcache.errors import CommandError, SyntaxRefused
from respcache.reply import OK, Reply
from respcache.store.copies import entry_effect
from respcache.store.events import MADE
from respcache.store.partition import Argv, Partition
from respcache.store.rdb import payload
from respcache.store.rdb.wrong import BadFormat, WrongFooter


@key_command("DUMP", arity=2, flags=Flags.READONLY, since="2.6.0")
def dump(partition: Partition, argv: Argv) -> Reply:
    """Return the value of a key in Redis' own format, or null; without its deadline."""
    found = partition.read(argv[1])
    return None if found is None else payload.dump(found, partition.ledger.limits)


@key_command("RESTORE", arity=-4, flags=Flags.WRITE | Flags.DENYOOM, since="2.6.0")
def restore(partition: Partition, argv: Argv) -> Reply:
    """Set a key to a value that DUMP has given, with a time to live."""
    key, ledger = argv[1], partition.ledger
    options = _options(argv)
    if not options.replace and partition.value(key) is not None:
        raise _BusyKey
    ttl_ms = integer(argv[2])
    if ttl_ms < 0:
        raise CommandError("Invalid TTL value, must be >= 0")
    try:
        value = payload.load(argv[3], ledger.limits)
    except WrongFooter:
        raise CommandError("DUMP payload version or checksum are wrong") from None
    except BadFormat:
        raise CommandError("Bad data format") from None
    deadline = ttl_ms if options.absolute or not ttl_ms else ledger.now_unix_ms + ttl_ms
    if ttl_ms and not ledger.now_unix_ms < deadline <= INT64_MAX:  # beyond 64 bits Redis comes out below 0
        partition.delete(key)
        return OK
    if partition.value(key) is not None:
        partition.happened(MADE, key)  # what REPLACE sets is new, in Redis' eyes
    partition.put(key, value)
    if deadline:
        partition.expire_at(key, deadline)
    if partition.log is not None:
        partition.rewrite(entry_effect(partition, key))
    ledger.usage.restore(
        partition, key, idle_ms=1000 * options.idle_s, count=options.count, now_unix_ms=ledger.now_unix_ms
    )
    return OK


class _BusyKey(CommandError):
    """There is such a key, and REPLACE was not said; nothing was changed."""

    code = "BUSYKEY"

    def __init__(self) -> None:
        super().__init__("Target key name already exists.")


@dataclass(slots=True)
class _Options:
    """What may follow a payload."""

    replace: bool = False
    absolute: bool = False
    """Whether the time to live is a time of the clock."""
    idle_s: int = -1
    count: int = -1
    """How often the key is used, as OBJECT FREQ tells; below 0 is not known, as above."""


def _options(argv: Argv) -> _Options:
    """Read what follows the payload. Raises CommandError."""
    options = _Options()
    arguments = iter(argv[4:])
    for argument in arguments:
        word = option(argument)
        if word == b"REPLACE":
            options.replace = True
        elif word == b"ABSTTL":
            options.absolute = True
        elif word == b"IDLETIME" and options.count < 0 and (operand := next(arguments, None)) is not None:
            options.idle_s = integer(operand)
            if options.idle_s < 0:
                raise CommandError("Invalid IDLETIME value, must be >= 0")
        elif word == b"FREQ" and options.idle_s < 0 and (operand := next(arguments, None)) is not None:
            options.count = integer(operand)
            if not 0 <= options.count <= 255:
                raise CommandError("Invalid FREQ value, must be >= 0 and <= 255")
        else:
            raise SyntaxRefused
    return options
