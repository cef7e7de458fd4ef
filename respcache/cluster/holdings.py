"""What this node holds: which partitions as primary, which as a copy, and what it does to get them right.

    nothing --record--> learner --record--> copy --record--> takeover --all equal--> serving
                                             ^                                        |    ^
                                             `--- moved ---- frozen <---- hand-over --'    |
                                                                `------- refused ---------'

The record decides the role in each partition; this follows it, entry by entry. What it wants of the record in turn (a
copy is in sync, a partition should move, a copy is to be dropped) it leaves in `wishes`, and what it has to ask other
copies in `inquiries`.
"""

import math
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from itertools import islice
from random import Random
from typing import Final

from respcache.cluster.config import KeeperConfig
from respcache.cluster.congestion import Congestion
from respcache.cluster.effects import Dropped
from respcache.cluster.handovers import Handovers
from respcache.cluster.ownership.changes import InSync, Move, Proposal, Retire, Target
from respcache.cluster.ownership.planner import TargetCache
from respcache.cluster.ownership.record import Entry, Life, Record, broke, differing, same_line, same_ring
from respcache.cluster.progress import Progress
from respcache.cluster.replication.checking import Checking
from respcache.cluster.replication.copying import Copying
from respcache.cluster.replication.fencing import Fencing
from respcache.cluster.replication.log import Gate, Log, Replication, Stream
from respcache.cluster.replication.replica import Replica
from respcache.cluster.replication.required import Required, short, thinned
from respcache.cluster.replication.storage import Storage
from respcache.cluster.replication.takeover import Takeover, compare
from respcache.cluster.replication.waits import Wait, Waits
from respcache.cluster.replication.wire import MARK, Positions
from respcache.cluster.surplus import Surplus
from respcache.cluster.vouched import Vouched
from respcache.cluster.wishes import Wishes

AGAIN_S: Final = 0.2
"""Until a copy is begun again that its learner refused: it may know a record that is still on its way here."""
STEERED_MAX: Final = 256
"""Partitions looked at in a turn, at 5 us each: after a change of the ring all of them have to be."""
NOBODY: Final = Entry()


