"""A node on its way out: off the ring first, gone once the record names it nowhere."""

from respcache.cluster.effects import Drained
from respcache.cluster.ownership.changes import Retire
from respcache.cluster.ownership.record import Life, Record


class Departure:
    """Where one node is between staying and having left.

    staying --asked--> leaving --Retire decided--> handing over --named nowhere--> drained
                          ^---- not decided ----'
    """

    def __init__(self, me: Life) -> None:
        self._me = me
        self.asked = False
        """Whether the node wants to leave."""
        self._drained = False
        self._retiring = False

    @property
    def under_way(self) -> bool:
        """Whether there is something to review."""
        return self.asked and not self._drained

    def review(self, record: Record | None, *, sole: bool) -> Retire | Drained | None:
        """Find out whether anything is left here; return what to propose, or the end. `sole`: there are no heirs."""
        name = self._me[0]
        named = record is not None and (name in record.holders() or record.votes(self._me))
        if record is None or not record.has(self._me) or not named or sole:
            self._drained = True
            return Drained()
        if not self._retiring and any(node.name == name for node in record.ring()):
            self._retiring = True
            return Retire(*self._me)
        return None

    def answered(self) -> None:
        """The proposal was decided: where nothing came of it, it is made again."""
        self._retiring = False
