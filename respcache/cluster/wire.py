"""Everything that keepers of partitions say to each other: one MessagePack array per frame of a link."""

from typing import Annotated, Final

import msgspec

from respcache.cluster.ownership.record import Number
from respcache.cluster.ownership.wire import DecodeError, LeaseMessage, RegisterMessage
from respcache.cluster.replication.wire import Ack, Claim, Frame, Inquiry, Part, Positions
from respcache.unreadable import UNREADABLE


class Hello(msgspec.Struct, frozen=True, array_like=True, tag=20):
    """The first message on every new link, in both directions."""

    run: Number
    """Which life of the sender this is."""
    cluster_id: Annotated[str, msgspec.Meta(max_length=64)]
    """Empty while the sender belongs to no cluster."""
    version: tuple[Number, Number]
    """Of the sender's record."""
    applied_run: Number
    """The life of the receiver that the next field is about."""
    applied: Number
    """The last of the receiver's frames that the sender has applied: send those after it again."""


Message = Hello | Frame | Part | Ack | Inquiry | Positions | Claim | RegisterMessage | LeaseMessage

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Message)


def encode(message: Message) -> bytes:
    """Encode a message."""
    return _encoder.encode(message)


def decode(frame: bytes) -> Message:
    """Decode a message. Raises DecodeError for anything that is none."""
    try:
        message: Message = _decoder.decode(frame)
    except UNREADABLE as problem:
        raise DecodeError(f"not a message: {problem}") from problem
    return message
