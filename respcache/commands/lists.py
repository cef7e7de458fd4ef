"""Commands on lists, those that wait for elements excepted."""

from typing import Final

from respcache.commands.arguments import INT64_MIN, bounded, counted_keys, integer, option
from respcache.commands.events import POPPED_LEFT, POPPED_RIGHT, PUSHED_LEFT, PUSHED_RIGHT
from respcache.commands.registry import COUNTED, FIRST_TWO, Flags, key_command, keys_command
from respcache.errors import CommandError, SyntaxRefused, WrongArity
from respcache.reply import NULL_ARRAY, OK, Reply
from respcache.store.events import DELETED, MADE
from respcache.store.keyspace import Keyspace
from respcache.store.lists import List
from respcache.store.partition import Argv, Partition

_PUSHES = Flags.WRITE | Flags.DENYOOM | Flags.FAST
_MOVES = Flags.WRITE | Flags.DENYOOM

LEFT: Final = b"LEFT"
RIGHT: Final = b"RIGHT"


@key_command("LPUSH", arity=-3, flags=_PUSHES, since="1.0.0")
def lpush(partition: Partition, argv: Argv) -> Reply:
    """Put elements at the head of a list, and return its length."""
    found = _made(partition, argv[1])
    if len(argv) == 3:
        found.push_left(argv[2])
    else:
        found.extend_left(argv[2:])
    count = len(found)
    partition.grown(count)
    return count


@key_command("RPUSH", arity=-3, flags=_PUSHES, since="1.0.0")
def rpush(partition: Partition, argv: Argv) -> Reply:
    """Put elements at the end of a list, and return its length."""
    found = _made(partition, argv[1])
    if len(argv) == 3:
        found.push_right(argv[2])
    else:
        found.extend(argv[2:])
    count = len(found)
    partition.grown(count)
    return count


@key_command("LPUSHX", arity=-3, flags=_PUSHES, since="2.2.0")
def lpushx(partition: Partition, argv: Argv) -> Reply:
    """Put elements at the head of a list that exists, and return its length."""
    return 0 if partition.aggregate(argv[1], List) is None else lpush(partition, argv)


@key_command("RPUSHX", arity=-3, flags=_PUSHES, since="2.2.0")
def rpushx(partition: Partition, argv: Argv) -> Reply:
    """Put elements at the end of a list that exists, and return its length."""
    return 0 if partition.aggregate(argv[1], List) is None else rpush(partition, argv)


@key_command("LPOP", arity=-2, flags=Flags.WRITE | Flags.FAST, since="1.0.0")
def lpop(partition: Partition, argv: Argv) -> Reply:
    """Take the first element of a list, or several."""
    return _pop(partition, argv, LEFT)


@key_command("RPOP", arity=-2, flags=Flags.WRITE | Flags.FAST, since="1.0.0")
def rpop(partition: Partition, argv: Argv) -> Reply:
    """Take the last element of a list, or several."""
    return _pop(partition, argv, RIGHT)


@key_command("LLEN", arity=2, flags=Flags.READONLY | Flags.FAST, since="1.0.0")
def llen(partition: Partition, argv: Argv) -> Reply:
    """Return the length of a list."""
    found = partition.read_aggregate(argv[1], List)
    return 0 if found is None else len(found)


@key_command("LRANGE", arity=4, flags=Flags.READONLY, since="1.0.0")
def lrange(partition: Partition, argv: Argv) -> Reply:
    """Return the elements between two positions, both included; negative ones count from the end."""
    start, end = integer(argv[2]), integer(argv[3])
    found = partition.read_aggregate(argv[1], List)
    if found is None:
        return []
    first, last = _within(start, end, len(found))
    return list(found.slice(first, last)) if first <= last else []


@key_command("LINDEX", arity=3, flags=Flags.READONLY, since="1.0.0")
def lindex(partition: Partition, argv: Argv) -> Reply:
    """Return the element at a position; negative ones count from the end."""
    found = partition.read_aggregate(argv[1], List)
    if found is None:
        return None
    position, count = integer(argv[2]), len(found)
    return found.at(position % count) if -count <= position < count else None


@key_command("LSET", arity=4, flags=_MOVES, since="1.0.0")
def lset(partition: Partition, argv: Argv) -> Reply:
    """Replace the element at a position; negative ones count from the end."""
    found = partition.aggregate(argv[1], List)
    if found is None:
        raise CommandError("no such key")
    position, count = integer(argv[2]), len(found)
    if not -count <= position < count:
        raise CommandError("index out of range")
    found.replace(position % count, argv[3])
    partition.changed = True
    return OK


