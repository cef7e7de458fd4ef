"""Which versions of the record came from which, and where one side of a split went on alone.

Where each side of a split may go on (`quorum`), there are several truths until it heals, and one of them afterwards.
What was answered by that one has to be there in the end; what others answered may be dropped. With asynchronous
replication it matters which owners were replaced without handing over: only there may anything be lost.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from respcache.cluster.ownership.record import NOTHING, PAIR, Quorum, Record, Version, handed_over
from simulation.ownership.outcome import Violation

if TYPE_CHECKING:
    from simulation.ownership.life import SimNode


class Lineage:
    """All versions that any node has ever known."""

    def __init__(self) -> None:
        self._records: dict[Version, Record] = {}
        self._forced: dict[Version, float] = {}
        """Those that were made without a majority, and when."""
        self._known: dict[SimNode, Version] = {}
        """What each life knows."""
        self._sides: dict[Version, Version] = {}
        self.told: set[str] = set()
        """Nodes that an operator has told to go on alone."""

    def seen(self, sim: "SimNode") -> None:
        """Take note of what a node has accepted: it may never be known to be valid, and others may come from it."""
        accepted = sim.keeper._register._acceptor.accepted
        if accepted is not None:
            self._records.setdefault(accepted.version, accepted)

    def learned(self, now: float, sim: "SimNode", record: Record, *, forced: bool) -> None:
        """Take note that a node knows a new version. Raises Violation unless that is the newer one.

        One that is `forced` was made by one side alone, which it must have been allowed.
        """
        version = record.version
        self._records.setdefault(version, record)
        if version <= self._known.get(sim, NOTHING):
            raise Violation(f"t={now:.3f} {sim.name} takes {version} for {self._known[sim]}")
        self._known[sim] = version
        if forced:
            former = self._records[record.parent]
            may = former.quorum is Quorum.ANY or (former.quorum is Quorum.AUTO and former.widest <= PAIR)
            if not may and sim.name not in self.told:
                raise Violation(f"t={now:.3f} {sim.name} goes on alone after {former}")
            self._forced[version] = now

    @property
    def newest(self) -> Version:
        """The greatest version that anybody has known."""
        return max(self._known.values())

    def side(self, version: Version) -> Version:
        """Give the last version, up to this one, that was made without a majority: each is the beginning of a truth."""
        side = self._sides.get(version)
        if side is None:
            forced = (record.version for record in self._back(version) if record.version in self._forced)
            side = self._sides[version] = next(forced, NOTHING)
        return side

    def truth(self, final: Version) -> "Truth":
        """Give what led to a version, in which all has ended."""
        until_s: dict[Version, float] = {}
        ends_s = float("inf")
        for record in self._back(final):
            until_s[record.version] = ends_s
            ends_s = self._forced.get(record.version, ends_s)
        return Truth(until_s)

    def breaks(self, final: Version) -> list[set[int]]:
        """Give the epochs, by partition, that began without the former primary having handed over."""
        records = list(self._back(final))
        found: list[set[int]] = [set() for _ in records[0].entries]
        for after, before in pairwise(records):
            for partition, (new, old) in enumerate(zip(after.entries, before.entries, strict=True)):
                if new.born != old.born or (new.primary != old.primary and not handed_over(old, new)):
                    found[partition].add(new.epoch)
        return found

    def _back(self, version: Version) -> Iterator[Record]:
        """Go back from a version to the first one."""
        while version != NOTHING:
            record = self._records.get(version)
            if record is None:
                raise Violation(f"nobody was ever seen with {version}")
            yield record
            version = record.parent


class Truth:
    """The versions that led to the last one, each with when a side went on from it without the others."""

    def __init__(self, until_s: dict[Version, float]) -> None:
        self._until_s = until_s

    def holds(self, version: Version, at_s: float) -> bool:
        """Tell whether what was answered then by somebody who knew this version has to stay.

        Who has not heard that a side went on from there belongs to another side, though it made no version of its own.
        """
        return at_s < self._until_s.get(version, float("-inf"))
