"""The stream: entries of fields and values in the order of their ids, under one key.

An id is one integer here: milliseconds in the upper 64 bits, a sequence number in the lower. Entries stand in
*blocks* of up to so many as `Limits` says, the last of which is open; the others are packed into one byte string
each, as Redis packs its nodes, and are opened again when something is taken out of them. So an entry costs little
more than its bytes, a range is found by bisection over the blocks, and nothing ever moves but a few dozen entries or
one pointer a block.
"""

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import ClassVar, Final

import msgspec

from respcache.store.aggregate import Aggregate
from respcache.store.limits import DEFAULT, STREAM_NODE_ENTRIES_MAX, Limits
from respcache.store.packing import NotASnapshot
from respcache.store.stream_groups import Group

SEQUENCE_BITS: Final = 64
SEQUENCE_MAX: Final = 2**64 - 1
ID_MAX: Final = 2**128 - 1
ENTRY_BYTES: Final = 8
"""What Redis adds to an entry, about: flags, two differences of ids, a length."""
HEAD_BYTES: Final = 20
"""What Redis has in front of a node's entries, about."""
UNKNOWN: Final = -1
"""How many entries a group has read, where that cannot be told."""

Fields = list[bytes]
"""Names and values by turns."""
Entry = tuple[int, Fields]
Opened = tuple[list[int], list[Fields]]

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(tuple[list[int], list[int], list[list[bytes]]])


class Block:
    """A run of entries."""

    __slots__ = ("_blob", "_entries", "_ids", "appended", "count", "first", "last", "size_bytes")

    def __init__(self) -> None:
        self._ids: list[int] | None = []
        self._entries: list[Fields] = []
        self._blob = b""
        self.first = 0
        """The lowest id; ids of an empty block mean nothing."""
        self.last = 0
        self.count = 0
        self.appended = 0
        """Entries that it has ever had."""
        self.size_bytes = HEAD_BYTES
        """About what it would take in Redis."""

    def append(self, number: int, fields: Fields, size_bytes: int) -> None:
        """Add an entry behind the others; the block has not been packed."""
        ids = self._ids
        assert ids is not None
        if not self.count:
            self.first = number
        ids.append(number)
        self._entries.append(fields)
        self.last = number
        self.count += 1
        self.appended += 1
        self.size_bytes += size_bytes + ENTRY_BYTES + 2 * len(fields)

    def pack(self) -> None:
        """Make it small: nothing more will be added."""
        if self._ids:
            self._blob = self.blob()
            self._ids, self._entries = None, []

    @property
    def packed(self) -> bool:
        """Whether it has to be opened to be read."""
        return self._ids is None

    def blob(self) -> bytes:
        """Write the entries, ids as differences to the first one's milliseconds."""
        if self._ids is None:
            return self._blob
        base = self.first >> SEQUENCE_BITS
        moments = [(number >> SEQUENCE_BITS) - base for number in self._ids]
        return _ENCODER.encode((moments, [number & SEQUENCE_MAX for number in self._ids], self._entries))

    def opened(self) -> Opened:
        """Give ids and entries, to be read."""
        if self._ids is not None:
            return self._ids, self._entries
        moments, sequences, entries = _DECODER.decode(self._blob)
        base = self.first >> SEQUENCE_BITS
        return [
            (base + moment) << SEQUENCE_BITS | sequence for moment, sequence in zip(moments, sequences, strict=True)
        ], entries

    def cut(self, start: int, end: int) -> None:
        """Take the entries between two positions out; not all of them."""
        ids, entries = self.opened()
        self._ids, self._entries, self._blob = ids, entries, b""
        del ids[start:end]
        del entries[start:end]
        self.count = len(ids)
        self.first, self.last = ids[0], ids[-1]

    def copy(self) -> "Block":
        """Give another one that is equal and shares nothing that changes."""
        other = Block()
        other._ids = None if self._ids is None else self._ids.copy()  # one of its own kind
        other._entries = self._entries.copy()  # as above; fields are never changed
        other._blob = self._blob  # as above
        other.first, other.last, other.count = self.first, self.last, self.count
        other.appended, other.size_bytes = self.appended, self.size_bytes
        return other

    def memory_bytes(self) -> int:
        """Say how much memory it takes."""
        if self._ids is None:
            return sys.getsizeof(self._blob) + sys.getsizeof(self)
        held = sum(sys.getsizeof(fields) + sum(map(sys.getsizeof, fields)) for fields in self._entries)
        return held + sum(map(sys.getsizeof, self._ids)) + sys.getsizeof(self)


