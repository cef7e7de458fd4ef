"""The keys of a node: where they come from when it starts, and where they are kept when they change."""

import logging
import os
import tempfile
from pathlib import Path
from typing import Final

from respcache.addresses import is_loopback
from respcache.cluster.sealing.keyring import Keyring
from respcache.config import Config
from respcache.errors import ConfigError

HEADING: Final = "# Keys of the nodes of a respcache cluster, the one to seal with first. Whoever has one is a node.\n"
FILE_MODE: Final = 0o600

IN_MEMORY: Final = "the keys were not given in a file (cluster-keys-file)"
"""Why a ring is not kept, where that is so from the start."""

log: Final = logging.getLogger(__name__)


def load_ring(config: Config) -> Keyring | None:
    """Read the keys that a node is configured with; None for none.

    Raises ConfigError, which repeats no key, where they are not valid, and where nodes would
    talk without keys beyond this machine although nobody has said that they may.
    """
    cluster = config.cluster
    if cluster.keys and cluster.keys_file:
        raise ConfigError("cluster-keys and cluster-keys-file are both given; one of them must go")
    ring = None
    if cluster.keys_file:
        ring = _read(Path(cluster.keys_file))
    elif cluster.keys:
        ring = _parsed("cluster-keys", list(cluster.keys))
    _check_plaintext(config, ring)
    return ring


def keep(path: str, ring: Keyring) -> str:
    """Write a ring to its file, all of it or nothing; return why that was not possible, or nothing."""
    target = Path(os.path.realpath(path))  # a link stays one
    try:
        # Made with FILE_MODE, beside the target: within one file system a rename is atomic.
        with tempfile.NamedTemporaryFile("w", dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            file.write(HEADING + "".join(f"{key.text}\n" for key in ring.keys))
            file.flush()
            os.fsync(file.fileno())
        try:
            Path(file.name).replace(target)
        except OSError:
            Path(file.name).unlink()
            raise
    except OSError as problem:
        return f"{path}: {problem.strerror or problem}"
    return ""


def _read(path: Path) -> Keyring:
    """Read a file of keys: one a line, empty lines and comments aside. Raises ConfigError."""
    source = f"cluster-keys-file = {str(path)!r}"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        others_may_read = path.stat().st_mode & 0o077
    except (OSError, UnicodeDecodeError) as problem:
        told = problem.strerror if isinstance(problem, OSError) else "it is no text"
        raise ConfigError(f"{source}: {told}") from None
    if others_may_read:
        log.warning("%s can be read by other users of this machine; whoever reads it can join the cluster", path)
    return _parsed(source, [line.strip() for line in lines if line.strip() and not line.startswith("#")])


def _parsed(source: str, texts: list[str]) -> Keyring:
    try:
        return Keyring.parse(texts)
    except ConfigError as problem:
        raise ConfigError(f"{source}: {problem}") from None


def _check_plaintext(config: Config, ring: Keyring | None) -> None:
    bind, allowed = config.server.bind, config.cluster.plaintext
    if ring is not None:
        if allowed:
            log.warning("nodes without keys are let in (cluster-plaintext); switch that off when all nodes have keys")
        return
    if is_loopback(bind):
        return
    if not allowed:
        raise ConfigError(
            f"bind = {bind!r}: other machines reach the cluster port, and there are no keys, so anyone there could "
            "join the cluster and read it; set cluster-keys-file (`respcache keys generate` makes a key), or "
            "cluster-plaintext = yes if everyone who can reach the port may"
        )
    log.warning("nodes talk to each other without encryption (cluster-plaintext): who reaches the port can join")
