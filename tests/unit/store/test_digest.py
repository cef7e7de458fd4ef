"""Digests of values: equal for equal ones, other for other ones, and quick for large ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.store import hashes, lists, sets, sorted_sets
from respcache.store.digest import ELEMENTS, SLICES, WHOLE_BYTES, digest
from respcache.store.snapshot import dump, load
from respcache.store.stream_groups import Group
from respcache.store.streams import Stream
from respcache.store.values import Value

WORDS = st.lists(st.binary(max_size=10), min_size=1, max_size=20, unique=True)


def collections(words: list[bytes]) -> list[Value]:
    """Make one of each kind."""
    made = hashes.Hash()
    for word in words:
        made.set(word, word[::-1])
    scored = sorted_sets.of((float(len(word)), word) for word in words)
    stream = Stream()
    for number, word in enumerate(words):
        stream.append(number + 1, [word, b"v"])
    return [b"".join(words), made, sets.of(words), lists.of(words), scored, stream]


@given(WORDS, st.integers(0, 2**31), st.one_of(st.none(), st.integers(0, 2**60)))
def test_a_copy_has_the_same_digest(words: list[bytes], salt: int, deadline: int | None) -> None:
    """Made by a snapshot, for any salt."""
    for value in collections(words):
        assert digest(load(dump(value)), deadline, salt) == digest(value, deadline, salt)


@given(WORDS, st.binary(min_size=1, max_size=10))
def test_another_value_has_another_digest(words: list[bytes], word: bytes) -> None:
    """One element more or less, or another deadline."""
    if word in words:
        return
    for value, other in zip(collections(words), collections([*words, word]), strict=True):
        assert digest(value, None, 0) != digest(other, None, 0)
        assert digest(value, None, 0) != digest(value, 5, 0)


@pytest.mark.parametrize("at", [0, 50_000, 99_999])
def test_a_wrong_byte_in_a_large_string_is_found_by_some_salt(at: int) -> None:
    """Each covers a part, all together everything."""
    right = bytes(100_000)
    wrong = right[:at] + b"x" + right[at + 1 :]
    assert any(digest(right, None, salt) != digest(wrong, None, salt) for salt in range(0, len(right), 500))


def test_a_wrong_element_in_a_large_collection_is_found_by_some_salt() -> None:
    """Whatever its kind."""
    words = [b"%08d" % number for number in range(WHOLE_BYTES // 8)]
    others = [b"x" * 8 if number == 1_000 else word for number, word in enumerate(words)]
    for value, other in list(zip(collections(words), collections(others), strict=True))[1:]:
        assert any(digest(value, None, salt) != digest(other, None, salt) for salt in range(len(words) // ELEMENTS + 1))


def test_large_strings_are_not_read_whole() -> None:
    """A byte between the slices of a salt does not count."""
    right = bytes(10_000_000)
    wrong = right[:5_000] + b"x" + right[5_001:]
    assert len(right) > SLICES * WHOLE_BYTES
    assert digest(right, None, 0) == digest(wrong, None, 0)


def test_a_value_that_was_large_once_has_the_digest_of_its_copy() -> None:
    """Tables that have not shrunk are not part of the value."""
    made = hashes.Hash()
    for number in range(10_000):
        made.set(b"%d" % number, b"v")
    for number in range(10, 10_000):
        made.remove(b"%d" % number)
    assert digest(load(dump(made)), None, 5) == digest(made, None, 5)


def test_groups_of_a_large_stream_count() -> None:
    """How far they have read, in whatever order they were made; a stream may have nothing else."""
    digests = set()
    for read, names in ((1, [b"a", b"b"]), (1, [b"b", b"a"]), (2, [b"a", b"b"])):
        stream = Stream()
        for number in range(1, 5_000):
            stream.append(number, [b"field", b"value"])
        for name in names:
            stream.groups[name] = Group(read, read)
        digests.add(digest(stream, None, 0))
        assert digest(load(dump(stream)), None, 0) == digest(stream, None, 0)
    assert len(digests) == 2
    empty = Stream()
    for number in range(2_000):
        empty.groups[b"%d" % number] = Group(number, 0)
    assert digest(load(dump(empty)), None, 0) == digest(empty, None, 0)
