"""The library struct."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from respcache.scripting.packing import pack, size, unpack

WHOLE = st.integers(min_value=-(2**31), max_value=2**31 - 1)


@given(numbers=st.lists(WHOLE, min_size=3, max_size=3), double=st.floats(), order=st.sampled_from("<>"))
def test_packing_is_that_of_c(numbers: list[int], double: float, order: str) -> None:
    """Without alignment, the bytes of Python's own struct; and unpacking undoes it."""
    form = f"{order}bIlds".encode()
    expected = struct.pack(f"{order}bIqd", (numbers[0] + 128) % 256 - 128, numbers[1] % 2**32, numbers[2], double)
    packed = pack(form, *numbers, double, b"text")
    assert packed == (True, expected + b"text\0")
    _, *found = unpack(form, packed[1])
    assert found[1:3] == [numbers[1] % 2**32, numbers[2]]
    assert found[4:] == [b"text", len(expected) + 6]


@given(form=st.text("bBhHiIlLTfdxs cC!<>12348z=\x00", max_size=8), text=st.binary(max_size=20))
def test_any_format_is_answered(form: str, text: bytes) -> None:
    """With results, or with a text for people; never with an exception."""
    for answer in (size(form.encode()), unpack(form.encode(), text), pack(form.encode(), 1, text, 2.5)):
        assert answer[0] is True or isinstance(answer[1], bytes)
