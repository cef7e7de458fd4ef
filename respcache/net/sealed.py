"""The bytes of one connection on the cluster port: frames, inside sealed records where the node has keys."""

from typing import Final

from respcache.cluster.membership import Address
from respcache.cluster.sealing.channel import RECORD_BYTES_MAX, TAG_BYTES, Channel, ChannelBroken, Identity
from respcache.cluster.sealing.sealing import Sealing
from respcache.errors import ProtocolError
from respcache.net import frames
from respcache.net.frames import FrameReader, Oversize


class Wire:
    """Turns bytes into frames and back.

    plain:   the frames are the bytes
    sealed:  waiting for HAIL, INQUIRY or WELCOME --> records, which hold the frames

    A wire with keys takes no plain frame, unless the node's settings allow for nodes
    without keys; then the first frame decides, and the wire stays what it is.
    """

    def __init__(self, sealing: Sealing | None, *, dialled: Address | None = None) -> None:
        """`dialled` is the address that this node has connected to; None for a connection that came in."""
        self._dialled: Final = dialled
        self._sealing: Final = sealing
        self._channel: Channel | None = None
        if sealing is not None and (dialled is None or not sealing.dials_plain(dialled)):
            self._channel = sealing.channel()
        self._outer: Final = FrameReader()
        self._inner: Final = FrameReader()
        self._answer = b""

    @property
    def peer(self) -> Identity | None:
        """Who has proved a key at the other end; None on a plain wire, and before the handshake is over."""
        return None if self._channel is None else self._channel.peer

    @property
    def is_ready(self) -> bool:
        """Whether frames can be sent."""
        return self._channel is None or self._channel.peer is not None

    @property
    def key_ids(self) -> frozenset[bytes]:
        """The keys that the connection rests on."""
        return frozenset() if self._channel is None else self._channel.key_ids

    def begin(self, kind: int = frames.HAIL) -> bytes:
        """Give the first bytes of the side that dialled, for a link or an INQUIRY: none on a plain wire."""
        return b"" if self._channel is None else frames.frame(kind, self._channel.hail(_purpose(kind)))

    def trust(self, body_max_bytes: int = frames.BODY_MAX_BYTES) -> None:
        """Let larger frames in from now on: inside records, or on a plain wire."""
        self._inner.body_max_bytes = body_max_bytes
        if self._channel is None:
            self._outer.body_max_bytes = body_max_bytes

    def feed(self, received: bytes) -> list[tuple[int, bytes]]:
        """Take bytes in; return the frames (kind, body) that they complete. Raises ProtocolError."""
        arrived: list[tuple[int, bytes]] = []
        for kind, body in self._outer.feed(received):
            arrived += self._taken(kind, body)
        return arrived

    def take(self) -> bytes:
        """Give the bytes that have to be sent at once, for the handshake to go on."""
        answer, self._answer = self._answer, b""
        return answer

    def seal(self, plain: bytes) -> bytes:
        """Make the bytes to be sent out of those of frames."""
        if self._channel is None:
            return plain
        return b"".join([frames.frame(frames.RECORD, record) for record in self._channel.seal(plain)])

    def rekey(self) -> bytes:
        """Change to the node's primary key; give the bytes that tell the other side."""
        record = self._channel.rekey() if self._channel is not None and self.is_ready else None
        return b"" if record is None else frames.frame(frames.REKEY, record)

    def ended(self, *, understood: bool) -> None:
        """Note, for the next attempt, whether the other side was spoken to in a way that it understands."""
        if self._sealing is not None and self._dialled is not None:
            self._sealing.dialled(self._dialled, understood=understood)

    def _taken(self, kind: int, body: bytes) -> list[tuple[int, bytes]]:
        channel = self._channel
        if channel is None:
            if kind in {frames.HAIL, frames.INQUIRY}:
                raise ChannelBroken("key", "the other side has keys, and this node has none")
            return [(kind, body)]
        match kind:
            case frames.HAIL | frames.INQUIRY:
                self._answer = frames.frame(frames.WELCOME, channel.welcome(body, _purpose(kind)))
                self._outer.body_max_bytes = RECORD_BYTES_MAX + TAG_BYTES
            case frames.WELCOME:
                channel.welcomed(body)
                self._outer.body_max_bytes = RECORD_BYTES_MAX + TAG_BYTES
            case frames.RECORD:
                return self._inner.feed(channel.open(body))
            case frames.REKEY:
                channel.rekeyed(body)
            case _:
                return self._taken_plain(kind, body)
        return []

    def _taken_plain(self, kind: int, body: bytes) -> list[tuple[int, bytes]]:
        """Take a plain frame on a wire that expects sealed ones. Raises ChannelBroken."""
        assert self._sealing is not None
        is_first = self._dialled is None and self.peer is None
        if not (self._sealing.plaintext and is_first):
            raise ChannelBroken("plaintext", "what it says is not sealed")
        self._channel = None
        return [(kind, body)]


def _purpose(kind: int) -> bytes:
    return bytes((kind,))


def reason_of(problem: ProtocolError) -> str:
    """Tell under which reason a connection that had to end is counted."""
    match problem:
        case ChannelBroken():
            return problem.reason
        case Oversize():
            return "oversize"
        case _:
            return "decode"
