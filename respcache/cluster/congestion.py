"""Which partitions take no writes for now: copies have yet to confirm too many, or to get what never holds still."""

from collections.abc import Iterable, Mapping

from respcache.cluster.replication.log import Log, Stream
from respcache.cluster.replication.pressure import Pressure


class Congestion:
    """The partitions of one node that must not be written to."""

    def __init__(self, peer_bytes_max: int, bytes_max: int, withheld: set[int]) -> None:
        """`withheld` are partitions that are to be left alone besides; it changes in place."""
        self._withheld = withheld
        self._pressure = Pressure(peer_bytes_max=peer_bytes_max, bytes_max=bytes_max)
        self.partitions: frozenset[int] = frozenset()
        """They are served, but for writes."""

    def __bool__(self) -> bool:
        """Whether acks should be followed by a measurement."""
        return bool(self._pressure)

    def measure(self, streams: Iterable[Stream], logs: Mapping[int, Log]) -> bool:
        """See how much waits for acks; return whether other partitions than before must not be written to."""
        return (self._pressure.measure(streams) or bool(self._pressure)) and self.review(logs)

    def review(self, logs: Mapping[int, Log]) -> bool:
        """Find them anew, when copies have come or gone; return whether they have changed."""
        before = self.partitions
        if self._pressure or before or self._withheld:
            pressed = frozenset(number for number, log in logs.items() if self._pressure.presses(log))
            self.partitions = pressed | self._withheld
        return self.partitions != before
