"""What the exchanges of two nodes tell each other over their link, as MessagePack arrays. Pure."""

from typing import Annotated, Final, TypeAlias

import msgspec

from respcache.errors import ProtocolError
from respcache.glob import PATTERN_MAX_BYTES
from respcache.pubsub.audience import Kind

NAMES_MAX: Final = 10_000
"""Names in one message: a longer list comes in several."""
ITEMS_MAX: Final = 10_000
"""Publications in one message."""
ITEMS_BYTES: Final = 1024 * 1024
"""Names or payloads in one message, but for the last one of them."""

Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Name: TypeAlias = tuple[Kind, bytes]
Choice: TypeAlias = tuple[Number, Annotated[str, msgspec.Meta(max_length=64)]]
"""Which keyspace events all nodes are to publish, in letters, behind the time of the choice in Unix milliseconds. The
greater of two holds."""
NO_CHOICE: Final[Choice] = (0, "")


class Told(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """Which names have got listeners at the sender, and which have none any more."""

    epoch: Number
    """Greater with every link, and with every run of the sender."""
    number: Number
    """0, 1, 2 ... within the epoch; 0 stands for: forget what I told before."""
    joined: Annotated[list[Name], msgspec.Meta(max_length=NAMES_MAX)]
    quit: Annotated[list[Name], msgspec.Meta(max_length=NAMES_MAX)]
    choice: Choice = NO_CHOICE
    """What the sender knows to have been chosen last."""


class Heard(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """All of an epoch up to this number has been taken in: what is published from now on will come."""

    epoch: Number
    number: Number


class Published(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Publications for the clients of the receiver, in order. To be answered with a count for each."""

    number: Number
    items: Annotated[list[tuple[Kind, bytes, bytes]], msgspec.Meta(min_length=1, max_length=ITEMS_MAX)]
    """Kind, channel, payload."""


class Asked(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """How many of your clients listen to each of these? Without names: have I heard all that you told so far?"""

    number: Number
    kind: Kind
    names: Annotated[list[bytes], msgspec.Meta(max_length=1024 * 1024)]


class Counted(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """The answer to the Published or the Asked of that number."""

    number: Number
    counts: Annotated[list[Number], msgspec.Meta(max_length=1024 * 1024)]


Message: TypeAlias = Told | Heard | Published | Asked | Counted

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Message)


def encode(message: Message) -> bytes:
    """Encode a message."""
    return _encoder.encode(message)


def decode(body: bytes) -> Message:
    """Decode a message. Raises ProtocolError for anything that is none."""
    try:
        message: Message = _decoder.decode(body)
    except (msgspec.MsgspecError, RecursionError) as problem:
        raise ProtocolError(f"no message of publish and subscribe: {problem}") from problem
    if isinstance(message, Told) and any(
        kind is Kind.PATTERN and len(name) > PATTERN_MAX_BYTES for kind, name in message.joined
    ):
        raise ProtocolError("a pattern that nobody may listen by")
    return message
