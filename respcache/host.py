"""The node, as far as commands may see it."""

import logging
from collections.abc import Callable, Sequence
from time import time_ns
from typing import Final

from respcache.cluster.health import Health
from respcache.cluster.sealing.rotation import Verb
from respcache.cluster.topology import NodeView
from respcache.commands.registry import Answer
from respcache.commands.session import Pause, Session
from respcache.commands.stage import Catalogue
from respcache.config import Config
from respcache.errors import CommandError
from respcache.latency import LatencyMonitor
from respcache.monitors import Monitors
from respcache.pending import Pending
from respcache.pubsub.exchange import Exchange
from respcache.rates import Rates
from respcache.resp.encode import integer
from respcache.settings import LiveSettings
from respcache.slowlog import SlowLog
from respcache.stats import Stats
from respcache.store.keyspace import Store
from respcache.tracking.tracking import Tracking

log: Final = logging.getLogger(__name__)


class NodeHost:
    """Implements `commands.session.Host` for a running node."""

    def __init__(  # noqa: PLR0913 # one for each thing that commands may see or ask for
        self,
        *,
        settings: LiveSettings,
        stats: Stats,
        store: Store,
        exchange: Exchange,
        run_id: str,
        sessions: Callable[[], Sequence[Session]],
        topology: Callable[[], Sequence[NodeView]],
        meet: Callable[[str, int], None],
        forget: Callable[[str], None],
        redirection: Callable[[Session, bytes], CommandError | None],
        pause: Pause,
        transact: Callable[[Session], Answer],
        watch: Callable[[Session, Sequence[bytes]], Answer],
        shut_down: Callable[[], None],
        health: Callable[[], Health | None],
        take_over: Callable[[], None],
    ) -> None:
        self.settings: Final = settings
        self.stats: Final = stats
        self.store: Final = store
        self.exchange: Final = exchange
        self.tracking: Tracking
        """What clients cache; a node that has links sets it."""
        self.catalogue: Catalogue
        """Set once there is something to run scripts."""
        self.pause: Final = pause
        self.slowlog: Final = SlowLog()
        self.latency: Final = LatencyMonitor()
        self.monitors: Final = Monitors(self._restrict_all)
        self.rates: Final = Rates()
        self.run_id: Final = run_id
        self.started_unix_s: Final = time_ns() // 1_000_000_000
        self.port = 0
        self.cluster_address = ("", 0)
        self.rotate: Callable[[Verb, str, int], Pending] = _refuse
        """Takes a step of a rotation, to be told in a version of RESP; a node with keys sets it."""
        self.wait: Callable[[Session, int, float], Pending] = _wait_alone
        """Waits until copies have what a client wrote; a node that has others sets it."""
        self.breaks: Callable[[], int] = int
        """Counts owners that were replaced without handing over."""
        self.fail_over: Callable[[bool], None] = _fail_over_alone
        """Has this node become the primary of what it has copies of; a node that has others sets it."""
        self._sessions: Final = sessions
        self._topology: Final = topology
        self._meet: Final = meet
        self._forget: Final = forget
        self.redirection: Final = redirection
        """Gives the MOVED that a client gets for a key, or a sharded channel, if it is to go elsewhere itself."""
        self._transact: Final = transact
        self._watch: Final = watch
        self._shut_down: Final = shut_down
        self._health: Final = health
        self._take_over: Final = take_over
        self._clients = 0

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self.settings.config

    def session(self, address: str, local_address: str) -> Session:
        """Make the state of a new client."""
        self._clients += 1
        now_unix_s = time_ns() // 1_000_000_000
        return Session(
            self, client_id=self._clients, address=address, local_address=local_address, now_unix_s=now_unix_s
        )

    def sessions(self) -> Sequence[Session]:
        """List the clients connected to this node, oldest first."""
        return self._sessions()

    def _restrict_all(self) -> None:
        for session in self._sessions():
            session.restrict()

    def topology(self) -> Sequence[NodeView]:
        """List the nodes of the cluster, this one included, by name."""
        return self._topology()

    def meet(self, host: str, port: int) -> None:
        """Look for a node at an address, again and again; returns at once."""
        self._meet(host, port)

    def forget(self, name: str) -> None:
        """Have all nodes forget a dead one; returns at once."""
        self._forget(name)

    def change_keys(self, verb: str, subject: str, protocol: int) -> Pending:
        """Take a step with the keys of the cluster on all its nodes. Raises CommandError where there are no keys."""
        return self.rotate(Verb(verb), subject, protocol)

    def transact(self, session: Session) -> Answer:
        """Run what a client has queued since MULTI, and end the queue. Raises CommandError if nothing was run."""
        return self._transact(session)

    def watch(self, session: Session, keys: Sequence[bytes]) -> Answer:
        """Note the state of keys, wherever they are, for the next EXEC to compare. Raises CommandError."""
        return self._watch(session, keys)

    def now_unix_us(self) -> int:
        """Read the wall clock."""
        return time_ns() // 1000

    def health(self) -> Health | None:
        """Judge how the cluster is; None while this node belongs to none."""
        return self._health()

    def take_over(self) -> None:
        """Go on without a majority of the voters. Raises CommandError while there is one."""
        self._take_over()

    def shut_down(self, asked: str) -> None:
        """Begin to leave the cluster and to end the process; returns at once. `asked` says by what, for the log."""
        log.info("%s: leaving", asked)
        self._shut_down()


def _fail_over_alone(_force: bool) -> None:  # noqa: FBT001 # the one thing that there is to say
    raise CommandError("You should send CLUSTER FAILOVER to a replica")


def _wait_alone(_session: Session, _copies: int, _timeout_s: float) -> Pending:
    reply = Pending()
    reply.resolve(integer(0))
    return reply


def _refuse(_verb: Verb, _subject: str, _protocol: int) -> Pending:
    raise CommandError("this node has no keys: it was started without cluster-keys-file")
