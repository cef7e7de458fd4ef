"""What nodes send each other over the cluster port: framed messages. Pure.

A frame is four bytes of length, one of kind, and a body. A connection begins with a
HELLO (a link between two nodes), with a GOSSIP (one question, one answer), or with a
RESP request (somebody asks where to join; see `seeds`). Where nodes have keys it begins
with a HAIL or an INQUIRY, and all frames are in sealed records (see `sealed`).
"""

import io
from typing import Final

from respcache.errors import ProtocolError

HELLO: Final = 0
"""A `Greeting`, from each side, first."""
GOSSIP: Final = 1
"""One message of the membership protocol."""
KEEPER: Final = 2
"""One message between the keepers of two nodes."""
ASK: Final = 3
"""Commands to be run by their owner."""
ANSWER: Final = 4
"""What became of some."""
PUBSUB: Final = 5
"""One message between the exchanges of two nodes."""
TRACKING: Final = 6
"""One message about keys that clients cache."""
FUNCTIONS: Final = 7
"""One message about functions and scripts."""

HAIL: Final = 32
"""Begins a sealed link; those from here on are of `cluster.sealing`."""
INQUIRY: Final = 33
"""Begins a sealed connection for a GOSSIP."""
WELCOME: Final = 34
"""The answer to a HAIL or an INQUIRY."""
RECORD: Final = 35
"""Sealed bytes of frames."""
REKEY: Final = 36
"""The sender goes on under another key."""
KEYS: Final = 37
"""A step of a rotation of keys, or the report on one. Within records only."""

HEAD_BYTES: Final = 5
BODY_MAX_BYTES: Final = 1024 * 1024 * 1024
"""A single value may be as large as 512 MiB, and travels whole."""
PREFACE_MAX_BYTES: Final = 64 * 1024
"""The same, for whoever has not introduced itself yet."""

GOSSIP_MAX_BYTES: Final = 8 * 1024 * 1024
"""The same, for a message of the membership protocol: the descriptions of 10,000 members."""


LONG_BYTES: Final = 256 * 1024
"""A body that is longer, and does not come at once, is written into the memory that it stays in, read by read."""


class Oversize(ProtocolError):
    """A frame is announced that is larger than it may be."""


def head(kind: int, body: bytes) -> bytes:
    """Give what goes in front of a body."""
    return len(body).to_bytes(4, "big") + bytes((kind,))


def frame(kind: int, body: bytes) -> bytes:
    """Put the head in front of a body."""
    return head(kind, body) + body


class FrameReader:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._buffer: Final = bytearray()
        """The beginning of a frame."""
        self._awaited_bytes = HEAD_BYTES
        """Bytes of it that are known to belong together: nothing is complete before they are there."""
        self.body_max_bytes = PREFACE_MAX_BYTES
        """Larger frames end the connection."""
        self._long: io.BytesIO | None = None
        """A long body that has begun."""
        self._kind = self._missing = 0
        """Its kind, and so many bytes of it are still to come."""

    def feed(self, chunk: bytes) -> list[tuple[int, bytes]]:
        """Take bytes in; return the frames (kind, body) that they complete. Raises ProtocolError."""
        buffer, received = self._buffer, chunk
        if self._long is not None:
            end = self._missing
            self._long.write(received if len(received) <= end else received[:end])
            self._missing = max(0, end - len(received))
            if self._missing:
                return []
            body, self._long = self._long.getvalue(), None
            rest = received[end:]
            return [(self._kind, body), *self.feed(rest)] if rest else [(self._kind, body)]
        if buffer:
            buffer.extend(chunk)
            if len(buffer) < self._awaited_bytes:
                return []
            received = bytes(buffer)
            buffer.clear()
        frames: list[tuple[int, bytes]] = []
        position, end = 0, HEAD_BYTES
        while end <= len(received):
            length = int.from_bytes(received[position : position + 4], "big")
            if length > self.body_max_bytes:
                raise Oversize(f"a frame of {length} bytes")
            end += length
            if end > len(received):
                if length > LONG_BYTES:
                    self._begin(received[position + 4], length, received[position + HEAD_BYTES :])
                    return frames
                break
            frames.append((received[position + 4], received[position + HEAD_BYTES : end]))
            position, end = end, end + HEAD_BYTES
        if position < len(received):
            buffer.extend(received[position:])
            self._awaited_bytes = end - position
        return frames

    def _begin(self, kind: int, length: int, beginning: bytes) -> None:
        """Make room for a long body: memory that was never written to is not there, and none of it is copied again."""
        self._long, self._kind = io.BytesIO(bytes(length)), kind
        self._missing = length - self._long.write(beginning)
