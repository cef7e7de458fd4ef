"""A node on its way in: what it should have copies of, and has not yet. Pure."""

from collections.abc import Mapping

from respcache.cluster.ownership.changes import Target
from respcache.cluster.ownership.record import Life, Record


def copies_lacking(record: Record | None, target: Target | None, live: Mapping[str, int], me: Life) -> int | None:
    """Count the partitions that a node is to have a copy of, and is not in sync with; None while that is not known.

    `live` maps the names of the live nodes to their run epochs. Of what none of them has nobody can give a copy, so
    that is not counted: it may stay so for ever.
    """
    if record is None or target is None or not record.has(me):
        return None
    name, living = me[0], {other for other, run in live.items() if record.has((other, run))}
    missing = [
        entry
        for wanted, entry in zip(target, record.entries, strict=True)
        if (name in wanted or name in entry.learners) and name not in entry.in_sync
    ]
    return sum([not living.isdisjoint(entry.in_sync) for entry in missing])
