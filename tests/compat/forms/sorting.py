"""How SORT is called: mostly on numbers, with keys that are made of them.

Which of two equal elements comes first Redis leaves to chance, so nothing is stored of which that can be said.
"""

from random import Random
from typing import Final

from compat.forms.words import KEYS, Argument, integer, key, one_of, options, some

_NUMBERS: Final = (b"1", b"2", b"3", b"10", b"-5", b"1.5", b"1e2", b"0x10", b" 7", b"-0", b"inf", b"")
_ODD: Final = (b"x", b"1x", b"nan", b"1e400", b"1\x002", b"7 ")
_element: Final = one_of(_NUMBERS)
_key: Final = one_of(KEYS[:4])
_stars: Final = (b"w_*", b"w_*", b"h_*->f", b"w_*->f", b"h_*->", b"h_*->*", b"*", b"h_**->f")
_pattern: Final = one_of((*_stars, b"#", b"nosort", b"w_\x00*"))


def _limit(rng: Random) -> list[bytes]:
    if rng.random() < 0.6:
        return []
    return [b"LIMIT", b"%d" % rng.randrange(-2, 5), b"%d" % rng.randrange(-2, 5)] if rng.random() < 0.9 else [
        b"LIMIT", *integer(rng), *integer(rng)
    ]  # fmt: skip


def _words(rng: Random, *, stores: bool) -> list[bytes]:
    """Options in any order; BY and ALPHA together only where chance is allowed for."""
    kind = rng.random()
    if kind < 0.5:
        by = [b"ALPHA"] if rng.random() < 0.4 else []
    elif kind < 0.6 and not stores:
        by = [b"BY", rng.choice(_stars), b"ALPHA"]
    else:
        by = [b"BY", *_pattern(rng)]
    gets = [word for _ in range(rng.choice((0, 0, 1, 2))) for word in (b"GET", *_pattern(rng))]
    parts = [by, gets, _limit(rng), [b"DESC"] if rng.random() < 0.4 else [], [b"asc"] if rng.random() < 0.1 else []]
    if stores:
        parts.append([b"STORE", *_key(rng)])
    rng.shuffle(parts)
    return [word for part in parts for word in part]


FORMS: Final[dict[bytes, tuple[Argument, ...]]] = {
    b"SORT": (_key, lambda rng: _words(rng, stores=rng.random() < 0.4)),
    b"SORT_RO": (_key, lambda rng: _words(rng, stores=False)),
    b"RPUSH": (_key, some(_element)),
    b"SADD": (_key, some(_element)),
    b"ZADD": (_key, some(one_of((b"1", b"2", b"3")), _element)),
    b"LRANGE": (key, one_of((b"0",)), one_of((b"-1",))),
    b"SET": (lambda rng: [b"w_" + rng.choice(_NUMBERS)], one_of((*_NUMBERS, *_NUMBERS, *_ODD))),
    b"HSET": (lambda rng: [b"h_" + rng.choice(_NUMBERS)], one_of((b"f", b"", b"*")), one_of(_NUMBERS)),
    b"DEL": (_key, options(b"w_1", b"h_2", likely=0.3)),
}  # fmt: skip
