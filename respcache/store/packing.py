"""Byte strings as one, and back: what is made of the words of a value (see `snapshot.Form`). Pure."""

from collections.abc import Sequence
from typing import Final

import msgspec

from respcache.errors import RespcacheError
from respcache.unreadable import UNREADABLE

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(list[bytes])
_PIECES: Final = msgspec.msgpack.Decoder(tuple[int, list[bytes]])


class NotASnapshot(RespcacheError):
    """These bytes are no value that this version knows; nothing was changed."""


def pack(words: Sequence[bytes]) -> bytes:
    """Write byte strings one behind the other (as a MessagePack array)."""
    return _ENCODER.encode(words)


def unpack(blob: bytes) -> list[bytes]:
    """Read them again. Raises NotASnapshot."""
    try:
        return _DECODER.decode(blob)
    except UNREADABLE:
        raise NotASnapshot("not a list of byte strings") from None


def pack_piece(unfinished_bytes: int, words: Sequence[bytes]) -> bytes:
    """Write a piece: words, and how long the last one is altogether if it goes on in the next piece, else 0."""
    return _ENCODER.encode((unfinished_bytes, words))


def unpack_piece(blob: bytes) -> tuple[int, list[bytes]]:
    """Read a piece again. Raises NotASnapshot."""
    try:
        return _PIECES.decode(blob)
    except UNREADABLE:
        raise NotASnapshot("not a piece of a value") from None
