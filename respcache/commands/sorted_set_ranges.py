"""Commands on ranges of sorted sets: by rank, by score, by member."""

from dataclasses import dataclass
from typing import Final

from respcache.commands.arguments import integer, option
from respcache.commands.events import RANGE_STORED
from respcache.commands.registry import FIRST_TWO, Flags, key_command, keys_command
from respcache.commands.spans import Members, Range, Ranks, Scores
from respcache.errors import CommandError, SyntaxRefused
from respcache.reply import Pairs, Reply
from respcache.store.keyspace import Keyspace
from respcache.store.partition import Argv, Partition
from respcache.store.ranking import Entry
from respcache.store.sorted_sets import SortedSet, of

BYRANK: Final = b"BYRANK"
BYSCORE: Final = b"BYSCORE"
BYLEX: Final = b"BYLEX"
KINDS: Final[dict[bytes, type[Range]]] = {BYRANK: Ranks, BYSCORE: Scores, BYLEX: Members}


@dataclass(slots=True)
class Query:
    """What a range command asks for."""

    by: bytes
    """One of KINDS."""
    backwards: bool
    with_scores: bool = False
    offset: int = 0
    limit: int = -1
    """Negative for no limit."""


@key_command("ZRANGE", arity=-4, flags=Flags.READONLY, since="1.2.0")
def zrange(partition: Partition, argv: Argv) -> Reply:
    """Return a range of members, by rank or (BYSCORE, BYLEX) otherwise, backwards with REV."""
    return _range(partition, argv, _options(argv, 4, by=None, backwards=None))


@key_command("ZREVRANGE", arity=-4, flags=Flags.READONLY, since="1.2.0")
def zrevrange(partition: Partition, argv: Argv) -> Reply:
    """Return a range of members by rank from the end."""
    return _range(partition, argv, _options(argv, 4, by=BYRANK, backwards=True))


@key_command("ZRANGEBYSCORE", arity=-4, flags=Flags.READONLY, since="1.0.5")
def zrangebyscore(partition: Partition, argv: Argv) -> Reply:
    """Return the members whose scores are in a range."""
    return _range(partition, argv, _options(argv, 4, by=BYSCORE, backwards=False))


@key_command("ZREVRANGEBYSCORE", arity=-4, flags=Flags.READONLY, since="2.2.0")
def zrevrangebyscore(partition: Partition, argv: Argv) -> Reply:
    """Return the members whose scores are in a range, from the highest on."""
    return _range(partition, argv, _options(argv, 4, by=BYSCORE, backwards=True))


@key_command("ZRANGEBYLEX", arity=-4, flags=Flags.READONLY, since="2.8.9")
def zrangebylex(partition: Partition, argv: Argv) -> Reply:
    """Return the members in a range of bytes, all of one score."""
    return _range(partition, argv, _options(argv, 4, by=BYLEX, backwards=False))


@key_command("ZREVRANGEBYLEX", arity=-4, flags=Flags.READONLY, since="2.8.9")
def zrevrangebylex(partition: Partition, argv: Argv) -> Reply:
    """Return the members in a range of bytes, all of one score, from the last on."""
    return _range(partition, argv, _options(argv, 4, by=BYLEX, backwards=True))


@keys_command("ZRANGESTORE", arity=-5, flags=Flags.WRITE | Flags.DENYOOM, since="6.2.0", keys=FIRST_TWO)
def zrangestore(space: Keyspace, argv: Argv) -> Reply:
    """Store a range of members, and return how many there are."""
    query = _options(argv, 5, by=None, backwards=None, stores=True)
    wanted = _wanted(query, argv[3], argv[4])
    source, target = argv[2], argv[1]
    found = space.at(source).read_aggregate(source, SortedSet)
    entries = [] if found is None else _entries(found, wanted, query)
    space.at(target).place(target, of(entries, space.ledger.limits) if entries else None, RANGE_STORED)
    return len(entries)


@key_command("ZCOUNT", arity=4, flags=Flags.READONLY | Flags.FAST, since="2.0.0")
def zcount(partition: Partition, argv: Argv) -> Reply:
    """Return how many members have a score in a range."""
    return _count(partition, argv[1], Scores(argv[2], argv[3]))


@key_command("ZLEXCOUNT", arity=4, flags=Flags.READONLY | Flags.FAST, since="2.8.9")
def zlexcount(partition: Partition, argv: Argv) -> Reply:
    """Return how many members are in a range of bytes, all of one score."""
    return _count(partition, argv[1], Members(argv[2], argv[3]))


