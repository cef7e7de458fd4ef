"""Commands that wait for keys, on the node that has their client. Their turn at the keys is in `tickets`.

A command whose keys have one owner waits there, as it is. One that any of its keys
satisfies waits at the owner of each, for the keys of that owner alone, and is run there
with the key that gets ready first. One that needs several keys of several owners (BLMOVE)
waits for those that hold it up, and is run as a transaction when its turn comes; whoever waits
behind it waits for that, too.
"""

import logging
from collections.abc import Callable
from itertools import count
from typing import Final

from respcache.cluster.ownership.slots import partition_of, partitions_of
from respcache.cluster.ownership.table import Table
from respcache.commands.registry import Command, lookup
from respcache.commands.session import Session
from respcache.errors import Unblocked
from respcache.pending import Timer
from respcache.reply import NULL_ARRAY, waits_from, waits_ms
from respcache.resp.encode import encode, error
from respcache.routing.internal import BLOCK, LEAVE, TAKE, TURN
from respcache.routing.merging import elements
from respcache.routing.order import Order
from respcache.store.partition import Argv
from respcache.waiting.tickets import Tickets

log: Final = logging.getLogger(__name__)

GIVE_BACK_S: Final = 60.0
"""For how long it is tried to put back what was taken for a client that has gone."""
GIVE_BACK_PAUSE_S: Final = 0.5
"""From one attempt to the next."""
NOT_DONE: Final = (b"-OOM ", b"-NOREPLICAS ", b"-TRYAGAIN ", b"-CLUSTERDOWN ")
"""How answers begin that say that certainly nothing was done, and that it may be done later."""
NULL_ARRAY_2: Final = encode(NULL_ARRAY, 2)


class Desk:
    """What all waiting commands of the clients of one node share."""

    def __init__(  # from the router alone
        self,
        name: str,
        table: Table,
        tickets: Tickets,
        clock: Callable[[], float],
        call_at: Callable[[float, Callable[[], None]], Timer],
        timeout_s: float,
        *,
        dispatch: Callable[[Order], None],
        again: Callable[[Order], None],
    ) -> None:
        """`dispatch` sends an order on its way; `again` takes a command back, to be tried when the owners change.

        `tickets` are those of this node; `timeout_s` is how long one waits for an owner.
        """
        self.primary: Final = table.primary
        self.dispatch: Final = dispatch
        self.again: Final = again
        self.answer: Final = tickets.answer
        """Gives a command its reply, once nobody else has to be served before."""
        self.clock: Final = clock
        self.call_at: Final = call_at
        self.timeout_s: Final = timeout_s
        self.waits: Final[dict[Wait, None]] = {}
        """All that have not been answered, the oldest first."""
        self._name: Final = name.encode("utf-8", "surrogateescape")
        self._numbers: Final = count(1)

    def ticket(self) -> bytes:
        """Make up a name that no other transaction or waiting command has."""
        return b"%b:w%d" % (self._name, next(self._numbers))

    def give_back(self, argv: Argv, key: bytes, database: int) -> None:
        """Put back what was taken for a client that has gone meanwhile, with a command on that key.

        There may be no memory for it just now, too few copies, or no owner: then it is tried again.
        """
        row, until_s = lookup(argv[0]), self.clock() + GIVE_BACK_S
        assert row is not None

        def attempt() -> None:
            deadline_s = self.clock() + self.timeout_s
            order = Order(
                row, argv, database=database, protocol=2, partitions=partitions_of([key]), deadline_s=deadline_s
            )
            self.dispatch(order)
            order.then(lambda: answered(order))

        def answered(order: Order) -> None:
            wire = order.wire or b""
            if order.refused or wire.startswith(NOT_DONE):
                if self.clock() < until_s:
                    self.call_at(self.clock() + GIVE_BACK_PAUSE_S, attempt)
                    return
                log.error("what was taken of a key for a client that has gone is lost: %s", wire.decode().strip())

        attempt()

    def rerouted(self) -> None:
        """Have those wait elsewhere whose keys have another owner now."""
        for wait in list(self.waits):
            wait.rerouted()


