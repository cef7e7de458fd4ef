"""One node's part in keeping the caches of clients right.

The owner of a key remembers which nodes have read it (`readers`), each node which of its clients (`clients`). A node
says to the owner that it reads a key *before* the read, over the same ordered link, and it has a place in
the queue of its client's replies by then. The owner tells of a change when everybody can see it.
Thus, whatever overtakes what, a client is sent the message behind the reply of each read that came before the change:

    client         its node                          owner
      | GET k ------> | -- Read k, GET k ------------> | remembers the node, reads
      |               | <- value, or Changed k first - | <-- SET k
      | <--- value -- |    (in either order)           |
      | <--- invalidate: always behind it

Where nobody may be told any more, what might be missed is forgotten at once: the keys of partitions whose
primary has become another; and, when a link breaks or comes back, or the node at its end is silent for
too long, the keys of that node. Clients that want all keys with a prefix forget everything then, for what
they cache may have been read over any connection.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeAlias, assert_never

from respcache.cluster.ownership.slots import partition_of
from respcache.commands.registry import Command
from respcache.commands.session import Session
from respcache.commands.tracker import Tracker
from respcache.pending import Pending
from respcache.reply import OK
from respcache.store.partition import Argv
from respcache.tracking.clients import Clients
from respcache.tracking.readers import Reader, Readers
from respcache.tracking.wire import ITEMS_MAX, Asked, Changed, Heard, Interest, Message, Read, decode, encode

ASK_S: Final = 1.0
"""From one question whether a node is still there to the next."""

Call: TypeAlias = Callable[[], None]


class _Peer:
    """Another node, over one link.

    unsettled --it has heard what the clients here want--> settled --silent for too long--> unsettled
    """

    __slots__ = ("asked", "asked_s", "heard", "settled", "waiting")

    def __init__(self) -> None:
        self.asked = 0
        """Number of the last thing said to it that is to be answered."""
        self.heard = 0
        """The last that was."""
        self.asked_s: float | None = None
        """When the oldest without an answer was found to have none."""
        self.settled = False
        """Whether what it tells can be relied on, with nothing missing since."""
        self.waiting: list[tuple[int, Call]] = []
        """Who waits until it has heard something."""


class Tracking:
    """Tracked clients of one node, and the keys of this node that any clients cache."""

    def __init__(
        self,
        name: str,
        readers: Readers,
        *,
        primary: Sequence[str],
        soon: Callable[[Call], object],
        when_safe: Callable[[Sequence[int], Call], bool],
        send: Callable[[str, bytes], None],
    ) -> None:
        """`primary` names the owners of all partitions, and is edited in place; `rerouted` says when.

        `soon` calls at the end of a turn of the event loop. `when_safe` tells whether the effects on some partitions
        are still missing on copies, and calls once they are not. `send` puts a message on the link to a node, if
        there is one.
        """
        self.clients: Final = Clients()
        self.readers: Final = readers
        self.keys_max: Callable[[], int] = int
        """Gives the setting `tracking-table-max-keys`."""
        self.told = 0
        """Messages to other nodes about changed keys."""
        self._name: Final = name
        self._primary: Final = primary
        self._seen: Final[list[str]] = list(primary)
        """The owners by which the clients' keys are remembered."""
        self._soon: Final = soon
        self._when_safe: Final = when_safe
        self._send: Final = send
        self._peers: Final[dict[str, _Peer]] = {}
        """Those with a link."""
        self._waking = False
        self._ask_at_s = 0.0
        readers.meet(name)
        readers.wake = self._wake

    # -- from clients ---------------------------------------------------------------------

    def enable(self, session: Session, tracker: Tracker) -> Pending:
        """Track a client from now on. Raises TooManyPrefixes. With prefixes, it is confirmed when all nodes know it."""
        before = self._interest
        self.clients.enter(session, tracker)
        tracker.writer = (self._name, session.client_id) if tracker.noloop else None
        session.restrict()
        self._interested(before)
        reply = Pending()
        missing = 1

        def arrived() -> None:
            nonlocal missing
            missing -= 1
            if not missing:
                reply.resolve(OK.wire)

        for peer in self._peers.values() if tracker.bcast else ():
            if peer.heard < peer.asked:
                missing += 1
                peer.waiting.append((peer.asked, arrived))
        arrived()
        return reply

    def disable(self, session: Session) -> None:
        """Track a client no more."""
        before = self._interest
        self.clients.leave(session)
        session.restrict()
        self._interested(before)

    def before(self, session: Session, tracker: Tracker, row: Command, argv: Argv) -> None:
        """Take note of what a client is about to read, and of who is about to write; of a script see `declared`."""
        self.readers.writer = tracker.writer
        if row.on_session is None and row.on_script is None:
            self._note(session, tracker, row, argv)
        elif row.name == "EXEC" and session.queue is not None:
            for queued, words in session.queue.calls:
                self._note(session, tracker, queued, words)

    def declared(self, session: Session, tracker: Tracker, row: Command, argv: Argv) -> "ScriptKeys":
        """Give what is to be told of a script of a client's: when it reads, and when it writes."""
        return ScriptKeys(
            row.keys.of(argv),
            remember=(lambda keys: self._remember(session, keys)) if tracker.remembers else None,
            writes=(lambda key: self.clients.writes(session, key)) if tracker.noloop and row.writes else None,
        )

    def after(self) -> None:
        """Take note that the client's command has been run."""
        self.readers.writer = None

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Run what is not the present client's, though that may have let it go on: it hears of what is changed."""
        readers = self.readers
        writer, readers.writer = readers.writer, None
        try:
            yield
        finally:
            readers.writer = writer

    def _note(self, session: Session, tracker: Tracker, row: Command, argv: Argv) -> None:
        """Take note of the keys of one command: a script between MULTI and EXEC may read all that it names."""
        if row.on_session is not None or not (row.key_at or row.keys.names_keys):
            return
        keys = [argv[row.key_at]] if row.key_at else row.keys.of(argv)
        if tracker.remembers and (not row.writes or row.on_script is not None):
            self._remember(session, keys)
        if tracker.noloop and row.writes:
            for key in keys:
                self.clients.writes(session, key)

    def _remember(self, session: Session, keys: list[bytes]) -> None:
        asked: dict[str, list[bytes]] = {}
        for key in dict.fromkeys(keys):
            if self.clients.remember(session, key):
                asked.setdefault(self._owner(key), []).append(key)
        keys_max = self.keys_max()
        for owner, mine in asked.items():
            if owner == self._name:
                self.readers.read(owner, session.database, mine, keys_max)
            elif owner in self._peers:
                for start in range(0, len(mine), ITEMS_MAX):
                    self._say(owner, Read(session.database, mine[start : start + ITEMS_MAX]))
        for key in self.clients.oldest(keys_max):
            self.clients.invalidate(key)
            self._wake()

    # -- from the record and the links -----------------------------------------------------------

    def rerouted(self) -> None:
        """Forget what was read of former owners, who will tell of no more changes."""
        moved = [number for number, owner in enumerate(self._primary) if owner != self._seen[number]]
        if not moved:
            return
        former = {self._seen[number] for number in moved}
        self._seen[:] = self._primary
        self._void(moved)
        if any(owner and owner != self._name and not self._hears(owner) for owner in former):
            self.clients.flush(everybody=False)
            self._wake()

    def connect(self, name: str) -> None:
        """There is a new link to a node."""
        self.disconnect(name)
        self._peers[name] = _Peer()
        self.readers.meet(name)
        self._void(self._owned_by(name))
        self._ask(name, self._peers[name], interest=True)

    def disconnect(self, name: str) -> None:
        """The link is gone: what has changed there meanwhile, nobody will tell."""
        peer = self._peers.pop(name, None)
        if peer is None:
            return
        self.readers.part(name)
        self._lose(name)
        for _, call in peer.waiting:
            call()

    def receive(self, name: str, body: bytes) -> None:
        """Take a message of another node's. Raises ProtocolError."""
        message = decode(body)
        peer = self._peers.get(name)
        if peer is None:
            return
        match message:
            case Interest():
                self.readers.want(name, flushes=message.flushes, prefixes=frozenset(message.prefixes))
                self._say(name, Heard(message.number))
            case Asked():
                self._say(name, Heard(message.number))
            case Heard():
                self._heard(peer, message.number)
            case Read():
                self.readers.read(name, message.database, message.keys, self.keys_max())
            case Changed():
                self._take_in(name, message)
                self._push()
            case _:
                assert_never(message)

    # -- from time ----------------------------------------------------------------------------------

    def sweep(self, now_s: float, patience_s: float) -> None:
        """Look after everything. To be called several times a second.

        A node that is silent for longer than `patience_s` is not relied on until it answers. As long as there are such
        owners of keys, or some without a link, clients that want prefixes forget everything again and again.
        """
        self.readers.limit(self.keys_max())
        if now_s < self._ask_at_s:
            return
        self._ask_at_s = now_s + ASK_S
        for name, peer in list(self._peers.items()):
            self._look_after(name, peer, now_s, patience_s)
        if self.clients.sessions:
            for owner in set(self._seen) - {"", self._name}:
                if not self._hears(owner):
                    self._lose(owner)

    def _look_after(self, name: str, peer: _Peer, now_s: float, patience_s: float) -> None:
        if peer.heard == peer.asked:
            peer.asked_s = None
            if self.clients.sessions:
                self._ask(name, peer, interest=False)
        elif peer.asked_s is None:
            peer.asked_s = now_s
        elif now_s - peer.asked_s > patience_s:
            peer.settled = False
            waiting, peer.waiting = peer.waiting, []
            for _, call in waiting:
                call()

    # -- inside -----------------------------------------------------------------------------------------

    @property
    def _interest(self) -> tuple[bool, frozenset[bytes]]:
        """Tell whether it matters that all keys are deleted, and which prefixes do.

        It does as long as a key is remembered, be it for a client that is tracked no more: the owner forgets it then.
        """
        return bool(self.clients.sessions) or len(self.clients) > 0, frozenset(self.clients.prefixes)

    def _interested(self, before: tuple[bool, frozenset[bytes]]) -> None:
        """Tell all nodes what the clients here want to hear, if that has changed."""
        flushes, prefixes = self._interest
        if (flushes, prefixes) != before:
            self.readers.want(self._name, flushes=flushes, prefixes=prefixes)
            for name, peer in self._peers.items():
                self._ask(name, peer, interest=True)

    def _ask(self, name: str, peer: _Peer, *, interest: bool) -> None:
        peer.asked += 1
        flushes, prefixes = self._interest
        self._say(name, Interest(peer.asked, flushes, sorted(prefixes)) if interest else Asked(peer.asked))

    def _heard(self, peer: _Peer, number: int) -> None:
        if not peer.heard < number <= peer.asked:
            return
        peer.heard, peer.asked_s = number, None
        if not peer.settled:
            peer.settled = True
            self.clients.flush(everybody=False)
            self._wake()
        ready = [call for asked, call in peer.waiting if asked <= number]
        peer.waiting = [(asked, call) for asked, call in peer.waiting if asked > number]
        for call in ready:
            call()

    def _hears(self, name: str) -> bool:
        peer = self._peers.get(name)
        return peer is not None and peer.settled

    def _owner(self, key: bytes) -> str:
        return self._seen[partition_of(key)]

    def _lose(self, name: str) -> None:
        """Have clients forget what they might not be told of by a node: its keys; all, if they want prefixes."""
        self._void(self._owned_by(name))
        self.clients.flush(everybody=False)

    def _owned_by(self, name: str) -> list[int]:
        return [number for number, owner in enumerate(self._seen) if owner == name]

    def _void(self, numbers: Iterable[int]) -> None:
        for key in self.clients.in_partitions(numbers):
            self.clients.invalidate(key)
        self._wake()

    def _wake(self) -> None:
        if not self._waking:
            self._waking = True
            self._soon(self._flush)

    def _flush(self) -> None:
        """Tell what has changed in this turn, as soon as that may be known."""
        self._waking = False
        told, partitions = self.readers.take()

        def tell() -> None:
            self._tell(told)

        def tell_soon() -> None:
            self._soon(tell)  # what made the effects safe may be in the middle of a client's commands

        if told and not self._when_safe(partitions, tell_soon):
            tell()
        self._push()

    def _tell(self, told: list[Reader]) -> None:
        for reader in told:
            for message in _changes(reader):
                if reader.name == self._name:
                    self._take_in(self._name, message)
                else:
                    self.told += 1
                    self._say(reader.name, message)
        self._push()

    def _take_in(self, name: str, message: Changed) -> None:
        """Have clients told what the owner of keys says of them."""
        if message.flushed:
            self.clients.forget_in(self._owned_by(name))
            self.clients.flush(everybody=True)
        for key in message.dropped:
            self.clients.invalidate(key)
        self.clients.changed(message.keys)

    def _push(self) -> None:
        for session, wire in self.clients.take():
            if session.transmit is not None:
                session.transmit(wire)

    def _say(self, name: str, message: Message) -> None:
        self._send(name, encode(message))


