"""A reply to which several nodes contribute."""

from collections.abc import Callable, Sequence

from respcache.pending import Pending


class Gathering(Pending):
    """Adds up the counts of some nodes; who cannot answer any more counts for nothing.

    waiting --the last part--> resolved
    """

    __slots__ = ("_finish", "_missing", "_totals")

    def __init__(self, parts: int, totals: list[int], finish: Callable[[list[int]], bytes]) -> None:
        """`totals` is this node's own part; `finish` makes the reply of the sums. No parts: the reply is there."""
        super().__init__()
        self._missing = parts
        self._totals = totals
        self._finish = finish
        if not parts:
            self.resolve(finish(totals))

    @property
    def so_far(self) -> Sequence[int]:
        """The counts of those who have contributed until now, this node to begin with."""
        return self._totals

    def arrived(self, counts: Sequence[int]) -> None:
        """Take one part; an empty one if a node is lost."""
        for place, count in enumerate(counts):
            self._totals[place] += count
        self._missing -= 1
        if not self._missing:
            self.resolve(self._finish(self._totals))
