"""From the record as it is to the record as it should be: what the leader proposes next.

A pure function of the record and of who is alive. It looks at the whole of both every
time and remembers nothing, so a leader that takes over goes on where the last one was.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from respcache.cluster.ownership.changes import Admit, Bury, Change, Forget, Learn, Recreate, Retire, Target
from respcache.cluster.ownership.record import Life, Node, Record, Standing
from respcache.cluster.ownership.ring import RingNode, place
from respcache.cluster.ownership.voters import next_voter_change

TARGETS_MAX: Final = 4
"""A plan looks at the ring before and after its own changes."""

Placement = Callable[[Record], Target]
"""From a record to the target of its ring."""


class TargetCache:
    """The targets of the last rings seen. Placing takes milliseconds, and rings change rarely."""

    def __init__(self) -> None:
        self._targets: dict[tuple[tuple[RingNode, ...], int], Target] = {}

    def __call__(self, record: Record) -> Target:
        """Return where the copies of every partition should be."""
        key = (record.ring(), record.replica_count)
        target = self._targets.get(key)
        if target is None:
            if len(self._targets) == TARGETS_MAX:
                del self._targets[next(iter(self._targets))]
            target = self._targets[key] = place(*key)
        return target


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
    unowned: frozenset[int]
    """Partitions that have been without a live copy for so long that they should start anew."""


def plan(record: Record, outlook: Outlook, placement: Placement) -> list[Change]:
    """Return the changes to decide now, in order; none when all is as it should be."""
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
    target = placement(record)
    decide(Recreate(tuple(_anew(record, outlook, target))))
    decide(Learn(tuple(_missing(record, outlook, target))))
    return changes


def burials(record: Record, live: Mapping[str, int], heard: frozenset[str], placement: Placement) -> list[Change]:
    """Return the burial of all members that are not alive, if there are such, in favour of those just heard of."""
    dead = tuple(node.life for node in record.nodes.values() if live.get(node.name) != node.run)
    return [Bury(dead, placement(record), heard)] if dead else []


def _anew(record: Record, outlook: Outlook, target: Target) -> list[tuple[int, int, str]]:
    """Choose the first live node of the target for each partition that is to start anew."""
    live = outlook.live
    chosen = []
    for partition in sorted(outlook.unowned):
        name = next((name for name in target[partition] if name in live), None)
        if name is not None:
            chosen.append((partition, record.entries[partition].revision, name))
    return chosen


def _missing(record: Record, outlook: Outlook, target: Target) -> list[tuple[int, str]]:
    """Find the live nodes that should hold a partition and do not."""
    live = {name for name, run in outlook.live.items() if record.has((name, run))}
    return [
        (partition, name)
        for partition, (names, entry) in enumerate(zip(target, record.entries, strict=True))
        if entry.primary
        for name in names
        if name in live and name not in entry.in_sync and name not in entry.learners
    ]


def unowned(record: Record, live: Mapping[str, int]) -> set[int]:
    """Return the partitions whose primary is missing or dead."""
    serving = {name for name, run in live.items() if record.has((name, run))}
    return {partition for partition, entry in enumerate(record.entries) if entry.primary not in serving}
