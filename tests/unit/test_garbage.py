"""Collections are counted and timed."""

import gc

from respcache.garbage import Garbage


def test_collections_are_counted_by_generation() -> None:
    """Each one counts, with the time that it took and the cycles that it found, from `watch` to `unwatch`."""
    garbage = Garbage()
    gc.collect()
    garbage.watch()
    knot: list[object] = []
    knot.append(knot)
    del knot
    gc.collect()
    gc.collect(0)
    garbage.unwatch()
    garbage.unwatch()
    gc.collect()
    assert garbage.collections[2] == 1
    assert garbage.found[2] >= 1
    assert garbage.collections[0] >= 1
    assert garbage.paused_ns[2] >= garbage.longest_ns[2] > 0
