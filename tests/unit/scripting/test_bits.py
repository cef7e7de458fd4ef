"""The library bit."""

from hypothesis import given
from hypothesis import strategies as st

from respcache.scripting.bits import LIBRARY, signed

NUMBERS = st.integers(min_value=-(2**50), max_value=2**50)


@given(one=NUMBERS, other=NUMBERS, count=st.integers(min_value=0, max_value=100))
def test_results_are_of_32_bits_with_a_sign(one: int, other: int, count: int) -> None:
    """As if all arithmetic were done in 32 bits."""
    low = one & 0xFFFFFFFF
    assert LIBRARY["tobit"](one) == (True, signed(one))
    assert LIBRARY["bxor"](one, other, one) == (True, signed(other))
    assert LIBRARY["band"](one, other) == (True, signed(one & other))
    assert LIBRARY["bnot"](one) == (True, signed(~one))
    assert LIBRARY["lshift"](one, count) == (True, signed(low << (count % 32)))
    assert LIBRARY["rshift"](one, count) == (True, signed(low >> (count % 32)))
    assert LIBRARY["arshift"](one, count) == (True, signed(one) >> (count % 32))
    rolled = LIBRARY["rol"](one, count)[1]
    assert LIBRARY["ror"](rolled, count) == (True, signed(one))
    swapped = LIBRARY["bswap"](one)[1]
    assert LIBRARY["bswap"](swapped) == (True, signed(one))
    assert LIBRARY["tohex"](one) == (True, b"%08x" % low)


def test_halves_are_rounded_to_even() -> None:
    """As the processor rounds."""
    assert [LIBRARY["tobit"](number)[1] for number in (0.5, 1.5, 2.5, -0.5, -1.5)] == [0, 2, 2, 0, -2]
