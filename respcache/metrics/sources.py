"""What the metrics need of a node, and what they make of it once a scrape."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, Self

from respcache.cluster.membership.snapshot import MembershipSnapshot
from respcache.cluster.membership.tally import Tally
from respcache.cluster.sealing.sealing import Sealing
from respcache.cluster.stats import KeeperFigures
from respcache.cluster.topology import NodeView
from respcache.commands.session import Session
from respcache.config import Config
from respcache.metrics.lag import LoopLag
from respcache.metrics.readiness import Readiness
from respcache.monitors import Monitors
from respcache.pubsub.exchange import Exchange
from respcache.stats import Stats
from respcache.store.keyspace import Store
from respcache.tracking.tracking import Tracking


class GossipTraffic(Protocol):
    """Bytes of the membership protocol."""

    datagrams_in: int
    datagrams_out: int
    streams_in: int
    streams_out: int


class PeerLinks(Protocol):
    """The connections to the other nodes."""

    reconnects: int

    def __len__(self) -> int:
        """Count the links that stand."""


class ScriptLibrary(Protocol):
    """The scripts that a node knows."""

    size_bytes: int
    evicted: int

    def __len__(self) -> int:
        """Count them."""


class FunctionLibraries(Protocol):
    """The functions of a node."""

    @property
    def size_bytes(self) -> int:
        """What their libraries count for."""

    def __len__(self) -> int:
        """Count the functions."""


class ScriptFigures(Protocol):
    """What runs the scripts of a node."""

    @property
    def functions(self) -> FunctionLibraries:
        """The functions."""

    @property
    def functions_memory_bytes(self) -> int:
        """What Lua has allocated for functions."""

    @property
    def library(self) -> ScriptLibrary:
        """The scripts."""

    @property
    def memory_bytes(self) -> int:
        """What Lua has allocated."""

    @property
    def ended(self) -> Mapping[str, int]:
        """Scripts that were ended, by what they took too much of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """One node, as far as it is measured. Callables are asked at every scrape."""

    name: str
    """The node's name in the cluster."""
    version: str
    event_loop: Literal["asyncio", "uvloop"]
    config: Callable[[], Config]
    stats: Stats
    store: Store
    exchange: Exchange
    tracking: Callable[[], Tracking]
    events: Callable[[], int]
    """Keyspace events that were published."""
    monitors: Monitors
    scripts: ScriptFigures
    lag: LoopLag
    state: Callable[[], str]
    """One of the keys of readiness.SENTENCES."""
    readiness: Callable[[], Readiness]
    sessions: Callable[[], Sequence[Session]]
    """The clients that are connected."""
    keeper: Callable[[], KeeperFigures]
    membership: Callable[[], MembershipSnapshot]
    traffic: Callable[[], GossipTraffic]
    tally: Tally
    links: PeerLinks
    sealing: Sealing | None
    """None for a node without keys."""
    rejected: Callable[[], Mapping[str, int]]
    """Connections on the cluster port that were cut for what came in over them, by the reason."""
    topology: Callable[[], Sequence[NodeView]]


@dataclass(slots=True)
class KeyCounts:
    """Keys held here in one role, over all databases, those included whose deadline has just passed."""

    keys: int = 0
    expiring: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is asked for once a scrape, because several metrics show parts of it."""

    sources: Sources
    config: Config
    keeper: KeeperFigures
    membership: MembershipSnapshot
    clients: Sequence[Session]
    primary: KeyCounts = field(default_factory=KeyCounts)
    """In partitions that this node serves."""
    replica: KeyCounts = field(default_factory=KeyCounts)
    """In all others: copies in sync, and copies in the making."""

    @property
    def stats(self) -> Stats:
        """The node's plain counters."""
        return self.sources.stats

    @classmethod
    def of(cls, sources: Sources) -> Self:
        """Ask the node."""
        snapshot = cls(
            sources,
            sources.config(),
            sources.keeper(),
            sources.membership(),
            sources.sessions(),
        )
        for keyspace in sources.store.used():
            for partition in keyspace.partitions:
                if partition.values:
                    counts = snapshot.primary if partition.serving else snapshot.replica
                    counts.keys += len(partition.values)
                    counts.expiring += len(partition.expires)
        return snapshot
