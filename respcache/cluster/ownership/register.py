"""The register that holds the control record: read it, change it, be told of every new version.

Versions are agreed among the voters of the record (see `proposer`). Everybody proposes through one of them: the oldest
voter that a node can reach, so in quiet times there is one proposer, which leads for as long as it lives, and a change
costs one round trip from there. Voters keep to it: while they reach it themselves they promise nothing to a younger
one. Two that both take themselves for the oldest one wait for random times between their attempts.

       .------------------------- refused, or an older voter is back -------------------------.
       v                                                                                      |
    follower --this node is the oldest voter that it reaches--> preparing --promised--> leading

The callers know `record`, `propose`, and the effects; terms, promises and who leads stay in here. Another agreement,
such as an etcd that a site runs anyway, would take this place.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Final

from respcache.cluster.ownership.acceptor import Acceptor
from respcache.cluster.ownership.agenda import Agenda
from respcache.cluster.ownership.changes import KINDS, Change, Proposal
from respcache.cluster.ownership.effects import Done, Learned, RegisterEffect, Tell
from respcache.cluster.ownership.proposals import Proposals
from respcache.cluster.ownership.proposer import Proposer, Round
from respcache.cluster.ownership.record import Life, Node, Quorum, Record, Version, found, next_term
from respcache.cluster.ownership.slots import PARTITIONS
from respcache.cluster.ownership.voters import forced
from respcache.cluster.ownership.wire import (
    Accept,
    Accepted,
    Chosen,
    Decided,
    Doubted,
    Fetch,
    Lacking,
    Prepare,
    Promised,
    Propose,
    Refused,
    RegisterMessage,
    Update,
    difference,
    patched,
    patched_one,
    version_of,
)

RETRY_S: Final = 0.5
"""Until an unanswered message is sent again. Links do not lose messages, but a receiver may not be ready for one."""
BACK_OFF_S: Final = (0.02, 2.0)
"""After a refusal: the first pause, which doubles with every further one, and the longest."""
First = Callable[[float, Record, Mapping[str, int]], Sequence[Change]]
"""From the time, the record and the live members to the changes that go before all others in a round.

