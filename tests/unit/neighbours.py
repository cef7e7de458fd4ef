"""Routers of several nodes without sockets: what one asks of another waits until it is delivered, refused or lost."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from respcache.cluster.ownership.slots import PARTITIONS, partition_of
from respcache.cluster.ownership.table import Table
from respcache.cluster.replication.log import Gate
from respcache.commands.families import ROWS
from respcache.commands.session import Session
from respcache.config import Config, ServerConfig
from respcache.engine.executor import Executor, Out
from respcache.engine.memory import Memory
from respcache.pending import Pending
from respcache.routing import errands
from respcache.routing.errands import Errand
from respcache.routing.locking import Locks
from respcache.routing.order import Order
from respcache.routing.relaying import order_of
from respcache.routing.router import Router
from respcache.routing.sheaf import Sheaf
from respcache.scripting.catalogue import Catalogue
from respcache.scripting.interpreter import Interpreter
from respcache.scripting.sharing import Sharing
from respcache.stats import Stats
from respcache.store.copies import Copies
from respcache.store.keyspace import Store
from respcache.store.partition import Argv, Log
from respcache.store.texts import Text, whole
from respcache.transactions.multi import Multi
from unit.alone import received
from unit.commands.front import Alarm, Front

TIMEOUT_S: Final = 5.0
BACKLOG_BYTES: Final = 1_000
NAMES: Final = ("a", "b", "c")


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """An order on its way to a peer."""

    asker: "Neighbour"
    owner: str
    order: Order
    version: tuple[int, int]
    """Of the record that the asker went by."""
    sheaf: Sheaf | None = None
    """What the order is a command of, under `number`."""
    number: int = 0

    @property
    def name(self) -> str:
        """The command that is asked for."""
        return self.order.row.name


class Neighbour:
    """One node: store, locks, router and executor. It is what its router knows of the peers, too."""

    def __init__(self, name: str, street: "Street", *, databases: int, redirect: str) -> None:
        self.name: Final = name
        self.store: Final = Store(databases)
        self.locks: Final = Locks(self.store, run=name.encode())
        self.stats: Final = Stats(len(ROWS))
        self.table: Final = Table()
        self.gates: Final[list[Gate]] = []
        """Given out one after the other; nothing is waited for while there is none."""
        self.scripts: Final = Interpreter(
            lambda: self.front.host.session("", ""),
            self.stats,
            memory_max_bytes=16 * 1024 * 1024,
            time_limit_ms=60_000,
            library_max_bytes=1024 * 1024,
            seed=1,
        )
        self.router: Final = Router(
            name=name,
            store=self.store,
            copies=Copies(self.store),
            scripts=self.scripts,
            locks=self.locks,
            stats=self.stats,
            table=self.table,
            gate=lambda _logs: self.gates.pop(0) if self.gates else None,
            peers=self,
            timeout_s=TIMEOUT_S,
            redirect=redirect,
            clock=lambda: street.now,
            call_at=street.call_at,
            backlog_max_bytes=BACKLOG_BYTES,
        )
        self.memory: Final = Memory(self.store, deleted=lambda: None, soon=lambda _again: None)
        self.router.executor = self.executor = Executor(self.store, self.stats, self.router, self.scripts, self.memory)
        self.multi: Final = Multi(self.router, self.executor, databases)
        self.front: Final = Front(
            Config(server=ServerConfig(databases=databases)), multi=self.multi, redirection=self.router.redirects.of
        )
        self.sharing: Final = Sharing(name, self.scripts, now_unix_ms=lambda: int(street.now * 1000))
        self.sharing.send = lambda node, body: street.nodes[node].sharing.receive(name, body)
        self.front.host.catalogue = Catalogue(self.scripts, self.sharing)
        self.withheld = False
        self.untold = self.untold_more = 0
        """What copies are still to be told of, and how much is added to it from one look to the next."""
        self._street: Final = street
        self.unanswered: Final[list[Question]] = []
        """What was asked of others."""
        self.acknowledging: Final[list[Order]] = []
        """Questions about copies, to be answered by the test."""

    def connected(self, node: str) -> bool:
        """Tell whether a link stands."""
        return node in self._street.nodes and node not in self._street.cut

    def ask(self, node: str, order: Order) -> None:
        """Put an order on its way."""
        question = Question(self, node, order, self.table.version)
        self.unanswered.append(question)
        self._street.questions.append(question)

    def relay(self, node: str, sheaf: Sheaf, partition: int, argv: Argv) -> None:
        """Put a command of a sheaf on its way."""
        sheaf.sent((len(sheaf.requests), (partition,), argv))
        order = order_of(sheaf, (partition,), argv)
        question = Question(self, node, order, sheaf.version, sheaf, len(sheaf.requests) - 1)
        self.unanswered.append(question)
        self._street.questions.append(question)

    def serve(self, question: Question, answer: Callable[[bytes | None], None]) -> None:
        """Run what another node asks."""
        order = question.order
        errand = Errand(question.version, order.database, order.protocol, order.deadline_s)
        request = (1, list(order.partitions), order.argv)
        errands.run(self.router, errand, [request], lambda _number, wire: answer(wire))

    def answered(self, question: Question, wire: bytes | None) -> None:
        """Take an answer in."""
        self.unanswered.remove(question)
        if question.sheaf is None:
            self.router.answered(question.order, wire)
        else:
            self.router.relays.returned(question.sheaf, [(question.number, wire)])

    def under_way(self) -> list[tuple[str, Order | Sheaf]]:
        """List what this node has asked and has not had an answer to."""
        return [(question.owner, question.sheaf or question.order) for question in self.unanswered]

    def client_address(self, node: str) -> tuple[str, int]:
        """Give a made-up address."""
        return (f"{node}.example", 6379)

    def acknowledge(self, order: Order) -> None:
        """Answer as if so many copies had everything."""
        self.acknowledging.append(order)

    def withhold(self, withheld: bool) -> None:  # noqa: FBT001 # as `order.Peers` has it
        """Note whether effects are kept from the copies."""
        self.withheld = withheld

    def untold_bytes(self) -> int:
        """Tell what the test says; no less the next time."""
        self.untold += self.untold_more
        return self.untold

    def wake(self) -> None:
        """Nothing is sent here."""

    def lapsed(self) -> None:
        """Serve nothing any more."""
        self.locks.suspend()

    def batch(self, session: Session, *requests: Sequence[bytes]) -> Out:
        """Run requests as the connection does, up to a barrier."""
        out: Out = []
        self.executor.batch(session, received(*[list(argv) for argv in requests]), out)
        return out


class Street:
    """Nodes that share the partitions: partition p belongs to node p modulo their number."""

    def __init__(
        self, names: Sequence[str] = NAMES, *, databases: int = 16, redirect: str = "auto", log: Log | None = None
    ) -> None:
        self.now = 100.0
        self.alarms: Final[list[Alarm]] = []
        self.cut: Final[set[str]] = set()
        """Nodes that nobody has a link to."""
        self.questions: Final[deque[Question]] = deque()
        self.nodes: Final = {name: Neighbour(name, self, databases=databases, redirect=redirect) for name in names}
        owners = [names[number % len(names)] for number in range(PARTITIONS)]
        for node in self.nodes.values():
            for peer in names:
                if peer != node.name:
                    node.sharing.connect(peer)
            node.table.version = (1, 1)
            node.table.primary[:] = owners
            for number, owner in enumerate(owners):
                if owner == node.name:
                    node.locks.open(number, log)
                else:
                    node.locks.close(number)

    def client(self, name: str = "a") -> Session:
        """Connect a client to a node."""
        return self.nodes[name].front.client()

    def deliver(self, question: Question) -> None:
        """Have an order run by its owner, and the answer given back when it is there."""
        self.nodes[question.owner].serve(question, lambda wire: question.asker.answered(question, wire))

    def refuse(self, question: Question) -> None:
        """Send an order back as if its owner did not serve the keys."""
        question.asker.answered(question, None)

    def lose(self, question: Question) -> None:
        """Break the link before the answer comes."""
        question.asker.unanswered.remove(question)
        if question.sheaf is None:
            question.asker.router.lost(question.order, sent=True)
        else:
            question.asker.router.relays.lost(question.sheaf, question.number)

    def settle(self) -> None:
        """Deliver whatever is on its way, and what follows from it."""
        self.end_turn()
        while self.questions:
            self.deliver(self.questions.popleft())
            self.end_turn()

    def end_turn(self) -> None:
        """End a turn of every node's event loop."""
        for node in self.nodes.values():
            node.router.tickets.serve()

    def call_at(self, due_s: float, callback: Callable[[], None]) -> Alarm:
        """Call a function when it is time; see `pass_time`."""
        self.alarms.append(Alarm(due_s, callback))
        return self.alarms[-1]

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and call whoever is to be called meanwhile."""
        self.now += seconds
        for alarm in sorted(self.alarms, key=lambda alarm: alarm.due_s):
            if alarm.due_s <= self.now and not alarm.cancelled:
                alarm.cancelled = True
                alarm.callback()

    def take(self, name: str) -> Question:
        """Deliver up to the first order of this name, and take that one off its way."""
        while self.questions:
            question = self.questions.popleft()
            if question.name == name:
                return question
            self.deliver(question)
        raise AssertionError(f"nobody asks for {name}")

    def ask(self, session: Session, *words: bytes, node: str = "a") -> bytes:
        """Run one command to its end and return the reply."""
        out = self.nodes[node].batch(session, words)
        self.settle()
        session.barrier = None
        return arrived(out[0])

    def values(self) -> dict[tuple[int, bytes], object]:
        """Collect all keys from their owners: what stands elsewhere counts as a key of its own, and shows."""
        found: dict[tuple[int, bytes], object] = {}
        for node in self.nodes.values():
            for space in node.store.used():
                for partition in space.partitions:
                    for key, value in partition.values.items():
                        assert (space.number, key) not in found, "two nodes hold the key"
                        known = ("raw", whole(value)) if isinstance(value, Text) else value
                        found[space.number, key] = (known, partition.deadline(key))
        return found


def arrived(reply: bytes | Pending) -> bytes:
    """Give a reply that must be there by now."""
    wire = reply.wire if isinstance(reply, Pending) else reply
    assert wire is not None, "the reply has not come yet"
    return wire


def key_of(name: str, count: int = 0, names: Sequence[str] = NAMES) -> bytes:
    """Find a key that a node owns, another one for each count."""
    mine = (
        key for key in (b"k%d" % number for number in range(10_000)) if names[partition_of(key) % len(names)] == name
    )
    for _ in range(count):
        next(mine)
    return next(mine)
