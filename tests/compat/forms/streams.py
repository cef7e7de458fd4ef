"""How commands on streams are called.

Ids are small, so that they meet; none is made by a clock, for that is each server's own.
"""

from random import Random
from typing import Final

from compat.forms.words import Argument, integer, key, maybe, one_of, some

_ID_WORDS: Final = (
    b"0", b"1", b"2", b"3", b"5", b"1-1", b"1-2", b"2-0", b"2-5", b"7-1", b"9-9", b"0-0", b"0-1", b"12",
    b"18446744073709551615-18446744073709551615", b"18446744073709551615", b"18446744073709551616", b"1-", b"-1", b"x",
    b"01-1", b"1-01", b"+1-1", b" 1-1", b"1--1", b"1--01", b"-", b"+", b"$", b">", b"1-*",
)  # fmt: skip


def new_id(rng: Random) -> list[bytes]:
    """Give an id for an entry: mostly one above those before."""
    kind = rng.random()
    if kind < 0.6:
        return [b"%d-%d" % (rng.randrange(1, 30), rng.randrange(3))]
    return [b"%d-*" % rng.randrange(1, 30)] if kind < 0.85 else [rng.choice(_ID_WORDS)]


def an_id(rng: Random) -> list[bytes]:
    """Give an id that an entry may have."""
    return [b"%d-%d" % (rng.randrange(30), rng.randrange(3))] if rng.random() < 0.7 else [rng.choice(_ID_WORDS)]


def _edge(rng: Random) -> list[bytes]:
    """Give an end of a range."""
    kind = rng.random()
    if kind < 0.4:
        return [rng.choice((b"-", b"+"))]
    return [(b"(" if kind < 0.55 else b"") + word for word in an_id(rng)]


_field: Final = one_of((b"f", b"g", b"", b"x" * 50))
_count: Final = maybe(b"COUNT", one_of((b"1", b"2", b"3", b"100", b"0", b"-1", b"x")))
_group: Final = one_of((*4 * (b"g1",), b"g2", b""))
_consumer: Final = one_of((b"alice", b"bob", b"bob", b""))
_few: Final = one_of((b"0", b"1", b"2", b"3", b"5", b"10", b"-1", b"x"))
_limit: Final = maybe(b"LIMIT", one_of((b"0", b"10", b"100", b"-1", b"x")))
_idle: Final = one_of((*6 * (b"0",), b"3600000", b"-1", b"x"))
_new: Final = one_of((*12 * (b">",), b"0", b"1-1", b"$", b"x"))


def _trim(rng: Random) -> list[bytes]:
    word = rng.choice((b"MAXLEN", b"MINID", b"maxlen"))
    sign = rng.choice(([], [b"="], [b"~"]))
    return [word, *sign, *(an_id(rng) if word == b"MINID" else _few(rng)), *_limit(rng)]


def _maybe_trim(rng: Random) -> list[bytes]:
    return _trim(rng) if rng.random() < 0.3 else []


def _streams(ids: Argument) -> Argument:
    """Give keys, and as many ids."""

    def chosen(rng: Random) -> list[bytes]:
        count = rng.choice((1, 1, 1, 2, 3))
        words = [*(word for _ in range(count) for word in key(rng)), *(word for _ in range(count) for word in ids(rng))]
        return [b"STREAMS", *(words[:-1] if rng.random() < 0.03 else words)]

    return chosen


_block: Final = maybe(b"BLOCK", one_of((b"1", b"1", b"1", b"-1", b"x")))


def _group_call(rng: Random) -> list[bytes]:
    kind = rng.choice((b"CREATE", b"CREATE", b"CREATE", b"SETID", b"DESTROY", b"CREATECONSUMER", b"DELCONSUMER"))
    named = [*key(rng), *_group(rng)]
    read = maybe(b"ENTRIESREAD", one_of((b"0", b"3", b"-1", b"-2", b"x")))(rng)
    if kind == b"CREATE":
        return [kind, *named, rng.choice((b"0", b"0", b"$", *an_id(rng))), *([b"MKSTREAM"] * rng.randrange(2)), *read]
    if kind == b"SETID":
        return [kind, *named, *one_of((b"0", b"$", *an_id(rng)))(rng), *read]
    return [kind, *named] if kind == b"DESTROY" else [kind, *named, *_consumer(rng)]


def _info(rng: Random) -> list[bytes]:
    kind = rng.choice((b"STREAM", b"STREAM", b"GROUPS", b"CONSUMERS"))
    if kind == b"STREAM":
        return [kind, *key(rng), *([b"FULL", *_count(rng)] if rng.random() < 0.6 else [])]
    return [kind, *key(rng), *(_group(rng) if kind == b"CONSUMERS" else [])]


def _pending(rng: Random) -> list[bytes]:
    if rng.random() < 0.3:
        return []
    idle = [b"IDLE", *_idle(rng)] if rng.random() < 0.3 else []
    return [*idle, *_edge(rng), *_edge(rng), *_few(rng), *(_consumer(rng) if rng.random() < 0.4 else [])]


def _claim_options(rng: Random) -> list[bytes]:
    found: list[bytes] = []
    for word, operand in (
        (b"IDLE", one_of((b"0", b"1000", b"x"))), (b"TIME", one_of((b"1000", b"0", b"-5"))),
        (b"RETRYCOUNT", integer), (b"LASTID", an_id),
    ):  # fmt: skip
        if rng.random() < 0.15:
            found += [word, *operand(rng)]
    return found + [word for word in (b"FORCE", b"JUSTID", b"junk") if rng.random() < 0.25 - 0.2 * (word == b"junk")]


FORMS: Final[dict[bytes, tuple[Argument, ...]]] = {
    b"XADD": (key, maybe(b"NOMKSTREAM"), _maybe_trim, new_id, some(_field, _field, most=2)),
    b"XLEN": (key,),
    b"XRANGE": (key, _edge, _edge, _count),
    b"XREVRANGE": (key, _edge, _edge, _count),
    b"XDEL": (key, some(an_id)),
    b"XTRIM": (key, _trim),
    b"XSETID": (key, an_id, maybe(b"ENTRIESADDED", _few), maybe(b"MAXDELETEDID", an_id)),
    b"XREAD": (_count, _block, _streams(an_id)),
    b"XGROUP": (_group_call,),
    b"XREADGROUP": (one_of((b"GROUP",)), _group, _consumer, _count, _block, maybe(b"NOACK"), _streams(_new)),
    b"XACK": (key, _group, some(an_id)),
    b"XPENDING": (key, _group, _pending),
    b"XCLAIM": (key, _group, _consumer, _idle, some(an_id), _claim_options),
    b"XAUTOCLAIM": (key, _group, _consumer, _idle, _edge, _count, maybe(b"JUSTID")),
    b"XINFO": (_info,),
}  # fmt: skip
