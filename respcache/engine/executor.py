"""The one path that every command takes: lookup, arity, placement, handler, effects, reply.

`Executor.batch` runs all requests of one read from a client. Commands on one key that
this node serves stay inside its loop, which is as long as it is because a call costs a
tenth of a whole command: 40 to 60 ns of about 500. Everything else leaves the loop through
`_slow` or through the router, which knows the other nodes.
"""

from binascii import crc_hqx
from collections.abc import Sequence
from functools import partial
from time import perf_counter_ns, time
from typing import Final, TypeAlias

from respcache.cluster.ownership.slots import partitions_of
from respcache.commands.registry import TABLE, Command
from respcache.commands.resolving import check_arity, row_of
from respcache.commands.session import Session, Silence
from respcache.commands.stage import Scripts, Wandered
from respcache.commands.tracker import Tracker
from respcache.commands.transactions import ExecAborted
from respcache.engine.acting import act, noted, on_key, unclean
from respcache.engine.admission import (
    check_memory,
    check_protected,
    check_restrictions,
    check_script,
    muted,
    queue,
    rejected,
    show,
    witnessed,
)
from respcache.engine.memory import Memory
from respcache.engine.relayed import Relayed
from respcache.engine.routes import Router, Runs
from respcache.engine.running import Runner, with_beyond
from respcache.engine.slow import SlowCommands
from respcache.errors import CommandError, OutOfMemory
from respcache.pending import Pending, Resting
from respcache.reply import OK, QUEUED, Waits
from respcache.resp.decode import Decoder
from respcache.resp.encode import BULK_HEADS, HEADED_MAX, NULL_2, NULL_3, encode, error
from respcache.stats import DURATION_BUCKETS, Stats, code_of
from respcache.store.keyspace import Keyspace, Store
from respcache.store.partition import Argv, Log, Partition
from respcache.strand import Outcome, Rested
from respcache.transactions.unit import Call

Out: TypeAlias = list[bytes | Pending]
"""Replies in order; a Pending holds up those behind it."""

HASH_TAG: Final = ord("{")
NEVER: Final = 2**62 - 1
"""Later than any time on any clock; one more, and compiled code would compare objects instead of machine words."""
BATCH_REPLIES_BYTES: Final = 1024 * 1024
"""Large replies above which a batch ends early: 60 KB of requests can ask for gigabytes."""


