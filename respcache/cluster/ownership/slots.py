"""From a key to its slot and its partition.

Slots are Redis Cluster's: 16,384 of them, CRC16 of the key or of its hash tag,
so that cluster-aware clients compute the same number. What the cluster places,
replicates and moves is coarser: a partition of 16 neighbouring slots, which
keeps the table that CLUSTER SLOTS sends small.
"""

from binascii import crc_hqx
from collections.abc import Sequence
from typing import Final

SLOTS: Final = 16_384
"""Slots of the key space, as the Redis Cluster specification fixes them."""

PARTITIONS: Final = 1_024
"""Units of placement. Every node of a cluster must agree, so this is no setting."""

EVERYWHERE: Final = tuple(range(PARTITIONS))
"""All of them: what a command on a whole database is about."""

SLOTS_PER_PARTITION: Final = SLOTS // PARTITIONS
"""Partition p holds the slots from `p * SLOTS_PER_PARTITION` up to the next partition's first."""


OPENING: Final = ord("{")


def slot_of(key: bytes) -> int:
    """Return the slot of a key, 0 to 16,383, as Redis Cluster does.

    The hash tag, the bytes between the first `{` and the next `}`, stands for
    the whole key, so that keys with one tag live together. An empty or an
    unclosed tag is none. `crc_hqx` from 0 is the specification's CRC16 (XMODEM).
    """
    return crc_hqx(_tag_of(key) if OPENING in key else key, 0) & 16_383


def partition_of(key: bytes) -> int:
    """Return the partition of a key, 0 to 1,023: that of its slot."""
    return crc_hqx(_tag_of(key) if OPENING in key else key, 0) >> 4 & 1_023


def partitions_of(keys: Sequence[bytes]) -> tuple[int, ...]:
    """List the partitions of keys, each once and in order."""
    if len(keys) == 1:  # most often; a set would take a twentieth of a short script
        return (partition_of(keys[0]),)
    return tuple(sorted({partition_of(key) for key in keys}))


def _tag_of(key: bytes) -> bytes:
    tag, closing, _ = key.partition(b"{")[2].partition(b"}")  # a quarter faster than to find both and to cut
    return tag if tag and closing else key
