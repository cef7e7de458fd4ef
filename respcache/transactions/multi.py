"""What clients queue between MULTI and EXEC, run; and what they watch meanwhile.

The queued commands on keys are one *unit*. If all its keys have one owner it is run there,
on the data, in one turn of the event loop; else under locks (see `transaction`). Watched
keys belong to the unit: their owners compare the states before anything is run.

Commands on a whole database (KEYS, FLUSHALL) have no place on a scratch store. Where one node owns
everything they are run in their place; else they cut the queue into several units, which
are run one after the other, and others may come in between. Commands on the session or
the node (SELECT, PUBLISH, CLIENT) are run where the client is, behind all units: nothing
of what they do has to do with keys.

    EXEC --> unit, whole database, unit ... --> commands on the session --> answered
              `-- a watched key has changed, or nothing could be run --> answered
"""

from collections.abc import Sequence
from time import perf_counter_ns
from typing import Final, TypeAlias

from respcache.cluster.ownership.slots import EVERYWHERE, partition_of
from respcache.commands.connection import hello_words, selected
from respcache.commands.queue import ARGUMENT_BYTES, Queue
from respcache.commands.registry import lookup
from respcache.commands.session import Session
from respcache.commands.transactions import ExecAborted
from respcache.engine.admission import show
from respcache.engine.executor import Executor
from respcache.errors import CommandError
from respcache.pending import Pending, when_all
from respcache.reply import NULL_ARRAY, OK
from respcache.resp.encode import array_head, encode, error
from respcache.routing.internal import EXEC, EXEC_RO, WATCH
from respcache.routing.order import Order
from respcache.routing.router import Router
from respcache.store.copies import StoredKey
from respcache.transactions.claiming import FINAL
from respcache.transactions.participant import CHANGED
from respcache.transactions.transaction import unpacked
from respcache.transactions.unit import Call, Unit

EXEC_ROW: Final = lookup(b"EXEC")
"""What clients send; the row of the order that its unit becomes is another."""
Stage: TypeAlias = list[int]
"""Places in the queue of the commands of one unit; or of one command on a whole database."""


class TooManyWatched(CommandError):
    """The names of a client's watched keys take too much memory; those that it watched before it still watches."""

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"the watched keys take more than client-query-buffer-limit, {limit_bytes} bytes")


class Multi:
    """Transactions of the clients of one node."""

    def __init__(self, router: Router, executor: Executor, databases: int) -> None:
        self._router: Final = router
        self._executor: Final = executor
        self._databases: Final = databases

    def execute(self, session: Session) -> Pending:
        """Run what a client has queued. Raises CommandError if that was refused as a whole."""
        queue, tokens = session.queue, session.watched
        session.end_queue()
        assert queue is not None  # EXEC alone is refused before it comes here
        if queue.spoiled:
            _show_exec(session, queue.ended_by)
            raise ExecAborted
        run = _Run(self._router, self._executor, session, calls_of(queue, session, self._databases), queue.ended_by)
        if self._router.redirects.wanted_by(session):
            self._router.redirects.check(session, [key for call in run.calls for key in call.names])
        run.begin(tokens)
        return _in_order(session, run.reply)

    def watch(self, session: Session, keys: Sequence[bytes]) -> Pending:
        """Get tokens of the keys' states. Raises CommandError."""
        self._router.redirects.check(session, keys)
        watched = session.watched
        new = [key for key in dict.fromkeys(keys) if (session.database, key) not in watched]
        limit = session.host.config.server.client_query_buffer_limit_bytes
        if sum(len(key) + ARGUMENT_BYTES for _, key in watched) + sum(map(len, new)) > limit:
            raise TooManyWatched(limit)
        orders = [
            self._router.order(WATCH, [WATCH.name.encode(), key], (partition_of(key),), database=session.database)
            for key in new
        ]
        reply = Pending()

        def watching() -> None:
            refusal = next((order.wire for order in orders if order.wire and order.wire.startswith(b"-")), None)
            if refusal is None:
                for key, order in zip(new, orders, strict=True):
                    watched[order.database, key] = _bulk_text(order.wire or b"")
            reply.resolve(refusal or OK.wire)

        when_all(orders, watching)
        return _in_order(session, reply)


