"""Sums of floating point numbers beside those of a real Redis."""

from random import Random

import pytest

from compat.comparison import differences
from compat.conftest import Connect
from compat.targets import Direct
from respcache.store.partition import Argv

SUMS = 6_000


def _number(rng: Random) -> bytes:
    digits = "".join(rng.choice("0123456789") for _ in range(rng.choice((1, 3, 8, 17, 20, 30))))
    point = rng.randint(0, len(digits))
    exponent = rng.choice(("", "", "", f"e{rng.randint(-25, 25)}", f"E{rng.randint(-5000, 5000)}"))
    decimal = f"{digits[:point]}.{digits[point:]}{exponent}"
    hexadecimal = f"0x{rng.getrandbits(80):x}p{rng.randint(-100, 20)}"
    return rng.choice(("", "-", "+")).encode() + rng.choice((decimal, decimal, decimal, hexadecimal)).encode()


def test_sums_have_the_digits_of_redis(oracle: Connect) -> None:
    """INCRBYFLOAT gives the same digits for numbers of all sizes and notations."""
    [_, probe] = oracle(2).run([[b"DEL", b"f"], [b"INCRBYFLOAT", b"f", b"12345.6789012345678"]])
    if b"12345.67890123456779961" not in probe.wire:
        pytest.skip("this machine's long double is not the 80-bit one of x86, which the digits are those of")
    rng = Random(2)
    calls: list[Argv] = []
    for _ in range(SUMS // 2):
        calls += [
            [b"SET", b"f", _number(rng)],
            [b"INCRBYFLOAT", b"f", _number(rng)],
            [b"INCRBYFLOAT", b"f", _number(rng)],
        ]
    found = differences("sums", calls, oracle(2), Direct(now_unix_ms=1))
    assert not found, f"{len(found)} differ: {found[0].calls[-3:]}\n{found[0].expected!r}\n{found[0].answered!r}"
