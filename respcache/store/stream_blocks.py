"""Blocks of a stream's entries: up to so many as `Limits` says, packed into one byte string, or unpacked.

Within a block the two halves of the ids are listed apart, as small integers: to make the hundred of 128 bits that one
block has takes three times as long as to unpack it, so only those are made that somebody asks for.
"""

import sys
from bisect import bisect_left, bisect_right
from typing import Final, Generic, TypeVar

import msgspec

from respcache.store.limits import STREAM_NODE_ENTRIES_MAX
from respcache.store.packing import NotASnapshot
from respcache.unreadable import UNREADABLE

SEQUENCE_BITS: Final = 64
SEQUENCE_MAX: Final = 2**64 - 1
ID_MAX: Final = 2**128 - 1
ENTRY_BYTES: Final = 8
"""What Redis adds to an entry, about: flags, two differences of ids, a length."""
HEAD_BYTES: Final = 20
"""What Redis has in front of a node's entries, about."""

Fields = list[bytes]
"""Names and values by turns."""
E = TypeVar("E")
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(tuple[list[int], list[int], list[list[bytes]]])
_CUTTER: Final = msgspec.msgpack.Decoder(tuple[list[int], list[int], list[msgspec.Raw]])


class Run(Generic[E]):
    """Entries by position, or what they are packed as."""

    __slots__ = ("base", "entries", "moments", "sequences")

    def __init__(self, base: int, moments: list[int], sequences: list[int], entries: list[E]) -> None:
        self.base: Final = base
        """What the moments are counted from, in milliseconds: not above any of them."""
        self.moments = moments
        """The upper half of each id."""
        self.sequences = sequences
        """The lower half."""
        self.entries = entries

    def __len__(self) -> int:
        return len(self.entries)

    def find(self, number: int) -> int:
        """Find the first entry whose id is not lower than this."""
        moment = (number >> SEQUENCE_BITS) - self.base
        low = bisect_left(self.moments, moment)
        return bisect_left(self.sequences, number & SEQUENCE_MAX, low, bisect_right(self.moments, moment, low))

    def after(self, number: int) -> int:
        """Find the first entry whose id is higher than this."""
        moment = (number >> SEQUENCE_BITS) - self.base
        low = bisect_left(self.moments, moment)
        return bisect_right(self.sequences, number & SEQUENCE_MAX, low, bisect_right(self.moments, moment, low))

    def id(self, at: int) -> int:
        """Give the id of an entry."""
        return (self.base + self.moments[at]) << SEQUENCE_BITS | self.sequences[at]

    def slice(self, low: int, high: int) -> list[tuple[int, E]]:
        """Give the entries between two positions, with their ids."""
        base = self.base
        some = zip(self.moments[low:high], self.sequences[low:high], self.entries[low:high], strict=True)
        return [((base + moment) << SEQUENCE_BITS | sequence, entry) for moment, sequence, entry in some]

    def append(self, number: int, entry: E) -> None:
        """Add an entry behind the others."""
        self.moments.append((number >> SEQUENCE_BITS) - self.base)
        self.sequences.append(number & SEQUENCE_MAX)
        self.entries.append(entry)

    def cut(self, start: int, end: int) -> None:
        """Take the entries between two positions out."""
        del self.moments[start:end]
        del self.sequences[start:end]
        del self.entries[start:end]

    def copy(self) -> "Run[E]":
        """Give one that is equal and shares nothing that changes: entries never do."""
        return Run(self.base, self.moments.copy(), self.sequences.copy(), self.entries.copy())

    def blob(self) -> bytes:
        """Write the entries. Equal ones come to the same bytes: moments are counted from the first entry's."""
        moments, first = self.moments, self.moments[0]
        if first:
            moments = [moment - first for moment in moments]
        return _ENCODER.encode((moments, self.sequences, self.entries))


