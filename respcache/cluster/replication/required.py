"""Whose acks a partition needs, and how many. Few sets of nodes hold all partitions, so each is looked at once."""

from collections.abc import Iterable
from typing import Final

from respcache.cluster.ownership.record import Record
from respcache.cluster.replication.log import Replication, Stream

_Names = tuple[tuple[str, ...], tuple[Stream, ...]]
"""Of copies that count, and the streams to those that are about to."""


class Required:
    """The streams to the copies of partitions, as one record has them."""

    def __init__(self, me: str, replication: Replication) -> None:
        self._me: Final = me
        self._replication: Final = replication
        self._known: Final[dict[_Names, tuple[Stream, ...]]] = {}

    def clear(self) -> None:
        """Forget everything: there is a new record, or a stream has been given up."""
        self._known.clear()

    def streams(self, record: Record, in_sync: tuple[str, ...], joining: Iterable[Stream]) -> tuple[Stream, ...]:
        """Give those to all copies that count, and to those that are about to, but for this node's own."""
        names = (in_sync, tuple(joining))
        found = self._known.get(names)
        if found is None:
            counted = [self._replication.stream(*record.nodes[name].life) for name in in_sync if name != self._me]
            found = tuple(dict.fromkeys([*counted, *names[1]]))
            self._known[names] = found
        return found


def short(record: Record, me: str, needed: int) -> frozenset[int]:
    """Return the partitions that a node serves, or will once it may, and of which fewer copies count than needed."""
    if needed <= 1:
        return frozenset()
    entries = enumerate(record.entries)
    return frozenset(p for p, entry in entries if entry.primary == me and len(entry.in_sync) < needed)


def thinned(old: Record | None, record: Record, changed: Iterable[int], needed: int) -> list[int]:
    """Return those of some partitions that have lost copies, and have fewer than needed.

    What was under way to them is on too few to be acknowledged, though all that are left have it.
    """
    if old is None or needed <= 1:
        return []
    counts = ((p, len(record.entries[p].in_sync)) for p in changed)
    return [p for p, count in counts if count < min(needed, len(old.entries[p].in_sync))]
