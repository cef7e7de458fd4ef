"""The string that is written to in place.

Strings are bytes, which nobody can change: a command that changes a part of one copies all of it. From LONG_BYTES on
that takes longer than all else that the command does, so the first one that changes a part makes a Text of the string.
So does one that changes a string of up to EMBEDDED_MAX_BYTES, for another reason: Redis tells such strings, which it
calls raw, from those that were set as a whole.
"""

import sys
from typing import ClassVar, Final, TypeAlias

from respcache.errors import WrongType
from respcache.store.aggregate import Aggregate
from respcache.store.rubbish import PAGE_BITS

LONG_BYTES: Final = 16 * 1024
"""To copy so much takes a microsecond or two."""
EMBEDDED_MAX_BYTES: Final = 44
"""A longer string is raw in Redis in any case."""

Readable: TypeAlias = bytes | bytearray
"""A string, or the body of a Text: to be read at once, never to be kept, nor to be changed."""


class Text(Aggregate):
    """A string whose bytes can be changed. To whoever reads all of it, it is a string as any other."""

    __slots__ = ("body",)

    kind: ClassVar[bytes] = b"string"

    def __init__(self, body: bytearray) -> None:
        self.body: bytearray = body

    def __len__(self) -> int:
        return len(self.body)

    def write(self, offset: int, piece: bytes) -> None:
        """Write over the bytes from a place on; zero bytes fill a gap."""
        body = self.body
        if offset > len(body):
            body.extend(bytes(offset - len(body)))
        body[offset : offset + len(piece)] = piece

    def encoding(self) -> bytes:
        """Name the encoding that Redis would have chosen."""
        return b"raw"

    def copy(self) -> "Text":
        """Give another one that is equal and shares nothing."""
        return Text(self.body.copy())

    def size_bytes(self, samples: int) -> int:
        """Say how much memory it takes."""
        del samples
        return sys.getsizeof(self.body)

    def waste(self, count: int) -> int:
        """Give about so many pages back, for that is what takes time, and return how many; fewer when none are left.

        In fact Python does so when no more than half of the memory is in use.
        """
        body = self.body
        pages = min(count, (len(body) >> PAGE_BITS) + 1) if body else 0
        del body[max(0, len(body) - (pages << PAGE_BITS)) :]
        return pages


def overwritten(text: bytes, offset: int, piece: bytes) -> "bytes | Text":
    """Write a piece over a string from a byte on, in one copy; zero bytes fill a gap."""
    if not EMBEDDED_MAX_BYTES < max(len(text), offset + len(piece)) < LONG_BYTES:
        made = Text(bytearray(text))
        made.write(offset, piece)
        return made
    if offset >= len(text):
        return b"".join((text, bytes(offset - len(text)), piece))
    view = memoryview(text)
    return b"".join((view[:offset], piece, view[offset + len(piece) :]))


def raw(text: bytes) -> "bytes | Text":
    """Give a string as Redis has it that makes a buffer of its own for it."""
    return Text(bytearray(text)) if len(text) <= EMBEDDED_MAX_BYTES else text


def whole(value: object) -> bytes:
    """Give all of a string that is no bytes as such. Raises WrongType if it is no string."""
    if isinstance(value, Text):
        return bytes(value.body)
    raise WrongType


def readable(value: object) -> Readable | None:
    """Give a string to be read; None where there is none. Raises WrongType if it is another kind."""
    if value is None or type(value) is bytes:
        return value
    if isinstance(value, Text):
        return value.body
    raise WrongType


def string_of(value: object) -> bytes | None:
    """Give a string, or None for what is none."""
    if type(value) is bytes:
        return value
    return bytes(value.body) if isinstance(value, Text) else None
