"""How many instructions a script runs from one look at the clock to the next. Pure.

Lua counts instructions, not time, and one may be a call that goes through a megabyte: 100,000 of these took 15
seconds, in which the node did nothing else. So scripts begin with few, and with each look the number follows the
time that the last ones took.

Times are nanoseconds on any clock that is not set back.
"""

from typing import Final

FIRST: Final = 200
"""What a script with loops begins with: a microsecond or less, mostly."""
MOST: Final = 100_000
"""About half a millisecond of cheap ones."""
LEAST: Final = 10
SLOW_NS: Final = 2_000_000
"""What takes longer is looked at more often."""
QUICK_NS: Final = 250_000
"""What takes less may go on for longer: a look costs two microseconds or so."""
GROWTH: Final = 10


class Pace:
    """The number of instructions of one script at a time."""

    __slots__ = ("_since_ns", "instructions")

    def __init__(self) -> None:
        self.instructions = FIRST
        self._since_ns = 0

    def begin(self, now_ns: int) -> None:
        """Begin anew: another script runs from now on."""
        self.instructions = FIRST
        self._since_ns = now_ns

    def look(self, now_ns: int) -> None:
        """Note that so many instructions have been run: how many are next depends on how long they took."""
        took_ns = now_ns - self._since_ns
        if took_ns > SLOW_NS:
            self.instructions = max(LEAST, self.instructions * SLOW_NS // took_ns)
        elif took_ns < QUICK_NS:
            self.instructions = min(MOST, self.instructions * GROWTH)

    def resume(self, now_ns: int) -> None:
        """Go on: what was done since the look is no time of the script's."""
        self._since_ns = now_ns
