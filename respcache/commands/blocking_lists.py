"""Commands on lists that wait until there is an element."""

from typing import Final

from respcache.commands.arguments import patience_ms
from respcache.commands.lists import LEFT, RIGHT, end_of_list, lmpop_arguments, move, take_first
from respcache.commands.registry import ALL_BUT_LAST, COUNTED_SECOND, FIRST, FIRST_TWO, Awaited, Flags, keys_command
from respcache.reply import NULL_ARRAY, Reply, Waits
from respcache.store.keyspace import Keyspace
from respcache.store.lists import List
from respcache.store.partition import Argv


def _push_left(_argv: Argv, key: bytes, taken: list[bytes]) -> Argv:
    return [b"LPUSH", key, *reversed(taken)]


def _push_right(_argv: Argv, key: bytes, taken: list[bytes]) -> Argv:
    return [b"RPUSH", key, *reversed(taken)]


def _push_back(argv: Argv, key: bytes, taken: list[bytes]) -> Argv:
    _, end, _ = lmpop_arguments(argv, 2)
    return (_push_left if end == LEFT else _push_right)(argv, key, taken)


FIRST_OF_ANY: Final = Awaited(List, back=_push_left)
LAST_OF_ANY: Final = Awaited(List, back=_push_right)
SEVERAL_OF_ANY: Final = Awaited(List, back=_push_back)
SOURCE: Final = Awaited(List, of=FIRST)

_POPS: Final = Flags.WRITE | Flags.NOSCRIPT | Flags.BLOCKING
_MOVES: Final = _POPS | Flags.DENYOOM
_POPS_MANY: Final = Flags.WRITE | Flags.BLOCKING | Flags.MOVABLEKEYS


@keys_command("BLPOP", arity=-3, flags=_POPS, since="2.0.0", keys=ALL_BUT_LAST, awaits=FIRST_OF_ANY)
def blpop(space: Keyspace, argv: Argv) -> Reply:
    """Take the first element of the first of several lists that has any; wait for one if none has."""
    return _pop(space, argv, LEFT)


@keys_command("BRPOP", arity=-3, flags=_POPS, since="2.0.0", keys=ALL_BUT_LAST, awaits=LAST_OF_ANY)
def brpop(space: Keyspace, argv: Argv) -> Reply:
    """Take the last element of the first of several lists that has any; wait for one if none has."""
    return _pop(space, argv, RIGHT)


@keys_command("BLMPOP", arity=-5, flags=_POPS_MANY, since="7.0.0", keys=COUNTED_SECOND, awaits=SEVERAL_OF_ANY)
def blmpop(space: Keyspace, argv: Argv) -> Reply:
    """Take elements from the first of several lists that has any; wait for one if none has."""
    keys, end, count = lmpop_arguments(argv, 2)
    timeout_ms = patience_ms(argv[1])
    taken = take_first(space, keys, end, count)
    return Waits(timeout_ms, instead=NULL_ARRAY) if taken is None else [taken[0], list(taken[1])]


@keys_command("BLMOVE", arity=6, flags=_MOVES, since="6.2.0", keys=FIRST_TWO, awaits=SOURCE)
def blmove(space: Keyspace, argv: Argv) -> Reply:
    """Move an element from one end of a list to one end of another; wait for one if there is none."""
    source_end, target_end, timeout_ms = end_of_list(argv[3]), end_of_list(argv[4]), patience_ms(argv[5])
    moved = move(space, argv[1], argv[2], source_end=source_end, target_end=target_end)
    return Waits(timeout_ms, instead=None) if moved is None else moved


@keys_command("BRPOPLPUSH", arity=4, flags=_MOVES, since="2.2.0", keys=FIRST_TWO, awaits=SOURCE)
def brpoplpush(space: Keyspace, argv: Argv) -> Reply:
    """Move the last element of a list to the head of another one; wait for one if there is none."""
    timeout_ms = patience_ms(argv[3])
    moved = move(space, argv[1], argv[2], source_end=RIGHT, target_end=LEFT)
    return Waits(timeout_ms, instead=None) if moved is None else moved


def _pop(space: Keyspace, argv: Argv, end: bytes) -> Reply:
    timeout_ms = patience_ms(argv[-1])
    taken = take_first(space, argv[1:-1], end, 1)
    return Waits(timeout_ms, instead=NULL_ARRAY) if taken is None else [taken[0], taken[1][0]]
