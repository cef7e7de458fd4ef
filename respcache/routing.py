"""Commands that cannot run where they came in: they go to the owner, are split, or wait.

An `Order` is such a command. It is dispatched by the ownership table, and parked while no
node can run it: the owner is moving, failing over, or not known yet. Whenever the table or
what this node serves changes, parked orders are dispatched again, until their deadline.

            .---------------- routes changed ----------------.
            v                                                |
    new --dispatch--> run here ------------> resolved     parked
               |----> asked of the owner --> resolved        ^ |
               |              `-- not served there ----------| `--deadline--> refused
               |              `-- link lost: a read ---------'
               |              `-- link lost: a write --> uncertain
               `----> split by owner, each part an order ----> merged
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from respcache.backlog import Backlog
from respcache.cluster.ownership.slots import PARTITIONS, partition_of, slot_of
from respcache.cluster.ownership.table import Table
from respcache.cluster.replication.log import Gate
from respcache.commands.registry import Command, Merge
from respcache.commands.session import Session
from respcache.errors import ClusterDown, CommandError, Congested, Moved, NoReplicas, TryAgain, Uncertain
from respcache.executor import Executor, Out, check_pairs
from respcache.locking import Locks, node_of
from respcache.merging import Part, merged
from respcache.order import Order
from respcache.pending import Pending
from respcache.reply import OK
from respcache.resp.encode import encode, error
from respcache.stats import Stats
from respcache.store.copies import Copies
from respcache.store.keyspace import Store
from respcache.store.partition import Argv, Log, Partition
from respcache.transaction import ACKED, COMMIT, INTERNAL, LOCK, UNITS, WATCH, Participant, Transaction, packed
from respcache.unit import Unit
from respcache.watching import true_logs

EVERYWHERE: Final = tuple(range(PARTITIONS))
ADDS_UP: Final = frozenset({Merge.SUM, Merge.CONCAT, Merge.WALK})
"""Of commands on whole databases, those whose replies a client of all nodes puts together: DBSIZE, KEYS, SCAN."""


class Peers(Protocol):
    """The links to the other nodes."""

    def connected(self, node: str) -> bool:
        """Tell whether a link stands."""

    def ask(self, node: str, order: Order) -> None:
        """Send an order to a connected node; `Router.answered`, or `Router.lost`, is called once, later."""

    def client_address(self, node: str) -> tuple[str, int]:
        """Give host and RESP port of a member."""

    def lapsed(self) -> None:
        """Take note that this node's lease has ended, before the timer says so."""

    def acknowledge(self, order: Order) -> None:
        """Answer how many copies have what was written to partitions of this node, once enough have, or in time."""

    def wake(self) -> None:
        """See to it that frames are sent at the end of this turn of the event loop."""


