"""What nodes tell each other of keys that clients cache, as MessagePack arrays over their link. Pure."""

from typing import Annotated, Final, TypeAlias

import msgspec

from respcache.errors import ProtocolError
from respcache.unreadable import UNREADABLE

ITEMS_MAX: Final = 10_000
"""Keys in one message; more come in several."""
PREFIXES_MAX: Final = 100_000
"""Prefixes in one message: those of all clients of a node, see `Clients`."""

Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Keys: TypeAlias = Annotated[list[bytes], msgspec.Meta(max_length=ITEMS_MAX)]


class Interest(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """What the sender's clients are to be told of from now on, besides what they read. To be answered by Heard."""

    number: Number
    flushes: bool
    """Whether it has any clients that cache: they are told when all is deleted."""
    prefixes: Annotated[list[bytes], msgspec.Meta(max_length=PREFIXES_MAX)]


class Asked(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Are you there? To be answered by Heard."""

    number: Number


class Heard(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """All up to this number has been taken in, and all that had changed before has been told."""

    number: Number


class Read(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """Clients of the sender read these keys next. It is to be told of the next change to each of them."""

    database: Annotated[int, msgspec.Meta(ge=0, le=1023)]
    keys: Keys


class Changed(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """These keys have changed, and everybody can see it; or all keys are to be forgotten."""

    flushed: bool
    keys: Annotated[list[tuple[bytes, Number]], msgspec.Meta(max_length=ITEMS_MAX)]
    """Each with the number of the receiver's client that has changed it; 0 for anybody."""
    dropped: Keys
    """These have not changed, but nobody will tell when they do."""


Message: TypeAlias = Interest | Asked | Heard | Read | Changed

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Message)


def encode(message: Message) -> bytes:
    """Encode a message."""
    return _encoder.encode(message)


def decode(body: bytes) -> Message:
    """Decode a message. Raises ProtocolError for anything that is none."""
    try:
        message: Message = _decoder.decode(body)
    except UNREADABLE as problem:
        raise ProtocolError(f"no message about what clients cache: {problem}") from problem
    return message
