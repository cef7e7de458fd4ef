"""Walking through all keys by cursor."""

from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.cluster.ownership.slots import PARTITIONS, partition_of
from respcache.store.indexed import Indexed
from respcache.store.keyspace import Keyspace, Store
from respcache.store.scan import PLACE_BITS, merge, place, scan

STEPS_MAX = 10_000

KEYS = st.lists(st.binary(max_size=4), unique=True, max_size=60)
"""With hash tags among them, many keys share one partition."""
TAGGED = st.lists(
    st.integers(min_value=0, max_value=400).map(lambda number: b"{t}%d" % number), unique=True, max_size=60
)


def _filled(keys: list[bytes], *, by_place: bool = False) -> Keyspace:
    """Give a database with some keys; `by_place` has each partition keep them as one with very many does."""
    space = Store().keyspace(0)
    for key in keys:
        space.at(key).put(key, b"v")
    for partition in space.partitions if by_place else ():
        if partition.values:
            partition.values = table = Indexed(partition.values)
            table.advance(len(table))
    return space


def _walk(space: Keyspace, count: int) -> list[bytes]:
    found: list[bytes] = []
    cursor = 0
    for _ in range(STEPS_MAX):
        cursor, keys = scan(space, cursor, count)
        found += keys
        if not cursor:
            return found
    raise AssertionError("the walk does not end")


@settings(max_examples=40)
@given(keys=KEYS | TAGGED, count=st.integers(min_value=1, max_value=20), by_place=st.booleans())
def test_a_walk_sees_every_key_once(keys: list[bytes], count: int, by_place: bool) -> None:  # noqa: FBT001 # drawn
    """Whatever the step, nothing is left out and nothing comes twice."""
    assert sorted(_walk(_filled(keys, by_place=by_place), count)) == sorted(keys)


@settings(max_examples=40)
@given(keys=TAGGED, count=st.integers(min_value=1, max_value=20), within=st.integers(0, 2**32 - 1))
def test_a_step_is_the_same_however_keys_are_kept(keys: list[bytes], count: int, within: int) -> None:
    """From any place; only the next cursor may be the place of no key."""
    cursor = place(b"{t}") >> PLACE_BITS << PLACE_BITS | within
    following_, found = scan(_filled(keys), cursor, count)
    next_, same = scan(_filled(keys, by_place=True), cursor, count)
    assert sorted(same) == sorted(found)
    assert scan(_filled(keys), next_, 1000)[1] == (scan(_filled(keys), following_, 1000)[1] if following_ else []) or (
        not next_ and not following_
    )


def test_a_walk_over_keys_that_are_over_sees_the_others() -> None:
    """Where keys are kept by place, too: one whose deadline has passed is not seen, and is not deleted."""
    keys = [b"{t}%d" % number for number in range(100)]
    space = _filled(keys, by_place=True)
    for key in keys[::2]:
        space.at(key).expire_at(key, 5)
    space.ledger.now_unix_ms = 10
    assert sorted(_walk(space, 7)) == sorted(keys[1::2])
    assert len(space.at(keys[0]).values) == 100


@given(keys=KEYS | TAGGED, count=st.integers(min_value=1, max_value=20))
def test_a_step_is_no_longer_than_asked_for(keys: list[bytes], count: int) -> None:
    """It looks at `count` keys, and more only where they share a place."""
    cursor, found = scan(_filled(keys), 0, count)
    assert len(found) >= min(count, len(keys))
    assert len({place(key) for key in found}) <= count
    assert all(place(key) < cursor for key in found) or not cursor


@settings(max_examples=40)
@given(stay=TAGGED, changing=TAGGED, by_place=st.booleans(), data=st.data())
def test_keys_that_stay_are_seen_while_others_come_and_go(
    stay: list[bytes],
    changing: list[bytes],
    by_place: bool,  # noqa: FBT001 # drawn
    data: st.DataObject,
) -> None:
    """A key that is there all the time is seen exactly once."""
    space = _filled(stay, by_place=by_place)
    others = sorted(set(changing) - set(stay))
    found: list[bytes] = []
    cursor = 0
    while True:
        cursor, keys = scan(space, cursor, 3)
        found += keys
        if not cursor:
            break
        if others:
            key = data.draw(st.sampled_from(others))
            if not space.at(key).remove(key):
                space.at(key).put(key, b"w")
    assert sorted(key for key in found if key in stay) == sorted(stay)


@given(
    keys=KEYS | TAGGED,
    count=st.integers(min_value=1, max_value=10),
    owners=st.lists(st.integers(min_value=0, max_value=2), min_size=7, max_size=7),
)
def test_nodes_that_answer_together_answer_as_one(keys: list[bytes], count: int, owners: list[int]) -> None:
    """With the partitions spread over three nodes a merged walk sees every key once."""
    spaces = [_filled([key for key in keys if owners[partition_of(key) % 7] == node]) for node in range(3)]
    found: list[bytes] = []
    cursor = 0
    for _ in range(STEPS_MAX):
        cursor, step = merge([scan(space, cursor, count) for space in spaces])
        found += step
        if not cursor:
            break
    assert sorted(found) == sorted(keys)


@given(cursor=st.integers(min_value=0, max_value=2**64 - 1))
def test_any_number_is_a_cursor(cursor: int) -> None:
    """A cursor that nobody gave stands for everything from there on."""
    keys = [b"%d" % number for number in range(50)]
    following, found = scan(_filled(keys), cursor, 1_000)
    assert not following
    assert sorted(found) == sorted(key for key in keys if place(key) >= cursor)


def test_partitions_that_are_not_served_are_passed_over() -> None:
    """What another node answers for is not seen, and neither are keys that have expired."""
    space = _filled([b"a", b"b", b"c"])
    space.at(b"a").serving = False
    space.ledger.now_unix_ms = 1_000
    space.at(b"b").expire_at(b"b", 999)
    assert _walk(space, 10) == [b"c"]


def test_unwanted_keys_count_as_looked_at() -> None:
    """A step with a filter that nothing passes is not longer than others."""
    space = _filled([b"{t}%d" % number for number in range(100)])
    cursor, found = scan(space, 0, 10, lambda _partition, key: key == b"none")
    assert (cursor != 0, found) == (True, [])


def test_the_cursor_of_the_last_place_is_the_end() -> None:
    """Places fill the cursor's bits exactly up to the last partition."""
    assert scan(_filled([b"a"]), PARTITIONS << PLACE_BITS, 10) == (0, [])
