"""Keys map to the slots that Redis Cluster clients compute."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.ownership.slots import (
    PARTITIONS,
    SLOTS,
    SLOTS_PER_PARTITION,
    partition_of,
    partitions_of,
    slot_of,
)


@pytest.mark.parametrize(
    ("key", "slot"),
    [
        (b"", 0),
        (b"foo", 12_182),
        (b"bar", 5_061),
        (b"hello", 866),
        (b"123456789", 0x31C3),
        (b"user1000", 3_443),
        (b"{user1000}.following", 3_443),
        (b"foo{{bar}}zap", 4_015),
        (b"foo}{bar}", 5_061),
        (b"a{b}c}", 3_300),
        (b"foo{}{bar}", 8_363),
        (b"}foo{", 8_453),
        (b"{}", 15_257),
        (b"{", 4_092),
    ],
)
def test_slots_are_those_of_redis_cluster(key: bytes, slot: int) -> None:
    """The values are what CLUSTER KEYSLOT of Redis 7.0 answers; empty and unclosed tags are none."""
    assert slot_of(key) == slot


@given(prefix=st.binary().filter(lambda prefix: b"{" not in prefix), tag=st.binary(min_size=1), suffix=st.binary())
def test_keys_with_one_tag_share_a_slot(prefix: bytes, tag: bytes, suffix: bytes) -> None:
    """What stands around a tag never matters."""
    tag = tag.replace(b"}", b"_")
    assert slot_of(prefix + b"{" + tag + b"}" + suffix) == slot_of(b"{" + tag + b"}")


@given(key=st.binary())
def test_a_partition_is_sixteen_neighbouring_slots(key: bytes) -> None:
    """Slot and partition stay in range and agree with each other."""
    slot, partition = slot_of(key), partition_of(key)
    assert 0 <= slot < SLOTS == PARTITIONS * SLOTS_PER_PARTITION
    assert slot in range(partition * SLOTS_PER_PARTITION, (partition + 1) * SLOTS_PER_PARTITION)


def test_keys_reach_every_partition() -> None:
    """Ordinary keys leave no partition empty."""
    assert {partition_of(b"key:%d" % number) for number in range(20_000)} == set(range(PARTITIONS))


@given(keys=st.lists(st.binary(max_size=8), max_size=8))
def test_the_partitions_of_keys_come_each_once_and_in_order(keys: list[bytes]) -> None:
    """One key or several: nobody locks a partition twice, or in another order than others."""
    assert list(partitions_of(keys)) == sorted({partition_of(key) for key in keys})
