"""Commands that cannot run where they came in: they go to the owner, are split, or wait.

An `Order` is such a command. It is dispatched by the ownership table, and parked while no
node can run it: the owner is moving, failing over, or not known yet. Whenever the table or
what this node serves changes, parked orders are dispatched again, until their deadline. Commands of a
pipeline on single keys of others begin as parts of a `Sheaf`, and become orders if they come back (`relaying`).
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from respcache.cluster.ownership.slots import partitions_of
from respcache.cluster.ownership.table import Table
from respcache.cluster.replication.log import Gate
from respcache.commands.registry import Command, Merge
from respcache.commands.session import Session, Turns
from respcache.commands.stage import Scripts
from respcache.engine.acting import check_pairs
from respcache.engine.executor import Executor, Out
from respcache.engine.routes import Runs
from respcache.errors import ClusterDown, CommandError, Congested, NoReplicas, TryAgain, Uncertain
from respcache.pending import Pending, Timer
from respcache.reply import OK
from respcache.resp.encode import encode, error
from respcache.routing.attempts import Attempts
from respcache.routing.backlog import Backlog
from respcache.routing.holding import Held
from respcache.routing.internal import ACKED, BLOCK, COMMIT, LOCK, SCRIPT, TICKETS, WATCH
from respcache.routing.locking import Locks, node_of
from respcache.routing.merging import parts_of
from respcache.routing.observing import ObservedLog, true_logs
from respcache.routing.order import Order, Peers
from respcache.routing.parking import Parking
from respcache.routing.redirects import Redirects
from respcache.routing.relaying import Relays
from respcache.routing.searching import Search
from respcache.stats import Stats
from respcache.store.copies import Copies
from respcache.store.keyspace import Store
from respcache.store.partition import Argv, Log, Partition
from respcache.strand import Hold
from respcache.transactions.participant import Participant
from respcache.transactions.standstill import Standstill, waits_for_script
from respcache.transactions.transaction import Transactions
from respcache.transactions.unit import Unit
from respcache.waiting.desk import Desk, Wait
from respcache.waiting.tickets import Tickets

THINNED: Final = error(Uncertain("Copies were lost while the command was committed: too few have it"))


class Router:
    """Finds the place where a command can run. One per node, on its event loop."""

    def __init__(  # noqa: PLR0913 # all by name, from the composition root alone
        self,
        *,
        name: str,
        store: Store,
        copies: Copies,
        scripts: Scripts,
        locks: Locks,
        stats: Stats,
        table: Table,
        gate: Callable[[list[Log]], Gate | None],
        peers: Peers,
        timeout_s: float,
        redirect: str,
        clock: Callable[[], float],
        call_at: Callable[[float, Callable[[], None]], Timer],
        backlog_max_bytes: int,
    ) -> None:
        """`timeout_s` bounds waits for owners, `backlog_max_bytes` what waits for copies; `clock` gives monotonic s."""
        self._name: Final = name
        self._store: Final = store
        self.databases: Final = len(store)
        self._stats: Final = stats
        self.table: Final = table
        self._gate: Final = gate
        self._peers: Final = peers
        self._timeout_s: Final = timeout_s
        self._clock: Final = clock
        self._parked: Final = Parking()
        self.held: Final = Held(self._gate_of, clock=clock, timeout_s=timeout_s)
        """The replies that wait until effects are safe."""
        self.redirects: Final = Redirects(name, table, stats, policy=redirect, client_address=peers.client_address)
        self.relays: Final = Relays(name, table, stats, peers, self.redirects, clock, timeout_s, again=self._again)
        self.relays.routes_changed = self.routes_changed
        self._locks: Final = locks
        self._participant: Final = Participant(store, locks, copies)
        self._backlog: Final = Backlog(bytes_max=backlog_max_bytes, databases=len(store))
        self._scripts: Final = scripts
        still = partial(Standstill, store, locks, peers, untold_max_bytes=backlog_max_bytes, over=self._script_ended)
        self.alone: Final[Hold] = still(on_data=True)
        """What stands still for scripts on the data of this node, while they rest."""
        aside = still(on_data=False)
        self._transactions: Final = Transactions(
            name, store, scripts, owner_of=table.primary, dispatch=self._dispatch, again=self._once_more, hold=aside
        )
        self._attempts: Final = Attempts(
            store, scripts, self._participant, executor=lambda: self.executor, held=self.held, transact=self._transact
        )
        self._search: Final = Search(scripts, order=self.order, again=self._in_turn)
        self.executor: Executor
        self.tickets: Final = Tickets(store, locks, executor=lambda: self.executor, clock=clock, wake=peers.wake)
        """The commands that wait for keys of this node."""
        self._desk: Final = Desk(
            name, table, self.tickets, clock, call_at, timeout_s, dispatch=self._dispatch, again=self._parked.add
        )

    # -- from the executor ------------------------------------------------------------

    def relay(self, session: Session, row: Command, argv: Argv, partition: Partition) -> bytes | Pending:
        """Run a command of a batch on one key whose partition this node does not serve now."""
        return self.relays.relay(session, argv, partition.number) or self.elsewhere(session, row, argv, partition)

    def elsewhere(self, session: Session, row: Command, argv: Argv, partition: Partition) -> bytes | Pending:
        """Run a command on one key whose partition this node does not serve now."""
        moved = self.redirects.of(session, argv[row.key_at])
        if moved is not None:
            return self._stats.told(row.index, error(moved))
        return self._order(session, row, argv, (partition.number,))

    def several(self, session: Session, row: Command, argv: Argv) -> bytes | Pending:
        """Run a command on several keys, or on a whole database.

        Raises WrongArity where a key lacks its value, and what the command raises when it names no key.
        """
        check_pairs(row, argv)
        keys = row.keys.of(argv) if row.keys.names_keys else []
        if row.keys.names_keys and not keys and row.on_script is None:
            return self._without_keys(session, row, argv)
        if row.awaits is not None and (row.awaits.only is None or row.awaits.only(argv)):
            return self._wait(session, row, argv, keys)
        if keys and (moved := self.redirects.of_all(session, keys)) is not None:
            return self._stats.told(row.index, error(moved))
        # A script without keys runs here.
        partitions = partitions_of(keys) if row.keys.names_keys else self.redirects.scope(session, row)
        steady = len(partitions) == 1 and row.merge is not Merge.NONE
        if len(partitions) == 1 and self.table.primary[partitions[0]] not in {"", self._name}:
            carried = self._search.carried(row, argv)  # its owner runs what the link brings, in that order
            if carried is not None:
                (row, argv), steady = carried, True
        reply = self._order(session, row, argv, partitions)
        if isinstance(reply, Pending) and not steady:
            session.barrier = reply  # one of its keys may have to wait, and others be served: they would be overtaken
        return reply

    def _wait(self, session: Session, row: Command, argv: Argv, keys: Sequence[bytes]) -> bytes | Pending:
        """Run a command that may have to wait. Raises Moved or CrossSlot, or what is wrong with its words."""
        if row.keys.count_at:  # the number must be right: owners are asked for their own keys
            self._without_keys(session, row, argv)
        self.redirects.check(session, keys)
        self._in_turn(wait := Wait(self._desk, session, row, argv))
        if wait.wire is not None:
            return self._stats.told(row.index, wait.wire)
        session.barrier = session.blocked = wait
        return wait

    def _without_keys(self, session: Session, row: Command, argv: Argv) -> bytes:
        """Run a command on no data, for the error if its number of keys is wrong. Raises CommandError."""
        assert row.on_keys is not None
        return encode(row.on_keys(self._transactions.nothing.keyspace(0), argv), session.protocol)

    def lapsed(self) -> None:
        """Serve nothing more: the lease of this node has ended."""
        self._peers.lapsed()

    def hold(self, wire: bytes, logs: list[Log], *, writes: bool) -> bytes | Pending:
        """Keep the reply of a command, which may be one that writes, until the effects in `logs` are safe."""
        return self.held.hold(wire, logs, writes=writes)

    def hold_all(self, replies: Out, logs: list[Log], runs: Runs) -> None:
        """Keep all replies until the effects in `logs` are safe."""
        self.held.hold_all(replies, logs, runs)

    def _gate_of(self, logs: list[Log]) -> Gate | None:
        """Send the effects in `logs`; give what their replies wait for."""
        self._peers.wake()
        for log in logs:
            if isinstance(log, ObservedLog):
                return self._gate(true_logs(logs))
        return self._gate(logs)

    # -- from the keeper of partitions ------------------------------------------------

    def rerouted(self) -> None:
        """Take note of new owners: what is on its way to former ones will come back, also if they are owners again."""
        changed_since = self.table.changed_since
        for _, order in self._peers.under_way():
            if order.turns is not None and changed_since(order.version, order.partitions):
                order.turns.displaced = True
        self.tickets.send_back()
        self._desk.rerouted()
        self.routes_changed()

    def routes_changed(self) -> None:
        """Look again at every order that waits."""
        self.tickets.offer_ready()
        self._backlog.clear()
        for order in self._parked.leave():
            self._dispatch(order)

    def sweep(self) -> None:
        """Refuse the orders whose deadline has passed. To be called several times a second."""
        now = self._clock()
        self._locks.sweep(now)
        while late := self._parked.late(now):
            for order in late:  # a lock that is refused parks its command, as late as itself
                self._give_up(order)
        if not self._locks.is_seized:  # what is held waits for a script then, not for the copies
            self.held.sweep()
        self.routes_changed()

    def peer_gone(self, node: str) -> None:
        """Void what a node's transactions and waiting commands hold, and what they wait to: nobody would unlock it."""
        self._locks.release_of(node)
        self.tickets.release_of(node)
        for order in list(self._parked):
            if order.row in (LOCK, BLOCK) and node_of(order.argv[1]) == node:
                order.refuse()
        self.routes_changed()

    # -- from the peers ---------------------------------------------------------------

    def serve(self, order: Order) -> None:
        """Run an order of a peer's; it is resolved, or refused, now or later."""
        self._dispatch(order)

    def answered(self, order: Order, wire: bytes | None) -> None:
        """Take the owner's answer to an order; None if it was not run."""
        complete = order.come_back(self.table.version)
        if wire is not None:
            order.resolve(wire)
        else:
            self._stats.forward_errors["refused"] += 1
            self._again(order)
        if complete:
            self.routes_changed()

    def lost(self, order: Order, *, sent: bool) -> None:
        """Note that the link broke before the answer came."""
        order.come_back(self.table.version)
        self._stats.forward_errors["remote"] += 1
        if sent and order.row.writes:
            order.fail(Uncertain())
        else:
            self._again(order)

    # -- orders -------------------------------------------------------------------------

    def _order(self, session: Session, row: Command, argv: Argv, partitions: tuple[int, ...]) -> bytes | Pending:
        order = self.order(
            row, argv, partitions, database=session.database, protocol=session.protocol, turns=session.turns
        )
        return order if order.wire is None else self._stats.told(row.index, order.wire)

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
        turns: Turns | None = None,
    ) -> Order:
        """Have a command, or a unit, run wherever its partitions are, within the usual time unless told otherwise.

        What has `turns` is overtaken by no later command of the client that they are of.
        """
        order = Order(
            row,
            argv,
            database=database,
            protocol=protocol,
            partitions=partitions,
            deadline_s=self._clock() + self._timeout_s if deadline_s is None else deadline_s,
            turns=turns,
        )
        order.unit = unit
        order.writer = self._locks.readers.writer
        if len(partitions) == 1:
            self._send(order, self.table.primary[partitions[0]])
        else:
            self._dispatch(order)
        return order

    @property
    def rests(self) -> bool:
        """Whether a script rests here, so others wait, and what stands behind them on the same keys."""
        return self._scripts.strand.is_resting

    def owns_all(self) -> bool:
        """Tell whether this node is the primary of all partitions."""
        return self.table.is_all_of(self._name)

    def _send(self, order: Order, owner: str) -> None:
        """Have an order run by the one owner that it has; None is known if that is empty."""
        order.owner = owner
        if owner == self._name:
            self._run(order)
        elif owner:
            self._ask(order, owner)
        else:
            self._parked.add(order)

    def _in_turn(self, order: Order) -> None:
        """Dispatch what takes several steps, between which keys may move: behind the client's earlier commands."""
        if not order.waits_its_turn(lambda: self._dispatch(order)):
            self._dispatch(order)

    def _dispatch(self, order: Order) -> None:
        if order.wire is not None:
            return
        if isinstance(order, Wait):
            order.go()
            return
        primary = self.table.primary
        owners = {primary[number] for number in order.partitions}
        if order.relayed:
            self._dispatch_relayed(order, owned=owners == {self._name})
        elif order.row is COMMIT:
            self._send(order, order.owner)  # who has locked it, whoever owns it by now
        elif not owners:
            self._send(order, self._name)
        elif len(owners) == 1:
            self._send(order, owners.pop())
        elif "" in owners:
            self._parked.add(order)
        elif order.once:
            order.refuse()
        else:
            self._split(order)

    def _dispatch_relayed(self, order: Order, *, owned: bool) -> None:
        """Run what a peer asks for, or send it back.

        If the partition has changed hands and come back since, earlier ones of the same client were refused
        meanwhile. The locks that a commit ends are void then anyway.
        """
        if order.row is not COMMIT and self.table.changed_since(order.version, order.partitions):
            order.refuse()
        elif owned:
            self._run(order)
        elif self.table.behind(order.version):
            self._parked.add(order)
        else:
            order.refuse()

    def _run(self, order: Order) -> None:
        """Run an order of which this node is the owner."""
        readers = self._locks.readers
        before, readers.writer = readers.writer, order.writer
        try:
            self._run_for_writer(order)
        finally:
            readers.writer = before

    def _run_for_writer(self, order: Order) -> None:  # noqa: C901 # what may stand in the way, one after the other
        if self._search.begun(order):
            return
        self.tickets.offer_ready()
        if self._scripts.strand.is_resting and waits_for_script(order, self._locks):
            refusal = self._scripts.busy()
            if refusal is not None and order.row is WATCH and self._locks.seized(order.partitions[0]):
                self._run_now(order)  # nobody sees it before the script ends, and what that still writes counts
            elif refusal is not None:
                order.fail(refusal)
            elif order.row.on_script is None or self._backlog.add(order):  # what its client sent behind it waits, too
                self._parked.add(order)
            else:
                self._reject("unacked", order, Congested())
            return
        if order.row.name in TICKETS:
            self._run_ticket(order)
            return
        if order.row is COMMIT:
            self._commit(order)
            return
        if (order.row.writes or order.row is LOCK) and not self._admits(order):
            return
        if order.row is LOCK:
            if not self._participant.lock(order):
                self._parked.add(order)
            self._peers.wake()  # what it has unlocked again, having found a watched key changed, may be about to move
            return
        if not self._locks.readable(order.partitions) or self._backlog.blocks(order):
            self._parked.add(order)
            return
        self._run_now(order)

    def _run_now(self, order: Order) -> None:
        """Run an order that nothing stands in the way of."""
        if order.row is SCRIPT:
            self._search.answer(order)
        elif order.row is WATCH:
            self._participant.watch(order, self._clock())
        elif order.row is ACKED:
            self._peers.acknowledge(order)
        else:
            self._attempts.run(order)

    def _script_ended(self) -> None:
        """Look again at what has waited for a script that rested."""
        self._peers.wake()
        self.routes_changed()

    def _run_ticket(self, order: Order) -> None:
        """Run an order about a command that waits for a key of this node."""
        if self.tickets.lacks_copies(order):
            self._reject("quorum", order, NoReplicas())
        elif not self.tickets.run(order):
            self._parked.add(order)
        elif self.tickets.has_unlocked:
            self._peers.wake()  # a partition that was locked may be about to move
            self.routes_changed()

    def _commit(self, order: Order) -> None:
        logs = self._participant.commit(order)
        if logs is None:
            self._parked.add(order)
            return
        if not order.refused:
            thin = len(order.argv) > 2 and self._locks.scarce(order.partitions)  # since they were locked
            order.follow(THINNED if thin else self.hold(OK.wire, logs, writes=True) if logs else OK.wire)
        self._peers.wake()  # a partition that was locked may be about to move
        self.routes_changed()

    def _give_up(self, order: Order) -> None:
        """Answer an order whose deadline has passed."""
        if order.row.writes and order.row is not COMMIT and not order.once and self._locks.congested(order.partitions):
            self._reject("unacked", order, Congested())
        elif order.relayed or order.once:
            self._participant.abandon(order)
            order.refuse()
        else:
            owners = {self.table.primary[number] for number in order.partitions} - {self._name}
            order.fail(TryAgain() if self._locks.leased and all(map(self._peers.connected, owners)) else ClusterDown())

    def _admits(self, order: Order) -> bool:
        """Tell whether copies can take a write; else it has been refused, or waits."""
        if self._locks.scarce(order.partitions):
            self._reject("quorum", order, NoReplicas())
        elif order.row is COMMIT or not self._locks.congested(order.partitions):
            return True  # others wait for the locks that a commit ends
        elif self._backlog.add(order):
            self._parked.add(order)
        else:
            self._reject("unacked", order, Congested())
        return False

    def _reject(self, reason: str, order: Order, refusal: CommandError) -> None:
        self._stats.writes_rejected[reason] += 1
        order.fail(refusal)

    def _ask(self, order: Order, owner: str) -> None:
        if not self._peers.connected(owner):
            self._again(order)
            return
        if order.unit is not None:
            order.argv = [order.row.name.encode(), *order.unit.words()]
        order.leave(self.table.version)
        self._stats.forwards += 1
        self._peers.ask(owner, order)

    def _again(self, order: Order) -> None:
        """Take back what another node could not be asked, or has not run."""
        if order.once:
            order.refuse()
            return
        if order.turns is not None:
            order.turns.displaced = order.returned = True
        self._parked.add(order)

    def _once_more(self, order: Order) -> None:
        """Try a transaction again: at once if it has found out about more keys, else when something has changed."""
        reach = order.reach
        if reach is not None and reach.has_grown and self._clock() < order.deadline_s:
            reach.has_grown = False
            self._dispatch(order)
        else:
            self._parked.add(order)

    def _split(self, order: Order) -> None:
        """Run an order in parts, one for each owner; what cannot be split is transacted."""
        if order.row.merge is Merge.NONE:
            self._transact(order)
            return
        for part in parts_of(order, self.table.primary):
            self._dispatch(part)

    def _transact(self, order: Order) -> None:
        """Run an order whose keys have several owners, all locked meanwhile, behind what its client sent before."""
        if order.waits_its_turn(lambda: self._dispatch(order)) or self._search.begun(order):
            return
        self._transactions.begin(order)
