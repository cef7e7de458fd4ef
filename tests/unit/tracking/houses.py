"""Two nodes that tell each other of cached keys, without sockets: what is sent arrives when the test says so."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from respcache.cluster.ownership.slots import PARTITIONS
from respcache.commands.queue import Queue
from respcache.commands.registry import lookup
from respcache.commands.session import Session
from respcache.commands.tracker import Tracker
from respcache.pending import Pending
from respcache.routing.locking import Locks
from respcache.store.keyspace import Store
from respcache.tracking.tracking import ScriptKeys, Tracking
from unit.commands.front import Front

OWNER: Final = "a"
"""Owns all keys."""


class House:
    """One node."""

    def __init__(self, name: str, street: "Houses") -> None:
        self.name: Final = name
        self.store: Final = Store(2)
        self.locks: Final = Locks(self.store, run=name.encode())
        self.primary: Final = [OWNER] * PARTITIONS
        self.turn: Final[deque[Callable[[], object]]] = deque()
        self.gates: Final[list[Callable[[], None]]] = []
        """Changes that are not safe yet, if the test wants them to wait."""
        self.waits = False
        self.keys_max = 0
        self.tracking: Final = Tracking(
            name,
            self.locks.readers,
            primary=self.primary,
            soon=self.turn.append,
            when_safe=self._when_safe,
            send=lambda peer, body: street.mail.append((name, peer, body)),
        )
        self.tracking.keys_max = lambda: self.keys_max
        self._front: Final = Front()
        self._front.host.tracking = self.tracking
        for number in range(PARTITIONS):
            if name == OWNER:
                self.locks.open(number, None)
            else:
                self.locks.close(number)

    def _when_safe(self, numbers: Sequence[int], call: Callable[[], None]) -> bool:
        del numbers
        if self.waits:
            self.gates.append(call)
        return self.waits

    def client(self, tracker: Tracker | None = None) -> "Client":
        """Connect a client in RESP3, tracked by default."""
        client = Client(self, self._front.client())
        client.reply = self.tracking.enable(client.session, tracker or Tracker())
        return client

    def write(self, *words: bytes, client: "Client | None" = None, writer: Tracker | None = None) -> None:
        """Run a command on one key as its owner, for a client of this node or for the `writer` of another."""
        row = lookup(words[0])
        assert row is not None
        self.tracking.readers.writer = None if writer is None else writer.writer
        if client is not None:
            assert client.session.tracker is not None
            self.tracking.before(client.session, client.session.tracker, row, list(words))
        partition = self.store.keyspace(0).at(words[1])
        row.on_key(partition, list(words))
        if partition.changed:
            partition.ship(list(words))
        self.tracking.after()

    def declared(self, client: "Client", *keys: bytes) -> ScriptKeys:
        """Give what is told of a script of a client's that declares these keys."""
        row = lookup(b"EVAL")
        assert row is not None
        assert client.session.tracker is not None
        argv = [b"EVAL", b"", b"%d" % len(keys), *keys]
        return self.tracking.declared(client.session, client.session.tracker, row, argv)

    def end_turn(self) -> None:
        """End a turn of the event loop."""
        while self.turn:
            self.turn.popleft()()


class Client:
    """One connection."""

    def __init__(self, house: House, session: Session) -> None:
        self.session: Final = session
        self.reply: Pending
        self._house: Final = house
        self._heard = b""
        session.protocol = 3
        session.transmit = self._hear

    def _hear(self, wire: bytes) -> None:
        self._heard += wire

    def read(self, *keys: bytes) -> None:
        """Say that it reads keys."""
        row = lookup(b"MGET")
        assert row is not None
        assert self.session.tracker is not None
        self._house.tracking.before(self.session, self.session.tracker, row, [b"MGET", *keys])
        self._house.tracking.after()

    def writes(self, *words: bytes) -> None:
        """Say that it runs a command that may change a key."""
        row = lookup(words[0])
        assert row is not None
        assert self.session.tracker is not None
        self._house.tracking.before(self.session, self.session.tracker, row, list(words))
        self._house.tracking.after()

    def execute(self, *calls: tuple[bytes, ...]) -> None:
        """Say that it runs a transaction."""
        rows = [(lookup(words[0]), list(words)) for words in calls]
        row = lookup(b"EXEC")
        assert row is not None
        assert self.session.tracker is not None
        self.session.queue = Queue(len(rows) * 1000)
        for queued, words in rows:
            assert queued is not None
            self.session.queue.add(queued, words)
        self._house.tracking.before(self.session, self.session.tracker, row, [b"EXEC"])
        self.session.queue = None
        self._house.tracking.after()

    @property
    def heard(self) -> bytes:
        """What it was sent since the last time."""
        heard, self._heard = self._heard, b""
        return heard


class Houses:
    """The owner of all keys, and another node."""

    def __init__(self) -> None:
        self.mail: Final[deque[tuple[str, str, bytes]]] = deque()
        self.a: Final = House("a", self)
        self.b: Final = House("b", self)
        self.a.tracking.connect("b")
        self.b.tracking.connect("a")
        self.settle()

    def deliver(self) -> None:
        """Let the next message arrive."""
        sender, receiver, body = self.mail.popleft()
        {"a": self.a, "b": self.b}[receiver].tracking.receive(sender, body)

    def settle(self) -> None:
        """Let all happen that is to."""
        while self.mail or self.a.turn or self.b.turn:
            self.a.end_turn()
            self.b.end_turn()
            while self.mail:
                self.deliver()


def told(*keys: bytes) -> bytes:
    """Write the messages about keys, one each."""
    return b"".join(b">2\r\n$10\r\ninvalidate\r\n*1\r\n$%d\r\n%b\r\n" % (len(key), key) for key in keys)


FLUSHED: Final = b">2\r\n$10\r\ninvalidate\r\n_\r\n"
