"""A list of keys is gone through to its end."""

from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.replication.storage import KeyList

DATABASES = st.dictionaries(st.integers(0, 3), st.lists(st.binary(max_size=3), max_size=8), max_size=4)


@given(DATABASES, st.lists(st.integers(1, 5), max_size=10))
def test_every_key_comes_once(databases: dict[int, list[bytes]], counts: list[int]) -> None:
    """One by one or several at a time."""
    expected = sorted((number, key) for number, keys in databases.items() for key in keys)
    keys = KeyList((number, list(listed)) for number, listed in databases.items())
    found: list[tuple[int, bytes]] = []
    for count in counts:
        taken = keys.take(count)
        assert len(taken) == min(count, len(expected) - len(found))
        found += taken
    while keys:
        found.append(keys.pop())
    assert sorted(found) == expected
    assert keys.take(3) == []
