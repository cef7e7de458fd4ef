"""A list of keys is gone through to its end, though it is made as far as it is come."""

from zlib import crc32

from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.replication.storage import KeyList
from simulation.ownership.store import ModelStore

PARTITION = 7
DATABASES = st.dictionaries(st.integers(0, 3), st.sets(st.binary(max_size=3), max_size=8), max_size=4)


def stored(databases: dict[int, set[bytes]]) -> ModelStore:
    """Give a store that lists a quarter of the places at a time."""
    store = ModelStore()
    for database, keys in databases.items():
        for key in keys:
            store.restore(PARTITION, database, key, b"v")
    return store


@given(DATABASES, st.lists(st.integers(1, 5), max_size=10))
def test_every_key_comes_once(databases: dict[int, set[bytes]], counts: list[int]) -> None:
    """One by one or several at a time."""
    expected = sorted((number, key) for number, keys in databases.items() for key in keys)
    keys = KeyList(stored(databases), PARTITION)
    found: list[tuple[int, bytes]] = []
    for count in counts:
        taken = keys.take(count)
        assert len(taken) == min(count, len(expected) - len(found))
        found += taken
    while keys:
        taken_one = keys.pop()
        found += [] if taken_one is None else [taken_one]
    assert sorted(found) == expected
    assert keys.take(3) == []


@given(DATABASES, st.tuples(st.integers(0, 3), st.binary(max_size=3)), st.integers(0, 30))
def test_what_comes_later_is_listed_if_it_was_said_so(
    databases: dict[int, set[bytes]], late: tuple[int, bytes], taken: int
) -> None:
    """A key that has yet to be listed comes if it is there by then, and one that has not does not."""
    store = stored(databases)
    keys = KeyList(store, PARTITION)
    before = keys.take(taken)
    expected, is_there = keys.has_yet_to_list(late), store.dump(PARTITION, *late) is not None
    store.restore(PARTITION, *late, b"w")
    after = keys.take(1000)
    assert (late in after) >= expected
    if not is_there:
        assert (late in after) == expected, crc32(late[1])
    assert len({*before, *after}) == len(before) + len(after)
