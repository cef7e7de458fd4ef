"""Gossip messages as bytes: MessagePack arrays, versioned by their tags, with a limit on every size and count.

A packet is `[label, sender, epoch, digest, message, rumours]`.
Header and rumours are the same for every message, hence any of them carries
news, and shows the sender's view of the cluster.
Encryption, where there is any, wraps the whole packet. Decoding raises
DecodeError on anything unexpected, and changes nothing.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Final

import msgspec

from respcache.cluster.membership.member import META_BYTES_MAX, Member, MemberState, Meta, encode_meta
from respcache.errors import RespcacheError
from respcache.unreadable import UNREADABLE

DATAGRAM_BYTES_MAX: Final = 1_400
"""Fits an Ethernet frame behind IPv6, UDP and the overhead of encryption or a tunnel."""
STREAM_BYTES_MAX: Final = 32 * 1024 * 1024
"""A whole table of the greatest size, in one sync."""
RUMORS_PER_PACKET_MAX: Final = 65_536
ACCUSERS_MAX: Final = 6
EPOCH_MAX: Final = 2**53
INCARNATION_MAX: Final = 2**31
LAG_MS_MAX: Final = 2**31
BUCKETS: Final = 64
BUCKET_BYTES: Final = 8

NAME_PATTERN: Final = r"^[!-~]{1,64}\Z"
"""A member's name: 1 to 64 printable ASCII characters without blanks."""
HOST_PATTERN: Final = r"^[0-9A-Za-z._:%-]{1,255}\Z"
"""A host name or a literal address, IPv6 zone included."""

_Name = Annotated[str, msgspec.Meta(max_length=64, pattern=NAME_PATTERN)]
_Label = Annotated[str, msgspec.Meta(max_length=64)]
_Host = Annotated[str, msgspec.Meta(max_length=255, pattern=HOST_PATTERN)]
_Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
_Epoch = Annotated[int, msgspec.Meta(ge=0, le=EPOCH_MAX)]
_Incarnation = Annotated[int, msgspec.Meta(ge=0, le=INCARNATION_MAX)]
_Round = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Digest = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Buckets = Annotated[bytes, msgspec.Meta(min_length=BUCKETS * BUCKET_BYTES, max_length=BUCKETS * BUCKET_BYTES)]


class DecodeError(RespcacheError):
    """Bytes that are no packet of this protocol. They were dropped; nothing changed."""


class OversizeError(DecodeError):
    """More bytes than a packet may have. They were dropped unread; nothing changed."""


class Rumor(msgspec.Struct, frozen=True, array_like=True):
    """One belief about one member, as it travels."""

    name: _Name
    epoch_unix_ms: _Epoch
    incarnation: _Incarnation
    state: MemberState
    host: _Host
    port: _Port
    meta: Annotated[bytes, msgspec.Meta(max_length=META_BYTES_MAX)] = b""
    """Encoded Meta, opened only when the rumour is news; empty where the state alone matters."""
    accusers: Annotated[tuple[_Name, ...], msgspec.Meta(max_length=ACCUSERS_MAX)] = ()
    """Of a suspect: the members whose own probes it left unanswered."""
    age_s: Annotated[int, msgspec.Meta(ge=0, le=2**31)] = 0
    """Of a dead or left member: seconds since then, rounded up, so that its tombstone ends everywhere alike."""