class Block:
    """A run of entries, open or packed."""

    __slots__ = ("_blob", "_run", "appended", "count", "first", "last", "size_bytes")

    def __init__(self) -> None:
        self._run: Run[Fields] | None = None
        self._blob = b""
        """The run, where it is packed."""
        self.first = 0
        """The lowest id; ids of an empty block mean nothing."""
        self.last = 0
        self.count = 0
        self.appended = 0
        """Entries that it has ever had."""
        self.size_bytes = HEAD_BYTES
        """About what it would take in Redis."""

    def append(self, number: int, fields: Fields, size_bytes: int) -> None:
        """Add an entry behind the others; the block is not packed."""
        run = self._run
        if run is None:
            assert not self.count
            run = self._run = Run(number >> SEQUENCE_BITS, [], [], [])
            self.first = number
        run.append(number, fields)
        self.last = number
        self.count += 1
        self.appended += 1
        self.size_bytes += size_bytes + ENTRY_BYTES + 2 * len(fields)

    def pack(self) -> None:
        """Make it small."""
        if self._run is not None:
            self._blob = self._run.blob()
            self._run = None

    @property
    def packed(self) -> bool:
        """Whether it has to be opened to be read."""
        return self._run is None

    def blob(self) -> bytes:
        """Write the entries, ids as differences to the first one's milliseconds."""
        return self._blob if self._run is None else self._run.blob()

    def opened(self) -> Run[Fields]:
        """Give the entries, to be read."""
        if self._run is not None:
            return self._run
        moments, sequences, entries = _DECODER.decode(self._blob)
        return Run(self.first >> SEQUENCE_BITS, moments, sequences, entries)

    def cut(self, run: Run[Fields], start: int, end: int) -> None:
        """Take out the entries between two positions, not all; `run` is what `opened` has given. The block is open."""
        run.cut(start, end)
        self._run, self._blob = run, b""
        self._note(run)

    def remove(self, number: int) -> bool:
        """Take an entry out of a packed block that has others; False if there is none with that id."""
        moments, sequences, entries = _CUTTER.decode(self._blob)
        run = Run(self.first >> SEQUENCE_BITS, moments, sequences, entries)
        at = run.find(number)
        if at == self.count or run.id(at) != number:
            return False
        run.cut(at, at + 1)
        self._blob = run.blob()
        self._note(run)
        return True

    def _note(self, run: Run[E]) -> None:
        self.count = len(run)
        self.first, self.last = run.id(0), run.id(-1)

    def copy(self) -> "Block":
        """Give another one that is equal and shares nothing that changes."""
        other = Block()
        other._run = None if self._run is None else self._run.copy()  # one of its own kind
        other._blob = self._blob  # as above
        other.first, other.last, other.count = self.first, self.last, self.count
        other.appended, other.size_bytes = self.appended, self.size_bytes
        return other

    def memory_bytes(self) -> int:
        """Say how much memory it takes."""
        run = self._run
        if run is None:
            return sys.getsizeof(self._blob) + sys.getsizeof(self)
        held = sum(sys.getsizeof(fields) + sum(map(sys.getsizeof, fields)) for fields in run.entries)
        return (
            held + sum(map(sys.getsizeof, run.moments)) + sum(map(sys.getsizeof, run.sequences)) + sys.getsizeof(self)
        )


def restored(first: int, blob: bytes, appended: int, size_bytes: int) -> Block:
    """Make a block of what `Block.blob` wrote. Raises NotASnapshot."""
    try:
        moments, sequences, entries = _DECODER.decode(blob)
    except UNREADABLE:
        raise NotASnapshot("not the entries of a stream") from None
    base = first >> SEQUENCE_BITS
    sound = 0 < len(moments) == len(sequences) == len(entries) <= appended <= STREAM_NODE_ENTRIES_MAX
    if not sound or size_bytes < 0 or min(sequences) < 0 or min(moments) < 0 or any(len(one) % 2 for one in entries):
        raise NotASnapshot("not the entries of a stream")
    block = Block()
    for moment, sequence, fields in zip(moments, sequences, entries, strict=True):
        number = (base + moment) << SEQUENCE_BITS | sequence
        if number <= block.last or number > ID_MAX or not fields:
            raise NotASnapshot("entries of a stream out of order")
        block.append(number, fields, 0)
    if block.first != first:
        raise NotASnapshot("entries of a stream under another id")
    block.appended, block.size_bytes = appended, size_bytes
    return block
