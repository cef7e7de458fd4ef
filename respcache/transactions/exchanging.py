"""SWAPDB where several nodes own the keys: all partitions locked, exchanged on each owner, and unlocked.

The node that has the client does so, with the locks of `transaction`: nobody sees one database exchanged and another
one not, whichever nodes they ask.

    locking (all owners, see `claiming`) --> committing --> answered
       `-- refused --> releasing --> tried again   `-- owner lost --> uncertain

What a crash does in the midst of the commit is what it does to transactions: the partitions of an owner
that died before its copies had them exchanged are as before, and the client is told that the outcome is uncertain.
"""

from collections.abc import Callable, Sequence
from typing import Final

from respcache.commands.databases import exchanged
from respcache.commands.registry import Command
from respcache.errors import CommandError, Uncertain
from respcache.pending import when_all
from respcache.reply import OK
from respcache.routing.internal import COMMIT, LOCK
from respcache.routing.order import Order
from respcache.transactions.claiming import FINAL, Claim, Shares
from respcache.transactions.participant import AT_ONCE, EXCHANGED


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
        self._owner_of: Final = owner_of

    def begin(self) -> None:
        """Lock everything, and then do it."""
        Claim(self, self._order.partitions, self._owner_of).ask()

    def lock(self, partitions: tuple[int, ...], *, at_once: bool) -> Order:
        """Ask an owner to lock partitions."""
        return self._send(LOCK, [AT_ONCE + b"0" if at_once else b"0"], partitions)

    def unlock(self, partitions: tuple[int, ...], owner: str) -> Order:
        """Commit nothing."""
        return self._send(COMMIT, [], partitions, owner)

    def took(self, lock: Order, partitions: Sequence[int]) -> None:
        """Nothing is read."""

    def claimed(self, refusal: Order | None, shares: Shares) -> None:
        """Exchange, or say why not."""
        if refusal is None:
            self._finish(shares, self._words, OK.wire)
        else:
            self._finish(shares, [], refusal.wire if (refusal.wire or b"").startswith(FINAL) else None)

    def _finish(self, shares: Shares, words: list[bytes], wire: bytes | None) -> None:
        """Have this done and everything unlocked, everywhere. Without a reply the command is tried again afterwards."""
        commits = [self._send(COMMIT, words, share, owner) for owner, share in shares.items()]
        when_all(commits, lambda: self._end(commits, wire, wrote=bool(words)))

    def _end(self, commits: list[Order], wire: bytes | None, *, wrote: bool) -> None:
        failed = [commit for commit in commits if commit.refused or commit.wire != OK.wire]
        undone = not wrote or all(commit.refused for commit in commits)
        if wire is None or (failed and undone and wrote):
            self._again(self._order)
        elif failed and wrote:
            self._order.fail(Uncertain("An owner was lost while databases were exchanged on several"))
        else:
            self._order.resolve(wire)

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
