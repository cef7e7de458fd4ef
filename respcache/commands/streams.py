"""Commands on the entries of streams; those about groups of consumers stand in modules of their own."""

from typing import Final

from respcache.commands.arguments import integer, option
from respcache.commands.registry import Flags, key_command
from respcache.commands.stream_arguments import (
    end_of,
    id_text,
    partial_id,
    shown,
    start_of,
    strict_id,
)
from respcache.errors import CommandError, SyntaxRefused, WrongArity
from respcache.reply import NULL_ARRAY, OK, Reply
from respcache.store.limits import Limits
from respcache.store.partition import Argv, Partition
from respcache.store.stream_blocks import ID_MAX, SEQUENCE_BITS, SEQUENCE_MAX
from respcache.store.streams import Stream

_ADDS: Final = Flags.WRITE | Flags.DENYOOM | Flags.FAST
BLOCKS_TRIMMED: Final = 100
"""How many full blocks an approximate trim drops at most, unless told."""


class Trim:
    """How a stream is to be cut short."""

    __slots__ = ("approximate", "least", "limit", "most")

    def __init__(self) -> None:
        self.most = -1
        """Entries that are to stay; -1 where it is not about their number."""
        self.least = -1
        """The lowest id that is to stay; -1 where it is not about ids."""
        self.approximate = False
        self.limit: int | None = None
        """How many entries an approximate trim drops at most, 0 for no limit; None where that was not said."""

    @property
    def is_none(self) -> bool:
        """Whether nothing is to go."""
        return self.most < 0 and self.least < 0

    def apply(self, found: Stream, limits: Limits) -> int:
        """Cut a stream, and return how many entries went."""
        limit = BLOCKS_TRIMMED * limits.stream_entries if self.limit is None else self.limit
        limit = limit if self.approximate else 0
        if self.most >= 0:
            return found.trim_length(self.most, whole=self.approximate, limit=limit)
        return found.trim_below(self.least, whole=self.approximate, limit=limit)


@key_command("XADD", arity=-5, flags=_ADDS, since="5.0.0")
def xadd(partition: Partition, argv: Argv) -> Reply:  # noqa: C901 # a call is a tenth of it
    """Add an entry to a stream, and return its id; with options to cut the stream short."""
    trim: Trim | None = None
    place, makes = 2, True
    if argv[2] != b"*":
        trim, place, makes = _xadd_options(argv)
    count = len(argv) - place - 1
    if count < 2 or count % 2:
        raise WrongArity("xadd")
    key, wish = argv[1], argv[place]
    number, open_ended = (0, True) if wish == b"*" else partial_id(wish)
    if number == 0 and not open_ended:
        raise CommandError("The ID specified in XADD must be greater than 0-0")
    found = partition.aggregate(key, Stream)
    if found is None and not makes:
        return None
    last = 0 if found is None else found.last
    if last == ID_MAX:
        raise CommandError("The stream has exhausted the last possible ID, unable to add more items")
    if wish == b"*":
        number = max(partition.ledger.now_unix_ms << SEQUENCE_BITS, last + 1)
    elif open_ended and last >> SEQUENCE_BITS == number >> SEQUENCE_BITS:
        number = last + 1 if last & SEQUENCE_MAX < SEQUENCE_MAX else 0
    if number <= last:
        raise CommandError("The ID specified in XADD is equal or smaller than the target stream top item")
    if found is None:
        found = Stream()
        partition.put(key, found)
    fields = argv[place + 1 :]
    found.append(number, fields, partition.ledger.limits)
    partition.grown(found.length)
    text = id_text(number)
    if trim is not None and not trim.is_none:
        partition.rewrite([b"XADD", key, text, *fields])
        _trim(partition, key, found, trim)
    elif open_ended:
        partition.rewrite([b"XADD", key, text, *fields])
    return text


@key_command("XLEN", arity=2, flags=Flags.READONLY | Flags.FAST, since="5.0.0")
def xlen(partition: Partition, argv: Argv) -> Reply:
    """Return how many entries a stream has."""
    found = partition.read_aggregate(argv[1], Stream)
    return 0 if found is None else found.length


@key_command("XRANGE", arity=-4, flags=Flags.READONLY, since="5.0.0")
def xrange(partition: Partition, argv: Argv) -> Reply:
    """Return the entries of a stream between two ids."""
    start, end = start_of(argv[2]), end_of(argv[3])
    count = _range_count(argv)
    found = partition.read_aggregate(argv[1], Stream)
    if found is None:
        return []
    return NULL_ARRAY if count == 0 else shown(found.range(start, end, max(count, 0)))


@key_command("XREVRANGE", arity=-4, flags=Flags.READONLY, since="5.0.0")
def xrevrange(partition: Partition, argv: Argv) -> Reply:
    """Return the entries of a stream between two ids, the last one first."""
    start, end = start_of(argv[3]), end_of(argv[2])
    count = _range_count(argv)
    found = partition.read_aggregate(argv[1], Stream)
    if found is None:
        return []
    return NULL_ARRAY if count == 0 else shown(found.backwards(start, end, max(count, 0)))


@key_command("XDEL", arity=-3, flags=Flags.WRITE | Flags.FAST, since="5.0.0")
def xdel(partition: Partition, argv: Argv) -> Reply:
    """Delete entries of a stream, and return how many there were."""
    found = partition.aggregate(argv[1], Stream)
    if found is None:
        return 0
    deleted = sum([found.remove(number) for number in [strict_id(text) for text in argv[2:]]])
    if deleted:
        partition.changed = True
    return deleted


