r"""Commands that wait for keys, on the side of the keys' primary. Those that have a client are in `waiting`.

Each has a *ticket*, which names it and the node that has its client. When its turn has come
its partition is locked for it, and its node is told; the element is popped only once that
node has said that the client is still there. So nothing is ever popped for a client, a node
or a link that is gone by then, and nobody else gets or sees the element meanwhile.

    BLOCK --> answered with the command's reply
       `----> waiting --its turn--> called (locked) --TAKE--> answered, gone
                 ^   \                    |   `-- nothing there after all: waiting
                 |    `----- LEAVE, partition moved, node gone ----> gone
"""

from collections.abc import Callable
from time import time
from typing import Final

from respcache.cluster.ownership.slots import partition_of, partitions_of
from respcache.commands.registry import Command, lookup
from respcache.commands.resolving import resolve
from respcache.engine.executor import Executor
from respcache.errors import CommandError
from respcache.reply import OK, Waits, waiting_from, waits_ms
from respcache.resp.encode import bulk
from respcache.routing.internal import BLOCK, LEAVE, TAKE, TURN
from respcache.routing.locking import Locks, node_of
from respcache.routing.order import Order
from respcache.store.copies import StoredKey
from respcache.store.keyspace import Store
from respcache.store.partition import Argv
from respcache.waiting.room import Verdict, Waiter

COMMAND_AT: Final = 4
"""Where the command stands among the words of a BLOCK."""


class MalformedTicket(CommandError):
    """What another node sent of a waiting command makes no sense; nothing was run."""

    def __init__(self) -> None:
        super().__init__("malformed waiting command from another node")


class Ticket(Waiter):
    """One command that waits."""

    __slots__ = ("argv", "called", "database", "locked", "name", "protocol", "row", "silent", "turn", "whole")

    def __init__(self, order: Order, row: Command, argv: Argv, *, mode: bytes, arrived_s: float) -> None:
        mine = [(order.database, key) for key in row.awaited(argv) if partition_of(key) in order.partitions]
        super().__init__(mine, arrived_s)
        self.name: Final = order.argv[1]
        self.row: Final = row
        self.argv: Final = argv
        self.database: Final = order.database
        self.protocol: Final = order.protocol
        self.whole: Final = mode == b"wait"
        """Whether it is run elsewhere when its turn has come, for it has keys of several owners."""
        self.silent = mode == b"part"
        """Whether it is not to be called yet."""
        self.turn: Order | None = None
        """To be answered when its turn has come."""
        self.called: bytes | None = None
        """The key that it has been called for."""
        self.locked: tuple[int, ...] = ()

    def to_run(self, key: bytes) -> Argv:
        """Give the command for one of its keys, which is all it takes; all of it if it needs several."""
        assert self.row.awaits is not None
        return self.argv if self.row.awaits.of is not None else self.row.keys.narrowed(self.argv, [key])

    def partitions(self, key: bytes) -> tuple[int, ...]:
        """List what is locked for it when it is called for a key."""
        return partitions_of([key] if self.whole else self.row.keys.of(self.to_run(key)))


