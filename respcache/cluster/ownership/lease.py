"""Leases: a node serves only while a majority of the voters has granted it that, and only by the newest record.

Holder's side (`Lease`). Every quarter of a lease it asks all voters. What a voter grants counts from
the moment of asking, on the holder's own clock, less a margin for clocks that run at different
rates. A lease is held until the majority-th longest of the grants ends.

Voter's side (`Grants`). A voter remembers what it has granted to whom, a full lease from the moment of
granting, which is later than that of asking. With each grant it names the newest version that
it has heard of, and the grant counts only for a holder that knows that version or a newer one.

Why this fences. Let version w take a partition away from a node that knows only an earlier one. A
majority accepted the version that followed the one which the node knows, and every majority has a
voter of that one in it; what this voter has granted since then is void for the node until it learns. So
its lease ends at most one lease after w was chosen: whoever waits for so long since it learned w
need ask nobody. To be quicker it asks the voters how long what they granted may last
(`remaining`); these have heard of w then, so what they grant later is void, too, and once a
majority's grants have ended no other majority can be left. This shortcut needs the two
majorities to meet, hence at most one voter may have come or gone in between.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

from respcache.cluster.ownership.record import NOTHING, Life, Record, Version, majority

RENEWALS: Final = 4
"""A lease is renewed so many times in its length: two losses in a row do not matter."""
DRIFT: Final = 0.1
"""Part of a lease that clocks may drift apart within it. Quartz is off by less than 0.000,2 of it; virtual machines
are worse, and what is left is for what nobody thought of."""
PENDING_MAX: Final = 8
"""Grants of one voter that wait for a newer record; the oldest goes."""


@dataclass(slots=True)
class _Granted:
    until_s: float = -math.inf
    pending: "deque[tuple[float, Version]] | None" = None


class Lease:
    """What one node has been granted.

    lapsed --a majority has granted, by the record known here--> held --time, suspend, newer record--> lapsed
    """

    def __init__(self, me: Life, length_s: float) -> None:
        self._me = me
        self._length_s = length_s
        self._asked: dict[int, float] = {}
        self._last = 0
        self._granted: dict[Life, _Granted] = {}
        self._record: Record | None = None
        self.until_s = -math.inf
        """When it ends, on the clock of the caller; infinite for a node that is the only voter."""
        self.renewals = {"granted": 0, "void": 0}
        """Answers of voters: those that count, and those that came too late or were for a newer record."""

    def ask(self, now: float) -> int:
        """Return the number of the next request, which is made now."""
        self._last += 1
        self._asked[self._last] = now
        self._asked.pop(self._last - 4 * RENEWALS, None)
        return self._last

    def granted(self, voter: Life, number: int, version: Version) -> None:
        """Take a voter's answer in. One that is older than four leases is not remembered."""
        asked_s = self._asked.get(number)
        if asked_s is None:
            self.renewals["void"] += 1
            return
        until_s = asked_s + self._length_s * (1 - DRIFT)
        granted = self._granted.setdefault(voter, _Granted())
        if self._record is not None and version <= self._record.version:
            granted.until_s = max(granted.until_s, until_s)
            self.renewals["granted"] += 1
        else:
            self.renewals["void"] += 1
            if granted.pending is None:
                granted.pending = deque(maxlen=PENDING_MAX)
            granted.pending.append((until_s, version))
        self._reckon()

    def learn(self, record: Record) -> None:
        """Go by a new record: what was granted for it counts now."""
        self._record = record
        lives = {voter.life for voter in record.voters}
        self._granted = {life: granted for life, granted in self._granted.items() if life in lives}
        for granted in self._granted.values():
            while granted.pending and granted.pending[0][1] <= record.version:
                granted.until_s = max(granted.until_s, granted.pending.popleft()[0])
        self._reckon()

    def asked_s(self, voter: Life) -> float:
        """Return when a voter was asked, the last time that it has answered since; long ago if it never has."""
        granted = self._granted.get(voter)
        if granted is None:
            return -math.inf
        pending_s = granted.pending[-1][0] if granted.pending else -math.inf
        return max(granted.until_s, pending_s) - self._length_s * (1 - DRIFT)

    def void(self) -> None:
        """Forget all that was granted and asked for: the clock has stood still, nobody knows for how long."""
        self._asked.clear()
        self._granted.clear()
        self._reckon()

    def _reckon(self) -> None:
        record = self._record
        if record is None:
            return
        lives = [voter.life for voter in record.voters]
        if lives == [self._me]:
            self.until_s = math.inf
            return
        nothing = _Granted()
        untils = sorted((self._granted.get(life, nothing).until_s for life in lives), reverse=True)
        self.until_s = untils[majority(len(lives)) - 1]


class Grants:
    """What one node, as a voter, has granted to others and to itself."""

    def __init__(self, length_s: float) -> None:
        self._length_s = length_s
        self._until: dict[Life, tuple[float, Version]] = {}
        """When the last lease ends, and what its holder said it knew."""
        self._prune_at_s = -math.inf
        self.heard: Version = NOTHING
        """The newest version that this voter has heard of."""

    def hear(self, version: Version) -> None:
        """Take note of a version; what is granted from here on is for those that know it."""
        self.heard = max(self.heard, version)

    def grant(self, now: float, life: Life, told: Version) -> Version:
        """Grant a lease from now on; return the version that its holder has to know."""
        if now >= self._prune_at_s:
            self._until = {life: granted for life, granted in self._until.items() if granted[0] > now}
            self._prune_at_s = now + self._length_s
        self._until[life] = (now + self._length_s, told)
        return self.heard

    def until(self, life: Life) -> float:
        """Return when a life's last lease ends; long ago if there was none."""
        return self._until.get(life, (-math.inf, NOTHING))[0]

    def remaining(self, now: float, life: Life, version: Version) -> float:
        """Return for how many seconds a life that does not know a version may go on by what was granted."""
        until_s, told = self._until.get(life, (-math.inf, NOTHING))
        return 0.0 if told >= version else max(0.0, until_s - now)
