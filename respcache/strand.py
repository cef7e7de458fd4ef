"""Work that can rest in its midst, on the one thread that there is, so that others have their turn.

It runs in a greenlet, which is a stack of its own, with all frames of Lua and C on it. One is kept for all work: to go
over to it and back takes a fifth of a short script, to make one for each piece of work would take longer than that.

    idle --run--> working --------ends-------> idle: the value is given, or the error raised
                   |   ^
                 rest  |  after whatever else there is to do
                   v   |
                  resting: `run` has raised Rested, and the outcome is passed on when there is one (`then`)
"""

import logging
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, TypeVar

from respcache.errors import CommandError, InternalError

if TYPE_CHECKING:
    from greenlet import greenlet

log: Final = logging.getLogger(__name__)

T = TypeVar("T")
Outcome: TypeAlias = Callable[[], Any]
"""Gives the value of work, or raises its error."""

RESTS: Final = object()
FAILED: Final = object()


class Detour(Exception):
    """By raising it work says that it has to be done in another way."""


class Rested(Exception):
    """Work has not come to its end. It goes on by itself, and whoever has begun it is told of the outcome later."""


class Hold(Protocol):
    """What stands still while work rests."""

    @property
    def is_intact(self) -> bool:
        """Whether all still stands still that does since the work rested."""

    def has(self, number: int) -> bool:
        """Tell whether a partition stands still, and the work may go on with it."""

    @property
    def untold_bytes(self) -> int:
        """How much has been written of which copies are still to be told: it grows until the work has ended."""

    @property
    def untold_max_bytes(self) -> int:
        """How much the work may add to that."""

    def lacks_copies(self, numbers: Collection[int]) -> bool:
        """Tell whether any of these partitions has too few copies by now for what the work may have written to it."""

    def begin(self) -> None:
        """Stand still: the work rests, for the first time."""

    def resume(self) -> None:
        """Let the work go on."""

    def pause(self) -> None:
        """Let others have their turn: it rests once more."""

    def end(self) -> None:
        """Go on as before: the work has ended."""


class Strand:
    """One piece of work at a time."""

    def __init__(self) -> None:
        self.soon: Callable[[Callable[[], None]], object] | None = None
        """Calls back after whatever else there is to do; without it work does not rest."""
        self.over: Callable[[], None] = _nothing
        """Called when work that had rested has ended, before what stands still for it goes on."""
        self.is_resting = False
        """Whether work is in its midst while others have their turn: then none other may be begun."""
        self._current: Callable[[], greenlet] | None = None
        self._worker: greenlet | None = None
        self._back: greenlet | None = None
        """Where to go back to."""
        self._failure: BaseException | None = None
        self._hold: Hold | None = None
        self._then: Callable[[Outcome], None] | None = None

    def run(self, work: Callable[[], T], hold: Hold) -> T:
        """Do work to its end, and raise what it raises; or to its first rest, and raise Rested.

        Work that is begun within other work is a part of it.
        """
        if self._current is None:
            self._make()
        current, worker = self._current, self._worker
        if current is None or worker is None:
            return work()
        here = current()
        if here is worker:
            return work()
        assert not self.is_resting, "work is begun while other work rests"
        self._back = here
        outcome = worker.switch(work)
        if outcome is RESTS:
            self._hold, self.is_resting = hold, True
            hold.begin()
            self._soon()
            raise Rested
        if outcome is FAILED:
            raise self._taken()
        return outcome  # type: ignore[no-any-return] # what `work` has given

    def then(self, listener: Callable[[Outcome], None]) -> None:
        """Have the outcome of the work that rests passed on. To be called once, after Rested."""
        self._then = listener

    def rest(self) -> bool:
        """Let others have their turn, if this is called within work; else do nothing, and return False."""
        current, back = self._current, self._back
        if self.soon is None or current is None or back is None or current() is not self._worker:
            return False
        back.switch(RESTS)
        return True

    def finish(self) -> None:
        """Let the work that rests, if there is any, go on to its end, whatever else there is to do."""
        while self.is_resting:
            self._go_on()

    def _go_on(self) -> None:
        current, worker, hold = self._current, self._worker, self._hold
        if not self.is_resting:
            return  # it has been finished
        assert current is not None
        assert worker is not None
        assert hold is not None
        self._back, self.is_resting = current(), False
        hold.resume()
        outcome = worker.switch(None)
        if outcome is RESTS:
            self.is_resting = True
            hold.pause()
            self._soon()
            return
        failure = self._taken() if outcome is FAILED else None
        if failure is not None and not isinstance(failure, CommandError | Detour):  # nobody else would hear of it
            log.error("a script that had rested failed on a defect of this program", exc_info=failure)
            failure = InternalError()
        listener, self._then = self._then, None
        try:
            self.over()
        finally:
            hold.end()
        if listener is not None:
            listener(lambda: _raised(failure) if failure is not None else outcome)

    def _soon(self) -> None:
        assert self.soon is not None
        self.soon(self._go_on)

    def _make(self) -> None:
        try:
            from greenlet import getcurrent, greenlet  # noqa: PLC0415 # it comes with the extra for scripts
        except ImportError:
            return
        self._current, self._worker = getcurrent, greenlet(self._labour)

    def _labour(self, work: Callable[[], object]) -> None:
        """Do one piece of work after the other. This is all that runs in the greenlet."""
        while True:
            try:
                outcome = work()
            except Exception as failure:  # noqa: BLE001 # it is raised where the work was begun
                self._failure, outcome = failure, FAILED
            back = self._back
            assert back is not None
            work = back.switch(outcome)

    def _taken(self) -> BaseException:
        failure, self._failure = self._failure, None
        assert failure is not None
        return failure


def _nothing() -> None:
    """Go on."""


def _raised(failure: BaseException) -> object:
    raise failure