class _Part:
    """What one owner is asked for."""

    __slots__ = ("argv", "owner", "partitions", "ticket")

    def __init__(self, ticket: bytes, owner: str, argv: Argv, partitions: tuple[int, ...]) -> None:
        self.ticket: Final = ticket
        self.owner: Final = owner
        self.argv: Final = argv
        self.partitions: Final = partitions


class Wait(Order):
    """One command that may have to wait, and its place in the queue of its client's replies.

    new --go--> asking each owner --one has a reply--> answered
     ^                `--none has--> waiting --a turn--> taking --reply--> answered
     |                                  |  ^                `--nothing--.
     `---- the owner has changed -------'  `----------------------------'

    Time out, CLIENT UNBLOCK and the end of the connection end it at once while it waits, else as soon as what
    is under way has turned out to have taken nothing.
    """

    __slots__ = (
        "_began_s",
        "_busy",
        "_desk",
        "_displaced",
        "_gone",
        "_parts",
        "_session",
        "_settled",
        "_timer",
        "_turns",
        "_verdict",
        "waiting",
    )

    def __init__(self, desk: Desk, session: Session, row: Command, argv: Argv) -> None:
        began_s = desk.clock()
        super().__init__(
            row,
            argv,
            database=session.database,
            protocol=session.protocol,
            partitions=partitions_of(row.keys.of(argv)),
            deadline_s=began_s + desk.timeout_s,
            turns=session.turns,
        )
        self._desk: Final = desk
        self._session: Final = session
        self._began_s: Final = began_s
        self._parts: list[_Part] = []
        self._turns: list[tuple[_Part, bytes]] = []
        """Where its turn has come, and with which key."""
        self._busy = False
        """Whether something is under way that may take an element."""
        self._displaced = False
        """Whether it has to begin anew as soon as nothing is under way."""
        self._gone = False
        """Whether the client has hung up."""
        self._verdict: bytes | None = None
        """The answer as soon as nothing is under way that has a better one."""
        self._timer: Timer | None = None
        self._settled = False
        """Whether all owners have let it wait, since it last began."""
        self.waiting = False
        """Whether the client counts as blocked."""
        desk.waits[self] = None

    # -- from the router --------------------------------------------------------------

    def go(self) -> None:
        """Begin, or begin anew, if all owners are known."""
        owners = self._owners()
        if "" in owners:
            self._desk.again(self)
            return
        assert self.row.awaits is not None
        if len(owners) > 1 and self.row.awaits.of is not None:
            self._transact()
            return
        self._ask_owners(owners)

    def _owners(self) -> dict[str, list[bytes]]:
        """List the owners of its keys, each with its own; "" for those that have none now."""
        owners: dict[str, list[bytes]] = {}
        for key in self.row.keys.of(self.argv):
            owners.setdefault(self._desk.primary[partition_of(key)], []).append(key)
        return owners

    def _ask_owners(self, owners: dict[str, list[bytes]]) -> None:
        """Ask each owner for its own keys, one after the other."""
        self._parts = [
            self._part(owner, self.argv if len(owners) == 1 else self.row.keys.narrowed(self.argv, keys), keys)
            for owner, keys in owners.items()
        ]
        self._ask(0, b"try" if len(owners) == 1 else b"part")

    def rerouted(self) -> None:
        """Begin anew if an owner has changed."""
        if self._is_misplaced:
            self._begin_anew()

    @property
    def _is_misplaced(self) -> bool:
        """Whether an owner has changed since it was asked."""
        primary = self._desk.primary
        return any(primary[number] != part.owner for part in self._parts for number in part.partitions)

    def resolve(self, wire: bytes) -> None:
        """Give the reply."""
        if self.wire is not None:
            return
        self._leave()
        self.waiting = False
        self._desk.waits.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
        session = self._session
        session.blocked = None
        count, session.uncounted = session.uncounted, None
        if count is not None:
            count()
        super().resolve(wire)

    # -- from the client's side ---------------------------------------------------------

    def unblock(self, *, refused: bool) -> bool:
        """End the wait, as if its time were over, or with an error; False if it does not wait."""
        if not self.waiting or self._verdict is not None:
            return False
        self._end(error(Unblocked()) if refused else self._nothing())
        return True

    def abandon(self) -> None:
        """Wait no more: the client is gone."""
        super().abandon()
        self._gone = True
        if self.wire is None and self._verdict is not None:
            self._give_back(self._verdict)
        self._end(b"")

    def _time_out(self) -> None:
        self._timer = None
        self._end(self._nothing())

    def _nothing(self) -> bytes:
        return encode(NULL_ARRAY, self.protocol)

    def _end(self, wire: bytes) -> None:
        if self._verdict is None:
            self._verdict = wire
        if not self._busy:
            self.resolve(self._verdict)

    # -- asking the owners ----------------------------------------------------------------

    def _part(self, owner: str, argv: Argv, keys: list[bytes]) -> _Part:
        return _Part(self._desk.ticket(), owner, argv, partitions_of(keys))

    def _ask(self, place: int, mode: bytes) -> None:
        """Have a part run, or wait.

        While others are still to be asked, which may mean to wait for a lock, it is not to be called: then
        it would have something locked itself.
        """
        part = self._parts[place]
        waited_ms = int((self._desk.clock() - self._began_s) * 1000)
        asked = self._order(BLOCK, [part.ticket, mode, b"%d" % waited_ms, *part.argv], part.partitions)
        self._busy = True
        asked.then(lambda: self._asked(place, asked, mode))

    def _asked(self, place: int, asked: Order, mode: bytes) -> None:
        part, timeout_ms = self._parts[place], waits_ms(asked.wire or b"")
        if asked.refused or timeout_ms is None:
            self._parts.remove(part)  # it has no ticket there
            self._done(asked)
            return
        self._limit(timeout_ms)
        self._settle_ids(part, waits_from(asked.wire or b""))
        if self._verdict is None and not self._displaced:
            if place + 1 < len(self._parts):
                self._ask(place + 1, mode)
                return
            for waiting in self._parts:
                self._await_turn(waiting)
        self._settle()

    def _settle_ids(self, part: _Part, ids: list[bytes]) -> None:
        """Put what `$` has stood for at an owner in its place, lest it stand for something else at the next one."""
        if not ids:
            return
        argv, mine = self.argv, set(self.row.keys.of(part.argv))
        keys = self.row.keys.of(argv)
        found = iter(ids)
        settled = [
            next(found, text) if key in mine else text for key, text in zip(keys, argv[-len(keys) :], strict=True)
        ]
        self.argv = [*argv[: -len(keys)], *settled]

    def _limit(self, timeout_ms: int) -> None:
        """Wait no longer than that, counted from the beginning; 0 is no limit, or what is known already."""
        if timeout_ms and self._timer is None:
            self._timer = self._desk.call_at(self._began_s + timeout_ms / 1000, self._time_out)

    def _await_turn(self, part: _Part) -> None:
        turn = self._order(TURN, [part.ticket], part.partitions)
        turn.then(lambda: self._called(part, turn))

    def _called(self, part: _Part, turn: Order) -> None:
        if part not in self._parts:
            return
        if turn.refused or (turn.wire or b"").startswith(b"-"):
            self._begin_anew()
            return
        wire = turn.wire or b""
        self._turns.append((part, wire[wire.index(b"\n") + 1 : -2]))
        if not self._busy:
            self._settle()

    def _settle(self) -> None:
        """Go on, now that nothing is under way."""
        self._busy = False
        if self._verdict is not None or self._session.killed:
            self.resolve(self._verdict or b"")
        elif self._displaced:
            self._begin_anew()
        elif self._turns:
            self._take(*self._turns.pop(0))
        else:
            self.waiting = self._settled = True

    def _take(self, part: _Part, key: bytes) -> None:
        """Take what there is, now that it is this one's turn."""
        self.waiting = False
        taken = self._order(TAKE, [part.ticket], self._concerned(part, key))
        self._busy = True
        taken.then(lambda: self._taken(part, taken))

    def _taken(self, part: _Part, taken: Order) -> None:
        if taken.refused or waits_ms(taken.wire or b"") is None:
            self._done(taken)
        elif self._has_to_transact(part):
            self._transact()
        else:
            self._await_turn(part)
            self._settle()

    def _concerned(self, part: _Part, key: bytes) -> tuple[int, ...]:
        """List the partitions that are locked for it when it is called for a key."""
        assert self.row.awaits is not None
        return partitions_of([key]) if self.row.awaits.of is None or self._has_to_transact(part) else self.partitions

    def _has_to_transact(self, part: _Part) -> bool:
        """Tell whether it needs keys of other owners besides."""
        assert self.row.awaits is not None
        return self.row.awaits.of is not None and part.partitions != self.partitions

    def _transact(self) -> None:
        """Run the command on keys of several owners; if there is nothing, wait for the key that holds it up."""
        run = Order(
            self.row,
            self.argv,
            database=self.database,
            protocol=self.protocol,
            partitions=self.partitions,
            deadline_s=self._desk.clock() + self._desk.timeout_s,
        )
        self._desk.dispatch(run)
        self._busy = True
        run.then(lambda: self._ran(run))

    def _ran(self, run: Order) -> None:
        timeout_ms = waits_ms(run.wire or b"")
        if run.refused or timeout_ms is None:
            self._done(run)
            return
        self._limit(timeout_ms)
        if self._verdict is not None or self._displaced:
            self._settle()
            return
        if self._parts:  # somebody else was quicker
            self._await_turn(self._parts[0])
            self._settle()
            return
        keys = self.row.awaited(self.argv)
        self._parts = [self._part(self._desk.primary[partition_of(keys[0])], self.argv, keys)]
        self._ask(0, b"wait")

    def _done(self, order: Order) -> None:
        """Answer as the owner did, or begin anew if it has done nothing."""
        self._busy = False
        if not order.refused:
            self._leave()
            if self._gone or self._session.killed:
                self._give_back(order.wire or b"")
            self._verdict = order.wire or b""
            self._desk.answer(self, self._verdict)
        elif self._verdict is not None:
            self.resolve(self._verdict)
        else:
            self._begin_anew()

    def _give_back(self, wire: bytes) -> None:
        """Put what was taken where it came from: the client has gone meanwhile."""
        assert self.row.awaits is not None
        back = self.row.awaits.back
        if back is None or not wire.startswith(b"*") or wire == NULL_ARRAY_2:
            return
        key, *taken = _texts(wire)
        self._desk.give_back(back(self.argv, key, taken), key, self.database)

    def _begin_anew(self) -> None:
        """Wait at other owners, as soon as they are known; the time that has passed counts there."""
        if self._settled:
            self._settled = False
            self.deadline_s = self._desk.clock() + self._desk.timeout_s
        self._displaced = self._busy
        if not self._busy:
            retry = self._desk.dispatch if self._is_misplaced else self._desk.again
            self._leave()
            retry(self)

    def _leave(self) -> None:
        """Give the tickets back."""
        parts, self._parts, self._turns = self._parts, [], []
        for part in parts:
            self._order(LEAVE, [part.ticket], part.partitions)

    def _order(self, row: Command, words: list[bytes], partitions: tuple[int, ...]) -> Order:
        order = Order(
            row,
            [row.name.encode(), *words],
            database=self.database,
            protocol=self.protocol,
            partitions=partitions,
            deadline_s=self.deadline_s,
            once=True,
        )
        self._desk.dispatch(order)
        return order


def _texts(wire: bytes) -> list[bytes]:
    """List all that a reply says, whatever is within what."""
    if wire.startswith(b"*"):
        return [text for element in elements(wire) for text in _texts(element)]
    return [wire[wire.index(b"\n") + 1 : -2] if wire.startswith(b"$") else wire[1:-2]]
