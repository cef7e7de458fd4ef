"""What the collector of garbage goes through, and what it is spared."""

import asyncio
import gc
import weakref

from respcache.cli.collecting import BUSY_PERIOD_S, FULL_EVERY, MIDDLE_EVERY, PERIOD_S, YOUNG, Collecting

MANY = 200_000
"""Objects that take the collector more than a millisecond, on any machine."""


class Knot:
    """Something that refers to itself."""

    def __init__(self) -> None:
        self.itself = self


def test_what_was_once_gone_through_is_not_gone_through_again() -> None:
    """A collection that took long freezes what it has found alive, and the next one has next to nothing to do."""

    async def spare() -> None:
        collecting = Collecting()
        collecting.begin()
        held = [[number] for number in range(MANY)]
        gc.collect()
        assert gc.get_freeze_count() > MANY
        assert len(gc.get_objects()) < MANY / 2  # of the rest, one collection takes no millisecond
        freed = weakref.ref(knot := Knot())
        del knot, held
        gc.collect()
        assert freed() is None
        collecting.end()

    asyncio.run(spare())


def test_frozen_objects_are_freed_when_nobody_refers_to_them() -> None:
    """To be frozen is not to be kept."""

    async def let_go() -> None:
        collecting = Collecting()
        collecting.begin()
        before = gc.get_freeze_count()
        held = [[number] for number in range(MANY)]
        gc.collect()
        del held
        assert gc.get_freeze_count() < before + MANY / 10
        collecting.end()

    asyncio.run(let_go())


def test_young_cycles_are_found_before_they_are_frozen() -> None:
    """While little is held nothing is ever frozen, and cycles are collected as in any program."""

    async def tie() -> None:
        collecting = Collecting()
        collecting.begin()
        freed = weakref.ref(knot := Knot())
        del knot
        async with asyncio.timeout(30):
            while freed() is not None:  # noqa: ASYNC110 # the collector has no events
                await asyncio.sleep(0.01)
        collecting.end()

    asyncio.run(tie())


def test_while_many_objects_are_made_they_are_looked_at_more_often() -> None:
    """So there are fewer of them each time; then as often as before."""

    async def make() -> None:
        collecting, loop = Collecting(), asyncio.get_running_loop()
        collecting.begin()
        gc.disable()  # or most would be found before
        held = [[number] for number in range(MANY)]
        periods = []
        try:
            for _ in range(2):
                collecting._look()
                assert collecting._timer is not None
                periods.append(collecting._timer.when() - loop.time())
        finally:
            gc.enable()
        assert len(held) == MANY
        assert periods[0] <= BUSY_PERIOD_S < periods[1] <= PERIOD_S
        collecting.end()

    asyncio.run(make())


def test_the_collector_is_left_as_it_was() -> None:
    """Afterwards the thresholds are those from before, and nothing is frozen or called."""
    thresholds, callbacks = gc.get_threshold(), list(gc.callbacks)

    async def begin_and_end() -> None:
        collecting = Collecting()
        collecting.begin()
        assert gc.get_threshold() == (YOUNG, MIDDLE_EVERY, FULL_EVERY)
        assert len(gc.callbacks) == len(callbacks) + 1
        collecting.end()
        collecting.end()

    asyncio.run(begin_and_end())
    assert (gc.get_threshold(), gc.callbacks, gc.get_freeze_count()) == (thresholds, callbacks, 0)
