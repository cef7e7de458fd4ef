"""Settings that should be alike on all nodes: noticed where they are not.

Databases and leases must be: a voter grants a lease for as long as its own last, so a node whose leases are longer
would serve on when another one already does. A newcomer that differs in one of these does not join. What
else should be alike is written into the log.
"""

import logging
from typing import Final

from respcache.cluster.membership import Member
from respcache.config import Config
from respcache.net.keeping import lease_ms

log: Final = logging.getLogger(__name__)
WITH: Final = {True: "with", False: "without"}
MODES: Final = {True: "async", False: "sync"}


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


def warn_of_differences(config: Config, member: Member) -> None:
    """Write into the log in what else another node differs."""
    guarded, theirs = bool(config.server.requirepass), member.meta
    if theirs.guarded != guarded:
        log.warning(
            "%s lets clients in %s a password, this node %s: all nodes give access to all keys",
            member.name,
            WITH[theirs.guarded],
            WITH[guarded],
        )
    asynchronous = config.cluster.replication == "async"
    if theirs.lease_ms and theirs.asynchronous != asynchronous:
        log.warning(
            "replication = %s on %s, and %s on this node: what a write survives depends on which of them has its key",
            MODES[theirs.asynchronous],
            member.name,
            MODES[asynchronous],
        )
