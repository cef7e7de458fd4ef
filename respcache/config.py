"""The settings of a node: one frozen structure per concern, units in the names.

Names follow redis.conf where Redis has the setting, with dashes turned to underscores and
the unit behind; Olric's words elsewhere. Port 0 means any free port, everywhere. How
settings are written in files, variables and flags is the business of `options`.
"""

import math
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, inspect

from respcache.errors import ConfigError

Port = Annotated[int, Meta(ge=0, le=65535)]
Positive = Annotated[int, Meta(ge=1, le=2**32 - 1)]
NotNegative = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Size = Annotated[int, Meta(ge=0, le=2**62 - 1)]
Seconds = Annotated[float, Meta(ge=0, le=10**9)]
Interval = Annotated[float, Meta(ge=0.001, le=10**6)]
BufferBytes = Annotated[int, Meta(ge=1024 * 1024, le=2**63 - 1)]
UnackedBytes = Annotated[int, Meta(ge=16 * 1024 * 1024, le=2**40)]

CLUSTER_PORT_OFFSET = 10_000
"""From the RESP port to the cluster port, as in Redis Cluster."""

SECRETS: Final = frozenset({"requirepass", "keys"})
"""Fields whose values no message and no repr shows."""


RATE_MIN_BYTES_PER_S: Final = 64 * 1024
"""Whoever writes less means megabytes, and would have a node take days."""
RATE_UNIT: Final = "_bytes_per_s"


