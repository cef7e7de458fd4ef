"""The checksum, against its definition."""

import random

import pytest

from respcache.store.rdb.crc64 import DISTANCES, SHORT_BYTES, crc64, terms

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


@pytest.mark.parametrize("length", [*range(40), *range(SHORT_BYTES - 2, 700, 7), 8191, 8192])
def test_long_texts_have_the_remainder_of_the_division(length: int) -> None:
    """Whether the table finds it, or the text is shortened first."""
    text = random.Random(length).randbytes(length)
    assert crc64(text) == by_definition(text)


def test_the_distances_have_few_terms() -> None:
    """Each term is a shift of half the text."""
    assert max(len(terms(distance)) for distance in DISTANCES) <= 24
