"""Whether transactions were all or nothing, and isolated: their histories are judged by the order that they imply.

Each transaction appends its own number to some keys, or reads some, or does both, to different ones. What a key holds
in the end is the order of its appends, so what depends on what is known:

    an append depends on the one before it, a read on the last append that it saw,
    an append on each read that did not see it, and whatever began on all that had been answered

Transactions are strictly serializable if and only if nobody depends on themselves (Adya's direct serialization graph,
with real time added; that keys which are lists show their versions is Kingsbury and Alvaro's observation).

One of which the outcome is uncertain may have been carried out in part, as an owner that dies can make it; what it did
to the keys of one partition is all or nothing nevertheless, and happened after it had begun.
"""

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from respcache.cluster.ownership.slots import partition_of
from simulation.ownership.outcome import Outcome, Violation


@dataclass(slots=True)
class Entry:
    """One transaction."""

    number: int
    begun_s: float
    appends: tuple[bytes, ...]
    """Keys that it appends its number to."""
    ended_s: float = math.inf
    outcome: Outcome = Outcome.UNCERTAIN
    reads: dict[bytes, list[int]] = field(default_factory=dict)
    """What it saw of other keys."""

    def __str__(self) -> str:
        """Say what it did, and when."""
        seen = {key: numbers[-3:] for key, numbers in self.reads.items()}
        return f"#{self.number} {self.begun_s:.4f}-{self.ended_s:.4f} appends {self.appends} sees ...{seen}"


class Ledger:
    """All transactions on some keys."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def begin(self, now: float, appends: Sequence[bytes]) -> Entry:
        """Note a transaction; what becomes of it is uncertain until its answer is there."""
        entry = Entry(len(self.entries), now, tuple(appends))
        self.entries.append(entry)
        return entry

    def check(self, held: Mapping[bytes, list[int]]) -> None:
        """Judge everything by what the keys hold in the end. Raises Violation."""
        for key, numbers in held.items():
            self._check_key(key, numbers)
        for entry in self.entries:
            self._check_whole(entry, held)
            for key, seen in entry.reads.items():
                if held[key][: len(seen)] != seen:
                    raise Violation(f"{entry}: what it saw of {key!r} is no beginning of {held[key]}")
        self._check_order(held)

    def _check_key(self, key: bytes, numbers: list[int]) -> None:
        if len(set(numbers)) < len(numbers):
            raise Violation(f"{key!r} has something twice: {numbers}")
        for number in numbers:
            entry = self.entries[number]
            if entry.outcome is Outcome.REFUSED:
                raise Violation(f"{entry}: was refused, and yet is in {key!r}")
            if key not in entry.appends:
                raise Violation(f"{entry}: is in {key!r}")

    def _check_whole(self, entry: Entry, held: Mapping[bytes, list[int]]) -> None:
        done = {key: entry.number in held[key] for key in entry.appends}
        if entry.outcome is Outcome.SAFE and not all(done.values()):
            raise Violation(f"{entry}: was acknowledged, and is lost in part: {done}")
        by_partition: defaultdict[int, set[bool]] = defaultdict(set)
        for key, is_done in done.items():
            by_partition[partition_of(key)].add(is_done)
        if any(len(outcomes) > 1 for outcomes in by_partition.values()):
            raise Violation(f"{entry}: is neither done nor not done in a partition: {done}")

    def _check_order(self, held: Mapping[bytes, list[int]]) -> None:
        graph = _Graph()
        for entry in self.entries:
            if entry.outcome is Outcome.SAFE:
                graph.span(_whole(entry), entry.begun_s, entry.ended_s)
            elif entry.outcome is Outcome.UNCERTAIN:
                for key in entry.appends:
                    graph.span(self._at(entry.number, key), entry.begun_s, math.inf)
        for key, numbers in held.items():
            self._add_key(graph, key, [self._at(number, key) for number in numbers])
        if cycle := graph.cycle():
            told = "\n  ".join(str(self.entries[place[0]]) for place in cycle if place[0] >= 0)
            raise Violation(f"no order explains these, each of which comes before the next:\n  {told}")

    def _add_key(self, graph: "_Graph", key: bytes, places: Sequence["Place"]) -> None:
        """Say what comes before what by one key, to which these have appended."""
        for before, after in pairwise(places):
            graph.add(before, after)
        for entry in [entry for entry in self.entries if key in entry.reads]:
            seen = len(entry.reads[key])
            for last in places[seen - 1 : seen] if seen else ():
                graph.add(last, _whole(entry))
            for unseen in places[seen : seen + 1]:
                graph.add(_whole(entry), unseen)

    def _at(self, number: int, key: bytes) -> "Place":
        """Give the place of an append: that of its transaction, or of the part in the key's partition."""
        entry = self.entries[number]
        return _whole(entry) if entry.outcome is Outcome.SAFE else (number, partition_of(key))


Place = tuple[int, float]
"""A transaction that is one thing, (number, -1); a part of an uncertain one, (number, partition); a time, (-1, s)."""


def _whole(entry: Entry) -> Place:
    return entry.number, -1


class _Graph:
    """What comes before what. Times stand in a row of their own, so real time takes two edges for each transaction."""

    def __init__(self) -> None:
        self._after: defaultdict[Place, set[Place]] = defaultdict(set)
        self._spans: dict[Place, tuple[float, float]] = {}

    def add(self, before: Place, after: Place) -> None:
        """Say that one comes before the other."""
        self._after[before].add(after)

    def span(self, place: Place, begun_s: float, ended_s: float) -> None:
        """Say when a place begins and ends."""
        self._spans[place] = (begun_s, ended_s)

    def cycle(self) -> list[Place]:
        """Find places each of which comes before the next, and the last before the first; none if all is in order."""
        self._add_times()
        missing: defaultdict[Place, int] = defaultdict(int)
        for following in self._after.values():
            for place in following:
                missing[place] += 1
        free = [place for place in list(self._after) if not missing[place]]
        while free:
            for place in self._after.pop(free.pop(), ()):
                missing[place] -= 1
                if not missing[place]:
                    free.append(place)
        stuck = {place for place, count in missing.items() if count and place in self._after}
        return self._around(stuck) if stuck else []

    def _add_times(self) -> None:
        times = sorted({ended_s for _, ended_s in self._spans.values() if ended_s < math.inf})
        for before, after in pairwise(times):
            self.add((-1, before), (-1, after))
        for place, (begun_s, ended_s) in self._spans.items():
            if ended_s < math.inf:
                self.add(place, (-1, ended_s))
            at = _last_before(times, begun_s)
            if at is not None:
                self.add((-1, at), place)

    def _around(self, stuck: Iterable[Place]) -> list[Place]:
        """Walk along what is stuck, backwards would do as well, until somewhere is come by again."""
        left = set(stuck)
        path: list[Place] = [min(left)]
        while True:
            ahead = sorted(place for place in self._after.get(path[-1], ()) if place in left)
            if not ahead:  # a dead end behind a cycle
                left.discard(path.pop())
                path = path or [min(left)]
                continue
            if ahead[0] in path:
                return path[path.index(ahead[0]) :]
            path.append(ahead[0])


def _last_before(times: list[float], at: float) -> float | None:
    place = bisect_left(times, at)
    return times[place - 1] if place else None
