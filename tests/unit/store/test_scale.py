"""How much memory the values of a node take."""

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.ownership.slots import PARTITIONS
from respcache.store.keyspace import Store
from respcache.store.ledger import Ledger
from respcache.store.scale import KEYSPACE_BYTES, Scale, weight

MEASURE = Path(__file__).parent / "measured.py"
TOLERANCE = 0.10


@pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="only Linux tells what memory is the process' own"
)
@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("string 10", 60_000),
        ("string 1000", 10_000),
        ("string 50000", 300),
        ("skewed", 20_000),
        ("expiring", 20_000),
        ("hash 20", 4_000),
        ("set 20", 4_000),
        ("list 20", 4_000),
        ("zset 20", 4_000),
        ("hash 10000", 12),
        ("set 10000", 12),
        ("list 10000", 10),
        ("zset 10000", 12),
    ],
)
def test_the_estimate_is_within_a_tenth_of_what_the_process_grows_by(kind: str, keys: int) -> None:
    """Measured in a process of its own, as memory that it shares with none; strings and aggregates, few and many."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    measured = subprocess.run(  # our own file
        [sys.executable, str(MEASURE), *kind.split(), str(keys)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    estimated, grown = map(int, measured.stdout.split())
    assert estimated == pytest.approx(grown, rel=TOLERANCE)


@given(st.lists(st.tuples(st.binary(max_size=3), st.integers(0, 300)), max_size=60))
def test_counting_keys_never_loses_any(writes: list[tuple[bytes, int]]) -> None:
    """The sum of all partitions is the weight of the node, and what is empty weighs nothing."""
    store = Store(ledger=Ledger(Random(1)))
    space, scale = store.keyspace(0), Scale(store)
    for key, size in writes:
        partition = space.at(key)
        if size < 100:
            partition.remove(key)
        else:
            partition.put(key, bytes(size))
        scale.count()
        scale.walk()
        assert store.ledger.weight_bytes == KEYSPACE_BYTES + sum(part.weight_bytes for part in space.partitions)
        assert all(part.weight_bytes == 0 for part in space.partitions if not part.values)
        assert all(part.keys_weighed == len(part.values) for part in space.partitions)


def test_flushing_is_noticed_at_once() -> None:
    """Without a walk."""
    store = Store(ledger=Ledger(Random(1)))
    space, scale = store.keyspace(0), Scale(store)
    for number in range(1000):
        space.at(b"%d" % number).put(b"%d" % number, bytes(1000))
    scale.count()
    for partition in space.partitions:
        partition.clear()
    assert store.ledger.weight_bytes == KEYSPACE_BYTES


def test_a_partition_that_has_lost_most_keys_gives_its_table_back() -> None:
    """Python's dicts do not shrink by themselves."""
    store = Store(ledger=Ledger(Random(1)))
    space, scale = store.keyspace(0), Scale(store)
    partition = space.partitions[0]
    for number in range(10_000):
        partition.put(b"%d" % number, b"v")
    scale.weigh(partition)
    for number in range(9_990):
        partition.remove(b"%d" % number)
    scale.weigh(partition)
    assert partition.weight_bytes < 20_000
    assert len(partition.values) == 10


def test_marks_of_keys_that_are_gone_are_dropped() -> None:
    """By the walk, at the latest."""
    store = Store(ledger=Ledger(Random(1)))
    space, scale = store.keyspace(0), Scale(store)
    partition = space.partitions[0]
    partition.put(b"a", b"v")
    partition.marks = {b"a": 1, b"b": 2}
    scale.weigh(partition)
    assert partition.marks == {b"a": 1}


def test_a_walk_comes_to_all_partitions_of_all_databases() -> None:
    """And says when it is round."""
    store = Store(ledger=Ledger(Random(1)))
    scale = Scale(store)
    assert scale.walk()
    for database in (0, 3):
        for partition in store.keyspace(database).partitions:
            partition.values[b"k"] = bytes(1000)
    steps = 1
    while not scale.walk():
        steps += 1
    assert steps == 2 * PARTITIONS
    assert all(part.weight_bytes > 1000 for space in store.used() for part in space.partitions)


def test_a_string_takes_its_bytes_and_a_header() -> None:
    """In steps of 16, as Python's allocator gives it."""
    assert [weight(value) for value in (None, b"", b"x" * 15, b"x" * 16)] == [0, 48, 48, 64]
