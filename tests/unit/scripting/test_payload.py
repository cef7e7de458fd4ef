"""Libraries of functions in Redis' format, and bytes that are none."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.scripting.payload import BadPayload, dumped, loaded
from respcache.store.rdb.crc64 import crc64


def signed(body: bytes) -> bytes:
    """Put version and checksum behind a payload."""
    return (body := body + b"\x0a\x00") + crc64(body).to_bytes(8, "little")


def test_the_checksum_is_that_of_redis() -> None:
    """The value that crc64.c in Redis tests itself with."""
    assert crc64(b"123456789") == 0xE9C6D914C4B8D9CA


@settings(max_examples=30, deadline=None)
@given(codes=st.lists(st.binary(max_size=300), max_size=5), filler=st.sampled_from((0, 16_384, 70_000)))
def test_what_is_dumped_is_loaded(codes: list[bytes], filler: int) -> None:
    """Whatever the lengths."""
    codes = [code + bytes(filler) for code in codes]
    assert list(loaded(dumped(codes))) == codes


def test_packed_texts_are_unpacked() -> None:
    """Literals, short copies, long ones, and those that run into what they write."""
    packed = b"\x02abc" + b"\x20\x02" + b"\xe0\x03\x00"
    text = b"abc" + b"abc" + b"c" * 12
    assert list(loaded(signed(b"\xf5\xc3" + bytes((len(packed), len(text))) + packed))) == [text]


@given(body=st.binary(max_size=60), packed=st.booleans())
def test_bytes_that_are_no_libraries_are_refused(body: bytes, packed: bool) -> None:  # noqa: FBT001 # hypothesis gives it
    """With the right checksum, and in no other way."""
    try:
        for code in loaded(signed((b"\xf5\xc3" if packed else b"\xf5") + body)):
            assert isinstance(code, bytes)
    except BadPayload:
        pass


def test_a_text_that_says_it_is_huge_takes_no_memory() -> None:
    """It is refused before anything is unpacked."""
    with pytest.raises(BadPayload):
        list(loaded(signed(b"\xf5\xc3\x03\x80\xff\xff\xff\xff\x00ab")))