class Ping(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Are you `target`, and there? A node of another name stays silent."""

    round_no: _Round
    target: _Name


class Ack(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """The answer to the ping of that round, from the target or forwarded by a helper."""

    round_no: _Round
    lag_ms: Annotated[int, msgspec.Meta(ge=0, le=LAG_MS_MAX)] = 0
    """How late the target's event loop was lately, milliseconds."""


class Nack(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """A helper lives, but got no answer from the target in time."""

    round_no: _Round


class PingReq(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Please ping `target` for me, and forward its ack."""

    round_no: _Round
    target: _Name


class Gossip(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Nothing but the rumours of the packet. Over a stream: the second half of a sync."""


class SyncRequest(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """Tell me what we do not agree on. Also how a node joins: its packet carries the rumour of itself."""

    buckets: _Buckets


class SyncReply(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """The packet's rumours are all that the answering node holds in the buckets that differ."""

    buckets: _Buckets


class Conflict(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """Your name belongs to a live member elsewhere; you were not let in."""

    epoch_unix_ms: _Epoch
    host: _Host
    port: _Port


Message = Ping | Ack | Nack | PingReq | Gossip | SyncRequest | SyncReply | Conflict


class Packet(msgspec.Struct, frozen=True, array_like=True):
    """What one datagram or one stream message holds."""

    label: _Label
    sender: _Name
    epoch_unix_ms: _Epoch
    digest: _Digest
    message: Message
    rumors: Annotated[list[Rumor], msgspec.Meta(max_length=RUMORS_PER_PACKET_MAX)]


_PACKET_HEAD: Final = b"\x96"
"""A MessagePack array of six."""

_encoder: Final = msgspec.msgpack.Encoder()
_packet_decoder: Final = msgspec.msgpack.Decoder(Packet)
_meta_decoder: Final = msgspec.msgpack.Decoder(Meta)


class Packer:
    """Writes the packets of one sender.

    Rumours arrive encoded: a queue encodes each of them once, however many
    packets it then rides in.
    """

    __slots__ = ("_head",)

    def __init__(self, *, label: str, sender: str, epoch_unix_ms: int) -> None:
        self._head = _PACKET_HEAD + b"".join(map(_encoder.encode, (label, sender, epoch_unix_ms)))

    def head(self, message: Message, *, digest: int) -> bytes:
        """Return a packet without its rumours."""
        encode = _encoder.encode
        return self._head + encode(digest) + encode(message)


def close_packet(head: bytes, rumors: Sequence[bytes]) -> bytes:
    """Finish a packet with encoded rumours."""
    return b"".join((head, _array_head(len(rumors)), *rumors))


def room_for_rumors(head: bytes) -> int:
    """Bytes that rumours may take in a datagram that begins with `head`."""
    return DATAGRAM_BYTES_MAX - len(head) - len(_array_head(RUMORS_PER_PACKET_MAX))


def decode_datagram(payload: bytes) -> Packet:
    """Read a datagram. Raises DecodeError on anything else, the oversize included."""
    return _decode(payload, DATAGRAM_BYTES_MAX)


def decode_stream(payload: bytes) -> Packet:
    """Read one message of a stream. Raises DecodeError on anything else, the oversize included."""
    return _decode(payload, STREAM_BYTES_MAX)


def decode_meta(encoded: bytes) -> Meta:
    """Read a member's metadata. Raises DecodeError."""
    try:
        return _meta_decoder.decode(encoded)
    except UNREADABLE as error:
        raise DecodeError(f"bad metadata: {error}") from error


def rumor_of(member: Member, *, now: float, accusers: Iterable[str] = (), whole: bool = False) -> Rumor:
    """Put a belief into words. Metadata rides along with the living, or always where `whole`."""
    gone = not member.live
    told = whole or member.state is MemberState.ALIVE
    return Rumor(
        name=member.name,
        epoch_unix_ms=member.epoch_unix_ms,
        incarnation=member.incarnation,
        state=member.state,
        host=member.address[0],
        port=member.address[1],
        meta=(member.encoded_meta or encode_meta(member.meta)) if told else b"",
        accusers=tuple(sorted(accusers))[:ACCUSERS_MAX],
        age_s=int(max(0.0, now - member.since_s)) + 1 if gone else 0,
    )


def encode_rumor(rumor: Rumor) -> bytes:
    """Return the wire form of one rumour."""
    return _encoder.encode(rumor)


def _decode(payload: bytes, size_max_bytes: int) -> Packet:
    if len(payload) > size_max_bytes:
        raise OversizeError(f"{len(payload)} bytes exceed the limit of {size_max_bytes}")
    try:
        return _packet_decoder.decode(payload)
    except UNREADABLE as error:
        raise DecodeError(str(error)) from error


def _array_head(count: int) -> bytes:
    """The MessagePack header of an array: fixarray, array 16 or array 32."""
    if count < 16:
        return bytes((0x90 | count,))
    if count < 65_536:
        return b"\xdc" + count.to_bytes(2, "big")
    return b"\xdd" + count.to_bytes(4, "big")
