"""SWAPDB where several nodes own the keys: all partitions locked, exchanged on each owner, and unlocked.

The node that has the client does so, with the locks of `transaction`: nobody sees one database exchanged and another
one not, whichever nodes they ask.

All owners are asked at once first, to lock all that they have or nothing, without waiting for it: that takes one round
trip, and cannot end in a deadlock. Where somebody else has locked any of it, everything is unlocked, and locked again
in ascending order, as transactions lock, waiting where need be.

    at once --granted by all--> committing --> answered
       `-- not by all --> releasing --> ascending --> committing --> answered
    whichever it is -- refused --> releasing --> tried again   committing -- owner lost --> uncertain

What a crash does in the midst of the commit is what it does to transactions: the partitions of an owner
that died before its copies had them exchanged are as before, and the client is told that the outcome is uncertain.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final

from respcache.commands.databases import exchanged
from respcache.commands.registry import Command
from respcache.errors import CommandError, NoReplicas, Uncertain
from respcache.reply import OK
from respcache.resp.encode import error
from respcache.routing.internal import COMMIT, LOCK
from respcache.routing.order import Order
from respcache.transactions.participant import AT_ONCE, EXCHANGED

_FINAL: Final = (error(NoReplicas()), b"-BUSY ")
"""How refusals begin that the client is to see; others are reason to try again."""


class Exchanges:
    """Those that a node runs."""

    def __init__(
        self,
        name: str,
        databases: int,
        *,
        owner_of: Sequence[str],
        dispatch: Callable[[Order], None],
        again: Callable[[Order], None],
    ) -> None:
        """`name` is the node's; the others are as those of `Transactions`."""
        self._name: Final = name.encode()
        self._databases: Final = databases
        self._owner_of: Final = owner_of
        self._dispatch: Final = dispatch
        self._again: Final = again
        self._begun = 0

    def begin(self, order: Order) -> None:
        """Run an order: SWAPDB on partitions of several owners."""
        try:
            one, other = exchanged(order.argv, self._databases)
        except CommandError as refusal:
            order.fail(refusal)
            return
        if one == other:
            order.resolve(OK.wire)
            return
        self._begun += 1
        Exchange(
            order,
            b"%b:x%d" % (self._name, self._begun),
            [EXCHANGED + b"%d" % one, b"%d" % other, b""],
            owner_of=self._owner_of,
            dispatch=self._dispatch,
            again=self._again,
        ).begin()


class Exchange:
    """One of them."""

    def __init__(
        self,
        order: Order,
        name: bytes,
        words: list[bytes],
        *,
        owner_of: Sequence[str],
        dispatch: Callable[[Order], None],
        again: Callable[[Order], None],
    ) -> None:
        """`words` is what is committed in the end."""
        self._order: Final = order
        self._name: Final = name
        self._words: Final = words
        self._dispatch: Final = dispatch
        self._again: Final = again
        self._runs: Final = [tuple(run) for _, run in groupby(order.partitions, key=lambda number: owner_of[number])]
        """The partitions in the order of locking; each run's have one owner."""
        mine: dict[str, list[int]] = {}
        for number in order.partitions:
            mine.setdefault(owner_of[number], []).append(number)
        self._shares: Final = [tuple(numbers) for numbers in mine.values()]
        """The partitions by owner."""
        self._locked: list[Order] = []
        """The locks that were granted."""

    def begin(self) -> None:
        """Try to lock everything at once."""
        locks = [self._lock(share, b"%b0" % AT_ONCE) for share in self._shares]
        self._await(locks, lambda: self._tried(locks))

    def _tried(self, locks: list[Order]) -> None:
        self._locked = [lock for lock in locks if _granted(lock)]
        if len(self._locked) == len(locks):
            self._finish(self._words, OK.wire)
        else:
            self._release(locks, then=self._ascend)

    def _ascend(self) -> None:
        """Lock the next run; commit when all are locked."""
        if len(self._locked) == len(self._runs):
            self._finish(self._words, OK.wire)
            return
        lock = self._lock(self._runs[len(self._locked)], b"0")
        lock.then(lambda: self._took(lock))

    def _took(self, lock: Order) -> None:
        if _granted(lock):
            self._locked.append(lock)
            self._ascend()
        else:
            self._finish([], lock.wire if (lock.wire or b"").startswith(_FINAL) else None)

    def _release(self, locks: list[Order], then: Callable[[], None]) -> None:
        """Unlock what was locked at once, then go on; or answer what the client is to see."""
        final = [lock.wire for lock in locks if (lock.wire or b"").startswith(_FINAL)]
        if final:
            self._finish([], final[0])
            return
        commits = self._commits([])
        self._locked = []
        self._await(commits, then)

    def _finish(self, words: list[bytes], wire: bytes | None) -> None:
        """Have this done and everything unlocked, everywhere. Without a reply the command is tried again afterwards."""
        commits = self._commits(words)
        self._await(commits, lambda: self._end(commits, wire, wrote=bool(words)))

    def _end(self, commits: list[Order], wire: bytes | None, *, wrote: bool) -> None:
        failed = [commit for commit in commits if commit.refused or commit.wire != OK.wire]
        undone = not wrote or all(commit.refused for commit in commits)
        if wire is None or (failed and undone and wrote):
            self._again(self._order)
        elif failed and wrote:
            self._order.fail(Uncertain("An owner was lost while databases were exchanged on several"))
        else:
            self._order.resolve(wire)

    def _commits(self, words: list[bytes]) -> list[Order]:
        """Send one to each owner, for all that it has locked."""
        locked: dict[str, list[int]] = {}
        for lock in self._locked:
            locked.setdefault(lock.owner, []).extend(lock.partitions)
        return [self._send(COMMIT, words, tuple(sorted(numbers)), owner) for owner, numbers in locked.items()]

    def _await(self, orders: list[Order], then: Callable[[], None]) -> None:
        missing = len(orders)

        def arrived() -> None:
            nonlocal missing
            missing -= 1
            if missing <= 0:
                then()

        for order in orders:
            order.then(arrived)
        if not orders:
            then()

    def _lock(self, partitions: tuple[int, ...], count: bytes) -> Order:
        return self._send(LOCK, [count], partitions)

    def _send(self, row: Command, words: list[bytes], partitions: tuple[int, ...], owner: str = "") -> Order:
        order = Order(
            row,
            [row.name.encode(), self._name, *words],
            database=self._order.database,
            protocol=2,
            partitions=partitions,
            deadline_s=self._order.deadline_s,
            once=True,
        )
        order.owner, order.writer = owner, self._order.writer
        self._dispatch(order)
        return order


def _granted(lock: Order) -> bool:
    return not lock.refused and (lock.wire or b"").startswith(b"*0")