class Stream(Aggregate):
    """Entries, and the groups of consumers that share them. It stays though it has no entries."""

    __slots__ = ("_blocks", "_cached", "_opened", "_starts", "added", "deleted", "groups", "last", "length")

    kind: ClassVar[bytes] = b"stream"

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._starts: list[int] = []
        """Not above the first id of each block, and above the last id of the one before."""
        self._cached: Block | None = None
        """The packed block that was read last: who reads entry by entry has it opened once."""
        self._opened: Opened = [], []
        self.length = 0
        self.last = 0
        """The highest id that was ever given."""
        self.added = 0
        """Entries that were ever added."""
        self.deleted = 0
        """The highest id that was ever deleted by name."""
        self.groups: dict[bytes, Group] = {}

    def __len__(self) -> int:
        return self.length

    def __bool__(self) -> bool:
        return True

    @property
    def blocks(self) -> int:
        """Count the blocks."""
        return len(self._blocks)

    @property
    def first(self) -> int:
        """Give the id of the first entry; 0 if there is none."""
        return self._blocks[0].first if self._blocks else 0

    @property
    def top(self) -> int:
        """Give the id of the last entry; 0 if there is none."""
        return self._blocks[-1].last if self._blocks else 0

    def append(self, number: int, fields: Fields, limits: Limits = DEFAULT) -> None:
        """Add an entry, whose id must be above all that were ever given."""
        size_bytes = 0
        for word in fields:
            size_bytes += len(word)
        block = self._blocks[-1] if self._blocks else None
        if (
            block is None
            or block.appended >= limits.stream_entries
            or block.size_bytes + size_bytes >= limits.stream_bytes
        ):
            if block is not None:
                block.pack()
            block = Block()
            self._blocks.append(block)
            self._starts.append(number)
        block.append(number, fields, size_bytes)
        self.last = number
        self.length += 1
        self.added += 1

    def get(self, number: int) -> Fields | None:
        """Give the entry with an id."""
        place = bisect_right(self._starts, number) - 1
        if place < 0:
            return None
        ids, entries = self._open(self._blocks[place])
        at = bisect_left(ids, number)
        return entries[at] if at < len(ids) and ids[at] == number else None

    def range(self, start: int, end: int, count: int = 0) -> list[Entry]:
        """List the entries from one id to another, both included, the first `count`; 0 is no limit."""
        found: list[Entry] = []
        for place in range(max(0, bisect_right(self._starts, start) - 1), len(self._blocks)):
            block = self._blocks[place]
            if block.first > end:
                break
            if block.last < start:
                continue
            ids, entries = self._open(block)
            low = bisect_left(ids, start)
            high = len(ids) if block.last <= end else bisect_right(ids, end)
            if count:
                high = min(high, low + count - len(found))
            found += zip(ids[low:high], entries[low:high], strict=True)
            if count and len(found) == count:
                break
        return found

    def backwards(self, start: int, end: int, count: int = 0) -> list[Entry]:
        """List the same from the last one on."""
        found: list[Entry] = []
        for place in range(bisect_right(self._starts, end) - 1, -1, -1):
            block = self._blocks[place]
            if block.last < start:
                break
            ids, entries = self._open(block)
            low, high = bisect_left(ids, start), bisect_right(ids, end)
            if count:
                low = max(low, high - (count - len(found)))
            found += zip(reversed(ids[low:high]), reversed(entries[low:high]), strict=True)
            if count and len(found) == count:
                break
        return found

    def remove(self, number: int) -> bool:
        """Take an entry out; False if there is none with that id."""
        place = bisect_right(self._starts, number) - 1
        if place < 0:
            return False
        block = self._blocks[place]
        ids, _ = self._open(block)
        at = bisect_left(ids, number)
        if at == len(ids) or ids[at] != number:
            return False
        self._cut(place, at, at + 1)
        self.deleted = max(self.deleted, number)
        return True

    def trim_length(self, most: int, *, whole: bool, limit: int = 0) -> int:
        """Drop the first entries until there are `most`, only whole blocks if so asked; return how many went."""
        dropped = blocks = 0
        for block in self._blocks:
            if self.length - dropped - block.count < most or (limit and dropped + block.count > limit):
                break
            dropped, blocks = dropped + block.count, blocks + 1
        self._drop(blocks, dropped)
        surplus = self.length - most
        if not whole and surplus > 0:
            self._cut(0, 0, surplus)
            dropped += surplus
        return dropped

    def trim_below(self, least: int, *, whole: bool, limit: int = 0) -> int:
        """Drop the entries with lower ids, only whole blocks if so asked; return how many went."""
        dropped = blocks = 0
        for block in self._blocks:
            if block.last >= least or (limit and dropped + block.count > limit):
                break
            dropped, blocks = dropped + block.count, blocks + 1
        self._drop(blocks, dropped)
        if not whole and self._blocks and self._blocks[0].first < least:
            surplus = bisect_left(self._open(self._blocks[0])[0], least)
            self._cut(0, 0, surplus)
            dropped += surplus
        return dropped

    def has_gaps_from(self, number: int) -> bool:
        """Tell whether an entry was deleted by name from an id on, as far as is known."""
        return self.length > 0 and self.deleted > 0 and number <= self.deleted

    def read_until(self, number: int) -> int:
        """Count the entries ever added up to an id; UNKNOWN where that cannot be told."""
        if not self.added:
            return 0
        if number == self.last or (not self.length and number < self.last):
            return self.added
        if number > self.last:
            return UNKNOWN
        first = self.first
        if not self.deleted or self.deleted < first:
            if number < first:
                return self.added - self.length
            if number == first:
                return self.added - self.length + 1
        return UNKNOWN

    def lag(self, group: Group) -> int | None:
        """Count the entries that a group has yet to read; None where that cannot be told.

        It is below 0 where XGROUP SETID has said that more were read than were ever added.
        """
        if not self.added:
            return 0
        read = group.read
        if read == UNKNOWN or self.has_gaps_from(group.last):
            read = self.read_until(group.last)
        return None if read == UNKNOWN else self.added - read

    def encoding(self) -> bytes:
        """Name the one encoding of streams in Redis."""
        return b"stream"

    def copy(self) -> "Stream":
        """Give another stream that is equal and shares nothing that changes."""
        other = Stream()
        other._blocks = [block.copy() for block in self._blocks]  # one of its own kind
        other._starts = self._starts.copy()  # as above
        other.length, other.last, other.added, other.deleted = self.length, self.last, self.added, self.deleted
        other.groups = {name: group.copy() for name, group in self.groups.items()}
        return other

    def size_bytes(self, samples: int) -> int:
        """Estimate the memory that this takes, from so many of its blocks; 0: from all."""
        count = len(self._blocks)
        seen = min(samples, count) if samples else count
        sampled = sum(block.memory_bytes() for block in self._blocks[:seen])
        groups = sum(group.size_bytes() for group in self.groups.values())
        return sys.getsizeof(self) + sys.getsizeof(self._blocks) * 2 + (sampled * count // seen if seen else 0) + groups

    def waste(self, count: int) -> int:
        """Free the entries of some blocks, then deliveries; nobody uses this any more."""
        freed = 0
        while self._blocks and freed < count:
            freed += self._blocks.pop().count
        while self.groups and freed < count:
            gone = self.groups[next(iter(self.groups))].waste(count - freed)
            if not gone:
                self.groups.popitem()
            freed += gone
        self.length = 0
        return freed

    def block(self, place: int) -> Block:
        """Give the block at a place."""
        return self._blocks[place]

    def each_block(self) -> Iterator[Block]:
        """Go through the blocks in order."""
        return iter(self._blocks)

    def adopt(self, block: Block) -> None:
        """Add a block behind the others, whose ids are all above theirs."""
        if self._blocks:
            self._blocks[-1].pack()
        self._blocks.append(block)
        self._starts.append(block.first)
        self.length += block.count

    def _open(self, block: Block) -> Opened:
        if not block.packed:
            return block.opened()
        if self._cached is not block:
            self._cached, self._opened = block, block.opened()
        return self._opened

    def _cut(self, place: int, start: int, end: int) -> None:
        """Take entries out of a block; without any it goes."""
        self._cached = None
        block = self._blocks[place]
        if end - start == block.count:
            del self._blocks[place]
            del self._starts[place]
        else:
            block.cut(start, end)
        self.length -= end - start

    def _drop(self, blocks: int, entries: int) -> None:
        if blocks:
            self._cached = None
            del self._blocks[:blocks]
            del self._starts[:blocks]
            self.length -= entries


def restored(first: int, blob: bytes, appended: int, size_bytes: int) -> Block:
    """Make a block of what `Block.blob` wrote. Raises NotASnapshot."""
    try:
        moments, sequences, entries = _DECODER.decode(blob)
    except msgspec.DecodeError:
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
