"""Calls by chance: mostly well-typed, some mistyped, cut short, or too long.

Everything comes from one seeded generator, and no reply depends on how fast the servers
are: what expires is either past or minutes away.
"""

from collections.abc import Callable
from random import Random
from typing import Final

from respcache.store.partition import Argv

CALLS_A_SCRIPT: Final = 50
FAR_S: Final = 1_000
"""No lifetime is shorter, unless it is over already."""

KEYS: Final = (
    b"a",
    b"b",
    b"c",
    b"d",
    b"n",
    b"f",
    b"",
    b"{t}x",
    b"{t}y",
    b"a b",
    b"\x00\xff",
    "ключ".encode(),
    b"h[lo",
    b"a*",
)
INTEGERS: Final = (b"0", b"1", b"-1", b"2", b"5", b"10", b"-7", b"100", b"9999", b"10000", b"123456789012")
HUGE: Final = (
    b"9223372036854775807",
    b"-9223372036854775808",
    b"9223372036854775808",
    b"-9223372036854775809",
    b"9223372036854775",
    b"18446744073709551616",
    b"1" * 40,
)
ODD_NUMBERS: Final = (
    b"",
    b" 1",
    b"1 ",
    b"+1",
    b"01",
    b"-0",
    b"1.0",
    b"1e3",
    b"0x10",
    b"1_0",
    b"--1",
    b"abc",
    b"1\n",
    "٣".encode(),
)
FLOATS: Final = (
    b"0.1", b"-0.1", b"1.5", b"3", b"1e10", b"1e-10", b"-2.5e3", b".5", b"5.", b"1e300", b"-1e300", b"1e17", b"1e4000",
    b"0x1p4", b"123456789.987654321", b"0.000000001", b"1e-17", b"3.0000000000000000001", b"inf", b"-inf", b"nan",
)  # fmt: skip
VALUES: Final = (
    b"",
    b"v",
    b"hello world",
    b"\x00\x01\xff",
    "naïve ☃".encode(),
    b"x" * 44,
    b"y" * 45,
    b"z" * 300,
    b"a\r\nb",
)
PATTERNS: Final = (
    b"*",
    b"**",
    b"?",
    b"a*",
    b"*a",
    b"[a-d]",
    b"[^a]",
    b"[d-a]",
    b"a\\*",
    b"h\\[lo",
    b"h[[]lo",
    b"[",
    b"*l*",
    b"",
    b"{t}?",
)
DATABASES: Final = (b"0", b"1", b"2", b"15", b"16", b"-1", b"x")

Argument = Callable[[Random], list[bytes]]


def _one_of(choices: tuple[bytes, ...]) -> Argument:
    return lambda rng: [rng.choice(choices)]


def _any_value(rng: Random) -> list[bytes]:
    return [rng.choice(rng.choice((VALUES, INTEGERS, HUGE, ODD_NUMBERS, FLOATS)))]


def _integer(rng: Random) -> list[bytes]:
    kind = rng.random()
    if kind < 0.7:
        return [rng.choice(INTEGERS)]
    return (
        [rng.choice(HUGE if kind < 0.85 else ODD_NUMBERS)] if kind < 0.9 else [b"%d" % rng.randrange(-(2**63), 2**63)]
    )


def _float(rng: Random) -> list[bytes]:
    kind = rng.random()
    if kind < 0.5:
        return [rng.choice(FLOATS)]
    if kind < 0.8:
        return [repr(rng.uniform(-1, 1) * 10.0 ** rng.randrange(-12, 20)).encode()]
    return _integer(rng)


def _position(rng: Random) -> list[bytes]:
    return [b"%d" % rng.randrange(-20, 20)] if rng.random() < 0.8 else _integer(rng)


def _offset(rng: Random) -> list[bytes]:
    """Small or absurd, nothing between: the two servers would only be made to copy half a gigabyte."""
    return (
        [b"%d" % rng.randrange(400)] if rng.random() < 0.8 else [rng.choice((*HUGE, *ODD_NUMBERS, b"-1", b"536870912"))]
    )


