"""The register that holds the control record: read it, change it, be told of every new version.

Agreement by a coordinator: the oldest live member of the record decides alone. It
applies changes, sends what differs to all members, and a change is committed once
every member that it believes alive holds the version. Who takes over first claims
a new term: the others promise to refuse records of earlier terms and show theirs,
and the newest of these is what the new coordinator goes on from. A change that any
live member has seen is therefore never lost, and one that was committed is never
undone while one of the members that held it is in the coordinator's view.

What this does not give, because the views of two sides of a split may both lack the
other: one truth during the split. Afterwards the newer version wins.

The callers know `propose`, `record`, `committed` and the effects; claims, terms and
who coordinates stay in here, so that another kind of agreement can take this place.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

from respcache.cluster.ownership.changes import KINDS, Change, Proposal
from respcache.cluster.ownership.record import Life, Node, Record, Version, found
from respcache.cluster.ownership.wire import (
    Accept,
    Accepted,
    Claim,
    Claimed,
    Committed,
    Decided,
    Fetch,
    Propose,
    Refused,
    RegisterMessage,
    Teach,
    difference,
    newest,
    patched,
    version_of,
)

RETRY_S: Final = 0.5
"""Until an unanswered message is sent again. Links do not lose messages, but a receiver may not be ready for one."""
QUEUE_MAX: Final = 10_000
"""Changes that wait for their round; further ones are ignored, and proposed again by their owners."""


First = Callable[[Record, Mapping[str, int]], Sequence[Change]]
"""From the record and the live members to the changes that go before all others in a round.

The dead are buried before anything is decided that counts on them: a change may have waited
while they died, and drop the last live copies as surplus."""


@dataclass(frozen=True, slots=True)
class Tell:
    """Send a message to a member."""

    peer: str
    message: RegisterMessage


@dataclass(frozen=True, slots=True)
class Adopted:
    """This node holds a new version, which may not be committed yet."""

    old: Record | None
    record: Record
    leap: bool
    """Whether versions in between may have been skipped."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The version held here is committed."""

    record: Record


@dataclass(frozen=True, slots=True)
class Done:
    """A proposed change was decided: it was applied or had become void. The record held here includes it."""

    number: int


RegisterEffect = Tell | Adopted | Settled | Done


@dataclass(slots=True)
class _Claim:
    """A term that this node wants to coordinate in."""

    term: int
    awaited: set[str]
    newest: Record | None


@dataclass(slots=True)
class _Round:
    """A version on its way to all live members."""

    version: Version
    awaited: set[str]
    proposers: list[tuple[str, int]] = field(default_factory=list)


