"""Frames of effects as bytes: MessagePack arrays, checked while they are decoded."""

from typing import Annotated, Final

import msgspec

from respcache.cluster.ownership.record import Number, PartitionNumber, Version
from respcache.cluster.replication.items import KIND_MIN, STAMP, Items

BEGIN: Final = -1
"""A copy begins: forget the partition; effects after `sequence` follow."""
VALUES: Final = -2
"""argv is (database, key, blob) times n: these keys have these values now."""
ABSENT: Final = -3
"""argv is (database, key) times n: there are no such keys now."""
END: Final = -4
"""The copy is complete."""

MARK: Final = -5
"""Nothing: it makes every copy owe an ack."""

CHECK: Final = -6
"""argv is (digest, salt, number of all keys or nothing, (database, key) times n): the copy should hold just that."""

PIECE: Final = -7
"""argv is (database, key, number, piece): a part of a value that is too large for one chunk; the first has number 0."""
LAST: Final = -8
"""The same; with this the value is complete, and the key has it from here on."""

USES: Final = KIND_MIN
"""argv is (database, key, use) times n: so these keys, whose values came before, are used; see `Storage.use`."""

ITEMS_MAX: Final = 1_000_000
WORDS_MAX: Final = 2_000_000
WORD_MAX_BYTES: Final = 1024 * 1024 * 1024
"""A value may have 512 MiB, and is written with its deadline and more."""

_WireVersion = tuple[Number, Number]
_Numbers = Annotated[
    list[Annotated[int, msgspec.Meta(ge=USES, le=2**63 - 1)]], msgspec.Meta(max_length=(STAMP + 1) * ITEMS_MAX)
]
_Words = Annotated[list[bytes], msgspec.Meta(max_length=WORDS_MAX)]


class Frame(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """All effects of one turn of the event loop, or of a few, for one peer, in order."""

    number: Number
    version: _WireVersion
    """Of the record that the sender went by: a receiver that is behind has to catch up first."""
    numbers: _Numbers
    words: _Words
    parts: Number = 0
    """So many parts of it came before; they have all the items then."""

    @property
    def items(self) -> Items:
        """What is in it."""
        return Items(self.numbers, self.words)


class Part(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """A part of a frame that is too large for one message: see `parts`."""

    number: Number
    """Of the frame."""
    index: Number
    """Of the part in it, from 0."""
    goes_on: bool
    """Whether the words of the first item go on with the last one of the part before."""
    unfinished: Annotated[int, msgspec.Meta(ge=0, le=WORD_MAX_BYTES)]
    """How long the last word is, all in all, if more of it is to come; else 0."""
    numbers: _Numbers
    words: _Words

    @property
    def items(self) -> Items:
        """What is in it."""
        return Items(self.numbers, self.words)


class Ack(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """All frames up to `number` have been applied, but for the partitions that were refused."""

    run: Number
    """Which life of the receiver cut those frames: a restarted one must not take this for its own."""
    number: Number
    refused: Annotated[tuple[tuple[PartitionNumber, Number], ...], msgspec.Meta(max_length=4_096)] | None = None
    """(partition, epoch of the effects) of all that has been refused; None: as in the ack before it on this link."""
    arrived: tuple[Number, Number] = (0, 0)
    """The last frame of which parts have come, and how many: so much is on its way no more, though not applied."""


class Inquiry(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """A new primary asks a copy how far it got, for each (partition, epoch)."""

    version: _WireVersion
    partitions: Annotated[tuple[tuple[PartitionNumber, Number], ...], msgspec.Meta(max_length=1_024)]


class Positions(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """The answer: (partition, epoch, sequence of the last effect applied, or -1 when the copy is not whole)."""

    version: _WireVersion
    """Of the record that the sender goes by: it does not take itself for a primary that this has deposed."""
    partitions: Annotated[
        tuple[tuple[PartitionNumber, Number, Annotated[int, msgspec.Meta(ge=-1, le=2**63 - 1)]], ...],
        msgspec.Meta(max_length=1_024),
    ]


class Claim(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """A copy in sync asks to be made the primary of partitions, because an operator wants it so."""

    partitions: Annotated[tuple[PartitionNumber, ...], msgspec.Meta(max_length=1_024)]


_encoder: Final = msgspec.msgpack.Encoder()
_frames: Final = msgspec.msgpack.Decoder(Frame)
_parts: Final = msgspec.msgpack.Decoder(Part)


def encode_frame(number: int, version: Version, items: Items, parts: int = 0) -> bytes:
    """Encode a frame, or what comes behind so many parts of it."""
    fields = (0, number, version, items.numbers, items.words)
    return _encoder.encode((*fields, parts) if parts else fields)


def encode_part(number: int, index: int, goes_on: bool, unfinished: int, items: Items) -> bytes:  # noqa: FBT001 # as on the wire
    """Encode a part of a frame."""
    return _encoder.encode((5, number, index, goes_on, unfinished, items.numbers, items.words))


def decode_part(part: bytes) -> Part:
    """Read a part again that has been decoded before."""
    return _parts.decode(part)


def decode_items(frame: bytes) -> Items:
    """Read the effects in a frame again that has been decoded before."""
    return _frames.decode(frame).items
