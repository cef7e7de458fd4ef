"""How much may wait for acks: what copies have not confirmed is kept here, and must not grow without bound."""

from collections.abc import Iterable

from respcache.cluster.replication.log import Log, Stream


class Pressure:
    """Whether more waits for acks than may, for one peer or for all together.

    calm --above a limit--> pressed --at or below half of it--> calm

    The limits are exceeded by at most what one turn of the event loop takes in: it is measured at its
    end. Half of it as the way back keeps thousands of partitions from being opened and closed with every ack.
    """

    def __init__(self, *, peer_bytes_max: int, bytes_max: int) -> None:
        self._peer_bytes_max, self._bytes_max = peer_bytes_max, bytes_max
        self.pending_bytes = 0
        """What waits for all peers, as of the last measurement."""
        self._streams: frozenset[Stream] = frozenset()
        self._everything = False

    def __bool__(self) -> bool:
        """Whether any write has to wait."""
        return self._everything or bool(self._streams)

    def measure(self, streams: Iterable[Stream]) -> bool:
        """Add up what waits; return whether that makes a difference."""
        before = self._everything, self._streams
        pending = 0
        pressed: list[Stream] = []
        for stream in streams:
            size = stream.unacked_bytes
            pending += size
            if size > self._peer_bytes_max or (stream in self._streams and size > self._peer_bytes_max // 2):
                pressed.append(stream)
        self.pending_bytes = pending
        self._everything = pending > (self._bytes_max // 2 if self._everything else self._bytes_max)
        self._streams = frozenset(pressed)
        return before != (self._everything, self._streams)

    def presses(self, log: Log) -> bool:
        """Tell whether writes to a partition have to wait: one more effect would wait for such a peer, too."""
        if self._everything:
            return bool(log.streams)
        return any(stream in self._streams for stream in log.streams)
