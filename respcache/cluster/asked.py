"""What a node has asked the leader to decide, and when it draws its conclusions from the answer."""

import math
from collections.abc import Iterable, Sequence
from typing import Final

from respcache.cluster.ownership.changes import Change, Proposal
from respcache.cluster.ownership.record import Version

AGAIN_S: Final = 0.2
"""Until the same thing is asked for once more under the same record."""


class Asked:
    """One node's proposals.

    The leader may know a newer record, in which a change makes no sense any more, and answer at once. Who asks
    for what its own record still wants would get that answer again and again, at the speed of the network, until
    the record reaches it. So a change that is answered twice under one record counts as under way a little longer.
    """

    def __init__(self) -> None:
        self._under_way: dict[int, Proposal] = {}
        self._version: Version | None = None
        self._answered: set[Proposal] = set()
        """What was answered while the record was the one of `_version`."""
        self._later: list[Proposal] = []
        self.due_s = math.inf
        """When `take` has something to give."""

    def add(self, numbers: Iterable[int], changes: Sequence[Change]) -> None:
        """Note what is asked for, by the numbers that the answers will carry."""
        self._under_way.update((n, one) for n, one in zip(numbers, changes, strict=True) if isinstance(one, Proposal))

    def answered(self, now: float, number: int, version: Version) -> Proposal | None:
        """Take an answer, by the record that is known now; give the change that it is about, unless later."""
        change = self._under_way.pop(number, None)
        if change is None:
            return None
        if version != self._version:
            self._version = version
            self._answered.clear()
        if change not in self._answered:
            self._answered.add(change)
            return change
        self._later.append(change)
        self.due_s = min(self.due_s, now + AGAIN_S)
        return None

    def take(self, now: float) -> list[Proposal]:
        """Give the changes whose answers are to count now."""
        if now < self.due_s:
            return []
        taken, self._later, self.due_s = self._later, [], math.inf
        return taken
