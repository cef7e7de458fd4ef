"""The settings of a node: one frozen structure per concern, units in the names.

Names follow redis.conf where Redis has the setting, with dashes turned to underscores;
Olric's words elsewhere. Port 0 means any free port, everywhere.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from respcache.errors import ConfigError

Port = Annotated[int, Meta(ge=0, le=65535)]
Positive = Annotated[int, Meta(ge=1)]
NotNegative = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0)]

CLUSTER_PORT_OFFSET = 10_000
"""From the RESP port to the cluster port, as in Redis Cluster."""


class ServerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
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
    timeout_s: Seconds = 0.0
    """A client that is silent for so long is disconnected; 0 for never."""
    tcp_keepalive_s: NotNegative = 300
    """Seconds of silence after which TCP probes the client; 0 for never."""
    client_query_buffer_limit_bytes: Positive = 1024 * 1024 * 1024
    """Bytes of one unfinished request; more ends the connection."""
    client_output_buffer_limit_bytes: Positive = 256 * 1024 * 1024
    """Replies that a client has not read yet; more ends the connection."""
    redirect: Literal["auto", "always", "never"] = "auto"
    """Who gets MOVED for a key of another node: clients that asked for the slot table, all, none."""
    slowlog_log_slower_than_us: int = 10_000
    """Commands that take longer are counted as slow; negative for none."""
    shutdown_timeout_s: Seconds = 10.0
    """How long a node that leaves hands its keys over before it goes anyway."""
    hz: Annotated[int, Meta(ge=1, le=500)] = 10
    """Rounds of background work a second: expiry, timeouts."""


class ClusterConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How nodes find each other and share the keys."""

    name: str = ""
    """Unique among the nodes; empty for one made of host and port."""
    join: tuple[str, ...] = ()
    """Addresses (host:port, either port) of nodes that may be there; none of them forms a cluster alone."""
    port: Port | None = None
    """Cluster port, TCP and UDP; by default the RESP port + 10000, or a free one if that is 0."""
    advertise: str = ""
    """Host that others reach this node by; empty for the bound one."""
    environment: Literal["local", "lan", "wan"] = "lan"
    """Profile of the failure detector."""
    replica_count: Annotated[int, Meta(ge=1, le=7)] = 2
    """Copies of every key, the primary one included."""
    zone: str = ""
    """Copies of a key go to different zones first."""
    weight: Annotated[float, Meta(gt=0, le=1000)] = 1.0
    """Share of the keys, relative to the other nodes'."""
    expect: NotNegative = 0
    """Wait for so many nodes before the first of them form a cluster; 0 for whoever is there."""
    join_timeout_s: Seconds = 30.0
    """How long a node tries to join before it gives up."""
    command_timeout_s: Seconds = 5.0
    """How long a command waits for an owner that is moving or failing over."""
    rebuild_delay_s: Seconds = 15.0
    """How long after a death the lost copies are rebuilt elsewhere: a quick restart moves nothing."""


class HttpConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Metrics and health over HTTP."""

    enabled: bool = True
    """Whether to listen at all."""
    port: Port = 9379
    """Port of /metrics, /livez, /readyz and /status."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything a node can be told."""

    server: ServerConfig = ServerConfig()
    cluster: ClusterConfig = ClusterConfig()
    http: HttpConfig = HttpConfig()


__all__ = ["ClusterConfig", "Config", "ConfigError", "HttpConfig", "ServerConfig"]
