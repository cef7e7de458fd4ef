"""What calls are made of: keys, values, numbers right and wrong, options.

Everything is drawn from one seeded generator.
"""

from collections.abc import Callable
from random import Random
from typing import Final

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


def one_of(choices: tuple[bytes, ...]) -> Argument:
    """Give one of the choices."""
    return lambda rng: [rng.choice(choices)]


def any_value(rng: Random) -> list[bytes]:
    """Give a value of any kind."""
    return [rng.choice(rng.choice((VALUES, INTEGERS, HUGE, ODD_NUMBERS, FLOATS)))]


def integer(rng: Random) -> list[bytes]:
    """Give an integer, now and then none or too large a one."""
    kind = rng.random()
    if kind < 0.7:
        return [rng.choice(INTEGERS)]
    return (
        [rng.choice(HUGE if kind < 0.85 else ODD_NUMBERS)] if kind < 0.9 else [b"%d" % rng.randrange(-(2**63), 2**63)]
    )


def floating(rng: Random) -> list[bytes]:
    """Give a number with a point, or an integer."""
    kind = rng.random()
    if kind < 0.5:
        return [rng.choice(FLOATS)]
    if kind < 0.8:
        return [repr(rng.uniform(-1, 1) * 10.0 ** rng.randrange(-12, 20)).encode()]
    return integer(rng)


def position(rng: Random) -> list[bytes]:
    """Give a place in a string or list, mostly near its ends."""
    return [b"%d" % rng.randrange(-20, 20)] if rng.random() < 0.8 else integer(rng)


def offset(rng: Random) -> list[bytes]:
    """Small or absurd, nothing between: the two servers would only be made to copy half a gigabyte."""
    return (
        [b"%d" % rng.randrange(400)] if rng.random() < 0.8 else [rng.choice((*HUGE, *ODD_NUMBERS, b"-1", b"536870912"))]
    )


def a_lifetime(unit_ms: int) -> Argument:
    """Give a time to live: long, refused, or none.

    Two long ones are hardly ever equal: which of them ends later would depend on how fast a server is.
    """

    def lifetime(rng: Random) -> list[bytes]:
        if rng.random() < 0.15:
            return [rng.choice((*HUGE, b"", b"abc", b"1.5", b"+5"))]
        far = FAR_S * rng.randrange(1, 100_000) * 1000 // unit_ms
        return [b"%d" % rng.choice((0, -1, -1000, far, far))]

    return lifetime


def a_moment(unit_ms: int) -> Argument:
    """Give a time of the clock: past or far away."""
    choices = (0, -1, 1, 1000, 9999999999000 // unit_ms, 9999999990000 // unit_ms)

    def moment(rng: Random) -> list[bytes]:
        return (
            [b"%d" % rng.choice(choices)] if rng.random() < 0.85 else [rng.choice((*HUGE, b"", b"abc", b"1.5", b"+5"))]
        )

    return moment


CLOCKS: Final[dict[bytes, Argument]] = {
    b"EX": a_lifetime(1000),
    b"PX": a_lifetime(1),
    b"EXAT": a_moment(1000),
    b"PXAT": a_moment(1),
}


def options(*words: bytes, likely: float = 0.5) -> Argument:
    """Give some options, in any case; those of CLOCKS with their time."""

    def chosen(rng: Random) -> list[bytes]:
        found: list[bytes] = []
        while rng.random() < likely:
            word = rng.choice(words)
            found.append(word if rng.random() < 0.8 else word.lower())
            if word in CLOCKS:
                found += CLOCKS[word](rng)
        return found

    return chosen


def some(*parts: Argument, most: int = 4) -> Argument:
    """Repeat a run of arguments a few times."""
    return lambda rng: [word for _ in range(rng.randint(1, most)) for part in parts for word in part(rng)]


def maybe(word: bytes, *parts: Argument) -> Argument:
    """Give an option with its operands, or nothing."""
    return lambda rng: [word, *(word for part in parts for word in part(rng))] if rng.random() < 0.4 else []


key: Final = one_of(KEYS)
conditions: Final = options(b"NX", b"XX", b"GT", b"LT", likely=0.4)


timeout: Final = one_of((*8 * (b"0.001",), b"1e-9", b"0x1p-10", b"-1", b"-1e300", b"inf", b"nan", b"", b" 1", b"x"))
"""How long a command waits: hardly at all, for nobody comes to its help."""
