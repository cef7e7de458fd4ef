"""CLIENT PAUSE: the commands of a node's clients, held up for a while.

off --begin--> on --end, time over--> off, and what was held up is run, in the order in which it came
"""

from collections.abc import Callable, Sequence
from typing import Final

from respcache.commands.registry import Command, Flags
from respcache.commands.session import Session
from respcache.pending import Pending, Timer
from respcache.store.ledger import Ledger
from respcache.store.partition import Argv


class Postponed(Pending):
    """The reply to a command that is held up."""

    __slots__ = ("_followed", "argv", "gone", "session")

    def __init__(self, session: Session, argv: Argv) -> None:
        super().__init__()
        self.session: Final = session
        self.argv: Final = argv
        self.gone = False
        """Whether its client is."""
        self._followed: Pending | None = None
        """What the command has to wait for itself, now that it has been run."""

    @property
    def waiting(self) -> bool:
        """Whether the client counts as blocked."""
        return True

    def unblock(self, *, refused: bool) -> bool:
        """Go on waiting: this is not for CLIENT UNBLOCK to end."""
        del refused
        return False

    def follow(self, reply: bytes | Pending) -> None:
        """Take the reply from there, now or when it comes."""
        if isinstance(reply, Pending):
            self._followed = reply
        super().follow(reply)

    def abandon(self) -> None:
        """Run nothing, and end what has been begun: the client is gone."""
        super().abandon()
        self.gone = True
        if self.session.blocked is self:
            self.session.blocked = None
        if self._followed is not None:
            self._followed.abandon()


class Pauses:
    """What holds up the commands of one node's clients."""

    def __init__(
        self,
        *,
        sessions: Callable[[], Sequence[Session]],
        run: Callable[[Session, Argv], bytes | Pending],
        now_s: Callable[[], float],
        call_at: Callable[[float, Callable[[], None]], Timer],
        ledger: Ledger,
    ) -> None:
        """Hold nothing up yet, and tell `ledger` later that keys are not to expire meanwhile.

        `now_s` gives monotonic seconds; `call_at` calls a function at such a time.
        """
        self._sessions: Final = sessions
        self._run: Final = run
        self._now_s: Final = now_s
        self._call_at: Final = call_at
        self._ledger: Final = ledger
        self._writes_only = False
        self._timer: Timer | None = None
        self._postponed: list[Postponed] = []

    @property
    def is_on(self) -> bool:
        """Whether any commands are held up."""
        return self._timer is not None

    def begin(self, duration_ms: int, *, writes_only: bool) -> None:
        """Hold up all commands that come in from now on, or those that write; the last word counts."""
        if self._timer is not None:
            self._timer.cancel()
        self._writes_only = writes_only
        self._ledger.keeps_expired = True
        self._timer = self._call_at(self._now_s() + duration_ms / 1000, self.end)
        self._restrict()

    def end(self) -> None:
        """Run what was held up."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        self._ledger.keeps_expired = False
        self._restrict()
        postponed, self._postponed = self._postponed, []
        for one in postponed:
            if not (one.gone or one.session.killed):  # one of these commands may have killed it just now
                one.session.blocked = one.session.barrier = None
                reply = self._run(one.session, one.argv)
                if isinstance(reply, Pending) and reply.wire is None:
                    one.session.barrier = one  # the connection goes on when it has this reply, and not before
                one.follow(reply)

    def holds(self, session: Session, row: Command, argv: Argv) -> bool:
        """Tell whether a command is to be held up: any, or one that may change something."""
        if self._timer is None:
            return False
        if not self._writes_only or _may_change(session, row, argv):
            return True
        queue = session.queue
        return row.name == "EXEC" and queue is not None and any(_may_change(session, *call) for call in queue.calls)

    def postpone(self, session: Session, argv: Argv) -> Pending:
        """Hold a command up, and those behind it; their number is that of the clients."""
        self._postponed = [one for one in self._postponed if not one.gone]
        one = Postponed(session, argv)
        self._postponed.append(one)
        session.blocked = session.barrier = one
        return one

    def _restrict(self) -> None:
        for session in self._sessions():
            session.restrict()


def _may_change(session: Session, row: Command, argv: Argv) -> bool:
    """Tell whether a command may have an effect elsewhere; Redis does not show that flag of some of them."""
    if row.on_script is not None and row.writes:
        return not session.host.catalogue.only_reads(row, argv)
    return row.writes or Flags.MAY_REPLICATE in row.flags or row.name in REPLICATED


REPLICATED: Final = frozenset({"PFCOUNT", "PUBLISH", "SPUBLISH"})
"""Commands that Redis tells its replicas of though they do not write: they may note an estimate, or publish."""
