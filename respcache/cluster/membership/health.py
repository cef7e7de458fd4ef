"""Lifeguard's local health: a node that sees many failures doubts itself first."""


class Health:
    """A saturating score; 0 is healthy.

    Timeouts and intervals are multiplied by `score + 1`, so a sick node asks
    less often and waits longer before it accuses ("Lifeguard: Local Health
    Awareness for More Accurate Failure Detection", Dadgar et al., 2018).
    """

    __slots__ = ("_worst", "score")

    def __init__(self, worst: int) -> None:
        self._worst = worst
        self.score = 0

    @property
    def multiplier(self) -> int:
        """By how much to stretch timeouts and intervals, from 1 up."""
        return self.score + 1

    def worsen(self, by: int = 1) -> None:
        """Note evidence against ourselves: a missing nack, a rumour to refute, a stall."""
        self.score = min(self._worst, self.score + by)

    def improve(self) -> None:
        """Note an answered probe."""
        self.score = max(0, self.score - 1)
