"""How commands on HyperLogLogs are called."""

from random import Random
from typing import Final

from compat.forms.words import VALUES, Argument, key, one_of, options, some

_OF: Final = (b"%d", b"element:%d", b"%d and a much longer name")
_AT_ONCE: Final = (1, 1, 1, 2, 3, 10, 30)


def _elements(rng: Random) -> list[bytes]:
    if rng.random() < 0.1:
        return [rng.choice(VALUES)]
    form, below = rng.choice(_OF), 10 ** rng.randint(1, 5)
    return [form % rng.randrange(below) for _ in range(rng.choice(_AT_ONCE))]


FORMS: Final[dict[bytes, tuple[Argument, ...]]] = {
    b"PFADD": (key, lambda rng: [] if rng.random() < 0.1 else _elements(rng)),
    b"PFCOUNT": (some(key, most=3),),
    b"PFMERGE": (some(key, most=4),),
    b"PFDEBUG": (one_of((b"ENCODING", b"encoding", b"DECODE", b"TODENSE", b"GETREG", b"x")), key),
    b"GET": (key,),
    b"SETRANGE": (key, one_of((b"0", b"4", b"8", b"15", b"16", b"17", b"40")), one_of((b"", b"\x00", b"\x80", b"H"))),
    b"STRLEN": (key, options(b"x", likely=0.1)),
}  # fmt: skip
