"""What links carry besides the messages of keepers and exchanges: MessagePack arrays, checked as they are decoded.

They stand apart from `frames`, which is compiled: msgspec reads the types of what it decodes while the program runs.
"""

from collections.abc import Sequence
from typing import Annotated, Final, TypeAlias

import msgspec

from respcache.errors import ProtocolError
from respcache.unreadable import UNREADABLE

PROTOCOL: Final = 3
"""Goes up when nodes would misunderstand each other: those of a cluster then have to be changed together."""


class Greeting(msgspec.Struct, frozen=True, array_like=True):
    """Who is at the other end of a link."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    run: int
    """Start of that run of the node, in Unix milliseconds."""
    protocol: int = PROTOCOL
    """Of what nodes say to each other."""


Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""Of a request on its link; comes back with the answer."""
Request: TypeAlias = tuple[
    Number,
    Annotated[list[Annotated[int, msgspec.Meta(ge=0, le=1023)]], msgspec.Meta(min_length=1, max_length=1024)],
    Annotated[list[bytes], msgspec.Meta(min_length=1, max_length=4 * 1024 * 1024)],
]
"""Number, partitions, argv."""
Sent: TypeAlias = tuple[int, tuple[int, ...], list[bytes]]
"""The same, as it goes out."""
Reply: TypeAlias = tuple[Number, bytes | None]
"""Number, and the reply as the client gets it; None if the request was certainly not run."""


class Ask(msgspec.Struct, frozen=True, array_like=True):
    """Commands that go out in one turn of the event loop, as their owner needs them."""

    version: tuple[int, int]
    """Of the control record by which the sender has found the owner."""
    database: Annotated[int, msgspec.Meta(ge=0, le=1023)]
    protocol: Annotated[int, msgspec.Meta(ge=2, le=3)]
    timeout_s: Annotated[float, msgspec.Meta(ge=0, le=3600)]
    """How long the answers may take."""
    requests: list[Request]
    writer: Number = 0
    """Number of the sender's client that all of them are of, if that does not want to hear of its own changes."""


_encoder: Final = msgspec.msgpack.Encoder()
_greetings: Final = msgspec.msgpack.Decoder(Greeting)
_asks: Final = msgspec.msgpack.Decoder(Ask)
_replies: Final = msgspec.msgpack.Decoder(list[Reply])


def encode_greeting(greeting: Greeting) -> bytes:
    """Encode the body of a HELLO."""
    return _encoder.encode(greeting)


def decode_greeting(body: bytes) -> Greeting:
    """Decode the body of a HELLO. Raises ProtocolError."""
    try:
        return _greetings.decode(body)
    except UNREADABLE as reason:
        raise ProtocolError(f"no greeting: {reason}") from reason


def encode_ask(
    version: tuple[int, int], database: int, protocol: int, timeout_s: float, requests: Sequence[Sent], writer: int = 0
) -> bytes:
    """Encode the body of an ASK: the fields of an `Ask`."""
    if writer:
        return _encoder.encode((version, database, protocol, timeout_s, requests, writer))
    return _encoder.encode((version, database, protocol, timeout_s, requests))


def decode_ask(body: bytes) -> Ask:
    """Decode the body of an ASK. Raises ProtocolError."""
    try:
        return _asks.decode(body)
    except UNREADABLE as reason:
        raise ProtocolError(f"no commands: {reason}") from reason


def encode_answer(replies: list[Reply]) -> bytes:
    """Encode the body of an ANSWER."""
    return _encoder.encode(replies)


def decode_answer(body: bytes) -> list[Reply]:
    """Decode the body of an ANSWER. Raises ProtocolError."""
    try:
        return _replies.decode(body)
    except UNREADABLE as reason:
        raise ProtocolError(f"no answer: {reason}") from reason
