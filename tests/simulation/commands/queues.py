"""Whether what was pushed is popped once, by those who waited longest.

Elements are unique, so a history of a queue is judged by what became of each. Some rules hold whatever happens: none is
taken twice, or taken and still there; none that was acknowledged is lost, except to a client of which nobody knows
whether it was served. Others need a cluster in which nothing fails.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations

from simulation.ownership.outcome import Outcome, Violation


@dataclass(slots=True)
class Push:
    """One element, put at the end of a queue."""

    element: bytes
    queue: bytes
    begun_s: float
    ended_s: float = math.inf
    outcome: Outcome = Outcome.UNCERTAIN


@dataclass(slots=True)
class Pop:
    """One client that waited for an element of some queues."""

    queues: tuple[bytes, ...]
    begun_s: float
    ended_s: float = math.inf
    outcome: Outcome = Outcome.UNCERTAIN
    element: bytes | None = None
    """What it got, if anything, before its time was over."""


class Queues:
    """All that was pushed to and popped from some queues."""

    def __init__(self) -> None:
        self.pushes: dict[bytes, Push] = {}
        self.pops: list[Pop] = []

    def push(self, now: float, queue: bytes) -> Push:
        """Note a new element."""
        element = b"%d" % len(self.pushes)
        self.pushes[element] = push = Push(element, queue, now)
        return push

    def pop(self, now: float, queues: tuple[bytes, ...]) -> Pop:
        """Note a client that waits."""
        pop = Pop(queues, now)
        self.pops.append(pop)
        return pop

    def check(self, left: Mapping[bytes, list[bytes]]) -> None:
        """Judge everything by what is left in the queues. Raises Violation."""
        taken = Counter(pop.element for pop in self.pops if pop.element is not None)
        there = Counter(element for elements in left.values() for element in elements)
        for element, count in (taken + there).items():
            if count > 1:
                raise Violation(f"{self.pushes[element]} was taken {taken[element]} times, is there {there[element]}")
            if self.pushes[element].outcome is Outcome.REFUSED:
                raise Violation(f"{self.pushes[element]} was refused, and yet is there")
        for queue, elements in left.items():
            for element in elements:
                if self.pushes[element].queue != queue:
                    raise Violation(f"{self.pushes[element]} is in {queue!r}")
        for pop in self.pops:
            if pop.element is not None and self.pushes[pop.element].queue not in pop.queues:
                raise Violation(f"{pop} got {self.pushes[pop.element]}")
        self._check_lost([push for push in self.pushes.values() if not taken[push.element] + there[push.element]])

    def _check_lost(self, gone: list[Push]) -> None:
        """Each element that is lost needs a client that may have got it."""
        lost = [push for push in gone if push.outcome is Outcome.SAFE]
        doubtful = [pop for pop in self.pops if pop.outcome is Outcome.UNCERTAIN]
        for queue in {push.queue for push in lost}:
            mine = [push for push in lost if push.queue == queue]
            if len(mine) > sum(queue in pop.queues for pop in doubtful):
                raise Violation(f"acknowledged, never taken, and not there: {mine}")
        if len(lost) > len(doubtful):
            raise Violation(f"acknowledged, never taken, and not there: {lost}; {len(doubtful)} pops are uncertain")

    def check_order(self, left: Mapping[bytes, list[bytes]]) -> None:
        """Where no client was lost: elements go out in the order in which they came in. Raises Violation."""
        pops = {pop.element: pop for pop in self.pops if pop.element is not None}
        for first, second in permutations([push for push in self.pushes.values() if push.outcome is Outcome.SAFE], 2):
            if first.queue != second.queue or first.ended_s >= second.begun_s:
                continue
            one, other = pops.get(first.element), pops.get(second.element)
            if other is not None and (one is None or other.ended_s < one.begun_s):
                raise Violation(f"{second} went out, before {first}: {other}, {one}")
            elements = left[first.queue]
            if one is None and other is None and elements.index(first.element) > elements.index(second.element):
                raise Violation(f"{first} stands behind {second}")

    def check_turns(self, margin_s: float) -> None:
        """Where queues have not moved: of those who waited for `margin_s` the first was served. Raises Violation."""
        pops = {pop.element: pop for pop in self.pops if pop.element is not None}
        for waiting, (element, later) in [(pop, item) for pop in self.pops for item in pops.items()]:
            push, since_s = self.pushes[element or b""], waiting.begun_s + margin_s
            if (
                push.queue in waiting.queues
                and since_s < push.begun_s
                and since_s < later.begun_s
                and push.ended_s + margin_s < min(waiting.ended_s, self._pushed_s(waiting))
            ):
                raise Violation(f"{later} got {push}, for which {waiting} had waited longer")

    def _pushed_s(self, pop: Pop) -> float:
        """Tell when what a client got was begun to be pushed; it has its turn then, and takes nothing else."""
        return math.inf if pop.element is None else self.pushes[pop.element].begun_s

    def check_served(self, margin_s: float) -> None:
        """Where nothing fails: nobody waits in vain while there is something for them. Raises Violation."""
        pops = {pop.element: pop for pop in self.pops if pop.element is not None}
        for pop in self.pops:
            if pop.element is not None or pop.outcome is not Outcome.SAFE:
                continue
            for push in self.pushes.values():
                taken = pops.get(push.element)
                if (
                    push.queue in pop.queues
                    and push.outcome is Outcome.SAFE
                    and push.ended_s + margin_s < pop.ended_s
                    and (taken is None or taken.begun_s > pop.ended_s)
                ):
                    raise Violation(f"{pop} got nothing while {push} was there, until {taken}")
