"""The checksum, against its definition."""

import random

import pytest

from respcache.store.rdb.crc64 import BLOCK_BYTES, DISTANCES, SHORT_BYTES, crc64, terms

POLYNOMIAL = 0xAD93D23594C935A9


def by_definition(text: bytes) -> int:
    """Divide bit by bit, the lowest of each byte first."""
    remainder = 0
    for byte in text:
        for place in range(8):
            carry = remainder >> 63 ^ byte >> place & 1
            remainder = (remainder << 1 & 2**64 - 1) ^ (POLYNOMIAL if carry else 0)
    return int(f"{remainder:064b}"[::-1], 2)


def test_the_check_value_is_that_of_redis() -> None:
    """Redis tests itself with the same."""
    assert crc64(b"123456789") == 0xE9C6D914C4B8D9CA
    assert crc64(b"") == 0


@pytest.mark.parametrize("beyond", [0, 1, 7, 8, SHORT_BYTES, SHORT_BYTES + 1])
def test_blocks_are_divided_as_one_text(beyond: int) -> None:
    """However short the last one is: with the checksum behind it, lowest byte first, a text leaves no remainder."""
    text = random.Random(beyond).randbytes(2 * BLOCK_BYTES + beyond)
    assert crc64(text) != 0
    assert crc64(text + crc64(text).to_bytes(8, "little")) == 0
    assert crc64(bytes(BLOCK_BYTES) + text[:BLOCK_BYTES]) == crc64(text[:BLOCK_BYTES]), "zeros in front change nothing"


@pytest.mark.parametrize("length", [*range(40), *range(SHORT_BYTES - 2, 700, 7), 8191, 8192])
def test_long_texts_have_the_remainder_of_the_division(length: int) -> None:
    """Whether the table finds it, or the text is shortened first."""
    text = random.Random(length).randbytes(length)
    assert crc64(text) == by_definition(text)


def test_the_distances_have_few_terms() -> None:
    """Each term is a shift of half the text."""
    assert max(len(terms(distance)) for distance in DISTANCES) <= 24
