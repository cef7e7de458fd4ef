"""The stream: entries of fields and values in the order of their ids, under one key.

An id is one integer here: milliseconds in the upper 64 bits, a sequence number in the lower. Entries stand in
*blocks* of up to so many as `Limits` says, the last of which is open; the others are packed into one byte string
each, as Redis packs its nodes. An entry is taken out of a packed block by cutting the others out of the string, as
they are. If another one follows from the same block that is opened, until it is the turn of the next: so one entry
after the other costs little, and one here and one there leaves all blocks packed. So an entry takes
little more than its bytes, a range is found by bisection over the blocks, and nothing ever moves but a few dozen
entries or one pointer a block.
"""

import sys
from bisect import bisect_right
from collections.abc import Iterator
from typing import ClassVar, Final

from respcache.store.aggregate import Aggregate
from respcache.store.limits import DEFAULT, Limits
from respcache.store.stream_blocks import Block, Fields, Run
from respcache.store.stream_groups import Group

UNKNOWN: Final = -1
"""How many entries a group has read, where that cannot be told."""

Entry = tuple[int, Fields]


class Stream(Aggregate):
    """Entries, and the groups of consumers that share them. It stays though it has no entries."""

    __slots__ = (
        "_blocks",
        "_cached",
        "_loose",
        "_opened",
        "_starts",
        "_touched",
        "added",
        "deleted",
        "groups",
        "last",
        "length",
    )

    kind: ClassVar[bytes] = b"stream"

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._starts: list[int] = []
        """Not above the first id of each block, and above the last id of the one before."""
        self._cached: Block | None = None
        """The packed block that was read last: who reads entry by entry has it opened once."""
        self._opened: Run[Fields] | None = None
        self._touched: Block | None = None
        """The packed block that an entry was taken out of last."""
        self._loose: Block | None = None
        """The block that was last opened to take out entries."""
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
            or block.packed
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
        run = self._open(self._blocks[place])
        at = run.find(number)
        return run.entries[at] if at < len(run) and run.id(at) == number else None

    def range(self, start: int, end: int, count: int = 0) -> list[Entry]:
        """List the entries from one id to another, both included, the first `count`; 0 is no limit."""
        found: list[Entry] = []
        for place in range(max(0, bisect_right(self._starts, start) - 1), len(self._blocks)):
            block = self._blocks[place]
            if block.first > end:
                break
            if block.last < start:
                continue
            run = self._open(block)
            low = run.find(start)
            high = len(run) if block.last <= end else run.after(end)
            if count:
                high = min(high, low + count - len(found))
            found += run.slice(low, high)
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
            run = self._open(block)
            low, high = run.find(start), run.after(end)
            if count:
                low = max(low, high - (count - len(found)))
            found += reversed(run.slice(low, high))
            if count and len(found) == count:
                break
        return found

    def remove(self, number: int) -> bool:
        """Take an entry out; False if there is none with that id."""
        place = bisect_right(self._starts, number) - 1
        if place < 0:
            return False
        block = self._blocks[place]
        if block.packed and block is not self._touched and block.count > 1:
            if not block.remove(number):
                return False
            self._touched = block
            if self._cached is block:
                self._cached, self._opened = None, None
            self.length -= 1
        else:
            run = self._open(block)
            at = run.find(number)
            if at == len(run) or run.id(at) != number:
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
            surplus = self._open(self._blocks[0]).find(least)
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

    def _open(self, block: Block) -> Run[Fields]:
        if not block.packed:
            return block.opened()
        run = self._opened
        if self._cached is not block or run is None:
            self._cached, self._opened = block, (run := block.opened())
        return run

    def _cut(self, place: int, start: int, end: int) -> None:
        """Take entries out of a block; without any it goes."""
        block = self._blocks[place]
        if end - start == block.count:
            del self._blocks[place]
            del self._starts[place]
            loose = None
        else:
            block.cut(self._open(block), start, end)
            loose = block
        self._cached, self._opened = None, None
        self.length -= end - start
        former, self._loose = self._loose, loose
        if former is not None and former is not block and (not self._blocks or former is not self._blocks[-1]):
            former.pack()  # nothing is ever added to it again

    def _drop(self, blocks: int, entries: int) -> None:
        if blocks:
            self._cached, self._opened = None, None
            del self._blocks[:blocks]
            del self._starts[:blocks]
            self.length -= entries
