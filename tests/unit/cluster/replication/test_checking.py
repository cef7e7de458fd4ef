"""Copies are compared chunk by chunk, and whatever differs is found."""

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.replication.checking import CHUNK_KEYS, PAUSE_S, Checking, equals
from respcache.cluster.replication.items import Items
from respcache.cluster.replication.log import Log, Replication
from simulation.ownership.store import ModelStore

ROUND_S = 10.0


class Pair:
    """A primary of one partition, with a copy."""

    def __init__(self, keys: int) -> None:
        self.store, self.copy = ModelStore(), ModelStore()
        for number in range(keys):
            for store in (self.store, self.copy):
                store.apply(1, number % 2, [b"SET", b"k%d" % number, b"v%d" % number])
        self.replication = Replication()
        self.stream = self.replication.stream("b", 1)
        self.log = Log(self.replication, 1, 1, 0)
        self.log.attach((), (self.stream,))
        self.logs = {1: self.log}
        self.checking = Checking(self.store, Random(1), round_s=ROUND_S)
        self.checking.step(0.0, self.logs)

    def checks(self) -> list[list[bytes]]:
        """Go through the partition once; return what the copy is to compare."""
        done = self.checking.checked
        while self.checking.checked == done:
            self.checking.step(self.checking.due_s, self.logs)
        found = [argv for _, _, _, _, argv in self.stream.open]
        self.stream.open = Items([], [])
        return found

    def equal(self) -> bool:
        """Compare."""
        return all(equals(self.copy, 1, argv) for argv in self.checks())


@pytest.mark.parametrize("keys", [0, 1, CHUNK_KEYS, CHUNK_KEYS + 1, 3 * CHUNK_KEYS])
def test_equal_copies_are_found_equal(keys: int) -> None:
    """Chunk by chunk; the last one has the number of keys."""
    pair = Pair(keys)
    checks = pair.checks()
    assert len(checks) == max(1, math.ceil(keys / CHUNK_KEYS))
    assert [bool(argv[2]) for argv in checks] == [False] * (len(checks) - 1) + [True]
    assert all(equals(pair.copy, 1, argv) for argv in checks)
    assert pair.equal()


@given(keys=st.integers(1, 250), at=st.integers(0, 249), harm=st.sampled_from((b"wrong", None)))
def test_any_wrong_or_missing_key_is_found(keys: int, at: int, harm: bytes | None) -> None:
    """Wherever it is."""
    pair = Pair(keys)
    number = at % keys
    pair.copy.restore(1, number % 2, b"k%d" % number, harm)
    assert not pair.equal()


def test_a_key_that_only_the_copy_has_is_found() -> None:
    """By the number of keys."""
    pair = Pair(5)
    pair.copy.apply(1, 0, [b"SET", b"more", b"v"])
    assert not pair.equal()


def test_what_is_written_meanwhile_is_no_difference() -> None:
    """Both have it by then, for checks and effects come in one order."""
    pair = Pair(2 * CHUNK_KEYS)
    pair.checking.step(pair.checking.due_s, pair.logs)
    for store in (pair.store, pair.copy):
        store.apply(1, 0, [b"DEL", b"k0"])
        store.apply(1, 0, [b"SET", b"new", b"v"])
    assert pair.equal()


def test_a_round_takes_its_time() -> None:
    """A pause between chunks, a long one between partitions; without copies there is nothing to do."""
    pair = Pair(2 * CHUNK_KEYS)
    other = Log(pair.replication, 7, 1, 0)
    other.attach((), (pair.stream,))
    pair.logs[7] = other
    first = pair.checking.due_s
    pair.checking.step(first - 0.001, pair.logs)
    assert not pair.stream.open
    pair.checking.step(first, pair.logs)
    assert pair.checking.due_s == first + PAUSE_S
    pair.checking.step(first + PAUSE_S, pair.logs)
    assert pair.checking.due_s == pytest.approx(first + PAUSE_S + ROUND_S / 2)
    pair.checks()
    pair.checks()
    assert pair.checking.checked == 3
    for log in pair.logs.values():
        log.attach((), ())
    pair.checking.step(1e6, pair.logs)
    assert pair.checking.due_s == math.inf


def test_a_partition_that_changes_is_left() -> None:
    """A copy that came later has not been asked about the first chunk."""
    pair = Pair(2 * CHUNK_KEYS)
    pair.checking.step(pair.checking.due_s, pair.logs)
    pair.log.attach((), (pair.stream, pair.replication.stream("c", 1)))
    assert len(pair.checks()) == 3


def test_a_round_of_no_length_is_none() -> None:
    """0 is for never."""
    checking = Checking(ModelStore(), Random(1), round_s=0.0)
    log = Log(Replication(), 1, 1, 0)
    log.attach((), (log.replication.stream("b", 1),))
    checking.step(0.0, {1: log})
    assert checking.due_s == math.inf


@given(st.lists(st.binary(max_size=15), max_size=8))
def test_what_is_no_check_does_no_harm(argv: list[bytes]) -> None:
    """It comes from another version, or from nobody honest."""
    assert equals(ModelStore(), 1, argv) in {True, False}
