"""What one client's keys went through where writes are answered at once, and what of it may be lost.

Commands are executed and answered in one turn, so the order of a partition is known, and a copy has what its primary
did up to some moment. An epoch that began without a hand-over may go on from any such moment, and nothing else loses
anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from simulation.ownership.outcome import Violation
from simulation.ownership.store import ModelStore

State = frozenset[tuple[bytes, bytes]]
"""Keys and values."""
Reply = int | bool | State


@dataclass(eq=False, slots=True)
class _Moment:
    """A state, and the one that it came from."""

    state: State
    before: "_Moment | None"


@dataclass(frozen=True, slots=True)
class _Step:
    """Something that was done, in which epoch, and what the client was told."""

    epoch: int
    argv: Sequence[bytes]
    """Nothing for a look at all keys."""
    reply: Reply


class Trail:
    """All that was done to some keys of one partition, in order."""

    def __init__(self) -> None:
        self._steps: list[_Step] = []

    def wrote(self, epoch: int, argv: Sequence[bytes], reply: int | bool) -> None:  # noqa: FBT001 # it is what the store says
        """Note a write."""
        self._steps.append(_Step(epoch, argv, reply))

    def saw(self, epoch: int, state: State) -> None:
        """Note a look at all keys."""
        self._steps.append(_Step(epoch, (), state))

    def check(self, breaks: set[int]) -> None:
        """See whether every reply follows from what was done before, given which epochs began without a hand-over."""
        possible, epoch = [_Moment(frozenset(), None)], 0
        for step in self._steps:
            if any(epoch < begun <= step.epoch for begun in breaks):
                possible = _earlier(possible)
            epoch = step.epoch
            following = [moment for before in possible if (moment := _after(before, step)) is not None]
            if not following:
                expected = [sorted(moment.state) for moment in possible]
                raise Violation(f"{step}: the keys were none of {expected}; breaks {breaks}")
            possible = following


def _earlier(moments: list[_Moment]) -> list[_Moment]:
    """Return these moments and all before them, each once."""
    found: dict[_Moment, None] = {}
    for moment in moments:
        at: _Moment | None = moment
        while at is not None and at not in found:
            found[at] = None
            at = at.before
    return list(found)


def _after(before: _Moment, step: _Step) -> _Moment | None:
    """Return what a step makes of a moment; None if it would have been told something else."""
    if not step.argv:
        return before if before.state == step.reply else None
    store = ModelStore()
    store.partitions[0] = {(0, key): value for key, value in before.state}
    if store.execute(0, 0, list(step.argv)) != step.reply:
        return None
    return _Moment(frozenset((key, value) for (_, key), value in store.partitions[0].items()), before)
