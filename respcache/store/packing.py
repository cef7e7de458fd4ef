"""Lists of byte strings as one, and back: what the snapshots of most kinds of value consist of. Pure."""

from collections.abc import Sequence
from typing import Final

import msgspec

from respcache.errors import RespcacheError

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(list[bytes])


class NotASnapshot(RespcacheError):
    """These bytes are no value that this version knows; nothing was changed."""


def pack(words: Sequence[bytes]) -> bytes:
    """Write byte strings one behind the other (as a MessagePack array)."""
    return _ENCODER.encode(words)


def unpack(blob: bytes, *, least: int, step: int = 1) -> list[bytes]:
    """Read them again: at least so many, and beyond that a whole number of steps. Raises NotASnapshot."""
    try:
        words = _DECODER.decode(blob)
    except msgspec.DecodeError:
        raise NotASnapshot("not a list of byte strings") from None
    if len(words) < least or (len(words) - least) % step:
        raise NotASnapshot("a list of another length than such a value has")
    return words
