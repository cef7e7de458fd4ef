"""WAIT: how many copies have what a client has written, asked of all owners.

Which keys a client has written is not remembered: that would be work with every command, for what hardly
any client ever asks. Instead each owner answers for all that it has been given to write up to now, which
includes what this client wrote, for the question travels the same ways behind it. So the number may be too
small, where other keys have fewer copies than the client's, and it is never too great.

One thing has to be remembered for that, since a client outlives the owners of its keys here: with
`replication = async` an owner may die with writes that no copy has, and its successor, asked
afterwards, has copies of everything that it knows of. So the node counts how often it has seen an owner
replaced that could not hand over (`breaks`). A session that has not asked since such a break is told 0, once.

    asked --all owners have answered--> enough: answered
               ^                         `-- too few, and time left --.
               `------------------- asked again ----------------------'
               `-- time is up: answered, with what is known
"""

import math
from collections.abc import Callable
from typing import Final, Protocol

from respcache.commands.session import Session
from respcache.errors import ClusterDown, TryAgain
from respcache.internal import ACKED
from respcache.pending import Pending
from respcache.resp.encode import integer
from respcache.routing import EVERYWHERE, Router

RENEW_S: Final = 30.0
"""How long owners wait on behalf of a client before they are asked again: one that has gone costs them no more."""
GRACE_S: Final = 0.25
"""How long after a client's time is up the answers of owners may take to get here."""
AGAIN_S: Final = 0.05
"""Before owners are asked again that could not answer."""
VOID: Final = tuple(b"-%b " % refusal.code.encode() for refusal in (TryAgain, ClusterDown))
"""Answers that say nothing about copies: an owner is missing, or being replaced."""


class Timer(Protocol):
    """Something that will happen, unless it is cancelled."""

    def cancel(self) -> None:
        """Let it not happen."""


class _Reply(Pending):
    """Knows whether anybody is still waiting for it."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted = True

    def abandon(self) -> None:
        """Forget who waits: the client is gone."""
        super().abandon()
        self.wanted = False


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
        reply = _Reply()
        if before != breaks:
            reply.resolve(integer(0))
            return reply
        if copies <= 0 or session.deny_blocking:
            copies, end_s = 0, self.clock()
        else:
            end_s = self.clock() + timeout_s if timeout_s else math.inf
        _Question(self, reply, copies, end_s).ask()
        if reply.wire is None:
            session.barrier = reply
        return reply


class _Question:
    """One WAIT under way."""

    def __init__(self, waiting: Assurance, reply: _Reply, copies: int, end_s: float) -> None:
        self._waiting: Final = waiting
        self._reply: Final = reply
        self._copies: Final = copies
        self._end_s: Final = end_s
        self._breaks: Final = waiting.breaks()
        self._timer: Timer | None = None
        if end_s < math.inf:
            self._timer = waiting.later(max(0.0, end_s - waiting.clock()) + GRACE_S, self._give_up)

    def ask(self) -> None:
        """Ask all owners."""
        if self._reply.wire is not None or not self._reply.wanted:
            return
        waiting = self._waiting
        until_s = waiting.clock() + RENEW_S
        if self._copies:
            until_s = min(until_s, self._end_s)
        argv = [ACKED.name.encode(), b"%d" % self._copies]
        order = waiting.router.order(ACKED, argv, EVERYWHERE, deadline_s=until_s)
        order.then(lambda: self._answered(order.wire or b""))

    def _answered(self, wire: bytes) -> None:
        void = wire.startswith(VOID)
        if wire.startswith(b"-") and not void:
            self._resolve(wire)
            return
        waiting = self._waiting
        broken = waiting.breaks() != self._breaks
        count = 0 if void or broken else int(wire[1:-2])
        if broken or (not void and count >= self._copies) or waiting.clock() >= self._end_s:
            self._resolve(integer(count))
        else:
            waiting.later(AGAIN_S, self.ask)

    def _give_up(self) -> None:
        """Answer that no copy is known to have everything: an owner has said nothing in time."""
        self._resolve(integer(0))

    def _resolve(self, wire: bytes) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._reply.resolve(wire)
