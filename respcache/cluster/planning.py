"""What the leader of a cluster has changed, and when it looks for that."""

import math

from respcache.cluster.ownership.changes import Change, Recreate
from respcache.cluster.ownership.planner import TargetCache, plan
from respcache.cluster.ownership.register import Register
from respcache.cluster.peers import Peers


class Planning:
    """The plan of one turn, to be proposed in the next: where nobody else votes, a proposal is a record at once.

    Both together would keep everything else from running for twice as long.

        nothing to look for --renew--> due --plan--> planned --take--> nothing to look for
    """

    def __init__(self, register: Register, peers: Peers, placement: TargetCache) -> None:
        self.due_s = math.inf
        """When it is worth looking."""
        self.changes: list[Change] = []
        self._register, self._peers, self._placement = register, peers, placement

    def renew(self) -> None:
        """Something is not as it was: what was planned is void, and it is time to look again."""
        self.due_s = -math.inf
        self.changes = []

    def next(self, now: float) -> bool:
        """Tell whether to plan: as leader, with nothing under way."""
        return self._register.idle and now >= self.due_s and not self.changes

    def plan(self, now: float) -> None:
        """Look for what should be changed."""
        record = self._register.record
        assert record is not None
        outlook, self.due_s = self._peers.outlook(now, record)
        self.changes = plan(record, outlook, self._placement)

    def take(self) -> tuple[list[Change], list[tuple[int, ...]]]:
        """Return what was planned, and the partitions of it that start anew, for their last copies are lost.

        Nothing, when something else was proposed before.
        """
        if not self._register.idle:
            self.renew()
        changes, self.changes = self.changes, []
        lost = [change for change in changes if isinstance(change, Recreate)]
        return changes, [tuple(partition for partition, _, _ in change.partitions) for change in lost]
