"""What a node knows of one client, and what a client's command may ask of the node."""

import enum
from collections.abc import Callable, Sequence, Sized
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final, Protocol

from respcache.cluster.health import Health
from respcache.cluster.topology import NodeView
from respcache.commands.stage import Catalogue, Declared
from respcache.commands.tracker import Tracker
from respcache.config import Config
from respcache.errors import CommandError
from respcache.latency import LatencyMonitor
from respcache.monitors import Monitors
from respcache.pending import Pending
from respcache.pubsub.exchange import Exchange
from respcache.rates import Rates
from respcache.slowlog import SlowLog
from respcache.stats import Stats
from respcache.store.keyspace import Store
from respcache.store.partition import Argv

if TYPE_CHECKING:
    from respcache.commands.queue import Queue
    from respcache.commands.registry import Answer, Command


class Settings(Protocol):
    """The settings that CONFIG reads and changes, by their names in redis.conf."""

    def names(self) -> Sequence[str]:
        """List all names, ascending."""

    def get(self, name: str) -> str:
        """Give a setting as text."""

    def set(self, changes: dict[str, str]) -> None:
        """Change settings together, or none. Raises CommandError."""


class Host(Protocol):
    """The node, as far as commands may see it."""

    @property
    def config(self) -> Config:
        """The configuration in force."""

    @property
    def settings(self) -> Settings:
        """What CONFIG reads and changes."""

    @property
    def stats(self) -> Stats:
        """What the node has counted."""

    @property
    def store(self) -> Store:
        """The data."""

    @property
    def exchange(self) -> Exchange:
        """Publish and subscribe."""

    @property
    def tracking(self) -> "Tracked":
        """What clients of this node cache."""

    @property
    def catalogue(self) -> Catalogue:
        """The functions and scripts of all nodes."""

    @property
    def slowlog(self) -> SlowLog:
        """The last slow commands."""

    @property
    def latency(self) -> LatencyMonitor:
        """What held the node up."""

    @property
    def monitors(self) -> Monitors:
        """The clients that are shown every command."""

    @property
    def rates(self) -> Rates:
        """What the node does a second."""

    @property
    def pause(self) -> "Pause":
        """What holds up the commands of its clients."""

    @property
    def run_id(self) -> str:
        """40 hexadecimal digits, new for each start."""

    @property
    def started_unix_s(self) -> int:
        """When the node started."""

    @property
    def port(self) -> int:
        """RESP port that the node is bound to."""

    @property
    def cluster_address(self) -> tuple[str, int]:
        """Host and cluster port by which other nodes reach it."""

    def sessions(self) -> "Sequence[Session]":
        """List the clients connected to this node, oldest first."""

    def topology(self) -> Sequence[NodeView]:
        """List the nodes of the cluster, this one included, by name."""

    def meet(self, host: str, port: int) -> None:
        """Look for a node at an address, again and again; returns at once."""

    def forget(self, name: str) -> None:
        """Have all nodes forget a dead one; returns at once."""

    def redirection(self, session: "Session", key: bytes) -> CommandError | None:
        """Give the MOVED that a client gets for a key, or a sharded channel, if it is to go elsewhere itself."""

    def change_keys(self, verb: str, subject: str, protocol: int) -> Pending:
        """Take a step with the keys of the cluster on all its nodes. Raises CommandError where there are no keys."""

    def transact(self, session: "Session") -> "Answer":
        """Run what a client has queued since MULTI, and end the queue. Raises CommandError if nothing was run."""

    def watch(self, session: "Session", keys: Sequence[bytes]) -> "Answer":
        """Note the state of keys, wherever they are, for the next EXEC to compare. Raises CommandError."""

    def wait(self, session: "Session", copies: int, timeout_s: float) -> Pending:
        """Wait until so many copies have all that a client wrote; see `assurance`."""

    def breaks(self) -> int:
        """Count how often an owner was replaced that could not hand over what it had answered."""

    def now_unix_us(self) -> int:
        """Read the wall clock."""

    def health(self) -> Health | None:
        """Judge how the cluster is; None while this node belongs to none."""

    def take_over(self) -> None:
        """Go on without a majority of the voters. Raises CommandError while there is one."""

    def fail_over(self, force: bool, /) -> None:  # noqa: FBT001 # the one thing that there is to say
        """Have this node become the primary of all that it has copies of; returns at once. Raises CommandError."""

    def shut_down(self, asked: str) -> None:
        """Begin to leave the cluster and to end the process; returns at once. `asked` says by what, for the log."""


