"""A node on its way out: off the ring first, gone once the record names it nowhere, and somebody else goes by that.

The last step counts where two voters are left and the one that decides is the one that leaves. If it went as soon as
it knew itself that it votes no more, the other might not, and would wait for its vote for ever.

If all nodes leave at once, the ring is empty and copies hold nobody back. Whoever decides is the last one to go:
without it the others would stay voters, and wait for each other until their time is up.
"""

from respcache.cluster.effects import Drained
from respcache.cluster.ownership.changes import Retire
from respcache.cluster.ownership.record import Life, Record


class Departure:
    """Where one node is between staying and having left.

    staying --asked--> leaving --Retire decided--> handing over --named nowhere--> parting --Retire answered--> drained
                          ^---- not decided ----'         ^------- named again -------'

    What is asked the second time changes nothing. It is answered by whoever leads then, which is one of the voters,
    hence another node, and one that knows that this one is named nowhere: links keep the order of what they carry.
    """

    def __init__(self, me: Life) -> None:
        self._me = me
        self.asked = False
        """Whether the node wants to leave."""
        self.aloof = False
        """Whether it leaves before it was let in: then it takes part in nothing any more, or its vote would be lost."""
        self._drained = self._retiring = self._parting = False

    @property
    def under_way(self) -> bool:
        """Whether there is something to review."""
        return self.asked and not self._drained

    def review(self, record: Record | None, *, sole: bool, company: bool = True) -> Retire | Drained | None:
        """Find out whether anything is left here; return what to propose, or the end.

        `sole`: this node decides, and has no company. `company`: somebody else is here, and can answer.
        """
        if record is None or not record.has(self._me) or sole:
            self._drained = True
            self.aloof = not sole
            return Drained()
        name = self._me[0]
        ring = record.ring()
        named = (bool(ring) and name in record.holders()) or record.votes(self._me)
        self._parting &= not named
        if self._retiring and (company or not self._parting):
            return None
        if self._parting:
            self._drained = True
            return Drained()
        if named and all(node.name != name for node in ring):
            return None
        self._retiring = True
        self._parting = not named
        return Retire(*self._me)

    def answered(self) -> None:
        """The proposal was decided: where nothing came of it, it is made again."""
        self._retiring = False
