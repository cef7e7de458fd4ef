"""What earlier versions of Redis kept small collections in, ziplist and zipmap, to be read; and the intset. Pure.

After the descriptions that come with Redis (ziplist.c, zipmap.c, intset.c).

    ziplist   length in bytes (4, little-endian), place of the last entry (4), number of entries (2), entries, 0xff
    entry     length of the one before (1, or 0xfe and 4), a head, what it announces
    head      00nnnnnn, 01nnnnnn and 1, 10...... and 4 (big-endian): a string of such a length; 0xc0, 0xd0, 0xe0, 0xf0,
              0xfe: an integer of 2, 4, 8, 3, 1 bytes; 0xf1 to 0xfd: one from 0 to 12
    zipmap    number of pairs (1), pairs, 0xff
    pair      length (1, or 0xfe and 4), name; length, unused bytes (1), value, the unused bytes
    intset    bytes of an integer (4, little-endian), number of integers (4), integers, ascending
"""

from array import array
from collections.abc import Sequence
from itertools import pairwise
from sys import byteorder
from typing import Final

from respcache.store.rdb.listpack import ENTRIES_MAX
from respcache.store.rdb.wrong import BadFormat

HEADER_BYTES: Final = 10
END: Final = 0xFF
LONG: Final = 0xFE
COUNT_UNKNOWN: Final = 0xFFFF
INTEGER_BYTES: Final = {0xC0: 2, 0xD0: 4, 0xE0: 8, 0xF0: 3, 0xFE: 1}
SMALL_FIRST: Final = 0xF1
SMALL_LAST: Final = 0xFD
INTSET_HEADER_BYTES: Final = 8
CODES: Final = {2: "h", 4: "i", 8: "q"}
"""How Python's arrays name integers of so many bytes."""


def unpacked(blob: bytes) -> list[bytes]:
    """List the entries of a ziplist, integers as texts. Raises BadFormat."""
    size = len(blob)
    if size <= HEADER_BYTES or int.from_bytes(blob[:4], "little") != size:
        raise BadFormat("a ziplist of another length than it says")
    announced = int.from_bytes(blob[8:HEADER_BYTES], "little")
    most = ENTRIES_MAX if announced == COUNT_UNKNOWN else announced
    found: list[bytes] = []
    at, last = HEADER_BYTES, size - 1
    while at < last:
        if len(found) == most:
            raise BadFormat("a ziplist of more entries than it says, or than are read")
        at += 5 if blob[at] == LONG else 1
        if at >= last:
            raise BadFormat("a ziplist that is cut off")
        entry, at = _entry(blob, at, last)
        found.append(entry)
    if at != last or blob[last] != END or announced not in {len(found), COUNT_UNKNOWN}:
        raise BadFormat("a ziplist of other entries than it says")
    return found


def _entry(blob: bytes, at: int, last: int) -> tuple[bytes, int]:
    """Read what begins with a head; give it and where it ends."""
    head = blob[at]
    if head < 0x40:
        start = at + 1
        end = start + head
    elif head < 0x80:
        start = at + 2
        end = start + ((head & 63) << 8 | blob[at + 1])
    elif head < 0xC0:
        start = at + 5
        end = start + int.from_bytes(blob[at + 1 : start], "big")
    elif SMALL_FIRST <= head <= SMALL_LAST:
        return b"%d" % (head - SMALL_FIRST), at + 1
    else:
        width = INTEGER_BYTES.get(head, 0)
        if not width:
            raise BadFormat("no entry of a ziplist")
        return b"%d" % int.from_bytes(blob[at + 1 : at + 1 + width], "little", signed=True), at + 1 + width
    if end > last:
        raise BadFormat("an entry beyond the end of its ziplist")
    return blob[start:end], end


def unmapped(blob: bytes) -> list[bytes]:
    """List names and values of a zipmap by turns. Raises BadFormat."""
    found: list[bytes] = []
    at, last = 1, len(blob) - 1
    while at < last:
        name, at = _piece(blob, at, last, unused=0)
        value, at = _piece(blob, at, last, unused=1)
        found += (name, value)
        if len(found) > ENTRIES_MAX:
            raise BadFormat("a zipmap of more entries than are read")
    if at != last or blob[last] != END or (blob[0] < LONG and blob[0] != len(found) // 2):
        raise BadFormat("a zipmap of another length than it says")
    return found


def _piece(blob: bytes, at: int, last: int, *, unused: int) -> tuple[bytes, int]:
    """Read a length and what it announces; `unused` bytes say how many behind that are of no use."""
    start = at + 1
    if at < last and blob[at] == LONG:
        start = at + 5
        length = int.from_bytes(blob[at + 1 : start], "little")
    else:
        length = blob[at]
    gap = blob[start] if unused and start < last else 0
    start += unused
    end = start + length
    if end + gap > last or length == END:
        raise BadFormat("a zipmap that is cut off")
    return blob[start:end], end + gap


def integers(blob: bytes) -> list[bytes]:
    """List the members of an intset as texts. Raises BadFormat."""
    width, count = int.from_bytes(blob[:4], "little"), int.from_bytes(blob[4:INTSET_HEADER_BYTES], "little")
    if width not in CODES or not 0 < count <= ENTRIES_MAX or len(blob) != INTSET_HEADER_BYTES + width * count:
        raise BadFormat("no intset")
    numbers = array(CODES[width])
    numbers.frombytes(blob[INTSET_HEADER_BYTES:])
    if byteorder == "big":
        numbers.byteswap()
    found = numbers.tolist()
    if any(one >= other for one, other in pairwise(found)):
        raise BadFormat("an intset out of order")
    return [b"%d" % number for number in found]


def intset(members: Sequence[bytes]) -> bytes:
    """Write an intset of texts of integers, ascending."""
    low, high = int(members[0]), int(members[-1])
    width = 2
    while not (-1 << 8 * width - 1 <= low and high < 1 << 8 * width - 1):
        width *= 2
    numbers = array(CODES[width], map(int, members))
    if byteorder == "big":
        numbers.byteswap()
    return b"%b%b%b" % (width.to_bytes(4, "little"), len(numbers).to_bytes(4, "little"), numbers.tobytes())
