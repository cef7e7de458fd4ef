"""From the record as it is to the record as it should be: what the leader proposes next.

A pure function of the record and of who is alive. It looks at the whole of both every
time and remembers nothing, so a leader that takes over goes on where the last one was.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from respcache.cluster.ownership.changes import Admit, Bury, Change, Forget, Learn, Recreate, Retire, Target
from respcache.cluster.ownership.record import Life, Node, Record, Standing
from respcache.cluster.ownership.ring import Placing, RingNode
from respcache.cluster.ownership.voters import next_voter_change

TARGETS_MAX: Final = 4
"""A plan looks at the ring before and after its own changes."""
LEARNED_MAX: Final = 256
"""Copies to be made that one plan asks for: each takes a leader, and the primary, some microseconds within one turn."""

_Ring = tuple[tuple[RingNode, ...], int]


class TargetCache:
    """The targets of the last rings seen. Placing takes milliseconds, and rings change rarely.

    unknown --look--> under way --step, step ...--> known
    """

    def __init__(self) -> None:
        self._targets: dict[_Ring, Target] = {}
        self._under_way: tuple[_Ring, Placing] | None = None
        self._last: tuple[Mapping[str, Node], Target] | None = None
        """What was looked for last, which is asked for with each step of a copy. Most versions have the same nodes."""

    def __call__(self, record: Record) -> Target:
        """Return where the copies of every partition should be, however long that takes."""
        while (target := self.look(record)) is None:
            self.step()
        return target

    def look(self, record: Record) -> Target | None:
        """Return the same if it is known. If not, `step` works on it, and no more on what was looked for before."""
        if self._last is not None and self._last[0] is record.nodes:
            return self._last[1]
        ring = (record.ring(), record.replica_count)
        target = self._targets.get(ring)
        if target is not None:
            self._last = (record.nodes, target)
        elif self._under_way is None or self._under_way[0] != ring:
            self._under_way = (ring, Placing(*ring))
        return target

    @property
    def busy(self) -> bool:
        """Whether there is something to work on."""
        return self._under_way is not None

    def step(self) -> bool:
        """Work on it for about half a millisecond; return whether it is known now."""
        if self._under_way is None:
            return False
        ring, placing = self._under_way
        placing.step()
        if placing.rows is None:
            return False
        self._under_way = None
        if len(self._targets) == TARGETS_MAX:
            del self._targets[next(iter(self._targets))]
        self._targets[ring] = placing.rows
        return True


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the leader knows of the members beyond the record."""

    live: Mapping[str, int]
    """Name to run epoch of those that are alive, and have a lease if they do not answer."""
    present: Mapping[str, int]
    """The same of those that are not dead."""
    heard: frozenset[str]
    """The names of those of them that have just been heard of, the leader itself included."""
    newcomers: tuple[Node, ...]
    """Those of them that may be let in."""
    dead: tuple[Life, ...]
    """Lives in the record that are over, as far as known."""
    given_up: frozenset[Life]
    """Those of the dead that left, or have been dead for the rebuild delay."""
    lost: frozenset[int]
    """Partitions that have been `lost` for so long that they should start anew."""


def plan(record: Record, outlook: Outlook, placement: TargetCache) -> list[Change]:
    """Return the changes to decide now, in order; none when all is as it should be.

    What follows from where copies should be is left out while `placement` has yet to find that out for the ring as
    these changes leave it: those who make way for a newcomer need not be known to let it in.
    """
    changes: list[Change] = []

    def decide(change: Change) -> None:
        nonlocal record
        changed = change.apply(record)
        if changed is not record:
            changes.append(change)
            record = changed

    for burial in burials(record, outlook.live, outlook.heard, placement):
        decide(burial)
    for node in outlook.newcomers:
        decide(Admit(node))
    for name, run in outlook.dead:
        if (name, run) in outlook.given_up:
            decide(Retire(name, run, Standing.GONE))
    for life in outlook.dead:
        decide(Forget(life))
    voter_change = next_voter_change(record, outlook.present, outlook.heard)
    if voter_change is not None:
        decide(voter_change)
    if (target := placement.look(record)) is None:
        return changes
    decide(Recreate(tuple(_anew(record, outlook, target))))
    decide(Learn(tuple(_missing(record, outlook, target))))
    return changes


def burials(record: Record, live: Mapping[str, int], heard: frozenset[str], placement: TargetCache) -> list[Change]:
    """Return the burial of all members that are not alive, if there are such, in favour of those just heard of."""
    dead = tuple(node.life for node in record.nodes.values() if live.get(node.name) != node.run)
    return [Bury(dead, placement(record), heard)] if dead else []


def _anew(record: Record, outlook: Outlook, target: Target) -> list[tuple[int, int, str]]:
    """Choose the first live node of the target for each partition that is to start anew.

    Not for one that has found an heir in this very plan: where there was no majority, none could be named in time.
    """
    live = outlook.live
    chosen = []
    for partition in sorted(outlook.lost & lost(record, live)):
        name = next((name for name in target[partition] if name in live), None)
        if name is not None:
            chosen.append((partition, record.entries[partition].revision, name))
    return chosen


def _missing(record: Record, outlook: Outlook, target: Target) -> list[tuple[int, str]]:
    """Find the first live nodes that should hold a partition and do not."""
    live = _members(record, outlook.live)
    missing = (
        (partition, name)
        for partition, (names, entry) in enumerate(zip(target, record.entries, strict=True))
        if entry.primary
        for name in names
        if name in live and name not in entry.in_sync and name not in entry.learners
    )
    return list(islice(missing, LEARNED_MAX))


def unowned(record: Record, live: Mapping[str, int]) -> set[int]:
    """Return the partitions whose primary is missing or dead."""
    serving = _members(record, live)
    return {partition for partition, entry in enumerate(record.entries) if entry.primary not in serving}


def lost(record: Record, live: Mapping[str, int]) -> set[int]:
    """Return the partitions of which no live node has a copy in sync, and that nobody can be made the primary of."""
    members = _members(record, live)
    return {partition for partition, entry in enumerate(record.entries) if members.isdisjoint(entry.in_sync)}


def _members(record: Record, live: Mapping[str, int]) -> set[str]:
    return {name for name, run in live.items() if record.has((name, run))}