class ScriptKeys:
    """The keys that a script declares. A client has read them all once the script reads anything, as in Redis.

    idle --reads--> remembered --writes--> may be changed --reads--> remembered anew
      `----------------writes-----------------^
    """

    __slots__ = ("_keys", "_remember", "_was_read", "_was_written", "_writes")

    def __init__(
        self,
        keys: list[bytes],
        *,
        remember: Callable[[list[bytes]], None] | None,
        writes: Callable[[bytes], None] | None,
    ) -> None:
        """`remember` and `writes` are None where it does not matter that keys are read, or changed by the client."""
        self._keys: Final = keys
        self._remember: Final = remember
        self._writes: Final = writes
        self._was_read = False
        """Whether it has read something, and written nothing since."""
        self._was_written = False

    def reads(self) -> None:
        """Take note that the script is about to read something."""
        if not self._was_read:
            self._was_read, self._was_written = True, False
            if self._remember is not None:
                self._remember(self._keys)

    def writes(self) -> None:
        """Take note that it is about to write something."""
        if not self._was_written:
            self._was_read, self._was_written = False, True
            if self._writes is not None:
                for key in self._keys:
                    self._writes(key)


def _changes(reader: Reader) -> Iterable[Changed]:
    """Put what a node is to be told into messages of limited size; first that all was deleted, if it was."""
    changed = [
        (key, writer[1] if writer is not None and writer[0] == reader.name else 0)
        for key, writer in reader.changed.items()
    ]
    dropped = list(reader.dropped)
    flushed = reader.flushed
    while flushed or changed or dropped:
        yield Changed(flushed, changed[:ITEMS_MAX], dropped[:ITEMS_MAX])
        flushed, changed, dropped = False, changed[ITEMS_MAX:], dropped[ITEMS_MAX:]
