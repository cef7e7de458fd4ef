"""Keeps collections of garbage short, however much the process of a node holds.

Python frees what nobody refers to at once. Its collector is there for cycles, and to find them goes through
everything that may refer to something else. A node makes hardly any cycles, and holds millions of such
objects: a full collection took 60 to 80 ms with 100,000 hashes, and 270 ms with five values of a million elements each.
One list of a million elements takes 75 ms each time, be it old or young.

So what has been gone through once, and took long, is not gone through again: it is *frozen* (see gc.freeze), which
takes microseconds. Frozen objects are freed like all others when nobody refers to them any more. Only a cycle that
lasts until it is frozen, and is let go later, stays. `tests/integration/test_garbage.py` sees to it that clients and
commands leave none, and `MEMORY PURGE` frees what there may be.

Everything that is not frozen is gone through whenever the process has worked for `WORK_S` more. That takes little, for
there is little of it, and it finds what grows before it is large: a list that nobody had looked at would be a long one
the first time. A process that has nothing to do does not even wake for it. (The time on a clock would not do: at ten
times a second a node that was given a copy had collections of 6 ms, and an idle one was woken ten times.) While many
objects are made, full collections come sooner than Python has them, so there is less to go through in each.
"""

import asyncio
import gc
import signal
from time import thread_time_ns
from typing import Final

WORK_S: Final = 0.02
"""CPU time between two looks, as `setitimer` counts it."""
LONG_NS: Final = 500_000
"""CPU time of a collection from which on what it went through is frozen: so all that is not frozen costs the process a
fortieth of its time at most."""
YOUNG: Final = 4_000
"""So many objects more than before, and the young ones are gone through; Python has 700. A node with a thousand
commands on their way to other nodes has as many more for a millisecond, and looked for cycles among them all the time:
that was 4 % of what they cost it."""
MIDDLE_EVERY: Final = 1
"""Collections of young objects until one of middle-aged ones is due; Python has 10, of a sixth of that size."""
FULL_EVERY: Final = 3
"""Collections of middle-aged objects until a full one is due; Python has 10. One looks at 12,000 objects at most, which
takes up to 2 ms, and if that is longer than LONG_NS none of them is looked at again."""


class Collecting:
    """The collector of this process, made to take little time at once.

    idle --begin--> at work --end--> idle, with everything as it was
    """

    def __init__(self) -> None:
        self._thresholds = gc.get_threshold()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._began_ns = 0

    def begin(self) -> None:
        """Begin, with everything there is frozen. To be called within the event loop of the main thread."""
        self._thresholds = gc.get_threshold()
        gc.set_threshold(YOUNG, MIDDLE_EVERY, FULL_EVERY)
        gc.collect()
        gc.freeze()
        gc.callbacks.append(self._collected)
        self._loop = asyncio.get_running_loop()
        self._loop.add_signal_handler(signal.SIGVTALRM, self._look)
        self._look()

    def end(self) -> None:
        """Leave the collector as it was."""
        if self._loop is not None:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            self._loop.remove_signal_handler(signal.SIGVTALRM)
            self._loop = None
            gc.callbacks.remove(self._collected)
            gc.set_threshold(*self._thresholds)
            gc.unfreeze()

    def _look(self) -> None:
        gc.collect()
        signal.setitimer(signal.ITIMER_VIRTUAL, WORK_S)

    def _collected(self, phase: str, _figures: dict[str, int]) -> None:
        if phase == "start":
            self._began_ns = thread_time_ns()
        elif thread_time_ns() - self._began_ns > LONG_NS:
            gc.freeze()
