"""What the record gives to others is deleted here, and nothing else."""

from respcache.cluster.effects import Dropped
from respcache.cluster.surplus import DROP_KEYS, Surplus
from simulation.ownership.store import ModelStore


def filled(*partitions: int, keys: int = 3) -> ModelStore:
    """Return a store with as many keys in each partition."""
    store = ModelStore()
    for partition in partitions:
        for key in range(keys):
            store.apply(partition, 0, [b"SET", b"%d" % key, b"v"])
    return store


def test_what_is_held_again_stays() -> None:
    """Whether as a copy or as the primary; what was spared does, too."""
    store = filled(1, 2, 3, 4)
    surplus = Surplus(store)
    for partition in (1, 2, 3, 4):
        surplus.doom(partition, was_primary=partition == 4)
    assert not surplus.spare(3)
    assert surplus.drop_some({1}, {2}) == [Dropped((4,), 3, 3)]
    assert sorted(store.partitions) == [1, 2, 3]
    assert not surplus
    assert surplus.dropped_keys == 3
    assert surplus.orphaned_keys == 3


def test_a_step_is_bounded() -> None:
    """By keys; the rest goes in the next one."""
    store = filled(1, 2, 3, keys=DROP_KEYS // 2)
    surplus = Surplus(store)
    for partition in (1, 2, 3):
        surplus.doom(partition, was_primary=False)
    assert surplus.drop_some() == [Dropped((3, 2), DROP_KEYS, 0)]
    assert len(surplus) == 1
    assert surplus.drop_some() == [Dropped((1,), DROP_KEYS // 2, 0)]


def test_orphans_count_as_lost() -> None:
    """They were written here while this node was cut off."""
    surplus = Surplus(ModelStore())
    assert surplus.replaced([]) == []
    assert surplus.replaced([(1, 2), (3, 4)]) == [Dropped((1, 3), 6, 6)]
    assert surplus.dropped_keys == surplus.orphaned_keys == 6


def test_what_is_spared_remembers_whose_it_was() -> None:
    """A copy that is made over it takes what this node alone may have written."""
    surplus = Surplus(ModelStore())
    surplus.doom(1, was_primary=True)
    surplus.doom(2, was_primary=False)
    assert surplus.spare(1)
    assert not surplus.spare(2)
    assert not surplus.spare(1)
    assert not len(surplus)
