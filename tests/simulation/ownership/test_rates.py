"""Copies at a rate that an operator chose, and when nobody waits for it."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from simulation.ownership.chaos import CONFIG as MAJORITY
from simulation.ownership.chaos import GONE_S, REST_S, begin, write_everywhere
from simulation.ownership.checks import at_rest, check_all, unrest
from simulation.ownership.world import RATE
from simulation.replay import each_seed


@each_seed(3)
def test_copies_take_as_long_as_their_rate_has_them_take(seed: int) -> None:
    """A newcomer is given its copies by all at that rate, in the end all of them, and nobody is busy in between."""
    config, size = replace(MAJORITY, copy_bytes_per_s=20_000), 20_000
    world = begin(seed, config, nodes=2)
    write_everywhere(world, bytes(size))
    world.run(1.0)
    givers, steps = world.live(), [0, 0]
    for place, sim in enumerate(givers):
        copying = sim.keeper._holdings.copying
        copying.step = partial(_counted, steps, place, copying.step)  # type: ignore[method-assign] # to count them
    before = [sim.keeper.figures(world.now).bytes_out_total for sim in givers]
    began_s = world.now
    world.start("n2")
    assert world.run_until(lambda: at_rest(world), within_s=REST_S), unrest(world)
    sent = [sim.keeper.figures(world.now).bytes_out_total - had for sim, had in zip(givers, before, strict=True)]
    for bytes_sent, taken in zip(sent, steps, strict=True):
        assert bytes_sent > 2 * size
        assert (bytes_sent - size) / config.copy_bytes_per_s <= (world.now - began_s) * RATE[1]
        assert taken <= 5 * config.partitions, "four pieces each, and the end"
    check_all(world, [])


def test_a_node_that_leaves_does_not_wait_for_its_rate() -> None:
    """What it has not handed over when its time is up would be lost."""
    world = begin(1, replace(MAJORITY, copy_bytes_per_s=1, replica_count=1), nodes=2)
    write_everywhere(world, bytes(1_000))
    world.run(1.0)
    world.leave("n1")
    assert world.run_until(lambda: not world.nodes["n1"].alive, within_s=GONE_S)
    assert world.run_until(lambda: at_rest(world), within_s=REST_S), unrest(world)
    check_all(world, [])


@each_seed(3)
def test_nobody_waits_for_its_rate_while_a_node_leaves(seed: int) -> None:
    """The others make the copies of what it held a copy of, and it waits for them; afterwards the rate holds again."""
    world = begin(seed, replace(MAJORITY, copy_bytes_per_s=1), nodes=3)
    for sim in world.live():
        sim.keeper.holdings.copying.allowance.change(0)
    write_everywhere(world, bytes(1_000))
    assert world.run_until(lambda: at_rest(world), within_s=REST_S), unrest(world)
    for sim in world.live():
        sim.keeper.holdings.copying.allowance.change(1)
    world.leave("n1")
    assert world.run_until(lambda: not world.nodes["n1"].alive, within_s=GONE_S)
    assert world.run_until(lambda: at_rest(world), within_s=REST_S), unrest(world)
    check_all(world, [])
    world.run(1.0)
    for sim in world.live():
        allowance = sim.keeper.holdings.copying.allowance
        allowance.take(world.now, 1_000)
        assert allowance.due_s > world.now


def _counted(steps: list[int], place: int, step: Callable[[float, int], None], now: float, number: int) -> None:
    """Take a step, and count it."""
    steps[place] += 1
    step(now, number)