The dead are buried before anything is decided that counts on them, lest the last live copies be dropped."""


class Register:
    """The control record as one node holds it, and this node's part in agreeing on it."""

    def __init__(self, me: Life, rng: Random, *, first: First, partitions: int = PARTITIONS) -> None:
        self._me, self._name = me, me[0]
        self._partitions = partitions
        self._rng, self._first = rng, first
        self.record: Record | None = None
        """The newest version known to be chosen."""
        self.decided = dict.fromkeys(KINDS, 0)
        """Changes that this node, as leader, has made."""
        self.deadline = math.inf
        self._acceptor = Acceptor()
        self._proposer = Proposer(me)
        self._live: dict[str, int] = {}
        self._linked: tuple[str, ...] = ()
        self._agenda = Agenda()
        self._proposals = Proposals()
        self._retry_at, self._prepare_at = math.inf, -math.inf
        self._refusals = 0
        self._leader: str | None = None
        self._effects: list[RegisterEffect] = []

    @property
    def leading(self) -> bool:
        """Whether this node proposes, as far as it knows."""
        return self._proposer.term is not None

    @property
    def idle(self) -> bool:
        """Whether this node leads and nothing is under way: the time to look for what should be changed."""
        return self.leading and self._proposer.round is None and not self._agenda

    @property
    def heard(self) -> Version:
        """The newest version that this node has accepted, chosen or not."""
        return max(self._acceptor.version, version_of(self.record))

    @property
    def leader(self) -> str | None:
        """The oldest voter that this node reaches, itself included."""
        if self.record is None:
            return None
        reached = [(voter.run, voter.name) for voter in self.record.voters if self._reaches(voter.life)]
        return min(reached)[1] if reached else None

    def form(
        self, now: float, cluster_id: str, me: Node, replica_count: int, quorum: Quorum = Quorum.AUTO
    ) -> list[RegisterEffect]:
        """Found a cluster of this node alone. There must be no record yet."""
        assert self.record is None
        self._live.setdefault(me.name, me.run)
        record = found(cluster_id, me, replica_count, quorum, self._partitions)
        self._learn(record)
        self._proposer.term = record.version[0]
        return self._review(now)

    def force(self, now: float, members: Sequence[Life]) -> list[RegisterEffect]:
        """Go on with these members, this node among them, whatever the other voters have agreed on or may yet.

        What two sides decide from here on are two truths, of which the greater version wins in the end.
        """
        record = self.record
        assert record is not None
        lives = [self._me, *(life for life in members if life != self._me)]
        changed = forced(record, lives, self._acceptor.promised, self._rng)
        self.decided["voters"] += 1
        self._abdicate()
        self._learn(changed)
        self._proposer.term = changed.version[0]
        for name in self._linked:
            self._tell(name, Chosen(changed.version, difference(record, changed)))
        return self._review(now)

    def observe(self, now: float, live: Mapping[str, int], linked: Collection[str]) -> list[RegisterEffect]:
        """Take note of who lives (name to run epoch, this node included), and of links."""
        fresh = sorted(set(linked).difference(self._linked))
        gone = {name for name in self._linked if name not in linked or live.get(name) != self._live.get(name)}
        self._live, self._linked = dict(live), tuple(sorted(linked))
        self._proposals.forget(gone)
        self._agenda.forget(gone)
        for name in fresh:
            self._remind(name)
            if self.record is not None and self.record.splits:
                # It was taken for dead when it said what it knew, and has not been told of what was decided since. Its
                # side may have a record of its own, by which it would go on: no lease of theirs would tell them apart.
                self._tell(name, Chosen(self.record.version, None))
        return self._review(now)

    def propose(self, now: float, changes: Sequence[Change]) -> tuple[range, list[RegisterEffect]]:
        """Ask for changes, in one version if possible; return their numbers, which Done will carry, and what to do.

        A change other than a Proposal may be asked for by the leader only.
        """
        numbers = self._proposals.add(changes)
        for number in numbers:
            self._forward(number)
        self._retry_at = min(self._retry_at, now + RETRY_S)
        return numbers, self._review(now)

    def fetch(self, peer: str) -> list[RegisterEffect]:
        """Ask a peer that has a newer record for it."""
        return [Tell(peer, Fetch(version_of(self.record)))]

    def show(self, now: float, peer: str, have: Version) -> list[RegisterEffect]:
        """Teach a peer the record if it has an older version; lead in a later term if that is what it has."""
        self._teach(peer, have)
        if self._proposer.term is not None and have[0] > self._proposer.term:
            self._step_down(now, refused=False)  # it may be chosen, and nobody else will propose it again
        return self._review(now)

    def tick(self, now: float) -> list[RegisterEffect]:
        """Send again what was not answered; try once more to lead."""
        if now >= self._retry_at:
            self._retry_at = now + RETRY_S
            for name in self._linked:
                self._remind(name)
            self._forward_all()
        return self._review(now)

    def receive(self, now: float, peer: str, message: RegisterMessage) -> list[RegisterEffect]:
        """Take a message in. Raises DecodeError when it contradicts itself."""
        match message:
            case Prepare() | Accept():
                self._as_voter(now, peer, message)
            case Promised() | Refused() | Accepted() | Lacking():
                self._as_proposer(now, peer, message)
            case Propose():
                self._on_propose(now, peer, message)
            case Doubted():
                self._on_doubted(message)
            case Chosen():
                self._on_chosen(peer, message)
            case Fetch():
                self._teach(peer, message.have)
            case Decided():
                self._on_decided(peer, message)
        return self._review(now)

    # As a voter

    def _as_voter(self, now: float, peer: str, message: Prepare | Accept) -> None:
        acceptor = self._acceptor
        match message:
            case Prepare():
                if not self._prefers(peer) or not acceptor.promise(message.term):
                    self._tell(peer, Refused(message.term, acceptor.promised))
                    return
                self._step_down(now, refused=False)
                held = acceptor.accepted
                update = None if held is None or held.version == message.have else difference(None, held)
                self._tell(peer, Promised(message.term, acceptor.version, update))
            case Accept():
                term = message.update.version[0]
                if term < acceptor.promised:
                    self._tell(peer, Refused(term, acceptor.promised))
                    return
                record = patched_one((self._acceptor.accepted, self.record), message.update)
                if record is None:
                    self._tell(peer, Lacking(message.update.version))
                elif self._ours(record) and acceptor.accept(record):
                    if not self._proposer.idle and self._proposer.term != term:
                        self._step_down(now, refused=False)
                    self._tell(peer, Accepted(record.version))

    def _prefers(self, peer: str) -> bool:
        """Whether a peer is the one to propose: no older voter, nor this node, is in reach."""
        leader = self.leader
        if leader is None or leader == peer or self.record is None:
            return True
        run = next((voter.run for voter in self.record.voters if voter.name == peer), None)
        return run is not None and (run, peer) < (self._live.get(leader, 0), leader)

    # As a proposer

    def _as_proposer(self, now: float, peer: str, message: Promised | Refused | Accepted | Lacking) -> None:
        proposer, run = self._proposer, self._live.get(peer)
        if run is None:
            return
        preparation, underway = proposer.preparation, proposer.round
        match message:
            case Promised():
                if preparation is not None and preparation.term == message.term:
                    shown = None if message.update is None else patched(None, message.update)
                    proposer.promised((peer, run), message.have, shown if shown and self._ours(shown) else None)
            case Refused():
                mine = proposer.term if preparation is None else preparation.term
                if mine == message.term:
                    self._acceptor.promised = max(self._acceptor.promised, message.promised)
                    self._step_down(now, refused=True)
            case Accepted():
                if proposer.term == message.version[0]:
                    proposer.accepted((peer, run), message.version)
            case Lacking():
                if underway is not None and underway.record.version == message.version:
                    self._tell(peer, Accept(difference(None, underway.record)))

    def _begin_term(self) -> None:
        record = self.record
        assert record is not None
        seat = next(voter.seat for voter in record.voters if voter.life == self._me)
        self._proposer.prepare(next_term(max(self._acceptor.promised, self.heard[0]), seat), self._acceptor, record)
        self._ask_for_promises()

    def _ask_for_promises(self) -> None:
        """Ask all voters of the newest record seen; those of a newer one than was known are found out as it is seen."""
        preparation = self._proposer.preparation
        assert preparation is not None
        for life, name in preparation.electorate.items():
            if life not in preparation.asked and life != self._me and self._reaches(life):
                preparation.asked.add(life)
                self._tell(name, Prepare(preparation.term, self.heard))

    def _lead(self, now: float) -> None:
        base = self._proposer.lead()
        self._refusals = 0
        self._forward_all()
        self._begin_round(now, base)

    def _begin_round(self, now: float, base: Record) -> None:
        """Decide all that is waiting, as one version. A record that is not known to be chosen is proposed again."""
        record, asked = base, self._agenda.take(now)
        for change in (*self._first(now, record, self._live), *asked.values()):
            changed = change.apply(record)
            if changed is not record:
                self.decided[change.kind] += 1
                record = changed
        proposer, proposers = self._proposer, list(asked)
        assert proposer.term is not None
        if record is self.record and base.version[0] == proposer.term:
            self._answer(proposers)
            return
        certain = version_of(self.record) == base.version
        assert certain or record.voters == base.voters
        record = replace(
            record,
            version=(proposer.term, base.version[1] + 1),
            parent=base.version,
            electors=base.voters if certain else base.electors,
        )
        updates: dict[bool, Update] = {}
        for life, name in proposer.begin(record, proposers).audience.items():
            if life == self._me:
                if self._acceptor.accept(record):
                    proposer.accepted(life, record.version)
                continue
            whole = proposer.holds.get(life) != base.version
            if whole not in updates:
                updates[whole] = difference(None if whole else base, record)
            self._tell(name, Accept(updates[whole]))
            proposer.holds[life] = record.version  # it says so if it lacks the base

    def _go_on(self, now: float) -> None:
        """As leader, learn what a majority has accepted, and decide what has come in meanwhile."""
        while self.leading:
            if (underway := self._proposer.round) is not None:
                if not underway.chosen:
                    break
                self._proposer.round = None
                self._choose(underway)
            if not self._agenda or self.record is None:
                break
            self._begin_round(now, self.record)

    def _choose(self, underway: Round) -> None:
        known, record = self.record, underway.record
        self._learn(record)
        asked = set(underway.audience.values())
        update: Update | None = None
        for name in self._linked:
            if name not in asked and update is None:
                update = difference(known, record)
            self._tell(name, Chosen(record.version, None if name in asked else update))
        self._answer(underway.proposers)

    def _answer(self, proposers: list[tuple[str, int]]) -> None:
        for peer, number in proposers:
            if peer == self._name:
                self._done(number)
            else:
                self._tell(peer, Decided(number, version_of(self.record)))

    def _step_down(self, now: float, *, refused: bool) -> None:
        """Propose no more. Changes that only a leader may ask for are its successor's business."""
        if self._proposer.idle:
            return
        self._abdicate()
        self._refusals = min(self._refusals + 1, 16) if refused else self._refusals
        first_s, longest_s = BACK_OFF_S
        self._prepare_at = now + min(first_s * 2**self._refusals, longest_s) * self._rng.uniform(0.5, 1.5)

    def _abdicate(self) -> None:
        self._proposer.step_down()
        self._agenda = Agenda()
        self._proposals.abdicate()

    # As one who learns

    def _on_chosen(self, peer: str, message: Chosen) -> None:
        if message.version <= version_of(self.record):
            return
        accepted = self._acceptor.accepted
        if accepted is not None and accepted.version == message.version:
            self._learn(accepted)
            return
        record = None if message.update is None else patched_one((accepted, self.record), message.update)
        if record is None:
            self._tell(peer, Fetch(version_of(self.record)))
        elif self._ours(record):
            self._learn(record)

    def _learn(self, record: Record) -> None:
        old, self.record = self.record, record
        self._acceptor.learn(record)
        for node in record.nodes.values():  # until it is observed to be dead, a member that is news here is not
            if self._live.get(node.name, -1) < node.run and not (old is not None and old.has(node.life)):
                self._live[node.name] = node.run
        proposer = self._proposer
        proposer.learn(record)
        term = proposer.term if proposer.preparation is None else proposer.preparation.term
        if term is not None and record.version[0] > term:
            self._abdicate()
        leap = record.parent != version_of(old)
        self._effects.append(Learned(old, record, leap))
        for number in self._proposals.known(record.version):
            self._done(number)
        if leap and record.splits:  # a change may be meant for what another side had made of the record
            for number in self._proposals.numbers():
                self._done(number)

    def _teach(self, peer: str, have: Version) -> None:
        if (record := self.record) is not None and record.version > have:
            # Whoever asks is at the other end of a link, be it dead as far as is known here; and it asks once.
            self._effects.append(Tell(peer, Chosen(record.version, difference(None, record))))

    # Proposals

    def _on_propose(self, now: float, peer: str, message: Propose) -> None:
        """Queue what is proposed, or pass it on to whoever leads; its owner asks until it is decided."""
        if self._leader == self._name:
            if not self._proposer.idle and (doubted := self._agenda.hear(now, peer, message)):
                self._tell(peer, doubted)
        elif self._leader not in {None, peer}:
            number = self._proposals.relay(peer, message.number, message.change)
            if number is not None:
                self._forward(number, message.asked_s)

    def _on_doubted(self, message: Doubted) -> None:
        asker = self._proposals.asker(message.number)
        if asker is not None and asker[0]:
            self._tell(asker[0], Doubted(asker[1], message.asked_s))
        elif asker is not None:
            self._forward(message.number, message.asked_s)

    def _on_decided(self, peer: str, message: Decided) -> None:
        """Take an answer in, or let it wait for the record that it is about, which it may have overtaken.

        By the record known here the change would seem void: a primary would do without a copy that counts by now.
        """
        if message.version <= version_of(self.record):
            self._done(message.number)
        elif self._proposals.await_record(message.number, peer, message.version):
            self._tell(peer, Fetch(version_of(self.record)))

    def _done(self, number: int) -> None:
        decided = self._proposals.decided(number)
        if decided is None:
            return
        if decided[0]:
            self._tell(decided[0], Decided(decided[1], version_of(self.record)))
        else:
            self._effects.append(Done(number))

    def _forward_all(self) -> None:
        for number in self._proposals.numbers():
            self._forward(number)

    def _forward(self, number: int, asked_s: float = -math.inf) -> None:
        """Hand a change of our own to whoever leads, if there is a way."""
        change, leader = self._proposals[number], self._leader
        if leader == self._name:
            if not self._proposer.idle:
                self._agenda.add(self._name, number, change)
        elif leader is not None and isinstance(change, Proposal):
            self._tell(leader, Propose(number, change, asked_s))

    # The end of every input

    def _review(self, now: float) -> list[RegisterEffect]:
        """Do what has become possible, and return all effects of this input."""
        leader = self.leader
        if leader != self._leader:
            self._leader = leader
            if leader == self._name:
                self._proposals.lead()
            self._forward_all()
        if leader != self._name:
            self._step_down(now, refused=False)
        elif self._proposer.idle and now >= self._prepare_at:
            self._begin_term()
        if self._proposer.preparation is not None:
            self._ask_for_promises()
            if self._proposer.preparation.complete:
                self._lead(now)
        self._go_on(now)
        self._arm(now)
        effects, self._effects = self._effects, []
        return effects

    def _remind(self, peer: str) -> None:
        """Repeat what a peer has not answered."""
        preparation, underway = self._proposer.preparation, self._proposer.round
        life = (peer, self._live.get(peer, -1))
        if preparation is not None and life not in preparation.promised:
            preparation.asked.discard(life)
        if underway is not None and life not in underway.accepted and life in underway.audience:
            self._tell(peer, Accept(difference(None, underway.record)))
        if peer == self._leader:
            self._forward_all()

    def _reaches(self, life: Life) -> bool:
        return life == self._me or (life[0] in self._linked and self._live.get(life[0]) == life[1])

    def _ours(self, record: Record) -> bool:
        ours = self.record is None or self.record.cluster_id == record.cluster_id
        return ours and len(record.entries) == self._partitions

    def _tell(self, peer: str, message: RegisterMessage) -> None:
        if peer in self._linked:
            self._effects.append(Tell(peer, message))

    def _arm(self, now: float) -> None:
        if not (self._proposals or self._proposer.preparation or self._proposer.round):
            self._retry_at = math.inf
        elif self._retry_at == math.inf:
            self._retry_at = now + RETRY_S
        waits = self._leader == self._name and self._proposer.idle
        self.deadline = min(self._retry_at, self._prepare_at if waits else math.inf)