class Executor:
    """Runs commands on the store of one node."""

    def __init__(self, store: Store, stats: Stats, router: Router, scripts: Scripts, memory: Memory) -> None:
        self._store: Final = store
        self._ledger: Final = store.ledger
        self._memory: Final = memory
        self._scripts: Final = scripts
        self._strand: Final = scripts.strand
        self._stats: Final = stats
        self._router: Final = router
        self.runner: Final = Runner(scripts, store, self, hold=router.alone, owns_all=router.owns_all, stats=stats)
        self.slow: Final = SlowCommands(stats)
        """Told of the commands that take long."""
        self.relayed: Final = Relayed(store, self.slow, set_out=self._set_out)
        """What peers ask for."""
        self.lease_ends_unix_ms = NEVER
        self.lease_ends_ns = NEVER
        """When this node may serve no longer, on the wall clock, which can be set back, and on that of
        `perf_counter_ns`, which may stand still with the machine: a stopped process finds requests before timers."""

    def batch(  # noqa: C901, PLR0912, PLR0915 # the hot loop: each call left out of it is a tenth of a command
        self, session: Session, requests: Decoder, out: Out
    ) -> bool:
        """Run the requests that have come in completely; append a reply for each, and tell whether all are there.

        Stops early behind a command that ends the session, behind one that those after it
        have to wait for (`Session.barrier`), and when the replies get large (`Session.stalled`).
        Lets ProtocolError through: the requests before it have been run and their replies
        are in `out`.
        """
        ledger = self._ledger
        ledger.now_unix_ms = now_unix_ms = int(time() * 1000)
        if now_unix_ms >= self.lease_ends_unix_ms:
            self._router.lapsed()
        if ledger.full or ledger.weight_bytes > ledger.limit_bytes:
            self._memory.make_room()
        keyspace = self._store.keyspace(session.database)
        partitions = keyspace.partitions
        crc, ok = crc_hqx, OK  # local names: those of a module are looked up each time
        null = NULL_2 if session.protocol == 2 else NULL_3
        restricted = session.restricted or ledger.full
        noting = ledger.noting
        last: Argv = []
        row: Command | None = None
        run: Command | None = None
        """The command of the requests since `started`: a run of one command is timed as one."""
        name = b""
        """How that run spells it."""
        count = 0
        started = 0
        room = BATCH_REPLIES_BYTES
        logs: list[Log] | None = None
        runs: Runs | None = None
        """As soon as there are logs."""
        awaited: Partition | None = None
        """The one whose log was added last: a pipeline often stays on one."""
        whole = True
        try:
            while True:
                argv = requests.next()
                if argv is None:
                    break
                if argv[0] != name:
                    row = TABLE.get(argv[0])
                    name = argv[0]
                if row is None or row.key_at == 0 or restricted or not row.argc_min <= len(argv) <= row.argc_max:
                    if run is not None:
                        self._note(session, run, last, count, perf_counter_ns() - started)
                        run = None
                        if runs is not None:
                            runs.append((len(out), None))
                    last = argv
                    answer = self._slow(session, argv)
                    out.append(answer)
                    if session.closing or session.barrier is not None:
                        whole = False
                        break
                    if type(answer) is bytes:
                        room -= len(answer)
                        if room < 0:
                            session.stalled = True
                            break
                    else:
                        whole = False
                    if session.database != keyspace.number:
                        keyspace = self._store.keyspace(session.database)
                        partitions = keyspace.partitions
                    null = NULL_2 if session.protocol == 2 else NULL_3
                    restricted = session.restricted or ledger.full
                    noting = ledger.noting
                    continue
                if row is not run:
                    now = perf_counter_ns()
                    if now >= self.lease_ends_ns:
                        self._router.lapsed()
                    if run is not None:
                        self._note(session, run, last, count, now - started)
                    run, count, started = row, 0, now
                    if runs is not None:
                        runs.append((len(out), row.writes))
                count += 1
                last = argv
                key = argv[row.key_at]
                partition = keyspace.at(key) if HASH_TAG in key else partitions[crc(key, 0) >> 4 & 1023]
                if not partition.serving:
                    out.append(self._router.relay(session, row, argv, partition))
                    whole = False
                    continue
                try:
                    reply = noted(row, argv, partition) if noting else row.on_key(partition, argv)
                except CommandError as refusal:
                    self._refused(row, refusal)
                    out.append(error(refusal))
                    partition.ship(None)
                    if partition.unsafe and partition is not awaited and (log := partition.awaits()) is not None:
                        if logs is None:  # it tells of what it has seen, like any reply
                            logs, runs = [], [(len(out) - 1, row.writes)]
                        logs.append(log)
                        awaited = partition
                    continue
                if partition.changed:
                    partition.ship(argv if row.writes else None)
                if partition.unsafe and partition is not awaited and (log := partition.awaits()) is not None:
                    if logs is None:
                        logs, runs = [], [(len(out), row.writes)]
                    logs.append(log)
                    awaited = partition
                if type(reply) is bytes:
                    length = len(reply)
                    if length < HEADED_MAX:
                        out.append(b"%b%b\r\n" % (BULK_HEADS[length], reply))
                    else:
                        out.append(b"$%d\r\n%b\r\n" % (length, reply))
                        room -= length
                        if room < 0:
                            session.stalled = True
                            break
                elif reply is ok:
                    out.append(b"+OK\r\n")
                elif reply is None:
                    out.append(null)
                else:
                    out.append(encode(reply, session.protocol))
        finally:
            if run is not None:
                self._note(session, run, last, count, perf_counter_ns() - started)
            if last:
                self._stats.batches += 1
            if logs is not None and runs is not None:
                self._router.hold_all(out, logs, runs)
                whole = False
        return whole

    def alone(self, session: Session, argv: Argv) -> bytes | Pending:
        """Run one request that came over no connection."""
        self._set_out()
        self._stats.batches += 1
        with session.host.tracking.aside():
            return self._slow(session, argv)

    def _set_out(self) -> None:
        """Take note of the time, and make room, before commands are run that do not come in a batch."""
        ledger = self._ledger
        ledger.now_unix_ms = int(time() * 1000)
        if ledger.full or ledger.weight_bytes > ledger.limit_bytes:
            self._memory.make_room()

    def _check_memory(self, row: Command) -> None:
        """See to it that a command may take memory, if it does. Raises OutOfMemory."""
        if self._ledger.full and row.denies_oom:
            self._stats.writes_rejected["oom"] += 1
            raise OutOfMemory

    def _slow(self, session: Session, argv: Argv) -> bytes | Pending:
        """Run, or queue, whatever is no plain command on one key; give nothing if the client wants no reply."""
        if session.silence is Silence.NEXT:
            session.silence = Silence.NOW
        answer = self._single(session, argv)
        return answer if session.silence is Silence.NONE else muted(session, argv, answer)

    def _single(self, session: Session, argv: Argv) -> bytes | Pending:
        """Run one command, queue it, or hold it up; encode refusals."""
        started = perf_counter_ns()
        row: Command | None = None
        admitted = queued = is_rejected = False
        """Whether it got as far as its handler; whether that is put off; whether nothing of it was run."""
        try:
            row = row_of(argv)
            check_arity(row, argv)
            self._check_client(session, row)
            if session.restricted:
                if session.host.pause.holds(session, row, argv):
                    queued = True
                    return session.host.pause.postpone(session, argv)
                queued = queue(session, row, argv)
                if row.on_script is not None and not queued:
                    show(session, row, argv, session.database)  # in front of what it calls
            admitted = True
            if queued:
                return QUEUED.wire
            return self._perform(session, row, argv) if session.tracker is None else self._tracked(session, row, argv)
        except CommandError as refusal:
            is_rejected = self._refused(row, refusal, admitted=admitted)
            return error(refusal if admitted else rejected(session, argv, refusal))
        finally:
            if row is None:
                self._stats.unknown_calls += 1
            elif is_rejected:
                self._stats.calls[row.index] += 1
            elif not queued and type(session.barrier) is not Resting:  # it counts when it is run, or has ended
                self._worked(session, row, argv, perf_counter_ns() - started)
            if session.restricted:
                witnessed(session, row, argv, ran=admitted and not queued)

    def _worked(self, session: Session, row: Command, argv: Argv, elapsed_ns: int) -> None:
        """Count one command; one that waits for a key when that has its reply."""
        if row.awaits is not None and session.blocked is not None:
            session.uncounted = lambda: self._note(session, row, argv, 1, elapsed_ns)
        else:
            self._note(session, row, argv, 1, elapsed_ns)

    def _check_client(self, session: Session, row: Command) -> None:
        """See to it that a client may use, or queue, a command now. Raises CommandError."""
        if row.protected:
            check_protected(session)
        if session.restricted:
            check_restrictions(session, row)
            if self._ledger.full:
                check_memory(session, row)
        if self._strand.is_resting:
            check_script(session, row, self._scripts)

    def _tracked(self, session: Session, row: Command, argv: Argv) -> bytes | Pending:
        """Run a command of a client that is told when keys change."""
        tracking, tracker = session.host.tracking, session.tracker
        assert tracker is not None  # that is why it is here
        tracking.before(session, tracker, row, argv)
        try:
            if row.on_script is not None:
                return self._tracked_script(session, tracker, row, argv)
            return self._perform(session, row, argv)
        finally:
            tracking.after()

    def _tracked_script(self, session: Session, tracker: Tracker, row: Command, argv: Argv) -> bytes | Pending:
        """Run a script for such a client. One that does not end here and now counts as one that reads and writes."""
        self.runner.declared = declared = session.host.tracking.declared(session, tracker, row, argv)
        try:
            reply = self._at_once(session, row, argv)
        finally:
            self.runner.declared = None
        if reply is None or type(reply) is Resting:
            declared.reads()
            declared.writes()
        return self._router.several(session, row, argv) if reply is None else reply

    def _perform(self, session: Session, row: Command, argv: Argv) -> bytes | Pending:
        if row.on_session is not None:
            session.last_command = row.name.lower()
            answer = row.on_session(session, argv)
            if isinstance(answer, Pending):
                return answer if answer.wire is None else answer.wire
            return encode(answer, session.protocol)
        if not row.key_at:
            reply = self._at_once(session, row, argv)
            return self._router.several(session, row, argv) if reply is None else reply
        partition = self._store.keyspace(session.database).at(argv[row.key_at])
        if not partition.serving:
            return self._router.elsewhere(session, row, argv, partition)
        return self.on_partition(row, argv, partition, session.protocol)

    def _at_once(self, session: Session, row: Command, argv: Argv) -> bytes | Pending | None:
        """Run a command on several keys at once if all their partitions are served here; else give None.

        Not one that may wait, or read other keys besides. A script has to be known, and its keys have one partition.
        """
        waits = row.awaits is not None or (row.on_script is not None and self._strand.is_resting)
        if waits or row.beyond is not None or not row.keys.names_keys:
            return None
        keys = row.keys.of(argv)
        if not keys or (row.by_digest and self._scripts.text(argv[1]) is None):
            return None
        keyspace = self._store.keyspace(session.database)
        numbers = partitions_of(keys)
        if not keyspace.serves(numbers) or (row.on_script is not None and len(numbers) > 1):
            return None
        started = perf_counter_ns()
        try:
            return self.run(row, argv, keyspace, session.protocol, numbers, at_once=True)
        except Wandered:
            return None
        except Rested:
            return self._resting(session, row, argv, started)

    def _resting(self, session: Session, row: Command, argv: Argv, started: int) -> Pending:
        """Give a client's script, which rests, its place among the replies."""
        session.barrier = reply = Resting()

        def ended(outcome: Outcome) -> None:
            self._note(session, row, argv, 1, perf_counter_ns() - started)
            try:
                reply.follow(outcome())
            except CommandError as refusal:
                self._refused(row, refusal)
                reply.resolve(error(refusal))
            except Wandered:
                reply.follow(self._router.several(session, row, argv))

        self._strand.then(ended)
        return reply

    def on_partition(self, row: Command, argv: Argv, partition: Partition, protocol: int) -> bytes | Pending:
        """Run a command on one key that this node serves. Raises CommandError."""
        self._check_memory(row)
        try:
            reply, log = on_key(row, argv, partition)
        except CommandError as refusal:
            if (log := partition.awaits()) is None:
                raise
            return self._hold_refusal(row, refusal, [log], counts=True)
        wire = encode(reply, protocol)
        return wire if log is None else self._router.hold(wire, [log], writes=row.writes)

    def _hold_refusal(self, row: Command, refusal: CommandError, logs: list[Log], *, counts: bool) -> bytes | Pending:
        """Tell of a refusal once what it tells of is safe. It is counted now, or with the order that it answers."""
        if counts:
            self._refused(row, refusal)
        return self._router.hold(error(refusal), logs, writes=False)

    def apply(self, calls: Sequence[Call], partitions: tuple[int, ...]) -> tuple[list[bytes], list[Log]]:
        """Run the commands of a transaction whose partitions are all served here.

        Gives the replies, refusals too, and the logs until which they have to wait. Raises ExecAborted if any of
        them may take memory, and there is none; or Wandered, and nothing is done; or Rested.
        """
        self._set_out()
        try:
            for call in calls:
                self._check_memory(call.row)
        except OutOfMemory as refusal:
            raise ExecAborted(refusal.line().decode()) from None
        if any(call.row.on_script is not None for call in calls):
            return self._strand.run(lambda: self.runner.unit(calls, partitions), self._router.alone)
        return self.runner.unit(calls, partitions)

    def run(
        self,
        row: Command,
        argv: Argv,
        keyspace: Keyspace,
        protocol: int,
        partitions: tuple[int, ...],
        *,
        at_once: bool = False,
    ) -> bytes | Pending:
        """Run a command whose partitions are all served here, and no other ones concerned; `Waits.wire` if it waits.

        The error in which a script ends is counted here if the client gets the answer `at_once`, else with its order.
        Raises CommandError; or Wandered, and nothing is done; or Rested.
        """
        self._set_out()
        self._check_memory(row)
        if row.on_script is not None:
            if self._scripts.is_straight(row, argv):
                return self._script(row, argv, keyspace, protocol, partitions, at_once)
            script = partial(self._script, row, argv, keyspace, protocol, partitions, at_once)
            return self._strand.run(script, self._router.alone)
        numbers = with_beyond(row, argv, keyspace, partitions)
        try:
            reply, logs = act(row, argv, keyspace, numbers)
        except CommandError as refusal:
            if not (logs := unclean(keyspace, numbers)):
                raise
            return self._hold_refusal(row, refusal, logs, counts=at_once)
        if isinstance(reply, Waits):
            return reply.wire
        wire = encode(reply, protocol)
        return self._router.hold(wire, logs, writes=row.writes) if logs else wire

    def _script(
        self,
        row: Command,
        argv: Argv,
        keyspace: Keyspace,
        protocol: int,
        partitions: tuple[int, ...],
        at_once: bool,  # noqa: FBT001 # as in `run`
    ) -> bytes | Pending:
        reply, logs = self.runner.run(row, argv, keyspace, partitions)
        if at_once and isinstance(reply, CommandError):
            self._refused(row, reply)
        wire = encode(reply, protocol)
        return self._router.hold(wire, logs, writes=row.writes) if logs else wire

    def end_lease(self) -> None:
        """Serve nothing more, unless the lease turns out to last."""
        self._router.lapsed()

    def count(self, session: Session, calls: Sequence[Call], wires: Sequence[bytes], elapsed_ns: int) -> None:
        """Count the commands of a transaction; each is taken to have lasted as long as the others."""
        run = 0
        for place, (call, wire) in enumerate(zip(calls, wires, strict=True), start=1):
            run += 1
            if place == len(calls) or calls[place].row is not call.row:  # a run of one command is noted as one
                self._note(session, call.row, call.argv, run, elapsed_ns * run // len(calls))
                run = 0
            self._stats.told(call.row.index, wire)

    def _refused(self, row: Command | None, refusal: CommandError, *, admitted: bool = True) -> bool:
        """Count an error that a client is told; whether nothing of a command was run, and it counts as rejected."""
        self._stats.count_error(refusal.code or code_of(refusal.line()))
        return row is not None and self._stats.blame(row.index, refusal.code, admitted=admitted)  # scripts have run

    def _note(self, session: Session, row: Command, last: Argv, count: int, elapsed_ns: int) -> None:
        """Count a run of one command; each of them is taken to have lasted as long as the others."""
        stats, index = self._stats, row.index
        stats.calls[index] += count
        stats.duration_ns[index] += elapsed_ns
        each_us = elapsed_ns // (count * 1000)
        bucket = each_us.bit_length()
        stats.durations[index][bucket if bucket < DURATION_BUCKETS else -1] += count
        if each_us >= self.slow.bound_us >= 0:
            self.slow.note(session, row, last, count, each_us, self._ledger.now_unix_ms // 1000)