def check_rate(name: str, bytes_per_s: float) -> None:
    """Refuse a rate that nobody can mean. Raises ConfigError."""
    if 0 < bytes_per_s < RATE_MIN_BYTES_PER_S:
        least = f"{RATE_MIN_BYTES_PER_S // 1024}kb"
        raise ConfigError(f"{name} is in bytes a second, and must be at least {least}, or 0 for no bound")


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all structures here have in common: a value out of range is a ConfigError at once."""

    def __post_init__(self) -> None:
        """Check every value against the type of its field."""
        for field in msgspec.structs.fields(type(self)):
            value = getattr(self, field.name)
            try:
                msgspec.convert(value, field.type)
            except msgspec.ValidationError:
                shown = "(hidden)" if field.name in SECRETS else repr(value)
                raise ConfigError(f"{field.name} = {shown}: must be {_rule(inspect.type_info(field.type))}") from None
            if field.name.endswith(RATE_UNIT):
                check_rate(field.name, value)
            if isinstance(value, float) and not math.isfinite(value):
                raise ConfigError(f"{field.name} = {value}: the number must be finite")

    def __repr__(self) -> str:
        """Show all fields; of the secrets only whether there are any."""
        shown = ", ".join(
            f"{field.name}={'(hidden)' if field.name in SECRETS and value else repr(value)}"
            for field in msgspec.structs.fields(type(self))
            for value in (getattr(self, field.name),)
        )
        return f"{type(self).__name__}({shown})"


class ServerConfig(Section, frozen=True, kw_only=True):
    """How clients are served."""

    bind: str = "127.0.0.1"
    """Address to listen on, for clients, peers and HTTP alike."""
    port: Port = 6379
    """RESP port."""
    databases: Annotated[int, Meta(ge=1, le=1024)] = 16
    """Databases that SELECT reaches."""
    requirepass: str = ""
    """Password of the default user; empty for none."""
    protected_mode: bool = True
    """Refuse clients from other machines while there is no password."""
    maxclients: Positive = 10_000
    """Connections open at once; one more is refused with an error."""
    enable_debug_command: Literal["no", "local", "yes"] = "no"
    """Who may use DEBUG, which can hold the node up: nobody, clients on this machine, all clients."""
    enable_keys_command: Literal["no", "local", "yes"] = "local"
    """Who may change the keys of the cluster with CLUSTER KEYS: nobody, clients on this machine, all clients."""
    timeout_s: NotNegative = 0
    """A client that is silent for so long is disconnected; 0 for never."""
    tcp_keepalive_s: NotNegative = 300
    """Seconds of silence after which TCP probes the client; 0 for never."""
    client_query_buffer_limit_bytes: BufferBytes = 1024 * 1024 * 1024
    """Bytes of one unfinished request; more ends the connection."""
    client_output_buffer_limit_bytes: BufferBytes = 1024 * 1024 * 1024
    """Replies that a client has not read yet; more ends the connection."""
    pubsub_output_buffer_limit_bytes: BufferBytes = 32 * 1024 * 1024
    """The same for clients that are subscribed: messages come whether they are read or not."""
    maxmemory_clients_bytes: Annotated[int, Meta(ge=0, le=2**62 - 1)] = 0
    """Unfinished requests and unread replies of all clients together: beyond it those with most are disconnected, but
    for those that said CLIENT NO-EVICT; 0 for no limit."""
    notify_keyspace_events: Annotated[str, Meta(max_length=64)] = ""
    """What is published of the keys that this node owns, in the letters of redis.conf, as in KEA; empty for nothing."""
    pubsub_memory_max_bytes: Annotated[int, Meta(ge=1024 * 1024, le=1024 * 1024 * 1024)] = 256 * 1024 * 1024
    """Memory for all subscriptions of the clients of this node, estimated; further ones are refused."""
    tracking_table_max_keys: NotNegative = 1_000_000
    """Keys that are remembered because clients cache them (CLIENT TRACKING), on this node as owner and for its own
    clients; the oldest are invalidated when there are more. 0 for no limit."""
    lua_time_limit_ms: Annotated[int, Meta(ge=0, le=2**53)] = 5000
    """How long a script runs before commands that have to wait for it are refused with BUSY, and no longer wait."""
    lua_memory_max_bytes: Annotated[int, Meta(ge=4 * 1024 * 1024, le=4 * 1024 * 1024 * 1024)] = 64 * 1024 * 1024
    """Memory for Lua, the scripts that are known included; a script that takes more is ended."""
    lua_scripts_max_bytes: Annotated[int, Meta(ge=1024 * 1024, le=1024 * 1024 * 1024)] = 16 * 1024 * 1024
    """Texts of scripts that are known, with 1 KB for each; those that were not used for longest go."""
    maxmemory_bytes: Annotated[int, Meta(ge=0, le=2**62 - 1)] = 0
    """Memory for keys and values of this node, copies included, estimated: beyond it keys are deleted, or writes
    refused; 0 for no limit."""
    maxmemory_policy: Literal[
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "noeviction",
    ] = "noeviction"
    """Which keys go then: those not used for longest (lru), used least (lfu), any (random), or next to expire (ttl);
    volatile: only keys that expire. noeviction: none, and writes that take memory are refused."""
    maxmemory_samples: Annotated[int, Meta(ge=1, le=64)] = 5
    """Keys looked at for each that goes: more choose better, and take longer."""
    lfu_log_factor: NotNegative = 10
    """How slowly the count of uses grows that lfu goes by; with 10 a million uses are the most that it can tell."""
    lfu_decay_time_min: NotNegative = 1
    """Minutes without use that take one from that count; 0 for none."""
    hash_max_listpack_entries: Size = 512
    """Fields up to which a hash is kept as it came, and OBJECT ENCODING says listpack."""
    hash_max_listpack_value_bytes: Size = 64
    """Length of field and value up to which it is."""
    list_max_listpack_size: Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] = -2
    """Elements of a node of a list as DUMP writes it; -1 to -5: its size, from 4 to 64 KB."""
    set_max_intset_entries: Size = 512
    """Members up to which a set of integers is kept in order, as an intset."""
    zset_max_listpack_entries: Size = 128
    """Members up to which OBJECT ENCODING of a sorted set says listpack."""
    zset_max_listpack_value_bytes: Size = 64
    """Length of a member up to which it does."""
    stream_node_max_entries: Annotated[int, Meta(ge=0, le=10_000)] = 100
    """Entries of a stream that are kept as one piece, which an approximate XTRIM takes out whole; 0 for 10,000."""
    stream_node_max_bytes: Annotated[int, Meta(ge=0, le=1024 * 1024)] = 4096
    """Bytes beyond which such a piece gets no more entries; 0 for 1 MB."""
    hll_sparse_max_bytes: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 3000
    """The longest HyperLogLog in the sparse form, whose changes take time with its length; beyond it the dense one of
    12 KB is used."""
    redirect: Literal["auto", "always", "never"] = "auto"
    """Who gets MOVED for a key of another node: auto: clients that asked for the slot table; always: all, and SCAN,
    KEYS and DBSIZE are about one node then, as in Redis Cluster; never: none."""
    slowlog_log_slower_than_us: Annotated[int, Meta(ge=-1, le=2**63 - 1)] = 10_000
    """Commands that take longer are slow, and logged; 0 for all, -1 for none."""
    slowlog_max_len: Annotated[int, Meta(ge=0, le=100_000)] = 128
    """Slow commands that are remembered."""
    latency_monitor_threshold_ms: Annotated[int, Meta(ge=0, le=2**63 // 1000 - 1)] = 0
    """Commands and work in between that take so long are noted for LATENCY; 0 for none."""
    shutdown_timeout_s: Seconds = 10.0
    """How long a node that leaves hands its keys over before it goes anyway."""
    hz: Annotated[int, Meta(ge=1, le=500)] = 10
    """Rounds of background work a second: expiry, timeouts."""
    huge_pages: bool = True
    """Put the memory of `respcache serve` into huge pages once it is in use, where Linux lets us."""
    loglevel: Literal["debug", "verbose", "notice", "warning"] = "notice"
    """How much is written to standard error."""


class ClusterConfig(Section, frozen=True, kw_only=True):
    """How nodes find each other and share the keys."""

    name: Annotated[str, Meta(max_length=64)] = ""
    """Unique among the nodes; empty for one made of host and port."""
    label: Annotated[str, Meta(max_length=64)] = ""
    """Name of the cluster: nodes of another one are not talked to, even under the same keys."""
    keys: tuple[str, ...] = ()
    """Keys that seal what nodes say to each other, the one to seal with first; better in a file."""
    keys_file: str = ""
    """File with the keys, as `respcache keys generate` writes them; the node writes it anew when they change."""
    plaintext: bool = False
    """Let nodes talk without keys beyond this machine; with keys: to nodes that have none yet, too."""
    join: tuple[str, ...] = ()
    """Where other nodes may be: host:port (either port), dns:name[:port] (all its addresses) or file:path (one
    of these a line). Nodes that are given any never form a cluster alone."""
    port: Port | None = None
    """Cluster port, TCP and UDP; by default the RESP port + 10000, or a free one if that is 0."""
    advertise: str = ""
    """Host that others reach this node by; empty for the bound one."""
    environment: Literal["local", "lan", "wan"] = "lan"
    """Profile of the failure detector."""
    replica_count: Annotated[int, Meta(ge=1, le=7)] = 2
    """Copies of every key, the primary one included."""
    zone: Annotated[str, Meta(max_length=128)] = ""
    """Copies of a key go to different zones first."""
    weight: Annotated[float, Meta(ge=0.01, le=100)] = 1.0
    """Share of the keys, relative to the other nodes'."""
    expect: NotNegative = 0
    """Wait for so many nodes before the first of them form a cluster; 0 for whoever is there."""
    join_timeout_s: Seconds = 30.0
    """How long a node tries to join before it gives up."""
    command_timeout_s: Seconds = 5.0
    """How long a command waits for an owner that is moving or failing over."""
    rebuild_delay_s: Seconds = 15.0
    """How long after a death the lost copies are rebuilt elsewhere: a quick restart moves nothing."""
    rebalance_rate_bytes_per_s: Annotated[int, Meta(ge=0, le=2**40)] = 0
    """Bytes of copies that this node sends to others in a second when keys move or lost copies are made anew, such as
    50mb, at least 64kb; 0 for as much as they take. Nobody waits while any node leaves, nor do copies of a value that
    writes have to wait for."""
    quorum: Literal["auto", "majority", "any"] = "auto"
    """Who goes on when nodes do not reach each other: a majority of them, any side, or any side of a pair at most."""
    lease_s: Annotated[float, Meta(ge=0, le=3600)] = 0.0
    """How long a node may serve without hearing from a majority; 0 for 0.3, 1 or 5, by environment. A longer one
    bears longer stalls of the machine, and makes a failover after a node that hangs wait longer."""
    replication: Literal["sync", "async"] = "sync"
    """When a write is answered: sync: once all copies have it; async: at once, and lost if its node dies
    just then. All nodes should have the same."""
    min_in_sync: Annotated[int, Meta(ge=0, le=7)] = 0
    """Copies in sync, of a key, below which writes are refused; 0 for one less than there should be, at most two."""
    peer_unacked_limit_bytes: UnackedBytes = 64 * 1024 * 1024
    """Bytes of writes that one other node has yet to confirm, above which writes to keys with copies there wait."""
    unacked_limit_bytes: UnackedBytes = 256 * 1024 * 1024
    """The same for all other nodes together; as much may wait to be written then, and what is more is refused. So are
    the writes of a script beyond it: copies are told of all that a script writes at once, when it has ended."""
    copy_check_interval_s: Seconds = 3600.0
    """How often all copies are compared with their primaries, in the background; what differs is copied anew. 0 for
    never."""
    unclean_after_s: Seconds | Literal["never"] = 30.0
    """How long keys wait for the last of their copies before they are given up, and their place is empty again."""