class Holdings:
    """The part of one node in every partition."""

    def __init__(
        self,
        me: Life,
        config: KeeperConfig,
        storage: Storage,
        placement: TargetCache,
        rng: Random,
        locked: Container[int],
    ) -> None:
        self._me, self._name, self._locked = me, me[0], locked
        self._config, self._storage, self._placement = config, storage, placement
        self.replication = Replication(frame_bytes=config.frame_bytes)
        self.replica = Replica(storage)
        self.copying = Copying(storage, step_keys=config.copy_step_keys, bytes_per_s=config.copy_bytes_per_s)
        self.congestion = Congestion(config.peer_unacked_bytes_max, config.unacked_bytes_max, self.copying.withheld)
        self.checking = Checking(storage, rng, round_s=config.check_round_s)
        self.serving: list[Log | None] = [None] * config.partitions
        self.logs: dict[int, Log] = {}
        self.takeovers: dict[int, Takeover] = {}
        self.wishes = Wishes()
        self.inquiries: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        self.opened: set[int] = set()
        self.closed: set[int] = set()
        self.resolved: list[Gate] = []
        self.waits = Waits()
        self.acknowledged: list[Wait] = []
        self.breaks = 0
        """How often a primary was seen replaced that could not hand over: of what it answered some may be lost."""
        self.demoted_slow = 0
        self.surplus, self.fencing = Surplus(storage), Fencing(config.lease_s)
        self._record: Record | None = None
        self._joining: defaultdict[int, dict[Stream, int]] = defaultdict(dict)
        """Complete copies whose acks are required already, by partition: the last frame that no gate needs."""
        self.scarce: frozenset[int] = frozenset()
        """Partitions that this node leads, and of which too few copies are in sync for writes."""
        self._vouched = Vouched()
        self._waiting: defaultdict[Stream, set[int]] = defaultdict(set)
        """Partitions of which a peer is joining, and has not acked enough yet."""
        self.handovers = Handovers()
        self.progress = Progress(self._name, self.handovers.kept)
        self._required = Required(self._name, self.replication)
        self._dirty: set[int] = set()
        self._lost_stream = False
        self._again: set[int] = set()
        """Partitions of which a learner refused a copy, to be copied again at `_again_at`."""
        self._again_at = self._unfence_at = math.inf

    # The record

    def adopt(self, now: float, old: Record | None, record: Record, *, leap: bool) -> None:
        """Follow a new version. After a `leap`, copies in the making start over where anything was taken away."""
        self._record = record
        self.copying.allowance.waive(record.leaving)  # who leaves has little time, whoever makes the copies
        self.breaks += self._config.asynchronous and broke(old, record, leap=leap)
        traced = not leap or same_line(old, record)
        self.fencing.learn(now, record, leap=leap, traced=traced)
        needed = self._config.needed_in_sync(record)
        lost: list[Log] = []
        mine, known = record.has(self._me), old is not None and old.has(self._me)
        self._required.clear()
        changed, same = differing(old, record), same_ring(old, record)
        self.progress.note(now, old if same else None, record, changed)
        if thin := [self.logs[p] for p in thinned(old, record, changed, needed) if p in self.logs]:
            self.resolved += self.replication.lose(thin)
        for partition in changed:
            entry, before = record.entries[partition], NOBODY if old is None else old.entries[partition]
            if old is not None and traced:
                self.fencing.succeed(now, partition, old, record, me=self._name)
            if mine and entry.primary == self._name:
                if leap and (before if known else NOBODY).revision != entry.revision:
                    self._start_copies_over(partition)
                self._lead(now, partition, entry, lost)
            else:
                self._follow(partition, before if known else NOBODY, entry, lost, mine=mine)
        if lost:
            self.resolved += self.replication.lose(lost)
            self.acknowledged += self.waits.look(lost)
        if not same:
            self._dirty.update(self.logs)
            self.handovers.ring_changed()
        self.scarce = short(record, self._name, needed)

    def _lead(self, now: float, partition: int, entry: Entry, lost: list[Log]) -> None:
        """Be the primary."""
        log, takeover = self.logs.get(partition), self.takeovers.get(partition)
        if log is not None and log.epoch == entry.epoch:
            self._start_copies_over(partition, but=self._learners(entry))
            self._attach(log)
            self._recall(now, log)
            self._dirty.add(partition)
        elif log is None and takeover is not None and takeover.epoch == entry.epoch:
            takeover.awaited &= set(entry.in_sync)
            self._serve_if_equal(now, partition)
        else:
            self._take_over(now, partition, entry, lost)

    def _take_over(self, now: float, partition: int, entry: Entry, lost: list[Log]) -> None:
        """Begin an epoch as primary, or own up to having nothing."""
        if partition in self.logs:
            self._retreat(partition, lost)
        copy = self.replica.copies.get(partition)
        if copy is None or not copy.whole:
            if entry.born != entry.epoch:
                self.wishes.surrender.add((partition, entry.revision))
                return
            self._storage.drop(partition)
            copy = self.replica.follow(partition, entry.epoch, None)
            copy.whole, copy.sequence, copy.floor = True, 0, 0
        self.surplus.spare(partition)
        self.replica.follow(partition, entry.epoch, None)
        others = set(entry.in_sync) - {self._name}
        self.takeovers[partition] = Takeover(entry.epoch, copy.sequence, others, now)
        for name in sorted(others):
            self.inquiries[name].append((partition, entry.epoch))
        self.fencing.ask(partition)
        self._serve_if_equal(now, partition)

    def _follow(self, partition: int, before: Entry, entry: Entry, lost: list[Log], *, mine: bool) -> None:
        """Be a copy, a learner, or nothing."""
        if was_primary := partition in self.logs:
            self._retreat(partition, lost)
        self.takeovers.pop(partition, None)
        if mine and self._name in entry.holders:
            assert self._record is not None
            source = self._record.nodes[entry.primary].life if entry.primary else None
            held = self.replica.copies.get(partition)
            if held is not None and held.epoch != entry.epoch and held.learning:
                held.void()
            copy = self.replica.follow(partition, entry.epoch, source)
            copy.orphaned |= self.surplus.spare(partition)
            if self._name in entry.learners and self._name in before.in_sync:
                copy.void()
                copy.orphaned |= was_primary
            if self._name in entry.in_sync and not copy.whole:
                self.wishes.surrender.add((partition, entry.revision))
        elif (gone := self.replica.copies.pop(partition, None)) is not None:
            self.surplus.doom(partition, was_primary=was_primary or gone.orphaned)

    def _retreat(self, partition: int, lost: list[Log]) -> None:
        """Cease to be the primary; what this node has remains as a copy."""
        log = self.logs.pop(partition)
        lost.append(log)
        self._close(partition)
        self._start_copies_over(partition)
        self.handovers.forget(partition)
        copy = self.replica.follow(partition, log.epoch, None)
        copy.whole, copy.sequence, copy.floor = True, log.sequence, log.sequence

    def _learners(self, entry: Entry) -> list[Stream]:
        """Give the streams to the present lives of a partition's learners."""
        assert self._record is not None
        return [self.replication.stream(*self._record.nodes[name].life) for name in entry.learners]

    def _start_copies_over(self, partition: int, *, but: Sequence[Stream] = ()) -> None:
        """Forget of all copies that are being made, but for some, that they were."""
        for stream in self.copying.streams_of(partition):
            if stream not in but:
                self.copying.cancel(partition, stream)
        if joining := self._joining.get(partition):
            for stream in joining.keys() - set(but):
                del joining[stream]

    # Taking over

    def claimed(self, peer: str, partitions: Iterable[int]) -> None:
        """Hand partitions over to a peer that asks for them, as far as they are here."""
        mine = [partition for partition in partitions if partition in self.logs]
        self.handovers.claims.update(dict.fromkeys(mine, peer))
        self._dirty.update(mine)

    def positions(self, now: float, stream: Stream, positions: Positions) -> None:
        """Judge how far a copy is, and send it what it lacks."""
        self.fencing.knows(now, (stream.peer, stream.run), positions.version)
        findings = compare(self.takeovers, self.replica, stream.peer, positions.partitions)
        for tail in findings.tails.values():
            self.replication.resend(stream, tail)
        for partition in findings.faulty:
            self.wishes.demote_copy(self._record, partition, stream.peer)
        for partition, _, _ in positions.partitions:
            self._serve_if_equal(now, partition)

    def unfence(self, now: float) -> None:
        """Begin to serve what nobody else can be serving any more."""
        self._unfence_at = math.inf
        for partition in list(self.takeovers):
            self._serve_if_equal(now, partition)

    def _serve_if_equal(self, now: float, partition: int) -> None:
        """Begin to serve once all copies are equal and no former primary can serve."""
        takeover = self.takeovers.get(partition)
        if takeover is None or takeover.awaited:
            return
        harmless_s = self.fencing.harmless_s(partition)
        if now < harmless_s:
            self._unfence_at = min(self._unfence_at, harmless_s)
            return
        del self.takeovers[partition]
        self.replica.copies.pop(partition, None)
        log = self.logs[partition] = Log(self.replication, partition, takeover.epoch, takeover.sequence)
        self._attach(log)
        if takeover.resent:
            log.dirty = self.replication.number
            for stream in log.required:
                stream.open.add(partition, log.epoch, log.sequence, MARK, [])
        self._recall(now, log)  # what copies lacked was sent to them before there was a log
        self._open(partition)
        self._dirty.add(partition)

    # Streams

    def linked(self, stream: Stream) -> None:
        """Go on with what was waiting for a link: at its other end somebody lives."""
        asked = [
            (partition, takeover.epoch)
            for partition, takeover in self.takeovers.items()
            if stream.peer in takeover.awaited and stream.peer not in takeover.faulty
        ]
        if asked:
            self.inquiries[stream.peer] = asked
        self.revived(stream)

    def revived(self, stream: Stream) -> None:
        """Go on with the copies of a peer that acks again."""
        stream.stalled = False
        if self._record is not None:
            self._dirty.update(p for p in self.logs if stream.peer in self._record.entries[p].learners)

    def refused(self, now: float, stream: Stream, number: int, refused: Iterable[tuple[int, int]]) -> bool:
        """Take note of what a peer says it did not apply up to a frame; return whether it may know a newer record.

        To be called before the ack itself is counted, or gates would open for effects that were refused.
        """
        deposed, stream.refused = False, dict(refused)
        for partition, epoch in stream.refused.items():
            if (log := self.logs.get(partition)) is not None and log.epoch == epoch:
                deposed |= self._refused(now, log, stream, number)
        return deposed

    def advance(self, stream: Stream) -> None:
        """See which copies in the making are complete, and which of those are safe to count."""
        for job in self.copying.acked(stream):
            log = job.log
            if self.logs.get(log.partition) is log:
                # An effect that a gate does not wait for this copy to ack is in no later frame than this one.
                self._joining[log.partition][stream] = log.dirty
                self._attach(log)
                self._waiting[stream].add(log.partition)
        for partition in list(self._waiting[stream]):
            passed = self._joining[partition].get(stream)
            if passed is None or passed <= stream.acked:
                self._waiting[stream].discard(partition)
                self._dirty.add(partition)

    def tick(self, now: float) -> None:
        """Try refused copies again, and have those demoted that have kept everybody waiting for too long."""
        if now >= self._again_at:
            self._dirty |= self._again & self.logs.keys()
            self._again, self._again_at = set(), math.inf
        if now >= self._unfence_at:
            self.unfence(now)
        self._demote_slow(now)
        self.checking.step(now, self.logs)

    def work(self, now: float) -> list[Dropped]:
        """Take one bounded step: of copying, or of deleting while nothing can be copied."""
        if self.copying.due_s <= now:
            self.copying.step(now, self.replication.number)
            return []
        return self.surplus.drop_some(self.replica.copies, self.logs)

    def _demote_slow(self, now: float) -> None:
        timeout_s = self._config.replica_timeout_s
        for stream in self.replication.streams.values():
            if stream.unacked and now >= stream.busy_since_s + timeout_s:
                stream.busy_since_s = now
                self._stall(stream)
        for partition, takeover in self.takeovers.items():
            if now >= takeover.since_s + timeout_s:
                takeover.since_s = now
                for name in takeover.awaited:
                    self.demoted_slow += self.wishes.demote_copy(self._record, partition, name)

    def _stall(self, stream: Stream) -> None:
        """Do without a peer that acks nothing, until it does: demote its copies, and stop making new ones."""
        stream.stalled = True
        for partition, log in self.logs.items():
            if stream not in log.streams:
                continue
            if (partition, stream.life) not in self._vouched:  # else it may count by now
                self._joining[partition].pop(stream, None)
            if not self.copying.cancel(partition, stream) and stream in log.required:
                self.demoted_slow += self.wishes.demote_copy(self._record, partition, stream.peer)
            self._attach(log)
        self._discard()

    def _discard(self) -> None:
        """Keep nothing for stalled peers that no partition counts on."""
        if self.takeovers:
            return  # what a copy lacked was sent to it before the partition has a log
        for stream in self.replication.streams.values():
            if stream.stalled and not any(stream in log.streams for log in self.logs.values()):
                self.replication.discard(stream)

    @property
    def deadline(self) -> float:
        """When `tick` is due."""
        busy = [stream.busy_since_s for stream in self.replication.streams.values() if stream.unacked]
        busy += [takeover.since_s for takeover in self.takeovers.values()]
        busy_s = min(busy, default=math.inf) + self._config.replica_timeout_s
        return min(self._again_at, self._unfence_at, self.checking.due_s, self.copying.due_s, busy_s)

    def _recall(self, now: float, log: Log) -> None:
        """Heed what peers have refused whose acks count from now on: they name it once."""
        for stream in log.required:
            if stream.refused.get(log.partition) == log.epoch:
                self._refused(now, log, stream, stream.acked)

    def _refused(self, now: float, log: Log, stream: Stream, number: int) -> bool:
        partition = log.partition
        if stream not in log.required:
            if not self.copying.refused(partition, stream, number):
                return False
            self._attach(log)
            self._again.add(partition)
            self._again_at = min(self._again_at, now + AGAIN_S)
            return True
        if stream in log.refusers:
            return False
        log.refusers |= {stream}
        self.replication.refused = True
        if (partition, stream.life) not in self._vouched:  # else it may count by now, and cannot be done without
            self._distrust(log, stream)
        return True

    def _distrust(self, log: Log, stream: Stream) -> None:
        """Do without a copy that has refused effects: have it demoted, or, if it does not count yet, made afresh."""
        self._joining[log.partition].pop(stream, None)
        if not self.wishes.demote_copy(self._record, log.partition, stream.peer):
            self._attach(log)
            self._dirty.add(log.partition)

    def _attach(self, log: Log) -> None:
        """Work out afresh which acks a partition needs: those of the copies in sync, and of those about to be."""
        record, partition = self._record, log.partition
        assert record is not None
        required = self._required.streams(record, record.entries[partition].in_sync, self._joining.get(partition, ()))
        if log.required != required and not set(log.required) <= set(required):
            self._lost_stream = True
        log.attach(self.copying.receiving(log.partition), required)

    @property
    def busy(self) -> bool:
        """Whether acks may lead to more than opened gates."""
        return bool(self.copying.pending or self.handovers or any(self._waiting.values()))

    # Steering towards the target

    @property
    def unsteered(self) -> bool:
        """Whether `steer` has something to look at."""
        return bool(self._dirty) or self._lost_stream

    def answered(self, change: Proposal) -> None:
        """A proposal was decided. Where nothing came of it, things go on as before, or are tried again."""
        if isinstance(change, InSync):
            life = (change.name, change.run)
            stream = self.replication.streams.get(life)
            for partition, revision in change.partitions:
                self._vouched.decided(partition, life, revision)
                log = self.logs.get(partition)
                if log and stream is not None and stream in log.refusers and (partition, life) not in self._vouched:
                    self._distrust(log, stream)
        if isinstance(change, Move):
            for partition, revision, _ in change.partitions:
                if self.handovers.decided(partition, revision):
                    self._open(partition)
        if not isinstance(change, Retire):
            self._dirty.update(spot[0] for spot in change.partitions if spot[0] in self.logs)

    def steer(self) -> bool:
        """Wish for the next steps of some of the partitions about which something has changed.

        Returns False if it is not known yet where their copies should be, and `steer` is of no use before.
        """
        if self._lost_stream:
            self._lost_stream = False
            self.resolved += self.replication.review()
            self._discard()
        if self._record is None or (target := self._placement.look(self._record)) is None:
            return False
        for partition in list(islice(self._dirty, STEERED_MAX)):
            self._dirty.discard(partition)
            if (log := self.logs.get(partition)) is not None:
                self._steer(self._record, log, target[partition])
        self._hand_over(self._record, target)
        return True

    def _steer(self, record: Record, log: Log, wanted: tuple[str, ...]) -> None:
        partition, entry = log.partition, record.entries[log.partition]
        settled = bool(wanted) and set(wanted) <= set(entry.in_sync)
        claimant = self.handovers.claims.get(partition, "")
        stays = wanted[:1] == (self._name,) or (partition in self.handovers.kept and self._name in wanted)
        at_home = settled and stays and claimant not in entry.in_sync
        for name in entry.holders if at_home else entry.learners:
            if name not in wanted and name != self._name:
                self.wishes.drop.add((partition, entry.revision, name))
        for stream in self._learners(entry):
            passed = self._joining[partition].get(stream)
            if passed is not None:
                if stream.acked >= passed and stream not in log.refusers:
                    self.wishes.in_sync[stream.life].add((partition, entry.revision))
                    self._vouched.say(partition, stream.life, entry.revision)
            elif stream.peer in wanted and stream.connected and not stream.stalled:
                self.copying.add(log, stream)
        if (settled and not at_home) or claimant in entry.in_sync:
            self.handovers.want(partition)
        elif self.handovers.settle(partition):
            self._open(partition)

    def _hand_over(self, record: Record, target: Target) -> None:
        """Freeze partitions that should move, and propose the move once all effects are acked."""
        for partition in self.handovers.freeze():
            self._close(partition)
        for partition in self.handovers.unproposed():
            entry, claimant = record.entries[partition], self.handovers.claims.get(partition, "")
            heirs = (claimant,) if claimant in entry.in_sync else target[partition][:1]  # none where all nodes leave
            if heirs and partition not in self._locked and self.logs[partition].clean:
                self.handovers.proposed(partition, entry.revision)
                self.wishes.move.add((partition, entry.revision, heirs[0]))

    def _open(self, partition: int) -> None:
        self.serving[partition] = self.logs[partition]
        self.opened.add(partition)
        self.closed.discard(partition)

    def _close(self, partition: int) -> None:
        if self.serving[partition] is not None:
            self.serving[partition] = None
            self.closed.add(partition)
            self.opened.discard(partition)

    def forget_streams(self, record: Record) -> None:
        """Give up the streams to lives that are over."""
        for stream in list(self.replication.streams.values()):
            is_over = not stream.connected and not record.has((stream.peer, stream.run))
            if is_over and not any(stream in log.streams for log in self.logs.values()):
                self.replication.forget(stream.peer, stream.run)
                self._required.clear()
                self._waiting.pop(stream, None)