class _Run:
    """One EXEC under way."""

    def __init__(
        self, router: Router, executor: Executor, session: Session, calls: list[Call], ended_by: bytes
    ) -> None:
        self.reply: Final = Pending()
        self.calls: Final = calls
        self._router: Final = router
        self._executor: Final = executor
        self._session: Final = session
        self._ended_by: Final = ended_by
        self._wires: Final[list[Pending]] = [Pending() for _ in calls]
        self._stages: list[Stage] = []
        self._whole = False
        """Whether commands on a whole database are part of the one unit."""
        self._started: Final = perf_counter_ns()
        self._elapsed_ns = 0
        """How long it took here, without waiting for others; 0 while it has not had to wait."""
        self._before = b""
        """What the client is to get before the answer."""
        self._ran = False
        """Whether a stage has been run: from then on the answer is an array."""

    def begin(self, tokens: dict[StoredKey, bytes]) -> None:
        """Start with the first unit, if the watched keys have not changed."""
        self._whole = self._router.owns_all()
        self._stages = stages_of(self.calls, whole=self._whole, watched=bool(tokens))
        self._next(tokens)
        self._elapsed_ns = perf_counter_ns() - self._started

    def _next(self, tokens: dict[StoredKey, bytes]) -> None:
        if not self._stages:
            self._finish()
            return
        stage = self._stages.pop(0)
        calls = [self.calls[place] for place in stage]
        if calls and calls[0].spans_database and not self._whole:
            call = calls[0]
            partitions = self._router.redirects.scope(self._session, call.row)
            order = self._router.order(
                call.row,
                call.argv,
                partitions,
                database=call.database,
                protocol=call.protocol,
                turns=self._session.turns,
            )
            order.then(lambda: self._done(stage, [order.wire or b""]))
            return
        unit = Unit(calls, tokens)
        row = EXEC if unit.writes else EXEC_RO
        order = self._router.order(
            row, [row.name.encode()], self._partitions(unit), unit=unit, turns=self._session.turns
        )
        order.then(lambda: self._answered(order, stage))

    def _partitions(self, unit: Unit) -> tuple[int, ...]:
        if any(call.spans_database for call in unit.calls):
            return EVERYWHERE
        numbers = {partition_of(key) for call in unit.calls for key in call.names}
        numbers.update([partition_of(key) for _, key in unit.tokens])
        return tuple(sorted(numbers)) or EVERYWHERE[:1]

    def _answered(self, order: Order, stage: Stage) -> None:
        wire = order.wire or b""
        if wire == CHANGED:
            self._end(encode(NULL_ARRAY, self._session.protocol))
        elif not wire.startswith(b"-"):
            self._done(stage, unpacked(wire) if order.wires is None else order.wires)
        elif self._ran:
            self._done(stage, [wire] * len(stage))
        else:
            self._end(error(ExecAborted(wire[1:-2].decode())) if wire.startswith(FINAL) else wire)

    def _done(self, stage: Stage, wires: list[bytes]) -> None:
        self._ran = True
        for place, wire in zip(stage, wires, strict=True):
            self._wires[place].resolve(wire)
        self._next({})

    def _finish(self) -> None:
        """Run the commands on the session, and answer when the last of them has."""
        barrier, self._session.deny_blocking = self._session.barrier, True
        for call, wire in zip(self.calls, self._wires, strict=True):
            if call.row.on_session is None:
                continue
            self._before += self._session.host.exchange.take(self._session)
            try:
                reply = call.row.on_session(self._session, call.argv)
            except CommandError as refusal:
                wire.resolve(error(refusal))
            else:
                wire.follow(reply if isinstance(reply, Pending) else encode(reply, self._session.protocol))
        self._session.barrier, self._session.deny_blocking = barrier, False
        when_all(self._wires, self._answer)

    def _answer(self) -> None:
        wires = [wire.wire or b"" for wire in self._wires]
        elapsed_ns = self._elapsed_ns or perf_counter_ns() - self._started
        self._executor.count(self._session, self.calls, wires, elapsed_ns)
        if self._session.restricted:
            for call in self.calls:
                show(self._session, call.row, call.argv, call.database)
        self._end(self._before + array_head(len(wires)) + b"".join(wires))

    def _end(self, wire: bytes) -> None:
        """Give the answer, and show the client's EXEC to those who watch: it comes behind what it has run."""
        assert EXEC_ROW is not None
        self._session.host.stats.told(EXEC_ROW.index, wire)
        _show_exec(self._session, self._ended_by)
        self.reply.resolve(wire)


def calls_of(queue: Queue, session: Session, databases: int) -> list[Call]:
    """Give each command the database and the protocol in which it will be run, for SELECT and HELLO may be queued."""
    calls: list[Call] = []
    database, protocol = session.database, session.protocol
    for row, argv in queue.calls:
        calls.append(Call(row, argv, database, protocol))
        try:
            if row.name == "SELECT":
                database = selected(argv, databases)
            elif row.name == "HELLO" and len(argv) > 1:
                protocol = hello_words(session, argv)[0]
        except CommandError:
            continue  # it will be refused, too, when it is run
    return calls


def stages_of(calls: Sequence[Call], *, whole: bool, watched: bool) -> list[Stage]:
    """Cut a queue into units.

    With `whole` commands on a whole database are part of the one unit, else each is a stage
    of its own. With `watched` a unit comes first, if an empty one.
    """
    stages: list[Stage] = [[]]
    for place, call in enumerate(calls):
        if call.row.on_session is not None:
            continue
        if call.spans_database and not whole:
            stages += [[place], []]
        else:
            stages[-1].append(place)
    return [stage for number, stage in enumerate(stages) if stage or (watched and not number)]


def _in_order(session: Session, reply: Pending) -> Pending:
    """Have the client's next commands wait for a reply that is to come."""
    if reply.wire is None:
        session.barrier = reply
    return reply


def _show_exec(session: Session, word: bytes) -> None:
    session.host.monitors.show(session.address.encode(), session.database, [word])


def _bulk_text(wire: bytes) -> bytes:
    return wire[wire.index(b"\n") + 1 : -2]
