"""The end of a turn of the event loop: decisions first, then writes, in one call of the loop's."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps

from respcache.net.turn import Turn


def looped(test: Callable[[], Coroutine[object, object, None]]) -> Callable[[], None]:
    """Run a test in a loop of its own."""

    @wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


class Ends:
    """Counts the calls of the loop's, and keeps what is done in order."""

    def __init__(self) -> None:
        self.turn = Turn()
        self.done: list[str] = []

    def note(self, what: str, then: Callable[[], None] = lambda: None) -> Callable[[], None]:
        """Make something to be done."""

        def callback() -> None:
            self.done.append(what)
            then()

        return callback


async def _next() -> None:
    """Let the loop have a turn."""
    await asyncio.sleep(0)


@looped
async def test_decisions_come_before_writes_and_these_in_their_order() -> None:
    """However they were asked for."""
    ends = Ends()
    ends.turn.write(ends.note("write 1"))
    ends.turn.decide(ends.note("decide 1"))
    ends.turn.write(ends.note("write 2"))
    ends.turn.decide(ends.note("decide 2"))
    assert ends.done == []
    await _next()
    assert ends.done == ["decide 1", "decide 2", "write 1", "write 2"]


@looped
async def test_what_a_decision_has_written_goes_in_the_same_turn() -> None:
    """And what a decision decides besides, or a write asks for, comes in the next."""
    ends = Ends()
    turn = ends.turn
    again = ends.note("write again")
    write = ends.note("write", lambda: turn.write(again))
    turn.decide(ends.note("decide", lambda: turn.write(write)))
    turn.decide(ends.note("decide more", lambda: turn.decide(ends.note("decided later"))))
    await _next()
    assert ends.done == ["decide", "decide more", "write"]
    await _next()
    assert ends.done == ["decide", "decide more", "write", "decided later", "write again"]


@looped
async def test_one_call_of_the_loop_is_enough() -> None:
    """However much there is to do."""
    ends = Ends()
    loop = asyncio.get_running_loop()
    for number in range(5):
        ends.turn.write(ends.note(f"write {number}"))
    loop.call_soon(ends.note("behind all"))
    ends.turn.write(ends.note("write 5"))
    await _next()
    assert ends.done == [*(f"write {number}" for number in range(6)), "behind all"]


@looped
async def test_a_failure_is_told_and_keeps_nothing_else_from_being_done() -> None:
    """As if each had been called by the loop itself."""
    ends = Ends()
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    failure = ValueError("a defect")

    def fail() -> None:
        raise failure

    ends.turn.decide(ends.note("decide"))
    ends.turn.decide(fail)
    ends.turn.write(ends.note("write"))
    await _next()
    await _next()
    assert ends.done == ["decide", "write"]
    assert told == [failure]
    ends.turn.write(ends.note("later"))
    await _next()
    assert ends.done[-1] == "later"
