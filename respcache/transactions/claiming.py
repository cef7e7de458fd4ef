"""Partitions of several owners, all locked for one command. The node that has the client does so.

Each owner is asked at once for all that it has, and locks them from the lowest on, up to one that somebody else has
locked, without waiting for that. Where nobody has locked any of it this takes one round trip, however many partitions
there are. Else the lowest that is missing is waited for, having given back what was locked above it; then the owners
are asked for what is missing still.

    asking --all is locked--> held
     ^  `-- some is missing --> giving back what is above the lowest of it, and waiting for that
     |                                              |
     `------------------ locked --------------------'
    asking, waiting -- answered in any other way --> ended; what is locked is still to be unlocked

There is no deadlock. Who waits for a lock holds nothing above the lowest partition that it waits for. Who is in its way
holds that one or one above, so it waits, if at all, for one that is higher still: in a chain of those who wait for one
another the partitions ascend, and the last one waits for nobody. Who asks may hold any, but waits for no lock; what
else may hold up an answer (a script that rests, copies that have not confirmed, a primary that is not known) ends
whatever is locked. Nothing more is asked for before all that was given back is known to be unlocked.

All come to their end: what is below the partition that is waited for is kept, so each round locks one more for good.
There is a round for each partition that somebody else had locked, at most, and each is two round trips and the wait.
Every wait has a deadline besides.
"""

from collections.abc import Sequence
from itertools import takewhile
from typing import Final, Protocol, TypeAlias

from respcache.errors import NoReplicas
from respcache.pending import when_all
from respcache.resp.encode import error
from respcache.routing.order import Order
from respcache.transactions.participant import CHANGED

FINAL: Final = (error(NoReplicas()), b"-BUSY ")
"""How refusals begin that the client is to see, and nothing was run; others are reason to try again."""
Shares: TypeAlias = dict[str, tuple[int, ...]]
"""What is locked, by the owner that has done so."""


class Claimant(Protocol):
    """Who wants partitions. It does not hold its claim, which holds it: so there is no cycle for the collector."""

    def lock(self, partitions: tuple[int, ...], *, at_once: bool) -> Order:
        """Send a question for partitions that have one owner."""

    def unlock(self, partitions: tuple[int, ...], owner: str) -> Order:
        """Tell an owner that it may unlock partitions, and that nothing has been done to them."""

    def took(self, lock: Order, partitions: Sequence[int]) -> None:
        """Read the answer of an owner that has locked partitions; it answers again about those that are given back."""

    def claimed(self, refusal: Order | None, shares: Shares) -> None:
        """Go on with everything locked, or learn which answer has put an end to it; `shares` is to be unlocked."""


class Claim:
    """One command's claim to its partitions."""

    def __init__(self, claimant: Claimant, partitions: Sequence[int], owner_of: Sequence[str]) -> None:
        """`partitions` ascend; `owner_of` has the primaries by partition, as of any time."""
        self._claimant: Final = claimant
        self._partitions: Final = partitions
        self._owner_of: Final = owner_of
        self._held: Final[dict[int, str]] = {}
        """Who has locked it, by partition."""

    def ask(self) -> None:
        """Ask for all that is missing.

        If that has one owner it may as well be waited for: whatever is held is below.
        """
        missing = [number for number in self._partitions if number not in self._held]
        shares = list(_by_owner(missing, self._owner_of).values())
        if len(shares) == 1:
            self._wait(shares[0], [])
            return
        locks = [self._claimant.lock(share, at_once=True) for share in shares]
        when_all(locks, lambda: self._asked(locks))

    def _asked(self, locks: list[Order]) -> None:
        ends = [lock for lock in locks if _locked(lock) is None]
        for lock in locks:
            self._take(lock)
        missing = [number for number in self._partitions if number not in self._held]
        if ends:
            self._end(ends[0])
        elif missing:
            self._give_way(missing)
        else:
            self._end(None)

    def _give_way(self, missing: Sequence[int]) -> None:
        """Hold nothing above the lowest that is missing, and wait for that, and those next to it of the same owner."""
        lowest = missing[0]
        above = _by_owner([number for number in sorted(self._held) if number > lowest], self._held)
        given = [self._claimant.unlock(numbers, owner) for owner, numbers in above.items()]
        for numbers in above.values():
            for number in numbers:
                del self._held[number]
        beyond = self._partitions[self._partitions.index(lowest) :]
        owner = self._owner_of[lowest]
        self._wait(tuple(takewhile(lambda number: self._owner_of[number] == owner, beyond)), given)

    def _wait(self, partitions: tuple[int, ...], given: list[Order]) -> None:
        lock = self._claimant.lock(partitions, at_once=False)
        when_all([*given, lock], lambda: self._waited(lock))

    def _waited(self, lock: Order) -> None:
        if not _locked(lock):
            self._end(lock)
            return
        self._take(lock)
        if len(self._held) == len(self._partitions):
            self._end(None)
        else:
            self.ask()

    def _end(self, refusal: Order | None) -> None:
        self._claimant.claimed(refusal, _by_owner(sorted(self._held), self._held))

    def _take(self, lock: Order) -> None:
        partitions = lock.partitions[: _locked(lock) or 0]
        if partitions:
            self._held.update(dict.fromkeys(partitions, lock.owner))
            self._claimant.took(lock, partitions)


def _by_owner(partitions: Sequence[int], owner_of: Sequence[str] | dict[int, str]) -> Shares:
    shares: dict[str, list[int]] = {}
    for number in partitions:
        shares.setdefault(owner_of[number], []).append(number)
    return {owner: tuple(numbers) for owner, numbers in shares.items()}


def _locked(lock: Order) -> int | None:
    """Tell how many partitions have been locked, from the lowest on; None if the answer says something else."""
    wire = lock.wire or b""
    if lock.refused:
        return 0
    if not wire.startswith(b"*") or wire == CHANGED:
        return None
    start = wire.index(b":") + 1
    return int(wire[start : wire.index(b"\r", start)])
