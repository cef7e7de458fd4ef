"""Commands on bitmaps, where a comparison with Redis does not reach: what nothing changed, and the longest strings."""

import pytest

from respcache.commands.bitmaps import BITS_MAX, NotABitOffset, bitfield, setbit
from respcache.store.keyspace import Store
from respcache.store.partition import Argv, Partition


def _partition(text: bytes) -> Partition:
    partition = Store().keyspace(0).at(b"k")
    partition.put(b"k", text)
    partition.changed = False
    return partition


@pytest.mark.parametrize(
    "argv",
    [
        [b"BITFIELD", b"k", b"GET", b"u8", b"#3"],
        [b"BITFIELD", b"k", b"SET", b"u8", b"0", b"255"],
        [b"BITFIELD", b"k", b"OVERFLOW", b"FAIL", b"INCRBY", b"u8", b"0", b"1"],
        [b"BITFIELD", b"k", b"OVERFLOW", b"SAT", b"INCRBY", b"u8", b"0", b"1"],
    ],
)
def test_numbers_that_stay_what_they_are_are_no_change(argv: Argv) -> None:
    """So the copies hear nothing of them."""
    partition = _partition(b"\xff")
    bitfield(partition, argv)
    assert not partition.changed


def test_a_bit_that_is_set_already_is_no_change() -> None:
    """So the copies hear nothing of it; one behind the end is a change even if it is 0."""
    changes = []
    for place, bit in ((b"7", b"1"), (b"8", b"0")):
        partition = _partition(b"\xff")
        setbit(partition, [b"SETBIT", b"k", place, bit])
        changes.append((partition.changed, partition.string(b"k")))
    assert changes == [(False, b"\xff"), (True, b"\xff\0")]


def test_a_number_that_would_end_behind_the_longest_string_is_refused() -> None:
    """Nothing is changed then."""
    partition = _partition(b"v")
    with pytest.raises(NotABitOffset):
        bitfield(partition, [b"BITFIELD", b"k", b"SET", b"u8", b"%d" % (BITS_MAX - 7), b"1"])
    assert (partition.values, partition.changed) == ({b"k": b"v"}, False)
