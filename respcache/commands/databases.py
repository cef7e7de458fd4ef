"""Commands on a whole database, or on all of them."""

from respcache.commands.arguments import INT32_MAX, INT32_MIN, option, ranged
from respcache.commands.registry import NO_KEYS, Flags, Merge, keys_command
from respcache.errors import CommandError, SyntaxRefused
from respcache.reply import OK, Reply
from respcache.store.keyspace import Keyspace
from respcache.store.partition import Argv
from respcache.store.swapping import swap

_COUNTS = Flags.READONLY | Flags.FAST


@keys_command("DBSIZE", arity=1, flags=_COUNTS, since="1.0.0", keys=NO_KEYS, merge=Merge.SUM)
def dbsize(space: Keyspace, argv: Argv) -> Reply:
    """Return how many keys the database holds."""
    del argv
    return sum(len(partition.values) for partition in space.served())


@keys_command("FLUSHDB", arity=-1, flags=Flags.WRITE, since="1.0.0", keys=NO_KEYS, merge=Merge.OK)
def flushdb(space: Keyspace, argv: Argv) -> Reply:
    """Delete all keys of the database."""
    _check_manner(argv)
    _flush(space)
    space.store.flushed()
    return OK


@keys_command("FLUSHALL", arity=-1, flags=Flags.WRITE, since="1.0.0", keys=NO_KEYS, merge=Merge.OK)
def flushall(space: Keyspace, argv: Argv) -> Reply:
    """Delete all keys of all databases."""
    _check_manner(argv)
    for database in space.databases():
        _flush(database)
    space.store.flushed()
    return OK


@keys_command("SWAPDB", arity=3, flags=Flags.WRITE | Flags.FAST, since="4.0.0", keys=NO_KEYS)
def swapdb(space: Keyspace, argv: Argv) -> Reply:
    """Exchange two databases: whoever has selected one has the keys of the other from then on."""
    one, other = exchanged(argv, len(space.store))
    if one != other:
        swap(space.store, [partition.number for partition in space.served()], one, other)
        space.store.flushed()
    return OK


def exchanged(argv: Argv, databases: int) -> tuple[int, int]:
    """Read which of so many databases SWAPDB is to exchange. Raises CommandError."""
    one = _index(argv[1], "invalid first DB index")
    other = _index(argv[2], "invalid second DB index")
    if not (0 <= one < databases and 0 <= other < databases):
        raise CommandError("DB index is out of range")
    return one, other


def _index(text: bytes, refusal: str) -> int:
    try:
        return ranged(text, INT32_MIN, INT32_MAX)
    except CommandError:
        raise CommandError(refusal) from None


def _flush(space: Keyspace) -> None:
    for partition in space.served():
        partition.flush()


def _check_manner(argv: Argv) -> None:
    """Let ASYNC and SYNC pass: to drop a dict is quick enough for both. Raises SyntaxRefused."""
    if len(argv) > 2 or (len(argv) == 2 and option(argv[1]) not in {b"ASYNC", b"SYNC"}):
        raise SyntaxRefused
