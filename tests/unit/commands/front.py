"""A node without sockets: the real host, its clients, and the command table between them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from respcache.cluster.health import Health
from respcache.cluster.ownership.redundancy import Redundancy
from respcache.cluster.ownership.slots import PARTITIONS
from respcache.cluster.progress import Rebalance
from respcache.cluster.stake import Stake
from respcache.cluster.topology import NodeView
from respcache.commands.families import ROWS
from respcache.commands.registry import Answer
from respcache.commands.resolving import resolve
from respcache.commands.session import Session
from respcache.config import Config
from respcache.engine.pausing import Pauses
from respcache.errors import CommandError
from respcache.host import NodeHost
from respcache.pending import Pending
from respcache.pubsub.exchange import Exchange
from respcache.reply import Reply
from respcache.resp.encode import encode
from respcache.scripting.catalogue import Catalogue
from respcache.scripting.interpreter import Interpreter
from respcache.scripting.sharing import Sharing
from respcache.settings import LiveSettings
from respcache.stats import Stats
from respcache.store.keyspace import Store
from respcache.store.ledger import Ledger
from respcache.store.partition import Argv
from respcache.tracking.readers import Readers
from respcache.tracking.tracking import Tracking
from respcache.transactions.multi import Multi

RUN_ID: Final = "a" * 40
NOW_UNIX_MS: Final = 1_700_000_000_000


def view(name: str, slots: tuple[tuple[int, int], ...], *, state: str = "alive", myself: bool = False) -> NodeView:
    """Describe a node; its id is its name over and over."""
    return NodeView(
        name=name,
        node_id=(name * 40)[:40],
        host="127.0.0.1",
        port=7000 + ord(name[0]),
        cluster_port=17000 + ord(name[0]),
        http_port=0,
        state=state,
        zone="",
        epoch=ord(name[0]),
        slots=slots,
        myself=myself,
    )


ALONE: Final = (view("a", ((0, 16383),), myself=True),)


HEALTH: Final = Health(
    leased=True,
    unowned=0,
    voters=3,
    voters_reached=3,
    voters_spare=1,
    splits=False,
    redundancy=Redundancy(2, 2, missing=0, partitions_short=0, partitions_single=0, under_way=0, surplus=0),
    rebalance=Rebalance(10, 30, 4, elapsed_s=59.1, eta_s=19.7, last_duration_s=0.0, last_ended_ago_s=math.inf),
    stake=Stake(),
)
"""A cluster of three in which all is well, and copies are being made."""


@dataclass(slots=True, eq=False)
class Alarm:
    """A call to come; time passes when the test says so."""

    due_s: float
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        """Do not call."""
        self.cancelled = True


class Front:
    """One node and its clients."""

    def __init__(
        self,
        config: Config | None = None,
        nodes: tuple[NodeView, ...] = ALONE,
        *,
        multi: Multi | None = None,
        redirection: Callable[[Session, bytes], CommandError | None] = lambda _session, _key: None,
    ) -> None:
        self.nodes = nodes
        self.sessions: list[Session] = []
        self.rerun: Callable[[Session, Argv], bytes | Pending] | None = None  # runs what was held up
        self.now_s = 1000.0
        self.alarms: list[Alarm] = []
        self.asked_of_membership: list[tuple[object, ...]] = []
        self.shutdowns = self.takeovers = 0
        self.health: Health | None = None
        ledger = Ledger()
        self.host: Final = NodeHost(
            settings=LiveSettings(config or Config(), lambda _config: None, lambda _chosen: None),
            stats=Stats(len(ROWS)),
            store=Store(ledger=ledger),
            exchange=Exchange(),
            run_id=RUN_ID,
            sessions=lambda: self.sessions,
            topology=lambda: self.nodes,
            meet=lambda host, port: self.asked_of_membership.append(("meet", host, port)),
            forget=lambda name: self.asked_of_membership.append(("forget", name)),
            transact=lambda session: _there(multi).execute(session),
            watch=lambda session, keys: _there(multi).watch(session, keys),
            redirection=redirection,
            pause=Pauses(
                sessions=lambda: self.sessions, run=self._rerun, now_s=self._now_s, call_at=self._call_at, ledger=ledger
            ),
            shut_down=self._shut_down,
            health=lambda: self.health,
            take_over=self._take_over,
        )
        self.host.tracking = _tracking(self.host.store)
        self.host.store.ledger.now_unix_ms = NOW_UNIX_MS
        self.scripts: Final = Interpreter(
            lambda: self.host.session("", ""),
            self.host.stats,
            memory_max_bytes=16 * 1024 * 1024,
            time_limit_ms=60_000,
            library_max_bytes=1024 * 1024,
            seed=1,
        )
        self.host.catalogue = Catalogue(self.scripts, Sharing("a", self.scripts, now_unix_ms=lambda: NOW_UNIX_MS))

    def _rerun(self, session: Session, argv: Argv) -> bytes | Pending:
        """Run a command that was held up."""
        return self.wire(session, *argv) if self.rerun is None else self.rerun(session, argv)

    def _now_s(self) -> float:
        return self.now_s

    def _call_at(self, due_s: float, callback: Callable[[], None]) -> Alarm:
        self.alarms.append(Alarm(due_s, callback))
        return self.alarms[-1]

    def client(self) -> Session:
        """Connect a client."""
        session = self.host.session(f"127.0.0.1:{50_000 + len(self.sessions)}", "127.0.0.1:6379")
        session.transmit = lambda _wire: None
        self.sessions.append(session)
        return session

    def ask(self, session: Session, *words: bytes) -> Reply:
        """Run a command of a client whose reply is a single value. Raises CommandError."""
        reply = self._run(session, list(words))
        assert not isinstance(reply, Pending)
        return reply

    def answer(self, session: Session, *words: bytes) -> Answer:
        """Run a command of a client whose reply may have yet to come. Raises CommandError."""
        return self._run(session, list(words))

    def _run(self, session: Session, argv: Argv) -> Answer:
        row = resolve(argv)
        if row.on_session is not None:
            return row.on_session(session, argv)
        space = self.host.store.keyspace(session.database)
        return row.on_key(space.at(argv[row.key_at]), argv)

    def wire(self, session: Session, *words: bytes) -> bytes:
        """Run a command of a client; give the reply as it is sent, refusals too."""
        try:
            reply = self._run(session, list(words))
            if isinstance(reply, Pending):
                assert reply.wire is not None, "a node alone waits for nobody"
                return reply.wire
            return encode(reply, session.protocol)
        except CommandError as refusal:
            return encode(refusal, session.protocol)

    def _take_over(self) -> None:
        self.takeovers += 1

    def _shut_down(self) -> None:
        self.shutdowns += 1


def _there(multi: Multi | None) -> Multi:
    assert multi is not None, "this node runs no transactions"
    return multi


def _tracking(store: Store) -> Tracking:
    """Keep in mind what clients cache, on a node that has all keys."""
    return Tracking(
        "a",
        Readers(store, remark=lambda _numbers: None),
        primary=["a"] * PARTITIONS,
        soon=lambda _call: None,
        when_safe=lambda _numbers, _call: False,
        send=lambda _peer, _body: None,
    )
