"""A node that belonged to a cluster, and whose place another run of it has taken while it was away."""

from typing import Final

EXILE_S: Final = 5.0
"""How long it gets no lease before it stops: until then somebody may still let it serve."""


class Exile:
    """Finds out that nobody will let a node in again.

    Gossip goes by later runs of a name, and an earlier one that lives calls itself later than those: it is a member
    then, but its cluster knows it as another node, which gives it no lease. One that has a lease all the same goes
    on. It may be a cluster of its own, and only others know of a later run.
    """

    def __init__(self, run: int) -> None:
        self._run: Final = run
        self._since_s: float | None = None

    def review(self, now_s: float, run: int, *, leased: bool) -> bool:
        """Tell whether it is time to stop; `run` is what gossip takes the node for. To be called while it is joined."""
        if leased or run == self._run:
            self._since_s = None
            return False
        if self._since_s is None:
            self._since_s = now_s
        return now_s - self._since_s >= EXILE_S
