"""What the collector of garbage goes through, and what it is spared."""

import asyncio
import gc
import signal
import weakref
from time import process_time

from respcache.cli.collecting import FULL_EVERY, MIDDLE_EVERY, WORK_S, YOUNG, Collecting

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


def test_young_cycles_are_found_by_and_by() -> None:
    """Whenever the process has worked for a while."""

    async def tie() -> None:
        collecting = Collecting()
        collecting.begin()
        freed = weakref.ref(knot := Knot())
        del knot
        gc.disable()  # what the program does itself finds nothing
        try:
            until = process_time() + 50 * WORK_S
            while freed() is not None and process_time() < until:
                sum(range(1_000))
                await asyncio.sleep(0)
        finally:
            gc.enable()
        assert freed() is None
        collecting.end()

    asyncio.run(tie())


def test_a_process_that_has_nothing_to_do_is_not_woken() -> None:
    """What is waited for is work, not a time: while the process sleeps next to nothing of it passes."""

    async def sleep() -> None:
        collecting = Collecting()
        collecting.begin()
        await asyncio.sleep(3 * WORK_S)
        left_s, _ = signal.getitimer(signal.ITIMER_VIRTUAL)
        assert WORK_S / 2 < left_s <= 2 * WORK_S  # a system rounds it up to its own ticks
        collecting.end()
        assert signal.getitimer(signal.ITIMER_VIRTUAL)[0] == 0

    asyncio.run(sleep())


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
