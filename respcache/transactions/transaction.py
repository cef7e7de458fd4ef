"""Commands on keys of several owners: all locked, run on one node, committed to each.

What is run is one command, or what a client has queued between MULTI and EXEC. The node
that has the client runs the transaction:

    lock the partitions at their primaries (see `claiming`), compare the states of watched
        keys, and read the keys
    run the handlers on a scratch store that holds just these keys
    write the changed keys back, which unlocks

Nobody sees the keys in between: their partitions serve no other command while locked.
Nobody waits in a circle, for the reasons given in `claiming`. What was read is told once
all owners have committed, who thereby say that their locks have held under a lease, and
that copies have what was read. Until the first write goes out a failure changes nothing
and the command is tried again. What a crash does after that:

    an owner dies before it has taken its writes, or before a copy has them: its keys are
        as before, those of the other owners are written; the client is told that the
        outcome is uncertain
    an owner dies after a copy of each of its partitions has them: all is written; if its
        answer is lost the client is told that the outcome is uncertain
    this node dies: each owner that got its writes has them, the others unlock when they
        hear of the death, their keys as before; the client has lost its connection

The writes to one owner are one message, run in one turn of its event loop, and go to each
copy in one frame. So all keys of one owner are written or none, unless it dies with the
frames to some of its copies sent and to others not.
"""

from collections.abc import Callable, Container, Sequence
from time import time
from typing import Final

from respcache.cluster.ownership.slots import EVERYWHERE, partition_of
from respcache.commands.registry import Command
from respcache.commands.resolving import resolve
from respcache.commands.stage import Scripts, Wandered
from respcache.commands.transactions import ExecAborted
from respcache.engine.acting import answer, check_pairs
from respcache.engine.grounds import OnScratch
from respcache.engine.reach import Reach
from respcache.errors import CommandError, InternalError, OutOfMemory, TryAgain, Uncertain
from respcache.pending import when_all
from respcache.reply import OK, Waits
from respcache.resp.encode import encode, error
from respcache.routing.internal import COMMIT, LOCK, UNITS
from respcache.routing.merging import elements
from respcache.routing.order import Order
from respcache.store.copies import Copies, StoredKey
from respcache.store.events import Happening
from respcache.store.keyspace import Store
from respcache.strand import Hold, Rested
from respcache.transactions.claiming import FINAL, Claim, Shares
from respcache.transactions.exchanging import Exchanges
from respcache.transactions.participant import AT_ONCE, CHANGED, HAPPENED, unit_of
from respcache.transactions.unit import Call, token_words

KEYS: Final = b"KEYS"


class Transactions:
    """Those that a node runs, one after the other on the same scratch store."""

    def __init__(
        self,
        name: str,
        store: Store,
        scripts: Scripts,
        *,
        owner_of: Sequence[str],
        dispatch: Callable[[Order], None],
        again: Callable[[Order], None],
        hold: Hold,
    ) -> None:
        """`name` is the node's; `owner_of` has the primaries by partition, `dispatch` sends an order on its way.

        `again` takes a command back, to try it later; `hold` is what stands still while a script rests.
        """
        self._name: Final = name.encode()
        self._ledger: Final = store.ledger
        self._copies: Final = Copies(store.scratch())
        self.scratch: Final = self._copies.store
        self.nothing: Final = store.scratch()
        """Always empty; the other one is not while a script rests on it."""
        """Where commands on keys of several owners run; empty in between."""
        self._scripts: Final = scripts
        self._owner_of: Final = owner_of
        self._dispatch: Final = dispatch
        self._again: Final = again
        self._hold: Final = hold
        self._exchanges: Final = Exchanges(name, len(store), owner_of=owner_of, dispatch=dispatch, again=again)
        self._begun = 0

    def begin(self, order: Order) -> None:
        """Run an order, whose keys have several owners, as a transaction."""
        if order.row.name == "SWAPDB":
            self._exchanges.begin(order)
            return
        self._begun += 1
        try:
            transaction = Transaction(
                order,
                b"%b:%d" % (self._name, self._begun),
                owner_of=self._owner_of,
                scratch=self._copies,
                scripts=self._scripts,
                listening=self._ledger.journal.listening,
                dispatch=self._dispatch,
                again=self._again,
                hold=self._hold,
            )
        except CommandError as refusal:
            order.fail(refusal)
            return
        transaction.begin()


