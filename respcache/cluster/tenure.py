"""Whether this node may serve: its own lease, what it grants to others, and who is told so."""

import math
from collections.abc import Callable, Iterable
from typing import Final

from respcache.cluster.ownership.lease import RENEWALS, Grants, Lease
from respcache.cluster.ownership.record import Life, Record, Version
from respcache.cluster.ownership.wire import Fence, Fenced, Granted, LeaseMessage, Renew
from respcache.cluster.replication.fencing import Fencing

MICROSECONDS: Final = 1_000_000

Say = Callable[[str, Renew | Granted | Fence | Fenced], None]
"""Send a message to a peer, if there is a link to it."""


class Tenure:
    """Lease and grants of one node. Its messages need no order and no memory of links: what is lost is said again."""

    def __init__(self, me: Life, length_s: float, say: Say, heard: Callable[[], Version]) -> None:
        """`heard` gives the newest version that this node has accepted, as a voter: chosen or not."""
        self._me, self._length_s, self._say, self._heard = me, length_s, say, heard
        self.lease = Lease(me, length_s)
        self.grants = Grants(length_s)
        self.held = False
        """Whether this node may serve, as of the last `review`."""
        self._record: Record | None = None
        self._renew_at = math.inf

    @property
    def deadline(self) -> float:
        """When `tick` is due: to renew the lease, or because it ends."""
        return min(self._renew_at, self.lease.until_s if self.held else math.inf)

    def learn(self, now: float, record: Record) -> None:
        """Go by a new record, and ask its voters at once where they are others, or where none was being asked.

        None is asked by a node that a record leaves out; one that takes it back may be here before its lease has ended.
        """
        old, self._record = self._record, record
        self.grants.hear(record.version)
        self.lease.learn(record)
        idle = self._renew_at == math.inf
        if old is None or old.voters != record.voters or idle or now >= self.lease.until_s:
            self.renew(now)

    def renew(self, now: float) -> None:
        """Ask all voters for a lease."""
        record = self._record
        if record is None or not record.has(self._me):
            self._renew_at = math.inf
            return
        number = self.lease.ask(now)
        alone = True
        for voter in record.voters:
            if voter.life == self._me:
                self.lease.granted(self._me, number, self._granted(now, self._me, record.version))
            else:
                alone = False
                self._say(voter.name, Renew(number, record.version))
        self._renew_at = math.inf if alone else now + self._length_s / RENEWALS

    def asked_s(self, voter: Life) -> float:
        """Return when a voter lived for certain: it was asked for a lease then, and has answered."""
        return self.lease.asked_s(voter)

    def linked(self, now: float, peer: str) -> None:
        """Ask a voter that has just come into reach, where its vote is needed."""
        if self._record is not None and not self.held and any(voter.name == peer for voter in self._record.voters):
            self.renew(now)

    def suspended(self) -> None:
        """Give up the lease: this node was not running, for longer than its clock says. `tick` is due at once."""
        self.lease.void()
        self._renew_at = -math.inf

    def tick(self, now: float) -> None:
        """Renew the lease when that is due."""
        if now >= self._renew_at:
            self.renew(now)

    def review(self, now: float) -> bool:
        """Find out whether the lease is held; return whether that has changed."""
        held = now < self.lease.until_s
        changed, self.held = held != self.held, held
        return changed

    def grant(self, now: float, peer: Life, request: Renew) -> None:
        """Answer a request as a voter."""
        self._say(peer[0], Granted(request.number, self._granted(now, peer, request.version)))

    def _granted(self, now: float, life: Life, told: Version) -> Version:
        """Grant a lease, be it to this node itself: like any other it must know all that was accepted here."""
        self.grants.hear(self._heard())
        return self.grants.grant(now, life, told)

    def remaining(self, now: float, question: Fence) -> Iterable[tuple[Life, float]]:
        """Return for how long lives that a version has deposed may serve by what this node granted."""
        self.grants.hear(question.version)
        return [(life, self.grants.remaining(now, life, question.version)) for life in question.lives]

    def ask_about(self, now: float, fencing: Fencing) -> bool:
        """Have the voters say for how long former primaries may still serve; return whether there was a question."""
        if self._record is None or not fencing.asking:
            return False
        question = Fence(*fencing.questions())
        for voter in self._record.voters:
            if voter.life == self._me:
                fencing.answered(now, self._me, question.version, self.remaining(now, question))
            else:
                self._say(voter.name, question)
        return True

    def receive(self, now: float, peer: Life, message: LeaseMessage, fencing: Fencing) -> None:
        """Take a message about leases in: as a voter, as a holder, or as one who waits for another's to end."""
        match message:
            case Renew():
                self.grant(now, peer, message)
                fencing.knows(now, peer, message.version)
            case Granted():
                self.lease.granted(peer, message.number, message.version)
            case Fence():
                self.answer(now, peer[0], message)
            case Fenced():
                left = [((name, run), micros / MICROSECONDS) for name, run, micros in message.lives]
                fencing.answered(now, peer, message.version, left)

    def answer(self, now: float, peer: str, question: Fence) -> None:
        """Answer a question about rivals as a voter."""
        remaining = self.remaining(now, question)
        lives = tuple((*life, math.ceil(seconds * MICROSECONDS)) for life, seconds in remaining)
        self._say(peer, Fenced(question.version, lives))
