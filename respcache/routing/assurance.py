"""WAIT: how many copies have what a client has written, asked of all owners.

Which keys a client has written is not remembered: that would be work with every command, for what hardly
any client ever asks. Instead each owner answers for all that it has been given to write up to now, which
includes what this client wrote: the question is put once all of that has its reply, for what an owner has sent
back would be overtaken. So the number may be too small, where other keys have fewer copies than the client's, and
it is never too great.

One thing has to be remembered for that, since a client outlives the owners of its keys here: with
`replication = async` an owner may die with writes that no copy has, and its successor, asked
afterwards, has copies of everything that it knows of. So the node counts how often it has seen an owner
replaced that could not hand over (`breaks`). A session that has not asked since such a break is told 0, once.

    begun --its turn--> asked
    asked --all owners have answered--> enough: answered
               ^                         `-- too few, and time left --.
               `------------------- asked again ----------------------'
               `-- time is up, or CLIENT UNBLOCK: answered, with what is known
               `-- client gone: nobody is asked again
"""

import math
from collections.abc import Callable
from typing import Final

from respcache.cluster.ownership.slots import EVERYWHERE
from respcache.commands.session import Session
from respcache.errors import ClusterDown, TryAgain, Unblocked
from respcache.pending import Pending, Timer
from respcache.resp.encode import error, integer
from respcache.routing.internal import ACKED
from respcache.routing.router import Router

RENEW_S: Final = 30.0
"""How long owners wait on behalf of a client before they are asked again: one that has gone costs them no more."""
GRACE_S: Final = 0.25
"""How long after a client's time is up the answers of owners may take to get here."""
AGAIN_S: Final = 0.05
"""Before owners are asked again that could not answer."""
VOID: Final = tuple(b"-%b " % refusal.code.encode() for refusal in (TryAgain, ClusterDown))
"""Answers that say nothing about copies: an owner is missing, or being replaced."""


class Assurance:
    """The WAITs of the clients of one node."""

    def __init__(
        self,
        router: Router,
        *,
        breaks: Callable[[], int],
        clock: Callable[[], float],
        later: Callable[[float, Callable[[], None]], Timer],
    ) -> None:
        """`breaks` counts owners that were replaced without handing over; `later` calls after so many seconds."""
        self.router: Final = router
        self.breaks: Final = breaks
        self.clock: Final = clock
        self.later: Final = later

    def wait(self, session: Session, copies: int, timeout_s: float) -> Pending:
        """Answer once so many copies have all that the client wrote, or when the time is up; 0 is for ever.

        Inside a transaction nothing is waited for.
        """
        breaks, before = self.breaks(), session.breaks
        session.breaks = breaks
        if before != breaks:
            return _there(integer(0))
        if copies <= 0 or session.deny_blocking:
            copies, end_s = 0, self.clock()
        else:
            end_s = self.clock() + timeout_s if timeout_s else math.inf
        question = _Question(self, session, copies, end_s)
        question.begin()
        if question.wire is None and not session.deny_blocking:
            session.barrier = session.blocked = question
        return question


class _Question(Pending):
    """One WAIT under way, and its place in the queue of its client's replies.

    It counts as blocked, so that its connection goes on reading: else nobody would notice that the client is gone.
    """

    __slots__ = ("_asked", "_breaks", "_copies", "_desk", "_end_s", "_gone", "_session", "_timer")

    def __init__(self, desk: Assurance, session: Session, copies: int, end_s: float) -> None:
        super().__init__()
        self._desk: Final = desk
        self._session: Final = session
        self._copies = copies
        self._end_s = end_s
        self._breaks: Final = desk.breaks()
        self._gone = False
        """Whether the client has hung up."""
        self._asked = False
        """Whether it is, or has been, its turn."""
        self._timer: Timer | None = None
        if end_s < math.inf:
            self._timer = desk.later(max(0.0, end_s - desk.clock()) + GRACE_S, self._give_up)

    @property
    def waiting(self) -> bool:
        """Whether the client counts as blocked: who wants no copies only waits for the number."""
        return self._copies > 0 and self.wire is None

    def unblock(self, *, refused: bool) -> bool:
        """End the wait with the number as of now, or with an error; False if it does not wait."""
        if not self.waiting:
            return False
        if refused:
            self.resolve(error(Unblocked()))
            return True
        self._cancel()
        self._copies, self._end_s = 0, self._desk.clock()
        self._timer = self._desk.later(GRACE_S, self._give_up)
        if self._asked:
            self.ask()
        return True

    def abandon(self) -> None:
        """Ask nobody any more: the client is gone."""
        super().abandon()
        self._gone = True
        self._leave()

    def resolve(self, wire: bytes) -> None:
        """Give the reply; a second one is ignored."""
        if self.wire is None:
            self._leave()
            super().resolve(wire)

    def begin(self) -> None:
        """Ask all owners, once the client's earlier commands have their replies; in a transaction, they have them."""
        turns = self._session.turns
        if turns is None or self._session.deny_blocking or not turns.follows(self.ask):
            self.ask()

    def ask(self) -> None:
        """Ask all owners."""
        self._asked = True
        if self.wire is not None or self._gone:
            return
        desk = self._desk
        until_s = desk.clock() + RENEW_S
        if self._copies:
            until_s = min(until_s, self._end_s)
        argv = [ACKED.name.encode(), b"%d" % self._copies]
        order = desk.router.order(ACKED, argv, EVERYWHERE, deadline_s=until_s)
        order.then(lambda: self._answered(order.wire or b""))

    def _answered(self, wire: bytes) -> None:
        void = wire.startswith(VOID)
        if wire.startswith(b"-") and not void:
            self.resolve(wire)
            return
        desk = self._desk
        broken = desk.breaks() != self._breaks
        count = 0 if void or broken else int(wire[1:-2])
        if broken or (not void and count >= self._copies) or desk.clock() >= self._end_s:
            self.resolve(integer(count))
        elif not self._gone:
            desk.later(AGAIN_S, self.ask)

    def _give_up(self) -> None:
        """Answer that no copy is known to have everything: an owner has said nothing in time."""
        self.resolve(integer(0))

    def _leave(self) -> None:
        """Hold nothing for the client any more."""
        self._cancel()
        if self._session.blocked is self:
            self._session.blocked = None

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _there(wire: bytes) -> Pending:
    """Give a reply that is there."""
    reply = Pending()
    reply.resolve(wire)
    return reply