class Tracked(Protocol):
    """What clients of the node cache, and who is told when it changes."""

    @property
    def clients(self) -> "TrackedClients":
        """The clients that cache."""

    def enable(self, session: "Session", tracker: Tracker) -> Pending:
        """Tell a client of changed keys from now on. Raises CommandError if that is too much."""

    def disable(self, session: "Session") -> None:
        """Tell a client of nothing any more."""

    def before(self, session: "Session", tracker: Tracker, row: "Command", argv: Argv) -> None:
        """Take note of a command of a tracked client that is about to be run; of a script see `declared`."""

    def declared(self, session: "Session", tracker: Tracker, row: "Command", argv: Argv) -> Declared:
        """Give what is to be told of a script of a tracked client: when it reads, and when it writes."""

    def after(self) -> None:
        """Take note that it has been run, or is under way."""

    def aside(self) -> AbstractContextManager[None]:
        """Run what is not of the client whose command is being run."""


class TrackedClients(Protocol):
    """The clients of a node that cache, as figures."""

    items: int
    """Keys that they may have, each counted for each client."""

    @property
    def sessions(self) -> Sized:
        """Those clients."""

    @property
    def prefixes(self) -> Sized:
        """The prefixes that they want all keys with."""

    def __len__(self) -> int:
        """Count the keys that any of them may have."""


class Silence(enum.Enum):
    """Which replies a client wants: CLIENT REPLY."""

    NONE = enum.auto()
    NEXT = enum.auto()
    """None to its next command."""
    NOW = enum.auto()
    """None to this command."""
    FOR_GOOD = enum.auto()


class Pause(Protocol):
    """The commands of a node's clients, held up: CLIENT PAUSE."""

    @property
    def is_on(self) -> bool:
        """Whether any commands are held up."""

    def begin(self, duration_ms: int, *, writes_only: bool) -> None:
        """Hold up all commands that come in from now on, or those that write."""

    def end(self) -> None:
        """Run what was held up."""

    def holds(self, session: "Session", row: "Command", argv: Argv) -> bool:
        """Tell whether a command is to be held up."""

    def postpone(self, session: "Session", argv: Argv) -> Pending:
        """Hold a command up."""


class Blocked(Protocol):
    """A client's command that waits for a key, or for copies."""

    @property
    def waiting(self) -> bool:
        """Whether it really does: it may just be on its way to the owner of the key."""

    def unblock(self, *, refused: bool) -> bool:
        """End the wait, as if its time were over, or with an error; False if it does not wait."""


class Turns:
    """Whose turn it is among one client's commands that are run elsewhere, or later.

    Commands on a key have their effects in the order in which the client sent them. As long as keys
    stay where they are the links see to that. When one moves, what is on its way to the former owner
    comes back, and whatever was sent to the new one meanwhile would have overtaken it. So nothing is
    sent until all replies are there, and what has come back not before the rest of it has.
    """

    __slots__ = ("_begin", "_follow", "displaced", "passed_over", "sent", "under_way")

    def __init__(self) -> None:
        self.under_way = 0
        """Commands without a reply yet, each part of one that is split as well."""
        self.sent = 0
        """How many of them are on their way to another node, or back."""
        self.displaced = False
        """Whether one has to go elsewhere than it was sent to: what comes in behind waits for all replies before."""
        self.passed_over = False
        """Whether one that has come back could have been tried again, had not others been under way."""
        self._begin: Callable[[], None] | None = None
        self._follow: Callable[[], None] | None = None

    def waits(self, begin: Callable[[], None]) -> bool:
        """Tell whether a command has others before it; `begin` is called once it is the only one."""
        if self.under_way <= 1:
            return False
        self._begin = begin
        return True

    def follows(self, begin: Callable[[], None]) -> bool:
        """Tell whether any are under way; `begin`, of what is none of them, is called once all have their replies."""
        if not self.under_way:
            return False
        self._follow = begin
        return True

    def may_be_sent_anew(self, *, rerouted: bool) -> bool:
        """Tell whether it is the time of what has come back: nothing is on its way any more.

        And the routes are others than those it went by (`rerouted`), or it was passed over meanwhile.
        """
        return self.displaced and not self.sent and (self.passed_over or rerouted)

    def ended(self) -> None:
        """Take note that a command has its reply."""
        self.under_way -= 1
        if self._begin is not None and self.under_way <= 1:
            begin, self._begin = self._begin, None
            begin()
        if self._follow is not None and not self.under_way:
            follow, self._follow = self._follow, None
            follow()


