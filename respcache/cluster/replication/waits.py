"""Waiting until copies have what was written: the owner's side of WAIT.

What is counted are acks, partition by partition, of the effects up to the moment of the question. A copy
that was demoted, or has refused effects, counts for nothing; one that was made meanwhile has everything.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from respcache.cluster.replication.log import Log

WAITS_MAX: Final = 4_096
"""Questions that one node keeps at a time; further ones are refused."""


class Wait:
    """One question: do so many copies of each of these partitions have all that was written so far?

    open --each has enough, or can get no more here--> done
    """

    __slots__ = ("_copies", "_least", "_logs", "_numbers")

    def __init__(self, logs: Sequence[Log], copies: int) -> None:
        self._copies = copies
        self._least: int | None = None
        """The copies of the one that has fewest, of those that are not looked at any more."""
        self._logs = list(logs)
        self._numbers = [log.dirty for log in logs]
        self.look()

    @property
    def done(self) -> bool:
        """Whether there is nothing more to wait for."""
        return not self._logs

    @property
    def count(self) -> int:
        """How many copies, of the partition that has fewest, have acked."""
        counts = [acked(log, number) for log, number in zip(self._logs, self._numbers, strict=True)]
        if self._least is not None:
            counts.append(self._least)
        return min(counts, default=0)

    def look(self, lost: Iterable[Log] = ()) -> None:
        """Count again, and be done with the partitions that have enough, or are lost: those get no better."""
        gone = set(lost)
        if not gone and self._logs and acked(self._logs[0], self._numbers[0]) < self._copies:
            return  # the first that lacks something stands for all until it has it
        kept: list[tuple[Log, int]] = []
        for log, number in zip(self._logs, self._numbers, strict=True):
            count = acked(log, number)
            if count >= self._copies or log in gone:
                self._least = count if self._least is None else min(self._least, count)
            else:
                kept.append((log, number))
        self._logs = [log for log, _ in kept]
        self._numbers = [number for _, number in kept]


class Waits:
    """All questions that are open on this node."""

    def __init__(self) -> None:
        self._open: dict[Wait, None] = {}

    def __len__(self) -> int:
        """Count them."""
        return len(self._open)

    def ask(self, logs: Sequence[Log], copies: int) -> Wait:
        """Begin to wait; what is done already is not kept."""
        wait = Wait(logs, copies)
        if not wait.done:
            self._open[wait] = None
        return wait

    def look(self, lost: Iterable[Log] = ()) -> list[Wait]:
        """After acks, or when partitions are lost: return the questions that are done now."""
        for wait in self._open:
            wait.look(lost)
        done = [wait for wait in self._open if wait.done]
        for wait in done:
            del self._open[wait]
        return done

    def drop(self, wait: Wait) -> None:
        """Wait no more; its count is what it is."""
        self._open.pop(wait, None)


def acked(log: Log, number: int) -> int:
    """Count the copies in sync that have everything up to a frame."""
    return sum(stream.acked >= number and stream not in log.refusers for stream in log.required)
