"""The keeper of partitions: everything distributed about the data of one node, in one machine without I/O.

It composes register (what is agreed), planner (what should be agreed next), tenure (whether this node may serve) and
holdings (what it does about all that), speaks with other keepers over one ordered link each. The driver has the rest:

- membership tells of lives (`member_up`, `member_down`, `member_left`), the net of links (`peer_connected`,
  `peer_disconnected`); whole frames (`receive`) come once and in order, or the link is broken;
- `tick` is due at `deadline`, or as soon as the lease is found to have ended, and `flush` at the end of a turn of
  the event loop in which anything was put in or any effect was appended, or little later: it sends effects and acks;
- `suspended` is due, before anything else, when the driver finds that the machine was asleep;
- the executor reads `serving` and `table` for every command, and executes nothing unless `leased(now)`:

      log = keeper.serving[partition]
      if log is None:      relay to keeper.table.primary[partition], or, where that is this
                           node or nobody, wait for RoutesChanged and look again
      execute; for each effect:  if log.streams: log.append(database, argv)
      if (gate := keeper.gate(logs of the batch)): hold the replies back until Resolved brings the gate

`now` is monotonic seconds, as of the input. Every input returns effects to be carried out in order.
"""

import math
from collections.abc import Container, Iterable, Sequence
from random import Random

from respcache.cluster import claims
from respcache.cluster.asked import Asked
from respcache.cluster.config import KeeperConfig
from respcache.cluster.departure import Departure
from respcache.cluster.effects import (
    Acknowledged,
    Drained,
    Effect,
    Forced,
    ForeignCluster,
    Formed,
    LeaseChanged,
    RecordChanged,
    Recreated,
    Resolved,
    RoutesChanged,
    Send,
)
from respcache.cluster.figures import figures_of
from respcache.cluster.health import Health, examine
from respcache.cluster.holdings import Holdings
from respcache.cluster.inbox import Inbox
from respcache.cluster.ownership.changes import Change, Proposal, Retire
from respcache.cluster.ownership.effects import Done, Learned, RegisterEffect, Tell
from respcache.cluster.ownership.planner import TargetCache, burials
from respcache.cluster.ownership.record import NOTHING, Life, Node, Version
from respcache.cluster.ownership.register import Register
from respcache.cluster.ownership.table import Table
from respcache.cluster.ownership.wire import Fence, Fenced, Granted, LeaseMessage, Renew
from respcache.cluster.peers import Peers
from respcache.cluster.planning import Planning
from respcache.cluster.replication.log import Gate, Log, Stream
from respcache.cluster.replication.storage import Storage
from respcache.cluster.replication.waits import Wait
from respcache.cluster.replication.wire import Ack, Claim, Frame, Inquiry, Part, Positions
from respcache.cluster.stats import KeeperFigures
from respcache.cluster.tenure import Tenure
from respcache.cluster.wire import Hello, Message, decode, encode
from respcache.cluster.wishes import Wishes