class GossipSettings(Section, frozen=True, kw_only=True):
    """Numbers of the failure detector that differ from those of `environment`; docs/membership.md explains each.

    All nodes of a cluster should have the same. Whether they go together is checked when the node starts.
    """

    probe_interval_s: Interval | None = None
    """Seconds from one probe to the next; half as much notices a death in half the time, for twice the packets."""
    probe_timeout_s: Interval | None = None
    """Seconds to wait for an answer before others are asked; at most half of the interval."""
    indirect_probes: Annotated[int, Meta(ge=0, le=16)] | None = None
    """Nodes that are asked to try as well when one does not answer."""
    suspicion_multiplier: Annotated[float, Meta(ge=1, le=100)] | None = None
    """Probe intervals that a suspect has at least to clear itself, times log10 of the nodes from ten on."""
    suspicion_max_multiplier: Annotated[float, Meta(ge=1, le=100)] | None = None
    """How many times longer a suspect has that only one node accuses."""
    suspicion_confirmations: Annotated[int, Meta(ge=0, le=5)] | None = None
    """Further accusers that bring the time of a suspect down to the least."""
    gossip_interval_s: Interval | None = None
    """Seconds from one round of news to the next, while there are any; at most the probe interval."""
    gossip_fanout: Annotated[int, Meta(ge=1, le=16)] | None = None
    """Nodes that are told in each round."""
    retransmit_multiplier: Annotated[int, Meta(ge=1, le=16)] | None = None
    """How often each node passes on a piece of news, times log10 of the nodes, rounded up."""
    reseed_interval_s: Interval | None = None
    """Seconds between attempts at join addresses and dead nodes: how long a healed split goes unnoticed."""
    sync_interval_s: Interval | None = None
    """Seconds, at the least, from one comparison of all that two nodes know to the next."""
    stream_timeout_s: Interval | None = None
    """Seconds that such a comparison may take."""
    stall_s: Interval | None = None
    """Lateness, in seconds, by which a node knows that it stood still, and judges nobody."""
    tombstone_s: Interval | None = None
    """Seconds that a dead node is remembered and called."""
    partition_share: Annotated[float, Meta(ge=0.01, le=1)] | None = None
    """If more than this share of the nodes is suspect at once, the network is blamed, and verdicts wait."""
    health_max: Annotated[int, Meta(ge=0, le=16)] | None = None
    """How far a node that hears badly stretches its own times: this much plus one."""
    members_max: Annotated[int, Meta(ge=2, le=65_536)] | None = None
    """Nodes that one remembers, the dead included; further ones are refused."""
    rumors_max: Annotated[int, Meta(ge=16, le=1_000_000)] | None = None
    """Pieces of news that wait to be passed on; the most often told gives way."""