class Tickets:
    """The tickets for keys of the partitions that a node serves."""

    def __init__(
        self,
        store: Store,
        locks: Locks,
        *,
        executor: Callable[[], Executor],
        clock: Callable[[], float],
        wake: Callable[[], None],
    ) -> None:
        """`clock` gives monotonic seconds; `wake` sees to it that `serve` is called at the end of this turn."""
        self._store: Final = store
        self._locks: Final = locks
        self._executor: Final = executor
        self._clock: Final = clock
        self._tickets: Final[dict[bytes, Ticket]] = {}
        self._sent_back: list[Order] = []
        self._wake: Final = wake
        self._unlocked = False
        self._serving = False
        self._answers: list[tuple[Order, bytes]] = []
        locks.room.dismissed = self._dismissed
        locks.room.wake = wake

    def __len__(self) -> int:
        """Count the commands that wait for keys of this node."""
        return len(self._tickets)

    @property
    def has_unlocked(self) -> bool:
        """Whether something has been unlocked for which commands may wait, since `offer_ready` was last called."""
        return self._unlocked and not self._serving

    def serve(self) -> None:
        """Serve whoever waits for keys that have got ready. To be called at the end of a turn of the event loop."""
        self.offer_ready()
        answers, self._answers = self._answers, []
        for wait, wire in answers:
            wait.resolve(wire)

    def offer_ready(self) -> None:
        """Offer keys that have got ready to those who wait for them, before anybody else may look at them."""
        if self._serving:
            return
        self._unlocked = False
        if not self._locks.room.pending or self._locks.is_seized:
            return
        self._serving = True
        self._store.ledger.now_unix_ms = int(time() * 1000)
        try:
            self._locks.room.serve(self._offer)
        finally:
            self._serving = False

    def answer(self, wait: Order, wire: bytes) -> None:
        """Answer a command that has waited; if others are being served, behind them: its client may go on at once."""
        if not self._serving:
            wait.resolve(wire)
            return
        self._answers.append((wait, wire))
        self._wake()

    def run(self, order: Order) -> bool:
        """Run an order about a ticket; False if it must wait until its partitions are served."""
        row = order.row
        if row is BLOCK:
            if not self._locks.readable(order.partitions) or self._locks.congested(order.partitions):
                return False
            try:
                self._block(order)
            except CommandError as refusal:
                order.fail(refusal)
            return True
        ticket = self._tickets.get(order.argv[1])
        if row is LEAVE:
            if ticket is not None:
                self._forget(ticket)
                if ticket.turn is not None:  # else its node would keep the question as long as the link stands
                    ticket.turn.resolve(OK.wire)
            order.resolve(OK.wire)
        elif ticket is None:
            order.refuse()
        elif row is TURN:
            self._await_turn(ticket, order)
        elif not self._locks.leased:
            return False
        else:
            assert row is TAKE
            self._take(ticket, order)
        return True

    def lacks_copies(self, order: Order) -> bool:
        """Tell whether an order has a command wait, or run, that writes where too few copies are in sync for it."""
        if order.row is not BLOCK or not self._locks.scarce(order.partitions):
            return False
        row = lookup(order.argv[COMMAND_AT]) if len(order.argv) > COMMAND_AT else None
        return row is None or row.writes

    def _block(self, order: Order) -> None:
        """Run `BLOCK ticket mode waited_ms argv...`: the command, unless it is only to wait. Raises CommandError.

        The mode is `try`; `part`, if it is asked of other owners, too, and not to be called before it asks for its
        turn; or `wait`. It has waited so long elsewhere.
        """
        try:
            _, name, mode, waited_ms, *argv = order.argv
            row, arrived_s = resolve(argv), self._clock() - int(waited_ms) / 1000
        except (ValueError, IndexError):
            raise MalformedTicket from None
        if row.awaits is None or name in self._tickets:
            raise MalformedTicket
        wire = Waits(0, instead=None).wire
        if mode != b"wait":
            reply = self._executor().run(
                row, argv, self._store.keyspace(order.database), order.protocol, order.partitions
            )
            if not isinstance(reply, bytes) or waits_ms(reply) is None:
                order.follow(reply)
                return
            wire = reply
        if row.awaits.settled is not None:
            ids = row.awaits.settled(self._store.keyspace(order.database), argv)
            argv, wire = [*argv[: -len(ids)], *ids], waiting_from(wire, ids)
        ticket = Ticket(order, row, argv, mode=mode, arrived_s=arrived_s)
        self._tickets[name] = ticket
        self._locks.room.wait(ticket)
        if ticket.whole:  # it has been run, but others may have come in between
            for stored in ticket.keys:
                self._locks.room.touch(stored)
        order.resolve(wire)

    def _await_turn(self, ticket: Ticket, order: Order) -> None:
        """Run `TURN ticket`: answer with the key, when it is called."""
        ticket.turn = order
        if ticket.called is not None and ticket.locked:
            order.resolve(bulk(ticket.called))
        elif ticket.silent or ticket.called is not None:
            ticket.silent, ticket.called = False, None
            for stored in ticket.keys:
                self._locks.room.touch(stored)

    def _offer(self, waiter: Waiter, stored: StoredKey) -> Verdict:
        """Call a waiting command if a key has what it waits for."""
        assert isinstance(waiter, Ticket)
        if waiter.called is not None:
            return Verdict.LATER if waiter.called == stored[1] else Verdict.PASSED
        if waiter.silent:
            return Verdict.PASSED
        database, key = stored
        space = self._store.keyspace(database)
        partition = space.at(key)
        value = partition.value(key)
        if value is None and partition.changed:
            partition.ship(None)
        awaits = waiter.row.awaits
        assert awaits is not None
        if isinstance(value, awaits.kind):
            if awaits.ready is not None and not awaits.ready(space, waiter.to_run(key)):
                return Verdict.PASSED
        elif awaits.gone is None:
            return Verdict.PASSED
        numbers = waiter.partitions(key)
        limited = waiter.row.writes and (self._locks.scarce(numbers) or self._locks.congested(numbers))
        if limited or not self._locks.lock(waiter.name, numbers):
            return Verdict.LATER
        waiter.called, waiter.locked = key, numbers
        if waiter.turn is not None:
            waiter.turn.resolve(bulk(key))
        return _outcome(waiter)

    def _take(self, ticket: Ticket, order: Order) -> None:
        """Run `TAKE ticket`: the command whose turn has come, or let its node run it."""
        if ticket.called is None or not self._locks.holds(ticket.name, ticket.locked):
            self._forget(ticket)
            order.refuse()
            return
        key, numbers = ticket.called, ticket.locked
        if ticket.whole:  # it locks all that it needs itself; those behind it wait meanwhile
            self._unlocked |= self._locks.unlock(ticket.name, numbers)
            ticket.turn, ticket.locked = None, ()
            order.resolve(Waits(0, instead=None).wire)
            return
        if ticket.row.writes and self._locks.scarce(numbers):
            self._again(ticket, order, Waits(0, instead=None).wire)
            return
        argv, space = ticket.to_run(key), self._store.keyspace(ticket.database)
        awaits = ticket.row.awaits
        assert awaits is not None
        try:
            if awaits.gone is not None and (ending := awaits.gone(space, argv)) is not None:
                raise ending
            reply = self._executor().run(ticket.row, argv, space, ticket.protocol, numbers)
        except CommandError as refusal:
            self._forget(ticket)
            order.fail(refusal)
            return
        if isinstance(reply, bytes) and waits_ms(reply) is not None:
            self._again(ticket, order, reply)
            return
        self._forget(ticket)
        order.follow(reply)

    def _again(self, ticket: Ticket, order: Order, wire: bytes) -> None:
        """Have a command wait on whose turn it was."""
        self._unlocked |= self._locks.unlock(ticket.name, ticket.locked)
        ticket.called, ticket.locked, ticket.turn = None, (), None
        order.resolve(wire)

    def _forget(self, ticket: Ticket) -> None:
        self._locks.room.leave(ticket)
        self._tickets.pop(ticket.name, None)
        self._unlocked |= self._locks.unlock(ticket.name, ticket.locked)

    def release_of(self, node: str) -> None:
        """Forget the commands of a node that is gone; what it had locked is another's business."""
        for ticket in [ticket for ticket in self._tickets.values() if node_of(ticket.name) == node]:
            self._forget(ticket)

    def _dismissed(self, waiter: Waiter) -> None:
        """Send a command back to its node: one of its keys is not served here any more."""
        assert isinstance(waiter, Ticket)
        self._forget(waiter)
        if waiter.turn is not None:
            self._sent_back.append(waiter.turn)

    def send_back(self) -> None:
        """Tell the nodes of commands that cannot wait here any more.

        To be called when all partitions are as they shall be.
        """
        sent_back, self._sent_back = self._sent_back, []
        for turn in sent_back:
            turn.refuse()


def _outcome(ticket: Ticket) -> Verdict:
    """Tell what came of a call; if the client is on this node, all is settled already."""
    if not ticket.present:
        return Verdict.TAKEN
    return Verdict.PASSED if ticket.called is None else Verdict.LATER
