"""Settings that should be alike on all nodes: noticed where they are not.

Databases and leases must be: a voter grants a lease for as long as its own last, so a node whose leases are longer
would serve on when another one already does. A newcomer that differs in one of these does not join. What
else should be alike is written into the log, once. `replica-count` and `quorum` are those of the cluster.
"""

import logging
import math
from collections.abc import Iterator, Mapping
from typing import Final

from respcache.cluster.membership import Member, Meta
from respcache.config import Config
from respcache.net.keeping import lease_ms
from respcache.settings import LiveSettings
from respcache.version import __version__

log: Final = logging.getLogger(__name__)
WITH: Final = {True: "with", False: "without"}
MODES: Final = {True: "async", False: "sync"}
NODES_MAX: Final = 1_024
"""Nodes of which it is remembered what was told of them."""


def difference(config: Config, member: Member) -> str | None:
    """Say which setting of another node must be that of this one, and is not; None for none."""
    own, theirs = config.server.databases, member.meta.databases
    if theirs not in {0, own}:
        return f"databases = {own}, but {theirs} on {member.name}: all nodes of a cluster must have as many"
    own_ms, their_ms = lease_ms(config), member.meta.lease_ms
    if their_ms not in {0, own_ms}:
        return (
            f"leases of {own_ms / 1000:g} s (environment = {config.cluster.environment}, lease), but of "
            f"{their_ms / 1000:g} s on {member.name}: all nodes of a cluster must have the same"
        )
    return None


def accept(settings: LiveSettings, agreed: Mapping[str, object]) -> None:
    """Take over what the cluster has been formed with, and say so where this node was told otherwise."""
    for name, value in agreed.items():
        if (own := settings.get(name)) != str(value):
            log.warning("%s = %s is ignored: the cluster has been formed with %s", name, own, value)
            settings.settle({name: value})


class Differences:
    """In what the other nodes differ, told once each, until it changes."""

    def __init__(self) -> None:
        self._told: Final[dict[str, frozenset[str]]] = {}

    def tell(self, config: Config, member: Member, grave: str | None) -> None:
        """Write into the log in what another node differs; `grave` is what would have kept it out as a newcomer."""
        lines = [(logging.WARNING, line) for line in _slight(config, member)]
        if grave is not None:
            lines.insert(0, (logging.ERROR, grave))
        told = self._told.pop(member.name, frozenset())
        for level, line in lines:
            if line not in told:
                log.log(level, "%s", line)
        if not lines:
            return
        if len(self._told) >= NODES_MAX:
            del self._told[next(iter(self._told))]
        self._told[member.name] = frozenset(line for _, line in lines)


def _slight(config: Config, member: Member) -> Iterator[str]:
    """Say in what else a node differs from this one; nothing of what it says nothing of."""
    name, theirs, own = member.name, member.meta, config.cluster
    guarded = bool(config.server.requirepass)
    if theirs.guarded != guarded:
        yield (
            f"{name} lets clients in {WITH[theirs.guarded]} a password, this node {WITH[guarded]}: "
            "all nodes give access to all keys"
        )
    asynchronous = own.replication == "async"
    if theirs.lease_ms and theirs.asynchronous != asynchronous:
        yield (
            f"replication = {MODES[theirs.asynchronous]} on {name}, and {MODES[asynchronous]} on this node: "
            "what a write survives depends on which of them has its key"
        )
    if theirs.min_in_sync not in {-1, own.min_in_sync}:
        yield (
            f"min-in-sync = {theirs.min_in_sync} on {name}, and {own.min_in_sync} on this node: "
            "which writes are refused depends on which of them has the key"
        )
    if theirs.unclean_after_s not in {-1, unclean_s(config)}:
        yield (
            f"unclean-after = {_duration(theirs.unclean_after_s)} on {name}, and {_duration(unclean_s(config))} on "
            "this node: when keys are given up depends on which of them leads"
        )


def introduction(config: Config, *, client_port: int, http_port: int) -> Meta:
    """Tell what the others have to know of a node."""
    server, cluster = config.server, config.cluster
    return Meta(
        client_port=client_port,
        http_port=http_port,
        label=cluster.label,
        zone=cluster.zone,
        weight=cluster.weight,
        version=__version__,
        databases=server.databases,
        guarded=bool(server.requirepass),
        lease_ms=lease_ms(config),
        asynchronous=cluster.replication == "async",
        min_in_sync=cluster.min_in_sync,
        unclean_after_s=unclean_s(config),
    )


def unclean_s(config: Config) -> float:
    """Tell for how long keys are to wait for the last of their copies, infinite for ever."""
    after_s = config.cluster.unclean_after_s
    return math.inf if after_s == "never" else after_s


def _duration(seconds: float) -> str:
    return "never" if math.isinf(seconds) else f"{seconds:g}"
