"""Commands on sorted sets that wait until there is a member."""

from typing import Final

from respcache.commands.arguments import patience_ms
from respcache.commands.registry import ALL_BUT_LAST, COUNTED_SECOND, Awaited, Flags, keys_command
from respcache.commands.sorted_sets import take_first, zmpop_arguments
from respcache.reply import NULL_ARRAY, Reply, Waits
from respcache.store.keyspace import Keyspace
from respcache.store.partition import Argv
from respcache.store.sorted_sets import SortedSet


def _add_again(_argv: Argv, key: bytes, taken: list[bytes]) -> Argv:
    scored = [word for member, score in zip(taken[::2], taken[1::2], strict=True) for word in (score, member)]
    return [b"ZADD", key, b"NX", *scored]


ANY: Final = Awaited(SortedSet, back=_add_again)

_POPS: Final = Flags.WRITE | Flags.NOSCRIPT | Flags.BLOCKING | Flags.FAST
_POPS_MANY: Final = Flags.WRITE | Flags.BLOCKING | Flags.MOVABLEKEYS


@keys_command("BZPOPMIN", arity=-3, flags=_POPS, since="5.0.0", keys=ALL_BUT_LAST, awaits=ANY)
def bzpopmin(space: Keyspace, argv: Argv) -> Reply:
    """Take the member with the lowest score from the first of several sorted sets that has any, or wait for one."""
    return _pop(space, argv, lowest=True)


@keys_command("BZPOPMAX", arity=-3, flags=_POPS, since="5.0.0", keys=ALL_BUT_LAST, awaits=ANY)
def bzpopmax(space: Keyspace, argv: Argv) -> Reply:
    """Take the member with the highest score from the first of several sorted sets that has any, or wait for one."""
    return _pop(space, argv, lowest=False)


@keys_command("BZMPOP", arity=-5, flags=_POPS_MANY, since="7.0.0", keys=COUNTED_SECOND, awaits=ANY)
def bzmpop(space: Keyspace, argv: Argv) -> Reply:
    """Take members from the first of several sorted sets that has any; wait for one if none has."""
    keys, lowest, count = zmpop_arguments(argv, 2)
    timeout_ms = patience_ms(argv[1])
    taken = take_first(space, keys, lowest=lowest, count=count)
    if taken is None:
        return Waits(timeout_ms, instead=NULL_ARRAY)
    return [taken[0], [[member, score] for score, member in taken[1]]]


def _pop(space: Keyspace, argv: Argv, *, lowest: bool) -> Reply:
    timeout_ms = patience_ms(argv[-1])
    taken = take_first(space, argv[1:-1], lowest=lowest, count=1)
    if taken is None:
        return Waits(timeout_ms, instead=NULL_ARRAY)
    score, member = taken[1][0]
    return [taken[0], member, score]
