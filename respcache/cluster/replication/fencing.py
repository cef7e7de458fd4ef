"""A new primary serves once no former one can: until then it counts them as rivals.

A rival may not know yet that a record has deposed it, and serve by its lease. It is harmless as
soon as it says that it knows, as soon as a majority of the voters says that what they granted it
has ended, and in any case one lease after this node learned of the record (see `lease`).

Who is new, or comes from another line of records, knows no rivals by name, and waits for a lease, whatever the record
says. But a primary that hands a partition over has served it, so it has waited for all rivals itself: whoever
sees that need only know that this one has stopped.

Who has only missed some versions of its line can still tell: an epoch has one primary at most, so where one epoch has
begun meanwhile the primary of the one before is the only rival, and where more have, a lease has to pass for this
partition. (When it had to pass for all of them, a newcomer that many partitions moved to, and that missed a version
now and then while it was busy, served what it had been given seconds later, when the moving had ended.)
"""

import math
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from respcache.cluster.ownership.lease import DRIFT
from respcache.cluster.ownership.record import NOTHING, Life, Record, Version, handed_over, majority


@dataclass(slots=True)
class _Rival:
    """A life that was deposed of something."""

    version: Version
    """The last record to do so."""
    harmless_s: float
    """When it is harmless at the latest."""
    answers: dict[Life, float] = field(default_factory=dict)
    """By voter: until when what it granted may last."""


class Fencing:
    """Whom this node has seen deposed of which partitions, lately."""

    def __init__(self, lease_s: float) -> None:
        self._wait_s = lease_s * (1 + DRIFT)
        self._rivals: dict[Life, _Rival] = {}
        self._deposed: defaultdict[int, dict[Life, Version]] = defaultdict(dict)
        """By partition: the record that made each former primary one."""
        self._known: dict[Life, Version] = {}
        """The newest record that a rival says it goes by: of what that took from it, it serves nothing any more."""
        self._all_harmless_s = -math.inf
        self._unseen_s: dict[int, float] = {}
        """By partition: when those are harmless who were its primaries in versions that this node has missed."""
        self._inherited: set[int] = set()
        """Partitions that were handed over since: nobody is a rival whom this node has not seen."""
        self._voters: frozenset[Life] = frozenset()
        self._voters_changed: deque[float] = deque((-math.inf, -math.inf), maxlen=2)
        self.asking: set[Life] = set()
        """Rivals that the voters should be asked about."""

    def learn(self, now: float, record: Record, *, leap: bool, traced: bool) -> None:
        """Take note of a record. Unless it is `traced` to the one before, anybody may have been deposed of anything.

        After a `leap` versions are missing, and voters may have changed in each of them.
        """
        voters = frozenset(voter.life for voter in record.voters)
        if voters != self._voters:
            self._voters_changed.extend((now, now) if leap else (now,))
            self._voters = voters
        if not traced:
            self._all_harmless_s = now + self._wait_s
            self._inherited.clear()
        if self._unseen_s:
            self._unseen_s = {partition: due_s for partition, due_s in self._unseen_s.items() if due_s > now}
        over = [life for life, rival in self._rivals.items() if rival.harmless_s <= now]
        for life in over:
            del self._rivals[life]
            self._known.pop(life, None)
        if over:
            for partition in list(self._deposed):
                for life in self._deposed[partition].keys() - self._rivals.keys():
                    del self._deposed[partition][life]
                if not self._deposed[partition]:
                    del self._deposed[partition]

    def succeed(self, now: float, partition: int, old: Record, record: Record, *, me: str) -> None:
        """Take note of who was the primary of a partition, by a version and one that it has become."""
        before, after = old.entries[partition], record.entries[partition]
        if after.epoch > before.epoch + 1 and record.parent != old.version:
            self._unseen_s[partition] = now + self._wait_s
            self._inherited.discard(partition)
        elif before.primary not in ("", me, after.primary):  # it may serve
            willing = handed_over(before, after)
            self.depose(now, partition, old.nodes[before.primary].life, record.version, willing=willing)

    def depose(self, now: float, partition: int, life: Life, version: Version, *, willing: bool = False) -> None:
        """Take note that a record has made somebody else the primary; `willing`, if the former one has handed over."""
        if willing:
            self._inherited.add(partition)
            self._unseen_s.pop(partition, None)
            self._deposed.pop(partition, None)
        rival = self._rivals.get(life)
        if rival is None or rival.version < version:
            self._rivals[life] = _Rival(version, now + self._wait_s)
        self._deposed[partition][life] = version

    def rivals(self, partition: int) -> set[Life]:
        """Return who may still take itself for the primary."""
        deposed = self._deposed.get(partition, {})
        return {life for life, version in deposed.items() if self._known.get(life, NOTHING) < version}

    def ask(self, partition: int) -> None:
        """Have the voters asked about the rivals for a partition."""
        self.asking |= self.rivals(partition)

    def questions(self) -> tuple[Version, tuple[Life, ...]]:
        """Return what to ask the voters now: about whom, and the version that they should have heard of."""
        lives, self.asking = sorted(self.asking & self._rivals.keys()), set()
        return max((self._rivals[life].version for life in lives), default=NOTHING), tuple(lives)

    def answered(self, now: float, voter: Life, version: Version, remaining_s: Iterable[tuple[Life, float]]) -> None:
        """Take in for how long rivals may go on by a voter's grants."""
        if voter not in self._voters:
            return
        named = dict(remaining_s)
        for life, rival in self._rivals.items():
            if rival.version <= version and life in named:
                rival.answers[voter] = now + named[life] * (1 + DRIFT)
                self._conclude(now, rival)

    def knows(self, now: float, life: Life, version: Version) -> None:
        """Take note that a node knows a record, and goes by it."""
        rival = self._rivals.get(life)
        if rival is None:
            return
        self._known[life] = max(version, self._known.get(life, NOTHING))
        if rival.version <= version:
            rival.harmless_s = min(rival.harmless_s, now)

    def harmless_s(self, partition: int) -> float:
        """Return from when on nobody else can serve a partition."""
        untils = [self._rivals[life].harmless_s for life in self.rivals(partition) if life in self._rivals]
        unseen_s = -math.inf if partition in self._inherited else self._all_harmless_s
        return max((unseen_s, self._unseen_s.get(partition, -math.inf), *untils))

    def _conclude(self, now: float, rival: _Rival) -> None:
        if self._voters_changed[0] > now - self._wait_s:
            return  # two changes of the voters within a lease: majorities before and after need not meet
        ends = sorted(until for voter, until in rival.answers.items() if voter in self._voters)
        needed = majority(len(self._voters))
        if len(ends) >= needed:
            rival.harmless_s = min(rival.harmless_s, ends[needed - 1])
