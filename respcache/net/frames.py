"""What nodes send each other over the cluster port: framed messages. Pure.

A frame is four bytes of length, one of kind, and a body. A connection begins with a
HELLO (a link between two nodes), with a GOSSIP (one question, one answer), or with a
RESP request (somebody asks where to join; see `seeds`). Where nodes have keys it begins
with a HAIL or an INQUIRY, and all frames are in sealed records (see `sealed`).
"""

from typing import Annotated, Final, TypeAlias

import msgspec

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

_BAD_BYTES: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Oversize(ProtocolError):
    """A frame is announced that is larger than it may be."""


class Greeting(msgspec.Struct, frozen=True, array_like=True):
    """Who is at the other end of a link."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    run: int
    """Start of that run of the node, in Unix milliseconds."""
    protocol: int = 1


Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""Of a request on its link; comes back with the answer."""
Request: TypeAlias = tuple[
    Number,
    Annotated[list[Annotated[int, msgspec.Meta(ge=0, le=1023)]], msgspec.Meta(min_length=1, max_length=1024)],
    Annotated[list[bytes], msgspec.Meta(min_length=1, max_length=4 * 1024 * 1024)],
]
"""Number, partitions, argv."""
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


_encoder: Final = msgspec.msgpack.Encoder()
_greetings: Final = msgspec.msgpack.Decoder(Greeting)
_asks: Final = msgspec.msgpack.Decoder(Ask)
_replies: Final = msgspec.msgpack.Decoder(list[Reply])


def frame(kind: int, body: bytes) -> bytes:
    """Put the head in front of a body."""
    return len(body).to_bytes(4, "big") + bytes((kind,)) + body


def encode_greeting(greeting: Greeting) -> bytes:
    """Encode the body of a HELLO."""
    return _encoder.encode(greeting)


def decode_greeting(body: bytes) -> Greeting:
    """Decode the body of a HELLO. Raises ProtocolError."""
    try:
        return _greetings.decode(body)
    except _BAD_BYTES as reason:
        raise ProtocolError(f"no greeting: {reason}") from reason


def encode_ask(ask: Ask) -> bytes:
    """Encode the body of an ASK."""
    return _encoder.encode(ask)


def decode_ask(body: bytes) -> Ask:
    """Decode the body of an ASK. Raises ProtocolError."""
    try:
        return _asks.decode(body)
    except _BAD_BYTES as reason:
        raise ProtocolError(f"no commands: {reason}") from reason


def encode_answer(replies: list[Reply]) -> bytes:
    """Encode the body of an ANSWER."""
    return _encoder.encode(replies)


def decode_answer(body: bytes) -> list[Reply]:
    """Decode the body of an ANSWER. Raises ProtocolError."""
    try:
        return _replies.decode(body)
    except _BAD_BYTES as reason:
        raise ProtocolError(f"no answer: {reason}") from reason


class FrameReader:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.body_max_bytes = PREFACE_MAX_BYTES
        """Larger frames end the connection."""

    def feed(self, chunk: bytes) -> list[tuple[int, bytes]]:
        """Take bytes in; return the frames (kind, body) that they complete. Raises ProtocolError."""
        buffer = self._buffer
        buffer += chunk
        frames: list[tuple[int, bytes]] = []
        position = 0
        while len(buffer) - position >= HEAD_BYTES:
            length = int.from_bytes(buffer[position : position + 4], "big")
            if length > self.body_max_bytes:
                raise Oversize(f"a frame of {length} bytes")
            end = position + HEAD_BYTES + length
            if end > len(buffer):
                break
            frames.append((buffer[position + 4], bytes(buffer[position + HEAD_BYTES : end])))
            position = end
        if position:
            del buffer[:position]
        return frames