class Register:
    """The control record as one node holds it.

    follower --oldest live member--> claiming --all promised--> coordinating
       ^-------- refused, or an older member is back ---------------'
    """

    def __init__(self, me: Life, rng: Random, *, first: First) -> None:
        self._name = me[0]
        self._rng, self._first = rng, first
        self.record: Record | None = None
        self.committed: Record | None = None
        """The newest version known to be held by every live member; its copies may be counted on to stay."""
        self.decided = dict.fromkeys(KINDS, 0)
        """Changes that this node, as coordinator, has made."""
        self.deadline = math.inf
        self._live: dict[str, int] = {}
        self._linked: tuple[str, ...] = ()
        self._promised = 0
        self._promised_to = ""
        self._term: int | None = None
        """The term in which this node coordinates."""
        self._claim: _Claim | None = None
        self._claim_at = -math.inf
        self._round: _Round | None = None
        self._queue: dict[tuple[str, int], Change] = {}
        self._proposals: dict[int, Change] = {}
        self._last_number = 0
        self._retry_at = math.inf
        self._leader: str | None = None
        self._effects: list[RegisterEffect] = []

    @property
    def coordinating(self) -> bool:
        """Whether this node decides."""
        return self._term is not None

    @property
    def idle(self) -> bool:
        """Whether this node decides and nothing is under way: the time to look for what should be changed."""
        return self._term is not None and self._round is None and not self._queue

    @property
    def leader(self) -> str | None:
        """The oldest live member of the record."""
        record = self.record
        if record is None:
            return None
        members = [(run, name) for name, run in self._live.items() if record.has((name, run))]
        return min(members)[1] if members else None

    def form(self, now: float, cluster_id: str, me: Node, replica_count: int) -> list[RegisterEffect]:
        """Found a cluster of this node alone. There must be no record yet."""
        assert self.record is None
        record = found(cluster_id, me, replica_count)
        self._promised, self._promised_to = record.version[0], self._name
        self._term = self._promised
        self._adopt(record, leap=True)
        self._settle()
        return self._review(now)

    def observe(self, now: float, live: Mapping[str, int], linked: Collection[str]) -> list[RegisterEffect]:
        """Take note of who lives (name to run epoch, this node included), and to whom there are links."""
        fresh = [name for name in sorted(linked) if name not in self._linked]
        self._live, self._linked = dict(live), tuple(sorted(linked))
        for name in fresh:
            self._greet(name)
        return self._review(now)

    def propose(self, now: float, changes: Sequence[Change]) -> tuple[range, list[RegisterEffect]]:
        """Ask for changes, in one version if possible; return their numbers, which Done will carry, and what to do.

        A change other than a Proposal may be asked for by a coordinator only.
        """
        numbers = range(self._last_number + 1, self._last_number + 1 + len(changes))
        self._last_number += len(changes)
        for number, change in zip(numbers, changes, strict=True):
            self._proposals[number] = change
            self._forward(number)
        self._retry_at = min(self._retry_at, now + RETRY_S)
        return numbers, self._review(now)

    def fetch(self, peer: str) -> list[RegisterEffect]:
        """Ask a peer that has a newer record for it."""
        return [Tell(peer, Fetch(version_of(self.record)))]

    def show(self, now: float, peer: str, have: Version) -> list[RegisterEffect]:
        """Teach a peer the record if it holds only an older version."""
        self._teach(peer, have)
        return self._review(now)

    def tick(self, now: float) -> list[RegisterEffect]:
        """Send again what was not answered; claim once more."""
        if now >= self._retry_at:
            self._retry_at = now + RETRY_S
            for name in self._linked:
                self._remind(name)
            for number in list(self._proposals):
                self._forward(number)
        return self._review(now)

    def receive(self, now: float, peer: str, message: RegisterMessage) -> list[RegisterEffect]:
        """Take a message in. Raises DecodeError when it contradicts itself."""
        match message:
            case Claimed() | Refused() | Accepted() | Propose():
                self._as_coordinator(now, peer, message)
            case _:
                self._as_member(now, peer, message)
        return self._review(now)

    def _as_coordinator(self, now: float, peer: str, message: Claimed | Refused | Accepted | Propose) -> None:
        match message:
            case Claimed():
                self._on_claimed(peer, message)
            case Refused():
                self._on_refused(now, peer, message.term)
            case Accepted():
                if self._round is not None and self._round.version == message.version:
                    self._round.awaited.discard(peer)
            case Propose():
                if (self._term is not None or self._claim is not None) and len(self._queue) < QUEUE_MAX:
                    self._queue[peer, message.number] = message.change

    def _as_member(self, now: float, peer: str, message: Claim | Accept | Committed | Fetch | Teach | Decided) -> None:
        match message:
            case Claim():
                self._on_claim(now, peer, message.term)
            case Accept():
                self._on_accept(peer, message)
            case Committed():
                if version_of(self.record) == message.version:
                    self._settle()
            case Fetch():
                self._teach(peer, message.have)
            case Teach():
                self._on_teach(message)
            case Decided():
                self._done(message.number)

    def _on_claim(self, now: float, peer: str, term: int) -> None:
        if (term, peer) != (self._promised, self._promised_to) and term <= self._promised:
            self._tell(peer, Refused(self._promised))
            return
        self._promised, self._promised_to = term, peer
        self._step_down(now)
        self._tell(peer, Claimed(term, None if self.record is None else difference(None, self.record)))

    def _on_claimed(self, peer: str, message: Claimed) -> None:
        claim = self._claim
        if claim is None or claim.term != message.term:
            return
        if message.update is not None:
            shown = patched(None, message.update)
            if shown is not None and self._ours(shown):
                claim.newest = newest(claim.newest, shown)
        claim.awaited.discard(peer)

    def _on_refused(self, now: float, peer: str, term: int) -> None:
        mine = self._claim.term if self._claim is not None else self._term
        if mine is None or term < mine:
            return
        self._promised, self._promised_to = max((term, peer), (self._promised, self._promised_to))
        self._step_down(now)
        self._tell(peer, Fetch(version_of(self.record)))

    def _on_accept(self, peer: str, message: Accept) -> None:
        version = message.update.version
        held = version_of(self.record)
        if version[0] < self._promised or version < held:
            self._tell(peer, Refused(max(self._promised, held[0])))
            return
        if version > held:
            record = patched(self.record, message.update)
            if record is None:
                self._tell(peer, Fetch(held))
                return
            if not self._ours(record):
                return
            follows = message.update.base == held and held[0] == version[0]
            if follows and self.record is not None:
                self.committed = self.record  # a coordinator goes on only from what is committed
            self._promised, self._promised_to = version[0], peer
            self._adopt(record, leap=message.update.base != held)
        if message.committed:
            self._settle()
        self._tell(peer, Accepted(version))

    def _on_teach(self, message: Teach) -> None:
        version = message.update.version
        if version <= version_of(self.record) or version[0] < self._promised:
            return
        record = patched(self.record, message.update)
        if record is None or not self._ours(record):
            return
        if version[0] > self._promised:
            self._promised, self._promised_to = version[0], ""
        self._adopt(record, leap=True)
        if message.committed:
            self._settle()

    def _teach(self, peer: str, have: Version) -> None:
        record = self.record
        if record is None or record.version <= have:
            return
        update, committed = difference(None, record), self.committed is record
        self._tell(peer, Accept(update, committed) if self._term is not None else Teach(update, committed))

    def _greet(self, peer: str) -> None:
        """Tell a peer, on a new link, what it may have missed."""
        self._remind(peer)
        if peer == self._leader:
            for number in self._proposals:
                self._forward(number)

    def _remind(self, peer: str) -> None:
        """Repeat what a peer has not answered."""
        if self._claim is not None and peer in self._claim.awaited:
            self._tell(peer, Claim(self._claim.term))
        if self._round is not None and peer in self._round.awaited and self.record is not None:
            self._tell(peer, Accept(difference(None, self.record), committed=False))

    def _review(self, now: float) -> list[RegisterEffect]:
        """Do what has become possible, and return all effects of this input."""
        leader = self.leader
        if leader != self._leader:
            self._leader = leader
            for number in self._proposals:
                self._forward(number)
        if leader != self._name:
            if self._term is not None or self._claim is not None:
                self._step_down(now)
        elif self._term is None and self._claim is None and now >= self._claim_at:
            self._begin_claim(now)
        if self._claim is not None:
            self._claim.awaited &= self._electorate()
            if not self._claim.awaited:
                self._win(self._claim)
        self._go_on()
        self._arm(now)
        effects, self._effects = self._effects, []
        return effects

    def _go_on(self) -> None:
        """As coordinator, commit what everybody holds, and decide what has come in meanwhile."""
        while self._term is not None:
            if self._round is not None:
                self._round.awaited &= self._members()
                if self._round.awaited:
                    break
                self._commit(self._round)
            if not self._queue:
                break
            self._begin_round()

    def _begin_claim(self, now: float) -> None:
        self._promised = max(self._promised, version_of(self.record)[0]) + 1
        self._promised_to = self._name
        self._claim = _Claim(self._promised, self._electorate(), self.record)
        self._retry_at = min(self._retry_at, now + RETRY_S)
        for name in sorted(self._claim.awaited):
            self._tell(name, Claim(self._promised))

    def _win(self, claim: _Claim) -> None:
        assert claim.newest is not None
        self._claim, self._term = None, claim.term
        self._spread(replace(claim.newest, version=(claim.term, claim.newest.version[1] + 1)), full=True)
        for number in self._proposals:
            self._forward(number)

    def _begin_round(self) -> None:
        """Decide all that is waiting, as one version."""
        assert self.record is not None
        record = self.record
        for change in (*self._first(record, self._live), *self._queue.values()):
            changed = change.apply(record)
            if changed is not record:
                self.decided[change.kind] += 1
                record = changed
        proposers, self._queue = list(self._queue), {}
        if record is self.record:
            self._answer(proposers)
            return
        term, counter = record.version
        self._spread(replace(record, version=(term, counter + 1)), full=False)
        assert self._round is not None
        self._round.proposers = proposers

    def _spread(self, record: Record, *, full: bool) -> None:
        update = difference(None if full else self.record, record)
        self._adopt(record, leap=full)
        self._round = _Round(record.version, self._members())
        for name in self._linked:
            self._tell(name, Accept(update, committed=False))

    def _commit(self, done: _Round) -> None:
        self._round = None
        self._settle()
        for name in self._linked:
            self._tell(name, Committed(done.version))
        self._answer(done.proposers)

    def _answer(self, proposers: list[tuple[str, int]]) -> None:
        for peer, number in proposers:
            if peer == self._name:
                self._done(number)
            else:
                self._tell(peer, Decided(number))

    def _step_down(self, now: float) -> None:
        self._term = self._claim = self._round = None
        self._queue = {}
        self._proposals = {number: change for number, change in self._proposals.items() if isinstance(change, Proposal)}
        self._claim_at = now + RETRY_S * self._rng.uniform(0.5, 1.5)

    def _adopt(self, record: Record, *, leap: bool) -> None:
        old, self.record = self.record, record
        for node in record.nodes.values():  # until it is observed to be dead, a member that is news here is not
            if self._live.get(node.name, -1) < node.run and not (old is not None and old.has(node.life)):
                self._live[node.name] = node.run
        if self._term is not None and record.version[0] > self._term:
            self._term = self._round = None
        if self._claim is not None and record.version[0] >= self._claim.term:
            self._claim = None
        self._effects.append(Adopted(old, record, leap))

    def _settle(self) -> None:
        if self.record is not None and self.committed is not self.record:
            self.committed = self.record
            self._effects.append(Settled(self.record))

    def _done(self, number: int) -> None:
        if self._proposals.pop(number, None) is not None:
            self._effects.append(Done(number))

    def _forward(self, number: int) -> None:
        """Hand a change of our own to whoever decides now, if there is a way."""
        change, leader = self._proposals[number], self._leader
        if leader == self._name:
            if self._term is not None or self._claim is not None:
                self._queue[self._name, number] = change
        elif leader is not None and isinstance(change, Proposal):
            self._tell(leader, Propose(number, change))

    def _ours(self, record: Record) -> bool:
        return self.record is None or self.record.cluster_id == record.cluster_id

    def _members(self) -> set[str]:
        """Return the other live members of the record: all of these have to hold a version."""
        assert self.record is not None
        return {name for name, run in self._live.items() if name != self._name and self.record.has((name, run))}

    def _electorate(self) -> set[str]:
        """Return whose record a coordinator has to see first: members, and those who may have become members."""
        return self._members() | {name for name in self._linked if name in self._live}

    def _tell(self, peer: str, message: RegisterMessage) -> None:
        if peer in self._linked:
            self._effects.append(Tell(peer, message))

    def _arm(self, now: float) -> None:
        if not (self._proposals or self._claim or self._round):
            self._retry_at = math.inf
        elif self._retry_at == math.inf:
            self._retry_at = now + RETRY_S
        waits_to_claim = self._leader == self._name and self._term is None and self._claim is None
        self.deadline = min(self._retry_at, self._claim_at if waits_to_claim else math.inf)
