"""One big Redis made of many small nodes: what programs import.

    from respcache import ClusterConfig, Config, Node

    async with Node(Config(cluster=ClusterConfig(join=("10.0.0.7:6379",)))) as node:
        await node.set("greeting", "hello", ttl_s=60)

The names are looked up when they are first used, because every pytest run on a machine
where the package is installed imports it for its plugin, and a whole node takes a third
of a second to import.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

from respcache.version import __version__

if TYPE_CHECKING:
    from respcache.cluster.events import ClusterEvent
    from respcache.config import ClusterConfig, Config, HttpConfig, ServerConfig
    from respcache.errors import ConfigError, JoinTimeout, NodeClosed, ReplyError, RespcacheError
    from respcache.node import Node

_HOME: Final = {
    "ClusterConfig": "respcache.config",
    "ClusterEvent": "respcache.cluster.events",
    "Config": "respcache.config",
    "ConfigError": "respcache.errors",
    "GossipSettings": "respcache.config",
    "HttpConfig": "respcache.config",
    "JoinTimeout": "respcache.errors",
    "Node": "respcache.node",
    "NodeClosed": "respcache.errors",
    "ReplyError": "respcache.errors",
    "RespcacheError": "respcache.errors",
    "ServerConfig": "respcache.config",
}
"""The module that each public name comes from."""

__all__ = [
    "ClusterConfig",
    "ClusterEvent",
    "Config",
    "ConfigError",
    "GossipSettings",
    "HttpConfig",
    "JoinTimeout",
    "Node",
    "NodeClosed",
    "ReplyError",
    "RespcacheError",
    "ServerConfig",
    "__version__",
]


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(_HOME[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """List the public names, whether they were used yet or not."""
    return sorted(__all__)