class Router:
    """Finds the place where a command can run. One per node, on its event loop."""

    def __init__(  # noqa: PLR0913 # all by name, from the composition root alone
        self,
        *,
        name: str,
        store: Store,
        copies: Copies,
        locks: Locks,
        stats: Stats,
        table: Table,
        gate: Callable[[list[Log]], Gate | None],
        peers: Peers,
        timeout_s: float,
        redirect: str,
        clock: Callable[[], float],
        backlog_max_bytes: int,
    ) -> None:
        """`timeout_s` is how long a command waits for an owner; `clock` gives monotonic seconds.

        `backlog_max_bytes` bounds what waits to be written while copies do not keep up.
        """
        self._name: Final = name
        self._store: Final = store
        self._stats: Final = stats
        self._table: Final = table
        self._gate: Final = gate
        self._peers: Final = peers
        self._timeout_s: Final = timeout_s
        self._clock: Final = clock
        self._parked: deque[Order] = deque()
        self._gates: Final[dict[Gate, list[_Held]]] = {}
        self._redirect: Final = redirect
        self._locks: Final = locks
        self._participant: Final = Participant(store, locks, copies)
        self._scratch: Final = Copies(Store(len(store)))
        """Where commands on keys of several owners run; empty in between."""
        self._backlog: Final = Backlog(bytes_max=backlog_max_bytes, databases=len(store))
        self._transactions = 0
        self.executor: Executor

    # -- from the executor ------------------------------------------------------------

    def elsewhere(self, session: Session, row: Command, argv: Argv, partition: Partition) -> bytes | Pending:
        """Run a command on one key whose partition this node does not serve now."""
        moved = self.redirection(session, argv[row.key_at])
        if moved is not None:
            return error(moved)
        return self._order(session, row, argv, (partition.number,))

    def several(self, session: Session, row: Command, argv: Argv) -> bytes | Pending:
        """Run a command on several keys, or on a whole database.

        Raises WrongArity where a key lacks its value, and what the command raises when it names no key.
        """
        check_pairs(row, argv)
        keys = row.keys.of(argv) if row.keys.names_keys else []
        if row.keys.names_keys and not keys:
            return self._without_keys(session, row, argv)
        partitions = tuple(sorted({partition_of(key) for key in keys})) if keys else self.scope(session, row)
        reply = self._order(session, row, argv, partitions)
        if isinstance(reply, Pending) and row.merge is Merge.NONE:
            session.barrier = reply
        return reply

    def scope(self, session: Session, row: Command) -> tuple[int, ...]:
        """Tell which partitions a command on a whole database is about: all, or those of this node."""
        if row.merge in ADDS_UP and (session.node_scope or self._redirect == "always"):
            return tuple(number for number in EVERYWHERE if self._table.primary[number] == self._name)
        return EVERYWHERE

    def _without_keys(self, session: Session, row: Command, argv: Argv) -> bytes:
        """Run a command whose number of keys is none: on no data, for its error. Raises CommandError."""
        assert row.on_keys is not None
        return encode(row.on_keys(self._scratch.store.keyspace(0), argv), session.protocol)

    def redirection(self, session: Session, key: bytes) -> Moved | None:
        """Send a client that knows the slots to the owner of a key, or of a sharded channel."""
        if not self.wants_redirect(session):
            return None
        owner = self._table.primary[partition_of(key)]
        if owner in {"", self._name}:
            return None
        self._stats.redirects += 1
        return Moved(slot_of(key), *self._peers.client_address(owner))

    def wants_redirect(self, session: Session) -> bool:
        """Tell whether a client is to find the owners of keys itself."""
        return self._redirect == "always" or (self._redirect == "auto" and session.cluster_aware)

    def lapsed(self) -> None:
        """Serve nothing more: the lease of this node has ended."""
        self._peers.lapsed()

    def hold(self, wire: bytes, logs: list[Log]) -> bytes | Pending:
        """Keep a reply until the effects in `logs` are safe."""
        replies: Out = [wire]
        self.hold_all(replies, logs)
        return replies[0]

    def hold_all(self, replies: Out, logs: list[Log]) -> None:
        """Keep all replies until the effects in `logs` are safe."""
        gate = self._gate(true_logs(logs) if self._locks.watches.in_use else logs)
        self._peers.wake()
        if gate is None:
            return
        held: list[_Held] = self._gates.setdefault(gate, [])
        kept: Out = []
        run: list[bytes] = []
        for reply in replies:
            if type(reply) is bytes:
                run.append(reply)
                continue
            if run:
                kept.append(_Held(run))
                run = []
            kept.append(reply)
        if run:
            kept.append(_Held(run))
        held += [reply for reply in kept if isinstance(reply, _Held)]
        replies[:] = kept

    # -- from the keeper of partitions ------------------------------------------------

    def resolved(self, gates: Iterable[Gate]) -> None:
        """Let the replies go whose effects are safe, or can no longer become so."""
        for gate in gates:
            for held in self._gates.pop(gate, ()):
                held.release(safe=bool(gate.committed))

    def routes_changed(self) -> None:
        """Look again at every order that waits."""
        parked, self._parked = self._parked, deque()
        self._backlog.clear()
        for order in parked:
            self._dispatch(order)

    def sweep(self) -> None:
        """Refuse the orders whose deadline has passed. To be called several times a second."""
        now = self._clock()
        self._locks.watches.sweep(now)
        while late := [order for order in self._parked if order.deadline_s <= now]:
            self._parked = deque(order for order in self._parked if order.deadline_s > now)
            for order in late:  # a lock that is refused parks its command, as late as itself
                self._give_up(order)
        self.routes_changed()

    def peer_gone(self, node: str) -> None:
        """Void what a node's transactions hold, and what they wait to lock: nobody would unlock it."""
        self._locks.release_of(node)
        for order in [order for order in self._parked if order.row is LOCK and node_of(order.argv[1]) == node]:
            order.refuse()

    # -- from the peers ---------------------------------------------------------------

    def serve(self, order: Order) -> None:
        """Run an order that a peer sent; it is resolved, or refused, now or later.

        A command that no peer has reason to send, or for a database that is not configured
        here, is answered with an error.
        """
        row = order.row
        if order.database >= len(self._store):
            order.fail(CommandError("DB index is out of range"))
        elif not row.key_at and row.on_keys is None and row.name.encode() not in INTERNAL:
            order.fail(CommandError(f"{row.name} is no command that nodes run for each other"))
        else:
            self._dispatch(order)

    def answered(self, order: Order, *, served: bool, wire: bytes) -> None:
        """Take the owner's answer to an order."""
        if served:
            order.resolve(wire)
            return
        self._stats.forward_errors["refused"] += 1
        self._again(order)

    def lost(self, order: Order, *, sent: bool) -> None:
        """Note that the link broke before the answer came."""
        self._stats.forward_errors["remote"] += 1
        if sent and order.row.writes:
            order.fail(Uncertain())
        else:
            self._again(order)

    # -- orders -------------------------------------------------------------------------

    def _order(self, session: Session, row: Command, argv: Argv, partitions: tuple[int, ...]) -> bytes | Pending:
        order = self.order(row, argv, partitions, database=session.database, protocol=session.protocol)
        return order if order.wire is None else order.wire

    def order(
        self,
        row: Command,
        argv: Argv,
        partitions: tuple[int, ...],
        *,
        database: int = 0,
        protocol: int = 2,
        unit: Unit | None = None,
        deadline_s: float | None = None,
    ) -> Order:
        """Have a command, or a unit, run wherever its partitions are, within the usual time unless told otherwise."""
        order = Order(
            row,
            argv,
            database=database,
            protocol=protocol,
            partitions=partitions,
            deadline_s=self._clock() + self._timeout_s if deadline_s is None else deadline_s,
        )
        order.unit = unit
        self._dispatch(order)
        return order

    @property
    def owns_all(self) -> bool:
        """Whether this node is the primary of all partitions."""
        primary = self._table.primary
        return primary.count(self._name) == len(primary)

    def _dispatch(self, order: Order) -> None:
        if order.wire is not None:
            return
        primary = self._table.primary
        owners = {primary[number] for number in order.partitions}
        if owners == {self._name} or not (owners or order.relayed):
            self._run(order)
        elif order.relayed:
            if self._table.behind(order.version):
                self._park(order)
            else:
                order.refuse()
        elif "" in owners:
            self._park(order)
        elif len(owners) == 1:
            self._ask(order, owners.pop())
        elif order.once:
            order.refuse()
        else:
            self._split(order)

    def _run(self, order: Order) -> None:
        """Run an order of which this node is the owner."""
        if order.row is COMMIT:
            self._commit(order)
            return
        if (order.row.writes or order.row is LOCK) and not self._admits(order):
            return
        if order.row is LOCK:
            if not self._participant.lock(order):
                self._park(order)
            self._peers.wake()  # what it has unlocked again, having found a watched key changed, may be about to move
            return
        keyspace = self._store.keyspace(order.database)
        if not self._locks.readable(order.partitions) or self._backlog.blocks(order):
            self._park(order)
            return
        if order.row is WATCH:
            self._participant.watch(order, self._clock())
            return
        if order.row is ACKED:
            self._peers.acknowledge(order)
            return
        if order.row in UNITS:
            self._run_unit(order)
            return
        try:
            reply = self.executor.run(order.row, order.argv, keyspace, order.protocol, order.partitions)
        except CommandError as refusal:
            order.fail(refusal)
            return
        order.follow(reply)

    def _run_unit(self, order: Order) -> None:
        """Run a transaction all of whose keys are served here, in one go."""
        unit = self._participant.unit(order)
        if unit is not None:
            wires, logs = self.executor.apply(unit.calls, order.partitions)
            order.follow(self.hold(packed(wires), logs) if logs else packed(wires))

    def _commit(self, order: Order) -> None:
        logs = self._participant.commit(order)
        if logs is None:
            self._park(order)
            return
        if not order.refused:
            order.follow(self.hold(OK.wire, logs) if logs else OK.wire)
        self._peers.wake()  # a partition that was locked may be about to move
        self.routes_changed()

    def _give_up(self, order: Order) -> None:
        """Answer an order whose deadline has passed."""
        if self._adds(order) and not order.once and self._locks.congested(order.partitions):
            self._reject("unacked", order, Congested())
        elif order.relayed or order.once:
            order.refuse()
        else:
            owned = self._locks.leased and all(self._table.primary[number] for number in order.partitions)
            order.fail(TryAgain() if owned else ClusterDown())

    def _admits(self, order: Order) -> bool:
        """Tell whether copies can take a write; else it has been refused, or waits."""
        if self._locks.scarce(order.partitions):
            self._reject("quorum", order, NoReplicas())
        elif not self._locks.congested(order.partitions) or not self._adds(order):
            return True
        elif self._backlog.add(order):
            self._park(order)
        else:
            self._reject("unacked", order, Congested())
        return False

    def _reject(self, reason: str, order: Order, refusal: CommandError) -> None:
        self._stats.writes_rejected[reason] += 1
        order.fail(refusal)

    @staticmethod
    def _adds(order: Order) -> bool:
        """Tell whether an order is a write that may be put off; a commit must not be, for others wait for its locks."""
        return (order.row.writes or order.row is LOCK) and order.row is not COMMIT

    def _ask(self, order: Order, owner: str) -> None:
        if not self._peers.connected(owner):
            self._again(order)
            return
        if order.unit is not None:
            order.argv = [order.row.name.encode(), *order.unit.words()]
        self._stats.forwards += 1
        self._peers.ask(owner, order)

    def _again(self, order: Order) -> None:
        if order.once:
            order.refuse()
        else:
            self._park(order)

    def _park(self, order: Order) -> None:
        self._parked.append(order)

    def _split(self, order: Order) -> None:
        """Run an order in parts, one for each owner; what cannot be split is transacted."""
        if order.row.merge is Merge.NONE:
            self._transact(order)
            return
        groups: dict[str, list[int]] = {}
        for number in order.partitions:
            groups.setdefault(self._table.primary[number], []).append(number)
        parts = [_part(order, tuple(numbers)) for numbers in groups.values()]
        missing = len(parts)

        def arrived() -> None:
            nonlocal missing
            missing -= 1
            if not missing:
                order.resolve(merged(order.row.merge, [Part(part.wire or b"", places) for part, places in parts]))

        for part, _ in parts:
            self._dispatch(part)
            part.then(arrived)

    def _transact(self, order: Order) -> None:
        """Run an order whose keys have several owners, all of them locked meanwhile."""
        self._transactions += 1
        try:
            transaction = Transaction(
                order,
                b"%b:%d" % (self._name.encode(), self._transactions),
                owner_of=self._table.primary,
                scratch=self._scratch,
                dispatch=self._dispatch,
                again=self._park,
            )
        except CommandError as refusal:
            order.fail(refusal)
            return
        transaction.begin()


