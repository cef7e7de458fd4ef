"""Commands on single members of sorted sets, and on those at the ends."""

import math
from typing import Final

from respcache.commands.arguments import INT64_MAX, bounded, counted_keys, option, ranged
from respcache.commands.doubles import double
from respcache.commands.events import POPPED_HIGHEST, POPPED_LOWEST
from respcache.commands.lists import pop_count
from respcache.commands.registry import COUNTED, Flags, key_command, keys_command
from respcache.commands.walking import ENDED, REPEATED_MAX, cursor, scan_options
from respcache.errors import CommandError, OutOfRange, SyntaxRefused, WrongArity
from respcache.reply import NULL_ARRAY, Pairs, Reply
from respcache.resp.encode import float_text
from respcache.store.events import DELETED
from respcache.store.keyspace import Keyspace
from respcache.store.partition import Argv, Partition
from respcache.store.ranking import Entry
from respcache.store.sorted_sets import SortedSet

_READS = Flags.READONLY | Flags.FAST
_WRITES = Flags.WRITE | Flags.DENYOOM | Flags.FAST
_POPS = Flags.WRITE | Flags.FAST

LISTPACK_WHOLE_MAX: Final = 2.0**62
ADD_OPTIONS: Final = frozenset((b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"))


@key_command("ZADD", arity=-4, flags=_WRITES, since="1.2.0")
def zadd(partition: Partition, argv: Argv) -> Reply:
    """Give members scores, and return how many are new; options for conditions, counts and sums."""
    if len(argv) == 4 and option(argv[2]) not in ADD_OPTIONS:
        return _add(partition, argv[1], double(argv[2]), argv[3])
    place, options = 2, set[bytes]()
    while place < len(argv) and (word := option(argv[place])) in ADD_OPTIONS:
        options.add(word)
        place += 1
    pairs = argv[place:]
    if not pairs or len(pairs) % 2:
        raise SyntaxRefused
    _refuse_contradictions(options, len(pairs) // 2)
    scores = [double(text) for text in pairs[::2]]
    if b"INCR" in options:
        return _increase(partition, argv[1], pairs[1], scores[0], options)
    found = partition.aggregate(argv[1], SortedSet)
    if found is None and b"XX" in options:
        return 0
    made = found or _made(partition, argv[1])
    added = updated = 0
    for score, member in zip(scores, pairs[1::2], strict=True):
        old = made.score(member)
        if (options and not _allowed(options, old, score)) or old == score:
            continue
        made.set(member, score, partition.ledger.limits)
        added, updated = (added + 1, updated) if old is None else (added, updated + 1)
    if added or updated:
        partition.grown(len(made))
    return added + updated if b"CH" in options else added


@key_command("ZINCRBY", arity=4, flags=_WRITES, since="1.2.0")
def zincrby(partition: Partition, argv: Argv) -> Reply:
    """Add to the score of a member, and return the sum."""
    if option(argv[2]) in ADD_OPTIONS:  # as Redis reads it: an option of ZADD, behind which too little follows
        raise SyntaxRefused
    return _increase(partition, argv[1], argv[3], double(argv[2]), set())


@key_command("ZREM", arity=-3, flags=Flags.WRITE | Flags.FAST, since="1.2.0")
def zrem(partition: Partition, argv: Argv) -> Reply:
    """Remove members from a sorted set, and return how many there were."""
    found = partition.aggregate(argv[1], SortedSet)
    if found is None:
        return 0
    removed = sum([found.remove(member) for member in argv[2:]])
    if removed:
        partition.touched(argv[1], found)
    return removed


@key_command("ZCARD", arity=2, flags=_READS, since="1.2.0")
def zcard(partition: Partition, argv: Argv) -> Reply:
    """Return how many members a sorted set has."""
    found = partition.read_aggregate(argv[1], SortedSet)
    return 0 if found is None else len(found)


@key_command("ZSCORE", arity=3, flags=_READS, since="1.2.0")
def zscore(partition: Partition, argv: Argv) -> Reply:
    """Return the score of a member."""
    found = partition.read_aggregate(argv[1], SortedSet)
    return None if found is None else found.score(argv[2])


@key_command("ZMSCORE", arity=-3, flags=_READS, since="6.2.0")
def zmscore(partition: Partition, argv: Argv) -> Reply:
    """Return the scores of several members; null for one that does not exist."""
    found = partition.read_aggregate(argv[1], SortedSet)
    return [None if found is None else found.score(member) for member in argv[2:]]


@key_command("ZRANK", arity=-3, flags=_READS, since="2.0.0")
def zrank(partition: Partition, argv: Argv) -> Reply:
    """Return how many members stand before one; WITHSCORE its score, too."""
    with_score = _with_score(argv, "ZRANK")
    found = partition.read_aggregate(argv[1], SortedSet)
    rank = None if found is None else found.rank(argv[2])
    if found is None or rank is None:
        return NULL_ARRAY if with_score else None
    return [rank, found.score(argv[2])] if with_score else rank


@key_command("ZREVRANK", arity=-3, flags=_READS, since="2.0.0")
def zrevrank(partition: Partition, argv: Argv) -> Reply:
    """Return how many members stand behind one; WITHSCORE its score, too."""
    with_score = _with_score(argv, "ZREVRANK")
    found = partition.read_aggregate(argv[1], SortedSet)
    rank = None if found is None else found.rank(argv[2])
    if found is None or rank is None:
        return NULL_ARRAY if with_score else None
    behind = len(found) - 1 - rank
    return [behind, found.score(argv[2])] if with_score else behind


@key_command("ZPOPMIN", arity=-2, flags=_POPS, since="5.0.0")
def zpopmin(partition: Partition, argv: Argv) -> Reply:
    """Take the member with the lowest score, or several."""
    return _pop(partition, argv, lowest=True)


@key_command("ZPOPMAX", arity=-2, flags=_POPS, since="5.0.0")
def zpopmax(partition: Partition, argv: Argv) -> Reply:
    """Take the member with the highest score, or several."""
    return _pop(partition, argv, lowest=False)


@keys_command("ZMPOP", arity=-4, flags=Flags.WRITE | Flags.MOVABLEKEYS, since="7.0.0", keys=COUNTED)
def zmpop(space: Keyspace, argv: Argv) -> Reply:
    """Take members from the first of several sorted sets that has any."""
    keys, lowest, count = zmpop_arguments(argv, 1)
    taken = take_first(space, keys, lowest=lowest, count=count)
    return NULL_ARRAY if taken is None else [taken[0], [[member, score] for score, member in taken[1]]]


@key_command("ZRANDMEMBER", arity=-2, flags=Flags.READONLY, since="6.2.0")
def zrandmember(partition: Partition, argv: Argv) -> Reply:
    """Return a random member of a sorted set, or several, distinct or (with a negative count) not."""
    rng = partition.ledger.rng
    if len(argv) == 2:
        found = partition.read_aggregate(argv[1], SortedSet)
        return None if found is None else rng.choice(found.table.names)
    count = ranged(argv[2], -INT64_MAX, INT64_MAX)
    with_scores = len(argv) == 4 and option(argv[3]) == b"WITHSCORES"
    if len(argv) > 3 and not with_scores:
        raise SyntaxRefused
    if with_scores and not -INT64_MAX // 2 < count <= INT64_MAX // 2:
        raise OutOfRange
    found = partition.read_aggregate(argv[1], SortedSet)
    if found is None:
        return Pairs([]) if with_scores else []
    table = found.table
    if count >= len(found):
        chosen = [(member, score) for score, member in found.ranking.slice(0, len(found) - 1)]
    elif count >= -REPEATED_MAX:
        places = range(len(found))
        drawn = rng.sample(places, count) if count >= 0 else rng.choices(places, k=-count)
        chosen = [(table.names[place], table.values[place]) for place in drawn]
    else:
        raise OutOfRange
    return Pairs([(member, score) for member, score in chosen]) if with_scores else [member for member, _ in chosen]


@key_command("ZSCAN", arity=-3, flags=Flags.READONLY, since="2.8.0")
def zscan(partition: Partition, argv: Argv) -> Reply:
    """Walk through the members of a sorted set a few at a time; return where to go on, and what was found."""
    start = cursor(argv[2])
    found = partition.read_aggregate(argv[1], SortedSet)
    if found is None:
        return ENDED
    options, table, text = scan_options(argv, 3), found.table, float_text
    following, positions = table.walk(start, options.count)
    entries = [(table.names[position], table.values[position]) for position in positions]
    if table.compact:
        entries = [(member, score) for score, member in found.ranking.slice(0, len(found) - 1)]
        text = _packed
    matches = options.matches
    pairs: list[Reply] = []
    for member, score in entries:
        if matches is None or matches(member):
            pairs += [member, text(score)]
    return [b"%d" % following, pairs]


def _packed(number: float) -> bytes:
    """Write a score as Redis' listpack holds it: whole numbers as such, as far as its conversion goes."""
    return b"%d" % int(number) if abs(number) <= LISTPACK_WHOLE_MAX and number.is_integer() else float_text(number)


def _with_score(argv: Argv, command: str) -> bool:
    """Read WITHSCORE, if anything is left. Raises WrongArity or SyntaxRefused."""
    if len(argv) == 3:
        return False
    if len(argv) > 4:
        raise WrongArity(command)
    if option(argv[3]) != b"WITHSCORE":
        raise SyntaxRefused
    return True


def take(partition: Partition, key: bytes, found: SortedSet, *, lowest: bool, count: int) -> list[Entry]:
    """Take up to `count` members off one end of the sorted set at key."""
    number = min(count, len(found))
    last = len(found) - 1
    taken = found.ranking.slice(0, number - 1) if lowest else found.ranking.slice(last - number + 1, last)[::-1]
    for _, member in taken:
        found.remove(member)
    if taken:
        partition.touched(key, found)
    return taken


def take_first(space: Keyspace, keys: list[bytes], *, lowest: bool, count: int) -> tuple[bytes, list[Entry]] | None:
    """Take up to `count` members from the first sorted set that has any: its key, and them."""
    for key in keys:
        partition = space.at(key)
        found = partition.aggregate(key, SortedSet)
        if found is not None:
            taken = take(partition, key, found, lowest=lowest, count=count)
            partition.rewrite([b"ZREM", key, *(member for _, member in taken)])
            partition.happened(POPPED_LOWEST if lowest else POPPED_HIGHEST, key)
            if key not in partition.values:
                partition.happened(DELETED, key)
            return key, taken
    return None


def zmpop_arguments(argv: Argv, at: int) -> tuple[list[bytes], bool, int]:
    """Read `numkeys key ... MIN|MAX [COUNT count]`: keys, whether the lowest, count. Raises CommandError."""
    keys, options = counted_keys(argv, at, refusal="numkeys should be greater than 0", too_many="syntax error")
    end = option(options[0]) if options else b""
    if end not in {b"MIN", b"MAX"}:
        raise SyntaxRefused
    return keys, end == b"MIN", pop_count(options[1:])


def _refuse_contradictions(options: set[bytes], pairs: int) -> None:
    if {b"NX", b"XX"} <= options:
        raise CommandError("XX and NX options at the same time are not compatible")
    if len(options & {b"GT", b"LT", b"NX"}) > 1:
        raise CommandError("GT, LT, and/or NX options at the same time are not compatible")
    if b"INCR" in options and pairs > 1:
        raise CommandError("INCR option supports a single increment-element pair")


def _allowed(options: set[bytes], old: float | None, score: float) -> bool:
    """Tell whether the conditions let a member go from one score, or none, to another."""
    if old is None:
        return b"XX" not in options
    if b"NX" in options or (b"GT" in options and score <= old):
        return False
    return not (b"LT" in options and score >= old)


def _increase(partition: Partition, key: bytes, member: bytes, by: float, options: set[bytes]) -> float | None:
    found = partition.aggregate(key, SortedSet)
    old = None if found is None else found.score(member)
    if (old is None and b"XX" in options) or (old is not None and b"NX" in options):
        return None
    total = by if old is None else old + by
    if math.isnan(total):
        raise CommandError("resulting score is not a number (NaN)")
    if not _allowed(options, old, total):
        return None
    if total != old:
        made = found or _made(partition, key)
        made.set(member, total, partition.ledger.limits)
        partition.grown(len(made))
    return total


def _add(partition: Partition, key: bytes, score: float, member: bytes) -> int:
    """Give one member a score, without any conditions; 1 if it is new."""
    found = partition.aggregate(key, SortedSet)
    if found is None:
        found = _made(partition, key)
    outcome = found.put(member, score, partition.ledger.limits)
    if outcome >= 0:
        partition.grown(len(found))
        return outcome
    return 0


def _made(partition: Partition, key: bytes) -> SortedSet:
    made = SortedSet()
    partition.put(key, made)
    return made


def _pop(partition: Partition, argv: Argv, *, lowest: bool) -> Reply:
    if len(argv) > 3:
        raise SyntaxRefused
    counted = len(argv) == 3
    count = bounded(argv[2], least=0, refusal="value is out of range, must be positive") if counted else 1
    found = partition.aggregate(argv[1], SortedSet)
    taken = [] if found is None else take(partition, argv[1], found, lowest=lowest, count=count)
    if counted:
        return Pairs([(member, score) for score, member in taken])
    return [part for score, member in taken for part in (member, score)]
