"""Which numbers of a sender have been seen: each is let through once (the window of RFC 4303, section 3.4.3)."""

from typing import Final

WINDOW: Final = 1024
"""How far a packet may be overtaken by later ones of the same sender and still be taken in."""
_MASK: Final = (1 << WINDOW) - 1


class ReplayWindow:
    """The numbers below `next - WINDOW` are all taken for seen; of those from there on, a bit each."""

    __slots__ = ("_next", "_seen")

    def __init__(self) -> None:
        self._next = 0
        self._seen = 0
        """Bit k stands for the number `_next - 1 - k`."""

    def is_new(self, number: int) -> bool:
        """Tell whether a number, 0 or more, has certainly not been seen before."""
        behind = self._next - 1 - number
        return behind < 0 or (behind < WINDOW and not self._seen >> behind & 1)

    def note(self, number: int) -> None:
        """Remember a number; only to be called for packets that proved to be authentic."""
        ahead = number - self._next + 1
        if ahead > 0:
            self._seen = (self._seen << ahead) & _MASK if ahead < WINDOW else 0
            self._next = number + 1
        self._seen |= 1 << (self._next - 1 - number)