@key_command("XTRIM", arity=-4, flags=Flags.WRITE, since="5.0.0")
def xtrim(partition: Partition, argv: Argv) -> Reply:
    """Cut a stream short, to a number of entries or a lowest id; return how many entries went."""
    trim, place = Trim(), 2
    limit: int | None = None
    while place < len(argv):
        step, limit = _trim_option(argv, place, trim, limit)
        if not step:
            raise SyntaxRefused
        place += step
    _check_trim(trim, limit)
    if trim.is_none:
        raise CommandError("syntax error, XTRIM must be called with a trimming strategy")
    found = partition.aggregate(argv[1], Stream)
    return 0 if found is None else _trim(partition, argv[1], found, trim)


@key_command("XSETID", arity=-3, flags=_ADDS, since="5.0.0")
def xsetid(partition: Partition, argv: Argv) -> Reply:
    """Set the last id of a stream, and what it has counted."""
    last = strict_id(argv[2])
    added, deleted = _xsetid_options(argv, last)
    found = partition.aggregate(argv[1], Stream)
    if found is None:
        raise CommandError("no such key")
    if found.length and last < found.deleted:
        raise CommandError("The ID specified in XSETID is smaller than current max_deleted_entry_id")
    if found.length and last < found.top:
        raise CommandError("The ID specified in XSETID is smaller than the target stream top item")
    if found.length and -1 < added < found.length:
        raise CommandError("The entries_added specified in XSETID is smaller than the target stream length")
    found.last = last
    found.added = found.added if added < 0 else added
    found.deleted = deleted or found.deleted
    partition.changed = True
    return OK


def _trim(partition: Partition, key: bytes, found: Stream, trim: Trim) -> int:
    """Cut a stream; the copies are told of what stays, for their blocks may be others."""
    dropped = trim.apply(found, partition.ledger.limits)
    if dropped:
        partition.changed = True
        partition.rewrite([b"XTRIM", key, b"MAXLEN", b"=", b"%d" % found.length])
    return dropped


def _xadd_options(argv: Argv) -> tuple[Trim, int, bool]:
    """Read what stands before the id: how to trim, where the id is, whether to make a stream. Raises CommandError."""
    trim, place, makes = Trim(), 2, True
    limit: int | None = None
    while place < len(argv) and argv[place] != b"*":
        step, limit = _trim_option(argv, place, trim, limit)
        if not step:
            if option(argv[place]) != b"NOMKSTREAM":
                partial_id(argv[place])
                break
            makes, step = False, 1
        place += step
    _check_trim(trim, limit)
    return trim, min(place, len(argv) - 1), makes


def _trim_option(argv: Argv, place: int, trim: Trim, limit: int | None) -> tuple[int, int | None]:
    """Read MAXLEN, MINID or LIMIT: how many words they are, 0 for anything else; and the limit. Raises CommandError."""
    word, more = option(argv[place]), len(argv) - place - 1
    if not more:
        return 0, limit
    if word == b"LIMIT":
        limit = integer(argv[place + 1])
        if limit < 0:
            raise CommandError("The LIMIT argument must be >= 0.")
        return 2, limit
    if word not in {b"MAXLEN", b"MINID"}:
        return 0, limit
    if not trim.is_none:
        raise CommandError("syntax error, MAXLEN and MINID options at the same time are not compatible")
    how = argv[place + 1].partition(b"\0")[0]
    signed = more >= 2 and how in {b"~", b"="}
    trim.approximate = signed and how == b"~"
    operand = argv[place + 1 + signed]
    if word == b"MAXLEN":
        trim.most = integer(operand)
        if trim.most < 0:
            raise CommandError("The MAXLEN argument must be >= 0.")
    else:
        trim.least = strict_id(operand)
    return 2 + signed, limit


def _check_trim(trim: Trim, limit: int | None) -> None:
    if limit and trim.is_none:
        raise CommandError("syntax error, LIMIT cannot be used without specifying a trimming strategy")
    if limit is not None and not trim.approximate and not trim.is_none:
        raise CommandError("syntax error, LIMIT cannot be used without the special ~ option")
    if limit is not None and trim.is_none:
        raise CommandError("syntax error, LIMIT cannot be used without the special ~ option")
    trim.limit = limit


def _range_count(argv: Argv) -> int:
    """Read `[COUNT count]`; -1 without. Raises CommandError."""
    count = -1
    arguments = iter(argv[4:])
    for argument in arguments:
        operand = next(arguments, None)
        if option(argument) != b"COUNT" or operand is None:
            raise SyntaxRefused
        count = max(integer(operand), 0)
    return count


def _xsetid_options(argv: Argv, last: int) -> tuple[int, int]:
    """Read ENTRIESADDED, -1 without, and MAXDELETEDID, 0 without. Raises CommandError."""
    added, deleted = -1, 0
    arguments = iter(argv[3:])
    for argument in arguments:
        word, operand = option(argument), next(arguments, None)
        if operand is None:
            raise SyntaxRefused
        if word == b"ENTRIESADDED":
            added = integer(operand)
            if added < 0:
                raise CommandError("entries_added must be positive")
        elif word == b"MAXDELETEDID":
            deleted = strict_id(operand)
            if last < deleted:
                raise CommandError("The ID specified in XSETID is smaller than the provided max_deleted_entry_id")
        else:
            raise SyntaxRefused
    return added, deleted
