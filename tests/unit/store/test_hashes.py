"""Hashes: when they stop being small, and what a copy is."""

import pytest

from respcache.store.hashes import Hash
from respcache.store.limits import DEFAULT


def test_a_hash_of_many_fields_is_a_table_for_good() -> None:
    """As in Redis it does not become small again."""
    found = Hash()
    for number in range(DEFAULT.hash_entries):
        found.set(b"%d" % number, b"")
    assert found.encoding() == b"listpack"
    found.set(b"one more", b"")
    found.remove(b"one more")
    assert found.encoding() == b"hashtable"


@pytest.mark.parametrize(("field", "value"), [(DEFAULT.hash_value_bytes + 1, 0), (0, DEFAULT.hash_value_bytes + 1)])
def test_one_long_word_makes_a_table(field: int, value: int) -> None:
    """In a field or in a value."""
    found = Hash()
    found.set(b"x" * DEFAULT.hash_value_bytes, b"x" * DEFAULT.hash_value_bytes)
    assert found.encoding() == b"listpack"
    found.set(b"x" * field, b"x" * value)
    assert found.encoding() == b"hashtable"


def test_a_copy_is_equal_and_apart() -> None:
    """Encoding included."""
    found = Hash()
    found.set(b"a", b"x" * 100)
    other = found.copy()
    other.set(b"a", b"y")
    assert (found.get(b"a"), other.get(b"a"), other.encoding()) == (b"x" * 100, b"y", b"hashtable")


def test_its_size_grows_with_what_it_holds() -> None:
    """Sampled or counted out."""
    small, large = Hash(), Hash()
    small.set(b"a", b"x")
    for number in range(100):
        large.set(b"%d" % number, b"x" * 1000)
    assert large.size_bytes(0) > 100_000 > small.size_bytes(0)
    assert large.size_bytes(5) == pytest.approx(large.size_bytes(0), rel=0.1)
