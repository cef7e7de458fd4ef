"""How many bytes of copies a node may send in a second, to all others together. Pure."""

import math
from typing import Final

LATE_S: Final = 0.01
"""A timer goes off so much too late, or a turn takes so long: that does not count as time in which nothing was sent."""
STEPS_PER_S: Final = 10
"""At least so many steps make up a second's bytes: a slow link has room in between."""


class Allowance:
    """What may be sent, by what was sent before.

    free --take--> spent --due_s--> free

    What is taken is taken whole, however large it is, and the next one waits for as long as the rate has it take. So in
    any t seconds that is at most the rate times (t + LATE_S), and one step.
    """

    __slots__ = ("_asked_per_s", "_bytes_per_s", "_lifted", "_waived", "due_s")

    def __init__(self, bytes_per_s: int) -> None:
        """0 for no bound."""
        self._asked_per_s = self._bytes_per_s = bytes_per_s
        self._lifted = self._waived = False
        self.due_s = -math.inf
        """When there is something to take again."""

    def change(self, bytes_per_s: int) -> None:
        """Go by another rate from now on; what was taken before does not count any more."""
        self._asked_per_s = bytes_per_s
        self._review()

    def waive(self, waived: bool) -> None:  # noqa: FBT001 # the one thing that there is to say
        """Know no bound for now, or go by the rate that was asked for last again."""
        self._waived = waived
        self._review()

    def lift(self) -> None:
        """Know no bound any more, whatever rate is asked for later."""
        self._lifted = True
        self._review()

    def _review(self) -> None:
        bytes_per_s = 0 if self._lifted or self._waived else self._asked_per_s
        if bytes_per_s != self._bytes_per_s:
            self._bytes_per_s, self.due_s = bytes_per_s, -math.inf

    def step_bytes(self, most: int) -> int:
        """Tell how much one step should be, at most so much, and not all of a second's."""
        return min(most, max(1, self._bytes_per_s // STEPS_PER_S)) if self._bytes_per_s else most

    def take(self, now: float, size: int) -> None:
        """Count what was sent; it should not be earlier than `due_s`."""
        if self._bytes_per_s:
            self.due_s = max(self.due_s, now - LATE_S) + size / self._bytes_per_s