@key_command("ZREMRANGEBYRANK", arity=4, flags=Flags.WRITE, since="2.0.0")
def zremrangebyrank(partition: Partition, argv: Argv) -> Reply:
    """Remove a range of members by rank, and return how many there were."""
    return _remove(partition, argv[1], Ranks(argv[2], argv[3]))


@key_command("ZREMRANGEBYSCORE", arity=4, flags=Flags.WRITE, since="1.2.0")
def zremrangebyscore(partition: Partition, argv: Argv) -> Reply:
    """Remove the members whose scores are in a range, and return how many there were."""
    return _remove(partition, argv[1], Scores(argv[2], argv[3]))


@key_command("ZREMRANGEBYLEX", arity=4, flags=Flags.WRITE, since="2.8.9")
def zremrangebylex(partition: Partition, argv: Argv) -> Reply:
    """Remove the members in a range of bytes, all of one score, and return how many there were."""
    return _remove(partition, argv[1], Members(argv[2], argv[3]))


def _range(partition: Partition, argv: Argv, query: Query) -> Reply:
    wanted = _wanted(query, argv[2], argv[3])
    found = partition.read_aggregate(argv[1], SortedSet)
    if query.with_scores:
        return Pairs([(member, score) for score, member in _entries(found, wanted, query)] if found is not None else [])
    return [] if found is None else list(_members(found, wanted, query))


def _options(argv: Argv, start: int, *, by: bytes | None, backwards: bool | None, stores: bool = False) -> Query:
    """Read the options; None stands for what they decide. Raises CommandError."""
    query = Query(by or BYRANK, bool(backwards))
    place, limited = start, False
    while place < len(argv):
        word = option(argv[place])
        if word == b"WITHSCORES" and not stores:
            query.with_scores = True
        elif word == b"LIMIT" and place + 2 < len(argv):
            query.offset, query.limit = integer(argv[place + 1]), integer(argv[place + 2])
            limited = query.limit != -1
            place += 2
        elif word == b"REV" and backwards is None and not query.backwards:
            query.backwards = True
        elif word in {BYSCORE, BYLEX} and by is None and query.by == BYRANK:
            query.by = word
        else:
            raise SyntaxRefused
        place += 1
    if limited and query.by == BYRANK:
        raise CommandError("syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX")
    if query.with_scores and query.by == BYLEX:
        raise CommandError("syntax error, WITHSCORES not supported in combination with BYLEX")
    return query


def _wanted(query: Query, one: bytes, other: bytes) -> Range:
    """Read the bounds; a range backwards, but for one of ranks, begins with its upper bound. Raises CommandError."""
    if query.backwards and query.by != BYRANK:
        one, other = other, one
    return KINDS[query.by](one, other)


def _entries(found: SortedSet, wanted: Range, query: Query) -> list[Entry]:
    first, last = _ranks(found, wanted, query)
    entries = found.ranking.slice(first, last)
    return entries[::-1] if query.backwards else entries


def _members(found: SortedSet, wanted: Range, query: Query) -> list[bytes]:
    first, last = _ranks(found, wanted, query)
    members = found.ranking.members(first, last)
    return members[::-1] if query.backwards else members


def _ranks(found: SortedSet, wanted: Range, query: Query) -> tuple[int, int]:
    """Give the ranks of the first and the last entry of what is asked for; first > last: there are none."""
    first, last = wanted.within(found)
    if query.by == BYRANK:
        return (len(found) - 1 - last, len(found) - 1 - first) if query.backwards else (first, last)
    if query.offset < 0:
        return 0, -1
    if query.backwards:
        last -= query.offset
        return (max(first, last - query.limit + 1) if query.limit >= 0 else first), last
    first += query.offset
    return first, (min(last, first + query.limit - 1) if query.limit >= 0 else last)


def _count(partition: Partition, key: bytes, wanted: Range) -> int:
    found = partition.read_aggregate(key, SortedSet)
    if found is None:
        return 0
    first, last = wanted.within(found)
    return max(0, last - first + 1)


def _remove(partition: Partition, key: bytes, wanted: Range) -> int:
    found = partition.aggregate(key, SortedSet)
    if found is None:
        return 0
    first, last = wanted.within(found)
    gone = found.ranking.slice(first, last)
    for _, member in gone:
        found.remove(member)
    if gone:
        partition.touched(key, found)
    return len(gone)
