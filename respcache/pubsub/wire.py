"""What the exchanges of two nodes tell each other over their link, as MessagePack arrays. Pure."""

from typing import Annotated, Final, TypeAlias

import msgspec

from respcache.errors import ProtocolError
from respcache.glob import PATTERN_MAX_BYTES
from respcache.pubsub.audience import Kind
from respcache.unreadable import UNREADABLE

NAMES_MAX: Final = 10_000
"""Names in one message: a longer list comes in several."""
ITEMS_MAX: Final = 10_000
"""Publications in one message."""
ITEMS_BYTES: Final = 1024 * 1024
"""Names or payloads in one message, but for the last one of them."""
CHOICES_MAX: Final = 64
"""Settings in one message; there are fewer that hold for all nodes."""
CHOICE_TIME_MAX_UNIX_MS: Final = 2**62
"""So late no clock is; further choices are told apart by their values."""

Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Name: TypeAlias = tuple[Kind, bytes]
Word: TypeAlias = Annotated[str, msgspec.Meta(max_length=64)]
Choice: TypeAlias = tuple[Word, Annotated[int, msgspec.Meta(ge=0, le=CHOICE_TIME_MAX_UNIX_MS)], Word]
"""A setting that is to hold for all nodes: its name, when it was chosen, in Unix milliseconds, and its value."""


class Told(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """Which names have got listeners at the sender, and which have none any more."""

    epoch: Number
    """Greater with every link, and with every run of the sender."""
    number: Number
    """0, 1, 2 ... within the epoch; 0 stands for: forget what I told before."""
    joined: Annotated[list[Name], msgspec.Meta(max_length=NAMES_MAX)]
    quit: Annotated[list[Name], msgspec.Meta(max_length=NAMES_MAX)]
    choices: Annotated[tuple[Choice, ...], msgspec.Meta(max_length=CHOICES_MAX)] = ()
    """All that the sender knows to have been chosen, where there is news of that."""


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
    except UNREADABLE as problem:
        raise ProtocolError(f"no message of publish and subscribe: {problem}") from problem
    if isinstance(message, Told) and any(
        kind is Kind.PATTERN and len(name) > PATTERN_MAX_BYTES for kind, name in message.joined
    ):
        raise ProtocolError("a pattern that nobody may listen by")
    return message