@key_command("LINSERT", arity=5, flags=_MOVES, since="2.2.0")
def linsert(partition: Partition, argv: Argv) -> Reply:
    """Put an element before or after the first one that equals a pivot, and return the length; -1: no pivot."""
    where = option(argv[2])
    if where not in {b"BEFORE", b"AFTER"}:
        raise SyntaxRefused
    found = partition.aggregate(argv[1], List)
    if found is None:
        return 0
    if not found.insert(argv[3], argv[4], behind=where == b"AFTER"):
        return -1
    partition.grown(len(found))
    return len(found)


@key_command("LREM", arity=4, flags=Flags.WRITE, since="1.0.0")
def lrem(partition: Partition, argv: Argv) -> Reply:
    """Remove elements that equal another, from the head or (a negative count) from the end; return how many."""
    count = integer(argv[2])
    found = partition.aggregate(argv[1], List)
    if found is None:
        return 0
    removed = found.remove(argv[3], count)
    if removed:
        partition.touched(argv[1], found)
    return removed


@key_command("LTRIM", arity=4, flags=Flags.WRITE, since="1.0.0")
def ltrim(partition: Partition, argv: Argv) -> Reply:
    """Keep only the elements between two positions, both included."""
    start, end = integer(argv[2]), integer(argv[3])
    found = partition.aggregate(argv[1], List)
    if found is None:
        return OK
    first, last = _within(start, end, len(found))
    if first > last:
        partition.remove(argv[1])
    elif last - first + 1 < len(found):
        partition.ledger.rubbish.add(found.keep(first, last))
    partition.changed = True
    return OK


@key_command("LPOS", arity=-3, flags=Flags.READONLY, since="6.0.6")
def lpos(partition: Partition, argv: Argv) -> Reply:
    """Return the position of an element, or (COUNT) of several that are equal."""
    rank, count, most = _lpos_options(argv)
    found = partition.read_aggregate(argv[1], List)
    if found is None:
        return None if count < 0 else []
    places = found.places(argv[2], backwards=rank < 0, most=most or len(found))
    for _ in range(abs(rank) - 1):
        if next(places, None) is None:
            break
    if count < 0:
        return next(places, None)
    return [place for _, place in zip(range(count or len(found)), places, strict=False)]


@keys_command("RPOPLPUSH", arity=3, flags=_MOVES, since="1.2.0", keys=FIRST_TWO)
def rpoplpush(space: Keyspace, argv: Argv) -> Reply:
    """Move the last element of a list to the head of another one."""
    return move(space, argv[1], argv[2], source_end=RIGHT, target_end=LEFT)


@keys_command("LMOVE", arity=5, flags=_MOVES, since="6.2.0", keys=FIRST_TWO)
def lmove(space: Keyspace, argv: Argv) -> Reply:
    """Move an element from one end of a list to one end of another."""
    return move(space, argv[1], argv[2], source_end=end_of_list(argv[3]), target_end=end_of_list(argv[4]))


@keys_command("LMPOP", arity=-4, flags=Flags.WRITE | Flags.MOVABLEKEYS, since="7.0.0", keys=COUNTED)
def lmpop(space: Keyspace, argv: Argv) -> Reply:
    """Take elements from the first of several lists that has any."""
    keys, end, count = lmpop_arguments(argv, 1)
    taken = take_first(space, keys, end, count)
    return NULL_ARRAY if taken is None else [taken[0], list(taken[1])]


def move(space: Keyspace, source: bytes, target: bytes, *, source_end: bytes, target_end: bytes) -> bytes | None:
    """Move an element; None if there is none. Raises WrongType, having changed nothing."""
    from_, to = space.at(source), space.at(target)
    found = from_.aggregate(source, List)
    if found is None:
        return None
    to.aggregate(target, List)
    element = found.pop_left() if source_end == LEFT else found.pop_right()
    if source != target:
        from_.touched(source, found)
    if target not in to.values:
        to.happened(MADE, target)
    other = _made(to, target)
    if target_end == LEFT:
        other.push_left(element)
    else:
        other.push_right(element)
    from_.changed = True
    to.grown(len(other))
    from_.rewrite([b"LPOP" if source_end == LEFT else b"RPOP", source])
    to.rewrite([b"LPUSH" if target_end == LEFT else b"RPUSH", target, element])
    to.happened(PUSHED_LEFT if target_end == LEFT else PUSHED_RIGHT, target)
    _tell_of_pop(from_, source, source_end)
    return element


