"""Calls by chance: mostly well-typed, some mistyped, cut short, or too long.

Everything comes from one seeded generator, and no reply depends on how fast the servers
are: what expires is either past or minutes away. A script is about one or two kinds of
value, so that its keys mostly hold what its commands work on, and now and then do not.
"""

from random import Random
from typing import Final

from compat.forms import (
    bitmaps,
    geo,
    hash_fields,
    hashes,
    hyperloglogs,
    keys,
    lists,
    sets,
    sorted_sets,
    sorting,
    streams,
    strings,
)
from compat.forms.words import KEYS, Argument
from respcache.store.partition import Argv

CALLS_A_SCRIPT: Final = 50

KINDS: Final[dict[str, dict[bytes, tuple[Argument, ...]]]] = {
    "bitmaps": bitmaps.FORMS,
    "geo": geo.FORMS,
    "hashes": hashes.FORMS,
    "hyperloglogs": hyperloglogs.FORMS,
    "lists": lists.FORMS,
    "sets": sets.FORMS,
    "sorted sets": sorted_sets.FORMS,
    "sorted sets of one score": sorted_sets.OF_ONE_SCORE,
    "sorting": sorting.FORMS,
    "streams": streams.FORMS,
    "strings": strings.FORMS,
}
"""How the commands on each kind of value are called."""
NEWER: Final[dict[str, dict[bytes, tuple[Argument, ...]]]] = {"hash fields": hashes.FORMS | hash_fields.FORMS}
"""Kinds with commands that Redis 7.0 does not have."""
FORMS: Final[dict[bytes, tuple[Argument, ...]]] = keys.FORMS | {
    name: form for kind in (KINDS | NEWER).values() for name, form in kind.items()
}
"""How each command is called."""
OFTEN: Final = frozenset(
    (b"GET", b"SET", b"INCRBYFLOAT", b"GETEX", b"HSET", b"RPUSH", b"SADD", b"ZADD", b"GEOADD", b"XADD", b"XREADGROUP")
)
"""Commands that get more turns: they have many forms, or make what the others need."""
KINDS_A_SCRIPT: Final = 2
WAITING: Final = frozenset(
    (
        b"BLPOP",
        b"BRPOP",
        b"BLMOVE",
        b"BRPOPLPUSH",
        b"BLMPOP",
        b"BZPOPMIN",
        b"BZPOPMAX",
        b"BZMPOP",
        b"XREAD",
        b"XREADGROUP",
    )
)
"""Commands of which a mistake could wait for ever."""
ALONE: Final = "sorted sets of one score"
"""The kind whose keys no other commands may write to, and no mistakes."""

_SAFE_JUNK: Final = (b"", b"junk", b"NX", b"-", b"999999", b"1.5", "☃".encode(), b"\r\n")
"""What is put in the place of other arguments: none of it is a lifetime that ends soon."""
_SELECTED: Final = (b"SELECT", b"MOVE", b"COPY", b"SWAPDB")
"""Commands of which a mistake would be about databases beyond those compared."""


def script(
    seed: int, count: int = CALLS_A_SCRIPT, of: dict[str, dict[bytes, tuple[Argument, ...]]] = KINDS
) -> list[Argv]:
    """Make one script of so many calls of some of these kinds, and some more that go before others."""
    rng = Random(seed)
    kinds = rng.sample(sorted(of), min(len(of), rng.randint(1, KINDS_A_SCRIPT)))
    if ALONE in kinds:
        kinds = [ALONE]
    forms = keys.FORMS | {name: form for kind in kinds for name, form in of[kind].items()}
    names = [name for name in forms for _ in range(4 if name in OFTEN else 2)]
    calls: list[Argv] = []
    for _ in range(count):
        name = rng.choice(names)
        if name == b"DBSIZE":
            # Redis counts a key that is over until it is looked at.
            calls.append([b"EXISTS", *KEYS, *_SAFE_JUNK])
        if name in {b"SORT", b"SORT_RO"}:
            # Redis takes a number out of range that it came upon long before for one of those to be sorted.
            calls.append([b"ZADD", b"none", b"XX", b"1", b"a"])
        argv = [name, *(word for form in forms[name] for word in form(rng))]
        safe = name in _SELECTED or name in WAITING or (ALONE in kinds and name == b"ZADD")
        calls.append(_spoiled(rng, argv) if not safe and rng.random() < 0.12 else argv)
        if _is_newer(calls[-1]):
            calls.pop()
        elif name == b"SPOP" and len(calls[-1]) == 2:
            calls.append([b"DEL", calls[-1][1]])  # it has taken any one: what is left differs
    return calls


def _is_newer(argv: Argv) -> bool:
    """Tell whether a call means something since Redis 7.2 or 7.4, and was a mistake before."""
    name = argv[0].upper()
    return (name in {b"ZRANK", b"ZREVRANK"} and len(argv) > 3) or (name == b"XREAD" and b"+" in argv)


def _spoiled(rng: Random, argv: Argv) -> Argv:
    """Make one mistake in a call: an argument too few, too many, or a wrong one."""
    place = rng.randrange(1, len(argv) + 1)
    kind = rng.randrange(4)
    if kind == 0:
        return argv[:place]
    if kind == 1:
        return [*argv[:place], rng.choice(_SAFE_JUNK), *argv[place:]]
    if kind == 2:
        return [*argv[:place], rng.choice(_SAFE_JUNK), *argv[place + 1 :]]
    return [argv[0].lower(), *argv[1:]]
