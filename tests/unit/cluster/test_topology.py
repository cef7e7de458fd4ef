"""The cluster as commands and people ask for it."""

from respcache.cluster.ownership.slots import PARTITIONS, SLOTS, SLOTS_PER_PARTITION
from respcache.cluster.topology import slot_ranges


def test_slots_are_listed_by_their_owner() -> None:
    """Neighbours in one range; what nobody owns in none."""
    primary = ["a"] * 2 + [""] + ["b"] + ["a"] * (PARTITIONS - 4)
    last = SLOTS_PER_PARTITION
    assert slot_ranges(primary) == {"a": [(0, 2 * last - 1), (4 * last, SLOTS - 1)], "b": [(3 * last, 4 * last - 1)]}