class Transaction:
    """Commands on keys of several owners, on the node that has the client.

    locking (all owners) --> running --> committing --> answered
       |-- refused --> releasing --> tried again   `-- owner lost --> uncertain
       |-- a watched key has changed --> releasing --> answered: null
    running -- reads keys that are not locked --> releasing --> begun anew, with these
    """

    def __init__(  # noqa: PLR0913 # all by name, from one place
        self,
        order: Order,
        name: bytes,
        *,
        owner_of: Sequence[str],
        scratch: Copies,
        scripts: Scripts,
        listening: int,
        dispatch: Callable[[Order], None],
        again: Callable[[Order], None],
        hold: Hold,
    ) -> None:
        """`dispatch` sends an order on its way; `again` takes the command back, to try it later.

        `listening` are the classes of events that the owners tell of (`Journal.listening`).

        Raises CommandError if the order can never be run so.
        """
        self._order: Final = order
        self._name: Final = name
        self._scratch: Final = scratch
        self._scripts: Final = scripts
        self._listening: Final = listening
        self._happenings: list[Happening] = []
        self._dispatch: Final = dispatch
        self._again: Final = again
        self._hold: Final = hold
        self._unit: Final = unit_of(order, len(scratch.store))
        if order.row in UNITS and any(call.spans_database for call in self._unit.calls):
            raise TryAgain
        self._keys: Final = self._unit.keys(len(scratch.store))
        if order.reach is not None:
            self._keys.update(order.reach.keys)
        self._missing: Final = Reach()
        """What the commands have come to and that is not locked, or not listed: the run does not count then."""
        self._listed: Final[dict[StoredKey, list[bytes]]] = {}
        """Keys by pattern, as all owners had them before anything was locked."""
        self._grounds: Final[list[OnScratch]] = []
        self._by_partition: Final[dict[int, list[StoredKey]]] = {}
        """The keys that it reads, or that are watched, by partition."""
        for stored in sorted(self._keys.union(self._unit.tokens), key=_partition):
            self._by_partition.setdefault(_partition(stored), []).append(stored)
        self._owner_of: Final = owner_of
        self._shares: Shares = {}
        self._before: Final[dict[StoredKey, bytes]] = {}
        """Entries of the keys read so far; empty for a key that is not there."""
        self._after: dict[StoredKey, bytes] = {}
        """The same, once the commands have run."""
        self._takes_memory: Final = any(call.row.denies_oom for call in self._unit.calls)

    def begin(self) -> None:
        """List the keys that match what scripts ask for, then lock, then run the commands."""
        reach = self._order.reach
        patterns = [] if reach is None else sorted(reach.patterns)
        listings = [self._list(number, pattern) for number, pattern in patterns]
        if listings:
            when_all(listings, lambda: self._take_listings(patterns, listings))
        else:
            self._lock()

    def _list(self, database: int, pattern: bytes) -> Order:
        listing = self._part(resolve([KEYS, pattern]), [pattern], EVERYWHERE, database, once=False)
        self._dispatch(listing)
        return listing

    def _take_listings(self, patterns: Sequence[StoredKey], listings: Sequence[Order]) -> None:
        for stored, listing in zip(patterns, listings, strict=True):
            wire = listing.wire or b""
            if not wire.startswith(b"*"):
                self._finish({}, None)
                return
            self._listed[stored] = [element[element.index(b"\n") + 1 : -2] for element in elements(wire)]
        self._lock()

    def _lock(self) -> None:
        Claim(self, list(self._by_partition), self._owner_of).ask()

    def lock(self, partitions: tuple[int, ...], *, at_once: bool) -> Order:
        """Ask an owner to lock partitions, and for what it has under the keys."""
        keys = self._keys_in(partitions)
        tokens = {stored: self._unit.tokens[stored] for stored in keys if stored in self._unit.tokens}
        read = [stored for stored in keys if stored in self._keys]
        words = [word for number, key in read for word in (b"%d" % number, key)]
        count = b"%b%b%d" % (AT_ONCE if at_once else b"", b"+" if self._takes_memory else b"", len(read))
        return self._send(LOCK, [count, *words, *token_words(tokens)], partitions)

    def unlock(self, partitions: tuple[int, ...], owner: str) -> Order:
        """Commit nothing."""
        return self._send(COMMIT, [], partitions, owner)

    def took(self, lock: Order, partitions: Sequence[int]) -> None:
        """Take the entries of keys."""
        read = [stored for stored in self._keys_in(partitions) if stored in self._keys]
        for stored, element in zip(read, elements(lock.wire or b"")[1:], strict=True):
            self._before[stored] = b"" if element.startswith(b"$-1") else element[element.index(b"\n") + 1 : -2]

    def claimed(self, refusal: Order | None, shares: Shares) -> None:
        """Run the commands, or say why not."""
        self._shares = shares
        if refusal is None:
            self._run()
            return
        wire = refusal.wire or b""
        if wire.startswith(OUT_OF_MEMORY):
            in_unit = self._order.row in UNITS
            self._finish({}, error(ExecAborted(wire[1:-2].decode()) if in_unit else OutOfMemory()))
        else:
            self._finish({}, wire if wire.startswith(FINAL) or wire == CHANGED else None)

    def _keys_in(self, partitions: Sequence[int]) -> list[StoredKey]:
        return [stored for number in partitions for stored in self._by_partition[number]]

    def _run(self) -> None:
        """Run the commands; later if a script among them rests. While another one does, there is no scratch store."""
        strand = self._scripts.strand
        if strand.is_resting:
            busy = self._scripts.busy()
            self._finish({}, None if busy is None else error(busy))
        elif not any(call.row.on_script is not None for call in self._unit.calls):
            self._run_with(self._replies)
        else:
            try:
                self._run_with(lambda: strand.run(self._replies, self._hold))
            except Rested:
                strand.then(self._run_with)

    def _run_with(self, run: Callable[[], list[bytes]]) -> None:
        """Go on with the replies; on a defect of this program, unlock everything first. Raises Rested."""
        try:
            wires = run()
        except Rested:
            raise
        except Exception:
            self._finish({}, error(InternalError()))
            raise
        self._ran(wires)

    def _replies(self) -> list[bytes]:
        """Run the commands on the scratch store, and empty it again."""
        scratch = self._scratch
        for (database, key), entry in self._before.items():
            scratch.restore(partition_of(key), database, key, entry or None)
        ledger = scratch.store.ledger
        ledger.now_unix_ms = int(time() * 1000)
        ledger.journal.listening = self._listening
        ledger.note_what_is_wanted()
        try:
            return [self._reply(call) for call in self._unit.calls]
        finally:
            self._happenings = ledger.journal.take()
            self._after = {stored: scratch.dump(partition_of(stored[1]), *stored) or b"" for stored in self._before}
            for database, key in self._missing.keys.union(self._before):
                scratch.restore(partition_of(key), database, key, None)

    def _ran(self, wires: list[bytes]) -> None:
        if self._missing.is_any:
            self._happenings = []
            self._finish({}, self._widened())
            return
        changed = {stored: entry for stored, entry in self._after.items() if entry != self._before[stored]}
        self._finish(changed, packed(wires) if self._order.row in UNITS else wires[0])

    def _reply(self, call: Call) -> bytes:
        """Run one command on the scratch store. A refusal is a reply, too: it changes nothing."""
        row, argv, space = call.row, call.argv, self._scratch.store.keyspace(call.database)
        try:
            if row.key_at:
                return encode(answer(row, argv, space.at(argv[row.key_at])), call.protocol)
            if row.on_script is not None:
                ground = OnScratch(self._scratch.store, call.database, self._keys, self._listed, self._missing)
                self._grounds.append(ground)
                return encode(row.on_script(self._scripts, ground, argv), call.protocol)
            check_pairs(row, argv)
            assert row.on_keys is not None
            if row.beyond is not None:
                beyond = [(call.database, key) for key in row.beyond(space, argv)]
                self._missing.keys.update([stored for stored in beyond if stored not in self._keys])
            reply = row.on_keys(space, argv)
            if isinstance(reply, Waits) and self._order.row is row:
                return reply.wire
            return encode(reply, call.protocol)
        except CommandError as refusal:
            return error(refusal)
        except Wandered:  # it has named more than enough keys for this time
            return b""

    def _widened(self) -> bytes | None:
        """Have the order run again with what is missing; or give the reply if there is no end to it."""
        order = self._order
        if order.reach is None:
            order.reach = Reach()
        try:
            order.reach.grow(self._missing)
        except CommandError as refusal:
            return error(refusal)
        return None

    def _finish(self, changed: dict[StoredKey, bytes], wire: bytes | None) -> None:
        """Write and unlock everywhere. Without a reply the command is tried again afterwards."""
        commits: list[Order] = []
        for owner, partitions in self._shares.items():
            keys = self._keys_in(partitions)
            written = [stored for stored in keys if stored in changed]
            words = [word for stored in written for word in (b"%d" % stored[0], stored[1], changed[stored])]
            words += _event_words(self._happenings, set(keys))
            commits.append(self._send(COMMIT, words, partitions, owner))
        when_all(commits, lambda: self._end(commits, wire, wrote=bool(changed)))

    def _end(self, commits: list[Order], wire: bytes | None, *, wrote: bool) -> None:
        """Answer if everybody has committed, which says that all locks have held until now."""
        failed = [commit for commit in commits if commit.refused or commit.wire != OK.wire]
        undone = not wrote or all(commit.refused for commit in commits)  # what is refused is certainly not done
        if wire is None or (failed and undone):
            self._again(self._order)
        elif failed:
            self._order.fail(Uncertain("An owner was lost while the command was committed to several"))
        else:
            for ground in self._grounds:
                ground.ended()
            self._order.resolve(wire)

    def _send(self, row: Command, words: list[bytes], partitions: tuple[int, ...], owner: str = "") -> Order:
        order = self._part(row, [self._name, *words], partitions, self._order.database, once=True)
        order.owner, order.writer = owner, self._order.writer
        self._dispatch(order)
        return order

    def _part(
        self, row: Command, words: list[bytes], partitions: tuple[int, ...], database: int, *, once: bool
    ) -> Order:
        argv = [row.name.encode(), *words]
        deadline_s = self._order.deadline_s
        return Order(row, argv, database=database, protocol=2, partitions=partitions, deadline_s=deadline_s, once=once)


def packed(wires: Sequence[bytes]) -> bytes:
    """Put the replies of a unit together as one: an array of bulk strings, whatever is in them."""
    return encode(list(wires), 2)


def unpacked(wire: bytes) -> list[bytes]:
    """Take the replies of a unit apart again."""
    return [element[element.index(b"\n") + 1 : -2] for element in elements(wire)]


def _event_words(happenings: Sequence[Happening], keys: Container[StoredKey]) -> list[bytes]:
    """Write down what has happened to some keys: `(!database key event)*`, an event being its class and its name."""
    return [
        word
        for happening in happenings
        if (happening.database, happening.key) in keys
        for word in (
            HAPPENED + b"%d" % happening.database,
            happening.key,
            b"%d %b" % (happening.event.kind, happening.event.name),
        )
    ]


def _partition(stored: StoredKey) -> int:
    return partition_of(stored[1])


OUT_OF_MEMORY: Final = error(OutOfMemory())
"""Answers a lock if an owner is full; nothing was run."""
