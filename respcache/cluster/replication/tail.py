"""The effects that a copy has applied lately: what a new primary sends to copies that got less far than itself."""

from collections import deque
from typing import Final

from respcache.cluster.replication.inbound import Copy
from respcache.cluster.replication.items import Item
from respcache.cluster.replication.parts import gathered_again
from respcache.cluster.replication.wire import decode_items

TAIL_BYTES: Final = 8 * 1024 * 1024
"""Recent effects that a node keeps for copies that are behind when it becomes primary: several seconds of them,
where milliseconds would do; a copy that is further behind is made afresh."""


class Tail:
    """The latest frames that came, up to TAIL_BYTES of them."""

    def __init__(self) -> None:
        self._frames: Final[deque[bytes | list[bytes]]] = deque()
        """As they came, or their parts, the latest last. As objects their effects were 150,000, and the garbage
        collector went through all of them every second or two, for a fifth of a second in which nothing else ran."""
        self._bytes = 0

    def keep(self, frame: bytes | list[bytes]) -> None:
        """Add a frame of which all effects were applied, or the parts of one; none of them if they were too large."""
        if not frame:  # its parts were too many to be kept
            return
        self._frames.append(frame)
        self._bytes += _size(frame)
        while self._bytes > TAIL_BYTES:
            self._bytes -= _size(self._frames.popleft())

    def after(self, copies: dict[int, Copy], wanted: dict[int, int]) -> dict[int, list[Item]]:
        """Return the effects after a given sequence of each partition, up to where this node's copy is.

        A partition of which not all of them are kept is left out.
        """
        kept = {partition: after for partition, after in wanted.items() if after >= copies[partition].floor}
        recent: dict[int, dict[int, Item]] = {partition: {} for partition in kept}
        missing = sum(copies[partition].sequence - after for partition, after in kept.items())
        frames = reversed(self._frames)  # what copies lack is mostly little, and there are megabytes of frames
        while missing > 0 and (frame := next(frames, None)) is not None:
            for item in reversed([*(decode_items(frame) if isinstance(frame, bytes) else gathered_again(frame))]):
                partition, _, sequence, database, _ = item
                if partition in kept and kept[partition] < sequence <= copies[partition].sequence and database >= 0:
                    found = recent[partition]
                    if sequence not in found:  # an earlier one was of a copy before this one
                        found[sequence] = item
                        missing -= 1
        return {
            partition: [recent[partition][sequence] for sequence in range(after + 1, copies[partition].sequence + 1)]
            for partition, after in kept.items()
            if len(recent[partition]) == copies[partition].sequence - after
        }


def _size(frame: bytes | list[bytes]) -> int:
    return len(frame) if isinstance(frame, bytes) else sum(map(len, frame))
