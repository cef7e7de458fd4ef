"""Lengths and strings, of which everything in a payload consists. Pure.

A length, or a string of that length, begins with two bits that say what it is (after Redis' rdb.h):

    00nnnnnn                            a length of 6 bits
    01nnnnnn nnnnnnnn                   of 14 bits
    10000000 and 4 bytes, big-endian    of 32 bits
    10000001 and 8 bytes, big-endian    of 64 bits
    11000000, ...01, ...10              in place of a string: an integer of 1, 2 or 4 bytes, little-endian
    11000011                            in place of a string: its length under LZF, its own length, LZF

A string of an integer's text is written as that integer, and a longer one compressed if that saves something.
"""

from typing import Final

from respcache.store.digits import is_int64
from respcache.store.rdb.lzf import compressed, decompressed
from respcache.store.rdb.wrong import BadFormat

SPECIAL: Final = 0xC0
COMPRESSED: Final = SPECIAL | 3
INTEGER_BYTES: Final = (1, 2, 4)
LENGTH_32: Final = 0x80
LENGTH_64: Final = 0x81
INTEGER_TEXT_MAX: Final = 11
"""Length of the longest text of a 32-bit integer."""
COMPRESSIBLE_MIN: Final = 21
"""Bytes of the shortest string that Redis tries to compress."""
SAVED_MIN: Final = 4
"""Bytes that it must save."""
COMPRESSED_MAX: Final = 8192
"""Bytes of one payload that are tried to compress. Redis tries all; here one byte takes up to a microsecond."""
STRING_MAX_BYTES: Final = 512 * 1024 * 1024
"""Of what the strings of a payload may take together, decompressed."""
ELEMENTS_MAX: Final = 1 << 24
"""Of what collections in a payload may have: 6 MB of LZF can stand for 250 million elements of one byte."""


class Reader:
    """Takes a payload apart. Whatever is not as it should be raises BadFormat; nothing is read beyond the end."""

    __slots__ = ("_end", "_room_bytes", "_room_elements", "_text", "at")

    def __init__(self, text: bytes, end: int, *, room_bytes: int = STRING_MAX_BYTES) -> None:
        """`end` is where the footer begins; `room_bytes` is what may be taken beyond the payload's own bytes."""
        self._text: Final = text
        self._end: Final = end
        self.at = 0
        self._room_bytes = room_bytes
        self._room_elements = ELEMENTS_MAX

    @property
    def is_empty(self) -> bool:
        """Whether all has been read."""
        return self.at == self._end

    def byte(self) -> int:
        """Read one byte."""
        if self.at >= self._end:
            raise BadFormat("it ends too early")
        self.at += 1
        return self._text[self.at - 1]

    def take(self, count: int) -> bytes:
        """Read so many bytes."""
        start = self.at
        if count > self._end - start:
            raise BadFormat("it ends too early")
        self.at = start + count
        return self._text[start : self.at]

    def number(self, width: int) -> int:
        """Read an unsigned integer of so many bytes, little-endian."""
        return int.from_bytes(self.take(width), "little")

    def length(self) -> int:
        """Read a length, or any other number that is written like one."""
        head = self.byte()
        if head < 64:
            return head
        if head < LENGTH_32:
            return (head & 63) << 8 | self.byte()
        if head == LENGTH_32:
            return int.from_bytes(self.take(4), "big")
        if head == LENGTH_64:
            return int.from_bytes(self.take(8), "big")
        raise BadFormat("no length")

    def count(self, *, least: int = 1) -> int:
        """Read how many elements follow, which may not be more than there is room for."""
        count = self.length()
        if count < least:
            raise BadFormat("an empty collection")
        self.admit(count)
        return count

    def admit(self, elements: int) -> None:
        """Count elements of a collection."""
        self._room_elements -= elements
        if self._room_elements < 0:
            raise BadFormat("too many elements")

    def spend(self, size_bytes: int) -> None:
        """Count bytes that a value takes, and the payload does not."""
        self._room_bytes -= size_bytes
        if self._room_bytes < 0:
            raise BadFormat("too long")

    def string(self) -> bytes:
        """Read a string, however it is written."""
        at = self.at
        head = self._text[at] if at < self._end else SPECIAL
        if head < 64 and at + head < self._end:  # the usual ones, in half the time
            self.at = at + head + 1
            return self._text[at + 1 : self.at]
        if head < SPECIAL:
            return self.take(self.length())
        self.byte()
        if head == COMPRESSED:
            length, whole = self.length(), self.length()
            self.spend(whole)
            return decompressed(self.take(length), whole)
        if head - SPECIAL < len(INTEGER_BYTES):
            return b"%d" % int.from_bytes(self.take(INTEGER_BYTES[head - SPECIAL]), "little", signed=True)
        raise BadFormat("no string")


class Writer:
    """Puts a payload together."""

    __slots__ = ("_room_bytes", "text")

    def __init__(self) -> None:
        self.text: bytearray = bytearray()
        self._room_bytes = COMPRESSED_MAX

    def length(self, number: int) -> None:
        """Write a length, or another number of up to 64 bits."""
        if number < 64:
            self.text.append(number)
        elif number < 1 << 14:
            self.text += (1 << 14 | number).to_bytes(2, "big")
        elif number < 1 << 32:
            self.text.append(LENGTH_32)
            self.text += number.to_bytes(4, "big")
        else:
            self.text.append(LENGTH_64)
            self.text += number.to_bytes(8, "big")

    def raw(self, piece: bytes) -> None:
        """Write bytes as they are."""
        self.text += piece

    def string(self, value: bytes) -> None:
        """Write a string in the shortest way, as far as that takes no time."""
        size = len(value)
        if size <= INTEGER_TEXT_MAX and is_int64(value) and self._integer(int(value)):
            return
        if COMPRESSIBLE_MIN <= size <= self._room_bytes:
            self._room_bytes -= size
            body = compressed(value, size - SAVED_MIN)
            if body is not None:
                self.text.append(COMPRESSED)
                self.length(len(body))
                self.length(size)
                self.text += body
                return
        self.length(size)
        self.text += value

    def _integer(self, number: int) -> bool:
        """Write a string that is an integer; False if it is too long a one."""
        for place, width in enumerate(INTEGER_BYTES):
            bound = 1 << (8 * width - 1)
            if -bound <= number < bound:
                self.text.append(SPECIAL | place)
                self.text += number.to_bytes(width, "little", signed=True)
                return True
        return False