def take(partition: Partition, key: bytes, found: List, end: bytes, count: int) -> list[bytes]:
    """Take up to `count` elements off one end of the list at key."""
    taken = [found.pop_left() if end == LEFT else found.pop_right() for _ in range(min(count, len(found)))]
    if taken:
        partition.touched(key, found)
    return taken


def take_first(space: Keyspace, keys: list[bytes], end: bytes, count: int) -> tuple[bytes, list[bytes]] | None:
    """Take up to `count` elements from the first list that has any: its key, and them."""
    for key in keys:
        partition = space.at(key)
        found = partition.aggregate(key, List)
        if found is not None:
            taken = take(partition, key, found, end, count)
            partition.rewrite([b"LPOP" if end == LEFT else b"RPOP", key, b"%d" % len(taken)])
            _tell_of_pop(partition, key, end)
            return key, taken
    return None


def end_of_list(word: bytes) -> bytes:
    """Read LEFT or RIGHT. Raises SyntaxRefused."""
    end = option(word)
    if end not in {LEFT, RIGHT}:
        raise SyntaxRefused
    return end


def lmpop_arguments(argv: Argv, at: int) -> tuple[list[bytes], bytes, int]:
    """Read `numkeys key ... LEFT|RIGHT [COUNT count]`: keys, end, count. Raises CommandError."""
    keys, options = counted_keys(argv, at, refusal="numkeys should be greater than 0", too_many="syntax error")
    if not options:
        raise SyntaxRefused
    return keys, end_of_list(options[0]), pop_count(options[1:])


def pop_count(options: Argv) -> int:
    """Read `[COUNT count]`; 1 without. Raises CommandError."""
    if not options:
        return 1
    if option(options[0]) != b"COUNT" or len(options) == 1:
        raise SyntaxRefused
    count = bounded(options[1], least=1, refusal="count should be greater than 0")
    if len(options) > 2:
        raise SyntaxRefused
    return count


def _tell_of_pop(partition: Partition, key: bytes, end: bytes) -> None:
    partition.happened(POPPED_LEFT if end == LEFT else POPPED_RIGHT, key)
    if key not in partition.values:
        partition.happened(DELETED, key)


def _made(partition: Partition, key: bytes) -> List:
    """Give the list at key, a new one if there was none. Raises WrongType."""
    found = partition.aggregate(key, List)
    if found is None:
        found = List()
        partition.put(key, found)
    return found


def _pop(partition: Partition, argv: Argv, end: bytes) -> Reply:
    if len(argv) > 3:
        raise WrongArity("lpop" if end == LEFT else "rpop")
    count = bounded(argv[2], least=0, refusal="value is out of range, must be positive") if len(argv) == 3 else -1
    found = partition.aggregate(argv[1], List)
    if found is None:
        return None if count < 0 else NULL_ARRAY
    taken = take(partition, argv[1], found, end, abs(count))
    return taken[0] if count < 0 else list(taken)


def _within(start: int, end: int, count: int) -> tuple[int, int]:
    """Make positions that may count from the end, or lie outside, ones within the list; first > last: nothing."""
    first = max(0, start + count if start < 0 else start)
    last = min(count - 1, end + count if end < 0 else end)
    return first, last


def _lpos_options(argv: Argv) -> tuple[int, int, int]:
    """Read RANK, COUNT and MAXLEN; a count of -1 stands for none. Raises CommandError."""
    rank, count, most = 1, -1, 0
    arguments = iter(argv[3:])
    for argument in arguments:
        word, operand = option(argument), next(arguments, None)
        if operand is None:
            raise SyntaxRefused
        if word == b"RANK":
            rank = integer(operand)
            if rank == 0:
                raise CommandError(
                    "RANK can't be zero: use 1 to start from the first match, 2 from the second ... "
                    "or use negative to start from the end of the list"
                )
            if rank == INT64_MIN:
                rank = -1  # Redis 7.0 negates it, which overflows: any match is then of high enough a rank
        elif word == b"COUNT":
            count = bounded(operand, least=0, refusal="COUNT can't be negative")
        elif word == b"MAXLEN":
            most = bounded(operand, least=0, refusal="MAXLEN can't be negative")
        else:
            raise SyntaxRefused
    return rank, count, most