def _lifetime(unit_ms: int) -> Argument:
    """Give a time to live: long, refused, or none."""
    choices = (0, -1, -1000, FAR_S * 1000 // unit_ms, 9999 * 1000 // unit_ms)

    def lifetime(rng: Random) -> list[bytes]:
        return (
            [b"%d" % rng.choice(choices)] if rng.random() < 0.85 else [rng.choice((*HUGE, b"", b"abc", b"1.5", b"+5"))]
        )

    return lifetime


def _moment(unit_ms: int) -> Argument:
    """Give a time of the clock: past or far away."""
    choices = (0, -1, 1, 1000, 9999999999000 // unit_ms, 9999999990000 // unit_ms)

    def moment(rng: Random) -> list[bytes]:
        return (
            [b"%d" % rng.choice(choices)] if rng.random() < 0.85 else [rng.choice((*HUGE, b"", b"abc", b"1.5", b"+5"))]
        )

    return moment


_CLOCKS: Final[dict[bytes, Argument]] = {
    b"EX": _lifetime(1000),
    b"PX": _lifetime(1),
    b"EXAT": _moment(1000),
    b"PXAT": _moment(1),
}


def _options(*words: bytes, likely: float = 0.5) -> Argument:
    """Give some options, in any case; those of _CLOCKS with their time."""

    def options(rng: Random) -> list[bytes]:
        found: list[bytes] = []
        while rng.random() < likely:
            word = rng.choice(words)
            found.append(word if rng.random() < 0.8 else word.lower())
            if word in _CLOCKS:
                found += _CLOCKS[word](rng)
        return found

    return options


def _some(*parts: Argument, most: int = 4) -> Argument:
    return lambda rng: [word for _ in range(rng.randint(1, most)) for part in parts for word in part(rng)]


def _maybe(word: bytes, *parts: Argument) -> Argument:
    return lambda rng: [word, *(word for part in parts for word in part(rng))] if rng.random() < 0.4 else []


_key: Final = _one_of(KEYS)
_conditions: Final = _options(b"NX", b"XX", b"GT", b"LT", likely=0.4)

FORMS: Final[dict[bytes, tuple[Argument, ...]]] = {
    b"GET": (_key,),
    b"SET": (_key, _any_value, _options(b"NX", b"XX", b"GET", b"KEEPTTL", *_CLOCKS)),
    b"SETNX": (_key, _any_value),
    b"SETEX": (_key, _lifetime(1000), _any_value),
    b"PSETEX": (_key, _lifetime(1), _any_value),
    b"GETSET": (_key, _any_value),
    b"GETDEL": (_key,),
    b"GETEX": (_key, _options(b"PERSIST", *_CLOCKS)),
    b"MGET": (_some(_key),),
    b"MSET": (_some(_key, _any_value),),
    b"MSETNX": (_some(_key, _any_value, most=2),),
    b"APPEND": (_key, _any_value),
    b"STRLEN": (_key,),
    b"GETRANGE": (_key, _position, _position),
    b"SUBSTR": (_key, _position, _position),
    b"SETRANGE": (_key, _offset, _any_value),
    b"INCR": (_key,),
    b"DECR": (_key,),
    b"INCRBY": (_key, _integer),
    b"DECRBY": (_key, _integer),
    b"INCRBYFLOAT": (_key, _float),
    b"DEL": (_some(_key),),
    b"UNLINK": (_some(_key),),
    b"EXISTS": (_some(_key),),
    b"TOUCH": (_some(_key),),
    b"TYPE": (_key,),
    b"KEYS": (_one_of(PATTERNS),),
    b"SCAN": (_one_of((b"0", b"0", b"0", b"", b"+0", b"abc", b"-")), _maybe(b"MATCH", _one_of(PATTERNS)),
              _maybe(b"COUNT", _integer), _maybe(b"TYPE", _one_of((b"string", b"hash", b"String"))),
              lambda _: [b"COUNT", b"1000"]),
    b"RANDOMKEY": (),
    b"RENAME": (_key, _key),
    b"RENAMENX": (_key, _key),
    b"COPY": (_key, _key, _maybe(b"DB", _one_of(DATABASES)), _maybe(b"REPLACE")),
    b"MOVE": (_key, _one_of(DATABASES)),
    b"PERSIST": (_key,),
    b"EXPIRE": (_key, _lifetime(1000), _conditions),
    b"PEXPIRE": (_key, _lifetime(1), _conditions),
    b"EXPIREAT": (_key, _moment(1000), _conditions),
    b"PEXPIREAT": (_key, _moment(1), _conditions),
    b"TTL": (_key,),
    b"PTTL": (_key,),
    b"EXPIRETIME": (_key,),
    b"PEXPIRETIME": (_key,),
    b"OBJECT": (_one_of((b"ENCODING", b"REFCOUNT", b"FREQ", b"IDLETIME", b"encoding", b"JUNK")), _key),
    b"DBSIZE": (),
    b"SELECT": (_one_of((b"0", b"0", b"0", b"1", b"2")),),
    b"FLUSHDB": (_options(b"ASYNC", b"SYNC", likely=0.3),),
}  # fmt: skip
"""How each command is called."""

_SAFE_JUNK: Final = (b"", b"junk", b"NX", b"-", b"999999", b"1.5", "☃".encode(), b"\r\n")
"""What is put in the place of other arguments: none of it is a lifetime that ends soon."""
_SELECTED: Final = (b"SELECT", b"MOVE", b"COPY")
"""Commands of which a mistake would be about databases beyond those compared."""


def script(seed: int) -> list[Argv]:
    """Make one script of calls."""
    rng = Random(seed)
    names = [name for name in FORMS for _ in range(4 if name in {b"GET", b"SET", b"INCRBYFLOAT", b"GETEX"} else 2)]
    calls: list[Argv] = []
    for _ in range(CALLS_A_SCRIPT):
        name = rng.choice(names)
        if name == b"DBSIZE":
            # Redis counts a key that is over until it is looked at.
            calls.append([b"EXISTS", *KEYS])
        argv = [name, *(word for form in FORMS[name] for word in form(rng))]
        calls.append(_spoiled(rng, argv) if name not in _SELECTED and rng.random() < 0.12 else argv)
    return calls


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
