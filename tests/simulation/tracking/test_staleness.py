"""No client keeps for ever what has been overwritten."""

from typing import Final

import pytest

from simulation.replay import each_seed
from simulation.tracking.world import World

SEEDS: Final = range(20, 140)
"""One in twenty or so finds a defect; the first are some that do by the present course of storms."""


@each_seed(40)
def test_nothing_that_a_client_has_is_out_of_date_in_the_end(seed: int) -> None:
    """After reads, writes, moves, deaths, broken links and late news in any order, once all has arrived."""
    world = World(seed, nodes=2 + seed % 3)
    world.storm(1200)
    world.settle()
    assert not world.stale()


@pytest.mark.parametrize("defect", ["invalidates_moved", "hears_links"])
def test_the_storms_find_nodes_that_rely_on_who_tells_them_nothing(defect: str) -> None:
    """Where nothing is forgotten when owners change, or when links break, some keep what has been overwritten."""
    told = 0
    for seed in SEEDS:
        world = World(
            seed, nodes=3, invalidates_moved=defect != "invalidates_moved", hears_links=defect != "hears_links"
        )
        world.storm(1200)
        world.settle()
        told += world.told
        if world.stale():
            break
    else:
        pytest.fail("no storm has found it")
    assert told > 50
