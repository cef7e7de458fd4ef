"""Clients that find the owners of keys themselves: what they are told, and what they see of a whole database."""

from collections.abc import Callable, Sequence
from typing import Final

from respcache.cluster.ownership.slots import EVERYWHERE, partition_of, slot_of
from respcache.cluster.ownership.table import Table
from respcache.commands.registry import Command, Merge
from respcache.commands.session import Session
from respcache.errors import CrossSlot, Moved
from respcache.stats import Stats

ADDS_UP: Final = frozenset({Merge.SUM, Merge.CONCAT, Merge.WALK})
"""Of commands on whole databases, those whose replies a client of all nodes puts together: DBSIZE, KEYS, SCAN."""


class Redirects:
    """The answers of one node to such clients."""

    def __init__(
        self, name: str, table: Table, stats: Stats, *, policy: str, client_address: Callable[[str], tuple[str, int]]
    ) -> None:
        """`policy` is the setting `redirect`; `client_address` gives host and RESP port of a node."""
        self._name: Final = name
        self._table: Final = table
        self._stats: Final = stats
        self._policy: Final = policy
        self._client_address: Final = client_address

    def wanted_by(self, session: Session) -> bool:
        """Tell whether a client is to find the owners of keys itself."""
        if self._policy == "always":
            return not session.embedded
        return self._policy == "auto" and session.cluster_aware

    def of(self, session: Session, key: bytes) -> Moved | None:
        """Send a client that knows the slots to the owner of a key, or of a sharded channel."""
        if not self.wanted_by(session):
            return None
        owner = self._table.primary[partition_of(key)]
        if owner in {"", self._name}:
            return None
        self._stats.redirects += 1
        return Moved(slot_of(key), *self._client_address(owner))

    def of_all(self, session: Session, keys: Sequence[bytes]) -> Moved | None:
        """Send a client that knows the slots to the owner of all keys, if they lie in one slot; else serve it here."""
        if not keys or not self.wanted_by(session):
            return None
        slot = slot_of(keys[0])
        return self.of(session, keys[0]) if all(slot_of(key) == slot for key in keys) else None

    def check(self, session: Session, keys: Sequence[bytes]) -> None:
        """Send a client that knows the slots to the owner of all keys. Raises Moved or CrossSlot."""
        if not keys or not self.wanted_by(session):
            return
        if len({slot_of(key) for key in keys}) > 1:
            raise CrossSlot
        moved = self.of(session, keys[0])
        if moved is not None:
            raise moved

    def scope(self, session: Session, row: Command) -> tuple[int, ...]:
        """Tell which partitions a command on a whole database is about: all, or those of this node."""
        if row.merge in ADDS_UP and (session.node_scope or (self._policy == "always" and not session.embedded)):
            return tuple(number for number in EVERYWHERE if self._table.primary[number] == self._name)
        return EVERYWHERE