class Session:
    """The state of one client. The connection owns it; commands read and change it."""

    __slots__ = (
        "address",
        "authenticated",
        "barrier",
        "blocked",
        "breaks",
        "client_id",
        "closing",
        "cluster_aware",
        "connected_unix_s",
        "database",
        "deny_blocking",
        "embedded",
        "host",
        "interactive",
        "killed",
        "last_active_unix_s",
        "last_command",
        "library",
        "library_version",
        "local_address",
        "monitors",
        "name",
        "no_evict",
        "no_touch",
        "node_scope",
        "protocol",
        "queue",
        "relayed",
        "restricted",
        "silence",
        "stalled",
        "subscribed",
        "tracker",
        "transmit",
        "turns",
        "uncounted",
        "unread_bytes",
        "watched",
    )

    def __init__(  # noqa: PLR0915 # one for each thing that is known
        self, host: Host, *, client_id: int, address: str, local_address: str, now_unix_s: int
    ) -> None:
        self.host: Final = host
        self.client_id: Final = client_id
        """Unique on the node, ascending."""
        self.address: Final = address
        """host:port of the client."""
        self.local_address: Final = local_address
        self.connected_unix_s: Final = now_unix_s
        self.last_active_unix_s = now_unix_s
        self.last_command = "NULL"
        self.name = self.library = self.library_version = b""
        self.database = 0
        self.protocol = 2
        """RESP version, 2 or 3."""
        self.authenticated = not host.config.server.requirepass
        self.restricted = not self.authenticated or host.pause.is_on or host.monitors.is_on
        """Whether commands must be looked at one by one before they run; see `restrict`."""
        self.cluster_aware = self.embedded = False
        """Whether it knows the slot table, and wants MOVED; whether it is a program around its node: never MOVED."""
        self.node_scope = False
        """Whether DBSIZE, KEYS and SCAN are about this node alone: the client asks each node for its part."""
        self.interactive = False
        """Whether a person types: the client has asked for the texts of COMMAND DOCS."""
        self.barrier: Pending | None = None
        """A command under way on keys of several partitions: the next ones wait until it is done, because
        they could overtake it at one of them while it waits for another."""
        self.blocked: Blocked | None = None
        """Its command that may have to wait for a key, or for copies; the connection goes on reading meanwhile."""
        self.uncounted: Callable[[], None] | None = None  # counts a command that waits for a key, when it has its reply
        self.queue: Queue | None = None
        """The commands since MULTI; None outside of a transaction."""
        self.watched: dict[tuple[int, bytes], bytes] = {}
        """Tokens of the watched keys' states, by database and key; see `watching`."""
        self.deny_blocking = False
        """Whether its command is one of a transaction, which waits for nothing."""
        self.breaks = host.breaks()
        """Breaks in the line of owners, as of its last WAIT; see `assurance`."""
        self.silence = Silence.NONE
        """Which replies it does not want."""
        self.stalled = False
        """Whether requests that have been read wait until the replies before them are on their way."""
        self.turns: Turns | None = Turns()
        """None if whoever speaks for it sends nothing before the last reply is there, or does not mind."""
        self.no_evict = self.no_touch = False
        self.closing = False
        """Close the connection behind the reply."""
        self.killed = False
        """Close it now: another client said so."""
        self.relayed = False
        """Whether a peer speaks for the client: then nothing is relayed again without need."""
        self.unread_bytes = 0
        """Replies that the client has not read yet; the connection keeps it up to date."""
        self.monitors = False  # whether it is shown every command
        self.subscribed = 0  # to so many channels and patterns; see `Exchange`
        self.tracker: Tracker | None = None
        """How it wants to hear of changed keys, if it does."""
        self.transmit: Callable[[bytes], None] | None = None
        """Sends what it has not asked for, behind the replies that it waits for; None without a connection."""

    @property
    def listens_only(self) -> bool:
        """Whether all that comes in means subscriptions: in RESP2 messages could not be told from replies."""
        return self.subscribed > 0 and self.protocol == 2

    @property
    def is_displaced(self) -> bool:
        """Whether one of its commands has to go elsewhere than it was sent to."""
        return self.turns is not None and self.turns.displaced

    @property
    def is_held_up(self) -> bool:
        """Whether requests that have been read wait for the replies before them."""
        return self.stalled or self.is_displaced

    def go_on(self) -> None:
        """Let what comes in be run again, now that nothing of that before it is missing."""
        self.stalled = False
        if self.turns is not None:
            self.turns.displaced = False

    @property
    def is_blocked(self) -> bool:
        """Whether it waits for a key, or for copies."""
        return self.blocked is not None and self.blocked.waiting

    @property
    def is_patient(self) -> bool:
        """Whether it is silent for a reason: it listens to channels or commands, or waits for a key."""
        return self.subscribed > 0 or self.monitors or self.is_blocked

    def restrict(self) -> None:
        """Find out anew whether commands must be looked at one by one."""
        self.restricted = (
            not self.authenticated
            or self.listens_only
            or self.queue is not None
            or self.silence is not Silence.NONE
            or self.host.pause.is_on
            or (self.tracker is not None and self.tracker.minds)
            or self.host.monitors.is_on
        )

    def end_queue(self) -> None:
        """Leave the transaction, and watch no key any more."""
        self.queue = None
        self.watched = {}
        self.restrict()

    def renew(self) -> None:
        """Go back to the state of a new client, apart from what it told of its library."""
        self.name = b""
        self.database = 0
        self.protocol = 2
        self.authenticated = not self.host.config.server.requirepass
        self.silence = Silence.NONE
        self.end_queue()
        self.cluster_aware = self.node_scope = self.no_evict = self.no_touch = False
