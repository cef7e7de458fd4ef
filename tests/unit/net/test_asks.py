"""Commands of a peer that wait until it has read the answers to others."""

from collections.abc import Callable

from respcache.net.asks import Asks
from respcache.net.messages import Ask


class Owner:
    """Runs so many requests at a time, and notes them; its next turn comes when the test says so."""

    def __init__(self, at_a_time: int) -> None:
        self.ran: list[int] = []
        self.asks = Asks(self._run, self._soon)
        self._at_a_time = at_a_time
        self._turns: list[Callable[[], None]] = []

    def _run(self, ask: Ask) -> int:
        numbers = [number for number, _, _ in ask.requests[: self._at_a_time]]
        self.ran += numbers
        return len(numbers)

    def _soon(self, callback: Callable[[], None]) -> None:
        self._turns.append(callback)

    def turn(self) -> None:
        """Let the loop's next turn come."""
        turns, self._turns = self._turns, []
        for callback in turns:
            callback()


def ask(*numbers: int) -> Ask:
    """Make a message with requests of these numbers."""
    return Ask((1, 1), 0, 2, 5.0, [(number, [0], [b"GET", b"k"]) for number in numbers])


def test_what_is_small_is_run_at_once() -> None:
    """Message by message, as it comes in."""
    owner = Owner(at_a_time=10)
    owner.asks.take(ask(1, 2))
    owner.asks.take(ask(3))
    assert (owner.ran, len(owner.asks)) == ([1, 2, 3], 0)


def test_what_is_large_is_run_turn_by_turn_and_in_order() -> None:
    """What comes in meanwhile stands behind it."""
    owner = Owner(at_a_time=2)
    owner.asks.take(ask(1, 2, 3, 4, 5))
    owner.asks.take(ask(6))
    seen = [list(owner.ran)]
    while len(owner.asks):
        owner.turn()
        seen.append(list(owner.ran))
    assert seen == [[1, 2], [1, 2, 3, 4], [1, 2, 3, 4, 5, 6]]


def test_nothing_is_run_for_a_peer_that_does_not_read() -> None:
    """Not in later turns either; when it has read things go on where they were."""
    owner = Owner(at_a_time=2)
    owner.asks.take(ask(1, 2, 3))
    owner.asks.pause()
    owner.turn()
    owner.asks.take(ask(4))
    assert owner.ran == [1, 2]
    owner.asks.resume()
    assert owner.ran == [1, 2, 3, 4]


def test_nothing_is_run_for_a_peer_that_is_gone() -> None:
    """Whatever had been put off."""
    owner = Owner(at_a_time=1)
    owner.asks.take(ask(1, 2))
    owner.asks.clear()
    owner.turn()
    owner.asks.resume()
    assert owner.ran == [1]