class HttpConfig(Section, frozen=True, kw_only=True):
    """Metrics and health over HTTP."""

    enabled: bool = True
    """Whether to listen for HTTP at all."""
    port: Port = 9379
    """HTTP port: /metrics, /livez, /readyz and /status."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything a node can be told."""

    server: ServerConfig = ServerConfig()
    cluster: ClusterConfig = ClusterConfig()
    gossip: GossipSettings = GossipSettings()
    http: HttpConfig = HttpConfig()


def _rule(kind: inspect.Type) -> str:
    """Say in words what values a type allows."""
    match kind:
        case inspect.BoolType():
            return "True or False"
        case inspect.LiteralType(values=values):
            return f"one of {', '.join(map(str, values))}"
        case inspect.VarTupleType():
            return "a tuple of texts such as 'host:6379', which str(node.address) gives"
        case inspect.IntType(ge=low, le=high):
            return f"a whole number from {low} to {high}"
        case inspect.FloatType(ge=low, le=high):
            return f"a number from {low} to {high}"
        case inspect.UnionType(types=types):
            return " or ".join(_rule(part) for part in types)
        case inspect.NoneType():
            return "None"
        case inspect.StrType(max_length=limit):
            return "text" if limit is None else f"text of at most {limit} characters"
        case _:
            raise AssertionError(f"no setting is of type {kind}")


__all__ = ["ClusterConfig", "Config", "ConfigError", "GossipSettings", "HttpConfig", "Section", "ServerConfig"]
