"""How commands on strings are called."""

from random import Random
from typing import Final

from compat.forms.words import (
    CLOCKS,
    Argument,
    a_lifetime,
    any_value,
    floating,
    integer,
    key,
    offset,
    options,
    position,
    some,
)


def _of_lcs(rng: Random) -> list[bytes]:
    word = rng.choice((b"IDX", b"idx", b"LEN", b"WITHMATCHLEN", b"MINMATCHLEN"))
    return [word, *integer(rng)] if word == b"MINMATCHLEN" else [word]


FORMS: Final[dict[bytes, tuple[Argument, ...]]] = {
    b"GET": (key,),
    b"SET": (key, any_value, options(b"NX", b"XX", b"GET", b"KEEPTTL", *CLOCKS)),
    b"SETNX": (key, any_value),
    b"SETEX": (key, a_lifetime(1000), any_value),
    b"PSETEX": (key, a_lifetime(1), any_value),
    b"GETSET": (key, any_value),
    b"GETDEL": (key,),
    b"GETEX": (key, options(b"PERSIST", *CLOCKS)),
    b"MGET": (some(key),),
    b"MSET": (some(key, any_value),),
    b"MSETNX": (some(key, any_value, most=2),),
    b"APPEND": (key, any_value),
    b"STRLEN": (key,),
    b"GETRANGE": (key, position, position),
    b"SUBSTR": (key, position, position),
    b"SETRANGE": (key, offset, any_value),
    b"LCS": (key, key, some(_of_lcs, most=3)),
    b"INCR": (key,),
    b"DECR": (key,),
    b"INCRBY": (key, integer),
    b"DECRBY": (key, integer),
    b"INCRBYFLOAT": (key, floating),
}  # fmt: skip