class _Held(Pending):
    """Finished replies that wait for their effects to be safe."""

    __slots__ = ("_replies",)

    def __init__(self, replies: list[bytes]) -> None:
        super().__init__()
        self._replies = replies

    def release(self, *, safe: bool) -> None:
        """Send the replies; or as many errors, if nobody can tell what became of the effects."""
        if safe:
            self.resolve(b"".join(self._replies))
        else:
            self.resolve(error(Uncertain()) * len(self._replies))


def _part(order: Order, partitions: tuple[int, ...]) -> tuple[Order, tuple[int, ...]]:
    """Make the order for some of the partitions; the places of its keys among those of the whole."""
    argv, spec = order.argv, order.row.keys
    places: tuple[int, ...] = ()
    if spec.first:
        mine = frozenset(partitions)
        positions = range(spec.first, len(argv), spec.step)
        chosen = [(place, at) for place, at in enumerate(positions) if partition_of(argv[at]) in mine]
        places = tuple(place for place, _ in chosen)
        argv = argv[: spec.first] + [word for _, at in chosen for word in argv[at : at + spec.step]]
    part = Order(
        order.row,
        argv,
        database=order.database,
        protocol=order.protocol,
        partitions=partitions,
        deadline_s=order.deadline_s,
    )
    return part, places
