"""Whose acks a partition needs. Few sets of nodes hold all partitions between them, so each is looked at once."""

from collections.abc import Iterable
from typing import Final

from respcache.cluster.ownership.record import Record
from respcache.cluster.replication.log import Replication, Stream

_Names = tuple[tuple[str, ...], tuple[str, ...]]


class Required:
    """The streams to the copies of partitions, as one record has them."""

    def __init__(self, me: str, replication: Replication) -> None:
        self._me: Final = me
        self._replication: Final = replication
        self._known: Final[dict[_Names, tuple[Stream, ...]]] = {}

    def clear(self) -> None:
        """Forget everything: there is a new record, or a stream has been given up."""
        self._known.clear()

    def streams(self, record: Record, in_sync: tuple[str, ...], joining: Iterable[str]) -> tuple[Stream, ...]:
        """Give those to all copies that count, and to those that are about to, but for this node's own."""
        names = (in_sync, tuple(joining))
        found = self._known.get(names)
        if found is None:
            lives = [record.nodes[name].life for name in names[0] + names[1] if name != self._me]
            found = tuple(dict.fromkeys([self._replication.stream(*life) for life in lives]))
            self._known[names] = found
        return found