class Keeper:
    """One node's share of the cluster's data: who has what, and how writes get safe."""

    def __init__(self, me: Node, config: KeeperConfig, storage: Storage, rng: Random, locked: Container[int]) -> None:
        """`locked` are the partitions in the middle of a transaction: none moves before that has ended."""
        self.me = me
        self.table = Table(config.partitions)
        """Who serves what, for routing."""
        self.deadline = math.inf
        """When `tick` is due; in the past while there is work that was only interrupted to let others run."""
        self._config, self._rng, self._placement = config, rng, TargetCache()
        self._tenure = Tenure(me.life, config.lease_s, self._say, lambda: self._register.heard)
        self.peers = Peers(me, config, self._tenure.grants.until, self._tenure.asked_s)
        self._register = Register(
            me.life,
            rng,
            first=lambda now, record, live: burials(record, live, self.peers.heard(now), self._placement),
            partitions=config.partitions,
        )
        self._holdings = Holdings(me.life, config, storage, self._placement, rng, locked)
        self._inbox = Inbox(self.peers, self._holdings, self.table, send=self._send, catch_up=self._catch_up)
        self.serving: list[Log | None] = self._holdings.serving
        """By partition: the log to append effects to, where this node serves the partition. Edited in place."""
        self.handovers = self._holdings.handovers
        """Partitions that this node serves no more because they are to move, and of which it still is the primary."""
        self._asked = Asked()
        self._planning = Planning(self._register, self.peers, self._placement)
        self._look_at = math.inf
        """When a member that does not answer cannot serve any more, or one that was never seen is taken for dead."""
        self._departure = Departure(me.life)
        self._routes_changed = False
        self._effects: list[Effect] = []

    # For the executor

    def gate(self, logs: Iterable[Log]) -> Gate | None:
        """Return what replies to commands on these partitions, reads included, have to wait for; None: nothing."""
        return None if self._config.asynchronous else self._holdings.replication.gate(logs)

    def wait(self, partitions: Iterable[int], copies: int) -> Wait:
        """Ask whether so many copies have what partitions of this node were given; Acknowledged tells when."""
        logs = [self._holdings.logs.get(partition) for partition in partitions]
        known = [log for log in logs if log is not None]
        return self._holdings.waits.ask(known if len(known) == len(logs) else (), copies)

    @property
    def holdings(self) -> Holdings:
        """What this node holds, for reading: which partitions must not be written to, and why."""
        return self._holdings

    def catch_up(self, peer: str, version: Version, *, again: bool = False) -> list[Effect]:
        """Ask a peer for its newer record, of this version at least; only once for each, unless `again`."""
        if not self.peers.asks(peer, self.table.version, version, again=again):
            return []
        return [Send(tell.peer, encode(tell.message)) for tell in self._register.fetch(peer) if isinstance(tell, Tell)]

    def _catch_up(self, peer: str, version: Version, *, again: bool = False) -> None:
        self._effects += self.catch_up(peer, version, again=again)

    @property
    def joined(self) -> bool:
        """Whether the record that this node knows counts it among the members."""
        return (record := self._register.record) is not None and record.has(self.me.life)

    def leased(self, now: float) -> bool:
        """Whether this node may serve what it is the primary of."""
        return now < self._tenure.lease.until_s

    @property
    def lease_until_s(self) -> float:
        """When its lease ends, on the clock of `now`, unless it is renewed before."""
        return self._tenure.lease.until_s

    def health(self, now: float) -> Health | None:
        """Judge how the cluster is; None while this node belongs to none."""
        if (record := self._register.record) is None:
            return None
        live, reached = self.peers.live(now), self.peers.linked(now) | {self.me.name}
        progress = self._holdings.progress.report(now, record, self._placement.look(record), live)
        return examine(record, live, reached, me=self.me.life, leased=self.leased(now), rebalance=progress)

    # Inputs

    def take_over(self, now: float) -> list[Effect]:
        """Go on with the members in reach, though the voters have no majority: an operator vouches for the others."""
        record = self._register.record
        if record is not None and self.me.life in (members := self.peers.reached(now, record)):
            self._force(now, members)
        return self._finish(now)

    def fail_over(self, now: float, *, force: bool) -> list[Effect]:
        """Become the primary of all that this node has copies in sync of; with `force` without asking its primaries."""
        found, holdings = self.claimable, self._holdings
        claims.keep(found, holdings.handovers)
        if force:
            claims.seize(self._register.record, found, holdings.wishes)
            return self._finish(now)
        return [Send(primary, encode(Claim(tuple(partitions)))) for primary, partitions in found.items()]

    @property
    def claimable(self) -> dict[str, list[int]]:
        """The partitions that `fail_over` would claim, by the primaries that it would replace."""
        return claims.claimable(self._register.record, self._holdings.replica, self.me.name)

    def start(self, now: float) -> list[Effect]:
        """Begin: a node that was given nobody to join founds a cluster."""
        return self._look_around(now)

    def leave(self, now: float) -> list[Effect]:
        """Hand over everything; Drained says when that is done. Serving goes on until then."""
        self._departure.asked = True
        self._holdings.copying.allowance.lift()  # it has little time, and what is not copied then is lost
        return self._finish(now)

    def member_up(self, now: float, node: Node) -> list[Effect]:
        """A member lives. A greater run epoch than before means that its former life is over."""
        if node.name == self.me.name:
            return []
        self.peers.up(now, node)
        return self._look_around(now)

    def member_suspect(self, now: float, name: str, run: int) -> list[Effect]:
        """A member does not answer: its partitions are taken over as soon as its lease has ended."""
        self.peers.suspect(name, run)
        return self._look_around(now)

    def member_down(self, now: float, name: str, run: int) -> list[Effect]:
        """A member is dead: its partitions are taken over, its copies made elsewhere later."""
        self.peers.down(now, name, run, left=False)
        return self._look_around(now)

    def member_left(self, now: float, name: str, run: int) -> list[Effect]:
        """A member has left and will not return."""
        self.peers.down(now, name, run, left=True)
        return self._look_around(now)

    def peer_connected(self, now: float, name: str) -> list[Effect]:
        """There is a new link to a peer, in both directions. It takes the place of a former one."""
        self._unlink(name)
        self.peers.connected(name)
        self._greet(name)
        return self._look_around(now)

    def peer_disconnected(self, now: float, name: str) -> list[Effect]:
        """The link broke. What was on its way is lost."""
        self._unlink(name)
        return self._look_around(now)

    def suspended(self, now: float) -> list[Effect]:
        """Give up the lease until it is granted anew: the machine was asleep, and `now` may not show for how long."""
        self._tenure.suspended()
        return self.tick(now)

    def receive(self, now: float, peer: str, frame: bytes) -> list[Effect]:
        """Take one frame in. Raises DecodeError, having changed nothing, for anything that is no message."""
        message = decode(frame)
        hello = self.peers.hello(peer)
        if isinstance(message, Hello):
            return self._on_hello(now, peer, message)
        if hello is None or self.peers.foreign(peer) or self._departure.aloof:
            return []
        match message:
            case Frame() | Part():
                self._inbox.put(peer, message, frame)
                self._effects += self._inbox.news()
                return self._take_effects()
            case Ack():
                stream = self._holdings.replication.stream(peer, hello.run)
                return self._on_ack(now, stream, message) if message.run == self.me.run else []
            case Inquiry():
                self._inbox.put(peer, message, frame)
            case Positions():
                self._holdings.positions(now, self._holdings.replication.stream(peer, hello.run), message)
            case Claim():
                self._holdings.claimed(peer, message.partitions)
            case Renew() | Granted() | Fence() | Fenced():
                return self._on_lease(now, peer, hello.run, message)
            case _:
                self._heed(now, self._register.receive(now, peer, message))
        return self._finish(now)

    def tick(self, now: float) -> list[Effect]:
        """Do what time alone brings about, and one bounded step of placing, copying or deleting."""
        self._tenure.tick(now)
        if now >= self._look_at:
            self._look_around(now, finish=False)
        self._heed(now, self._register.tick(now))
        if self._planning.changes:
            self._decide(now)
        self._holdings.tick(now)
        if self._placement.step():
            self._planning.renew()
        elif not self._placement.busy:
            self._effects += self._holdings.work(now)
        for change in self._asked.take(now):
            self._answered(change)
        return self._finish(now)

    def flush(self, now: float) -> list[Effect]:
        """Send the effects and the acks of this turn of the event loop, one frame of each per peer."""
        if self._holdings.replication.cut(now, self.table.version, self._send):
            self.deadline = min(self.deadline, now + self._config.replica_timeout_s)
        for peer, ack in self._holdings.replica.acks():
            self._send(peer, encode(ack))
        self._measure()
        return self._finish(now) if self._holdings.handovers else self._take_effects()  # a transaction may have ended

    # Links

    def _unlink(self, name: str) -> None:
        hello = self.peers.disconnected(name)
        self._inbox.forget(name)
        if hello is not None:
            self._holdings.replication.stream(name, hello.run).connected = False

    def _greet(self, name: str) -> None:
        record = self._register.record
        run, applied = self._holdings.replica.applied(name)
        cluster_id, version = ("", NOTHING) if record is None else (record.cluster_id, record.version)
        self._send(name, encode(Hello(self.me.run, cluster_id, version, run, applied)))

    def _on_hello(self, now: float, peer: str, hello: Hello) -> list[Effect]:
        self.peers.greeted(peer, hello)
        if self.peers.foreign(peer):
            self._effects.append(ForeignCluster(peer, hello.cluster_id))
            return self._look_around(now)
        stream = self._holdings.replication.stream(peer, hello.run)
        if not stream.connected:
            applied = hello.applied if hello.applied_run == self.me.run else 0
            self._holdings.replication.resume(stream, applied, self._send)
            self._holdings.linked(stream)
        self._look_around(now, finish=False)
        self._heed(now, self._register.show(now, peer, hello.version))
        self._tenure.linked(now, peer)
        return self._finish(now)

    def _on_lease(self, now: float, peer: str, run: int, message: LeaseMessage) -> list[Effect]:
        """Take a message about leases in. These are many, so little else is looked at."""
        tenure, holdings = self._tenure, self._holdings
        tenure.receive(now, (peer, run), message, holdings.fencing)
        if isinstance(message, Granted):
            if self.table.behind(message.version):
                self._catch_up(peer, message.version, again=True)  # it may have accepted that, and learn it only later
                self._heed(now, self._register.show(now, peer, message.version))
            self._mind_lease(now)
            self.deadline = min(self.deadline, tenure.deadline, self._register.deadline)
        elif isinstance(message, Fenced) or (isinstance(message, Renew) and holdings.takeovers):
            holdings.unfence(now)
            return self._finish(now)
        return self._take_effects()

    def _on_ack(self, now: float, stream: Stream, ack: Ack) -> list[Effect]:
        holdings = self._holdings
        if ack.refused is not None and holdings.refused(now, stream, ack.number, ack.refused):
            self._catch_up(stream.peer, self.table.version)
        opened = holdings.replication.ack(now, stream, ack.number)
        if opened:
            self._effects.append(Resolved(tuple(opened)))
        if stream.flying:
            holdings.replication.go_on(now, stream, ack.arrived, self._send)
        if holdings.waits and (done := holdings.waits.look()):
            self._effects.append(Acknowledged(tuple(done)))
        if stream.stalled:
            holdings.revived(stream)
        elif holdings.congestion:
            self._measure()
        if ack.refused or holdings.busy or holdings.unsteered:
            holdings.advance(stream)
            return self._finish(now)
        return self._take_effects()

    # Members

    def _look_around(self, now: float, *, finish: bool = True) -> list[Effect]:
        self._planning.renew()
        self._look_at = min(self.peers.lapse_due(now), self.peers.doubt_due(now))
        self._heed(now, self._register.observe(now, self.peers.live(now), self.peers.linked(now)))
        return self._finish(now) if finish else []

    # The record

    def _heed(self, now: float, effects: list[RegisterEffect]) -> None:
        """Carry out what the register wants."""
        for effect in effects:
            match effect:
                case Tell():
                    self._say(effect.peer, effect.message)
                case Learned():
                    self._adopt(now, effect)
                case Done():
                    if (change := self._asked.answered(now, effect.number, self.table.version)) is not None:
                        self._answered(change)

    def _adopt(self, now: float, learned: Learned) -> None:
        record = learned.record
        self.peers.study(now, record)
        self._look_at = min(self._look_at, self.peers.doubt_due(now))  # members that this node has never seen
        if learned.old is None:
            for name in self.peers.links():
                self._greet(name)
        self.table.show(record)
        self._tenure.learn(now, record)
        self._holdings.adopt(now, learned.old, record, leap=learned.leap)
        self._holdings.forget_streams(record)
        self._effects.append(RecordChanged(record))
        self._routes_changed = True
        self._planning.renew()
        self._heed(now, self._register.observe(now, self.peers.live(now), self.peers.linked(now)))
        self._inbox.release()
        self._effects += self._inbox.news()

    def _answered(self, change: Proposal) -> None:
        if isinstance(change, Retire):
            self._departure.answered()
        self._holdings.answered(change)

    def _propose(self, now: float, changes: Sequence[Change]) -> None:
        numbers, effects = self._register.propose(now, changes)
        self._asked.add(numbers, changes)
        self._heed(now, effects)

    def _decide(self, now: float) -> None:
        """Propose what was planned in the turn before."""
        changes, lost = self._planning.take()
        self._effects += [Recreated(partitions) for partitions in lost]
        if changes:
            self._propose(now, changes)

    def _found(self, now: float) -> None:
        cluster_id, config = f"{self._rng.getrandbits(160):040x}", self._config
        self._effects.append(Formed(cluster_id))
        self._heed(now, self._register.form(now, cluster_id, self.me, config.replica_count, config.quorum))

    def _go_alone(self, now: float) -> None:
        """Where each side goes on alone, do so once too many voters are dead to agree on anything."""
        if (record := self._register.record) is not None and (members := self.peers.forsaken(now, record)):
            self._force(now, members)

    def _force(self, now: float, members: Sequence[Life]) -> None:
        self._effects.append(Forced(tuple(name for name, _ in members)))
        self._heed(now, self._register.force(now, members))

    def figures(self, now: float) -> KeeperFigures:
        """Return a snapshot for metrics."""
        parts = (self._register, self._holdings, self.peers, self._tenure, self._placement)
        return figures_of(*parts, now, me=self.me.life)

    # The end of every input

    def _finish(self, now: float) -> list[Effect]:
        """Draw conclusions from an input, as many as a turn has time for."""
        if self._register.record is None and not self._departure.asked:
            if now > self.deadline + self._config.settle_s / 4:
                self.peers.resettle(now)
            if self.peers.may_form(now):
                self._found(now)
        self._go_alone(now)
        holdings = self._holdings
        # A new record is enough for a turn.
        if not self._routes_changed and holdings.steer() and self._planning.next(now):
            self._planning.plan(now)
        self._depart(now)
        wishes, holdings.wishes = holdings.wishes, Wishes()
        if changes := wishes.changes(self.me.life):
            self._propose(now, changes)
        for peer, partitions in holdings.inquiries.items():
            self._send(peer, encode(Inquiry(self.table.version, tuple(partitions))))
        holdings.inquiries.clear()
        if self._tenure.ask_about(now, holdings.fencing):
            holdings.unfence(now)
        self._mind_lease(now)
        self._announce()
        self._arm(now)
        return self._take_effects()

    def _mind_lease(self, now: float) -> None:
        if self._tenure.review(now):
            self._effects.append(LeaseChanged(self._tenure.held))

    def _depart(self, now: float) -> None:
        """On the way out: get off the ring, and find out whether anything is left here."""
        if not self._departure.under_way:
            return
        record, peers = self._register.record, self.peers
        sole = self._register.leading and self.leased(now) and peers.alone(now, record)
        match self._departure.review(record, sole=sole, company=peers.company(now, record)):
            case Retire() as step:
                self._propose(now, [step])
            case Drained() as end:
                self._effects.append(end)

    def _measure(self) -> None:
        holdings = self._holdings
        if holdings.congestion.measure(holdings.replication.streams.values(), holdings.logs):
            self._routes_changed = True
            self._announce()

    def _announce(self) -> None:
        holdings = self._holdings
        self._routes_changed |= holdings.congestion.review(holdings.logs)
        if holdings.resolved:
            resolved, holdings.resolved = tuple(holdings.resolved), []
            self._effects.append(Resolved(resolved))
        done = (*holdings.acknowledged, *holdings.waits.look())
        if done:
            holdings.acknowledged.clear()
            self._effects.append(Acknowledged(done))
        if self._routes_changed or holdings.opened or holdings.closed:
            opened, closed = tuple(sorted(holdings.opened)), tuple(sorted(holdings.closed))
            self._effects.append(RoutesChanged(self.table.version, opened, closed))
            self._routes_changed = False
            holdings.opened.clear()
            holdings.closed.clear()

    def _arm(self, now: float) -> None:
        self.deadline = now
        holdings = self._holdings
        busy = holdings.copying.due_s <= now or holdings.surplus or holdings.unsteered or self._placement.busy
        if busy or self._planning.changes or self._planning.next(now):
            return
        self.deadline = min(self._register.deadline, self._tenure.deadline, holdings.deadline, self._asked.due_s)
        self.deadline = min(self.deadline, self._look_at, self._planning.due_s if self._register.idle else math.inf)
        if self._register.record is None and now < self.peers.forming_due:
            self.deadline = min(self.deadline, self.peers.forming_due)

    def _say(self, peer: str, message: Message) -> None:
        self._send(peer, encode(message))

    def _send(self, peer: str, frame: bytes) -> None:
        self._effects.append(Send(peer, frame))

    def _take_effects(self) -> list[Effect]:
        effects, self._effects = self._effects, []
        return effects
