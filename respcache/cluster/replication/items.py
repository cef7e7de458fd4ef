"""Effects in order, as they travel: the numbers of all of them in one list, and their words in another.

A tuple with a list in it for each effect, as which whoever looks at single ones sees them, took four times as long to
make, to encode, to decode and to throw away: an eighth of a write with two copies.

    numbers: | partition, epoch, sequence, database, n, words of the 1st, ... of the nth | partition, ...
    words:   | of the 1st | ... | of the nth | ...

Effects on one partition that follow each other are a run: they are stamped once, with the sequence of the first.
"""

from collections.abc import Iterator
from typing import Final

from respcache.cluster.ownership.record import NUMBER_MAX
from respcache.cluster.ownership.slots import PARTITIONS

Item = tuple[int, int, int, int, list[bytes]]
"""(partition, epoch, sequence, database, argv): an effect. With a kind of `wire` in place of a
database it is a step of a copy in the making."""

Stamp = tuple[int, int, int, int]
"""The numbers of an item: all but its words."""

STAMP: Final = 5
"""Numbers of a run before those of its effects."""
NOTHING: Final = (-1, -1, -1, -1)
"""The stamp of no item."""
KIND_MIN: Final = -9
DATABASE_MAX: Final = 2**31
NOWHERE: Final = -1


class Items:
    """A list of items. What has come from a peer is used only if it is `sound`."""

    __slots__ = ("_database", "_epoch", "_following", "_partition", "_run", "numbers", "words")

    def __init__(self, numbers: list[int], words: list[bytes]) -> None:
        """Take lists as they travel; two empty ones to begin with."""
        self.numbers = numbers
        self.words = words
        self._run = NOWHERE
        """Where the last run has its count, if `add` has begun it."""
        self._following = NOWHERE
        """The sequence with which that run goes on."""
        self._partition = self._epoch = self._database = NOWHERE

    def add(self, partition: int, epoch: int, sequence: int, database: int, argv: list[bytes]) -> None:
        """Add an item; `argv` is copied."""
        numbers = self.numbers
        if (
            sequence == self._following
            and partition == self._partition
            and epoch == self._epoch
            and database == self._database
        ):
            numbers[self._run] += 1
            numbers.append(len(argv))
        else:
            self._run = len(numbers) + STAMP - 1
            self._partition, self._epoch, self._database = partition, epoch, database
            numbers.extend((partition, epoch, sequence, database, 1, len(argv)))
        self._following = sequence + 1 if database >= 0 else NOWHERE  # steps have the sequence of the last effect
        self.words.extend(argv)

    def __len__(self) -> int:
        """Count the items."""
        numbers = self.numbers
        count = at = 0
        while at < len(numbers):
            run = numbers[at + STAMP - 1]
            count += run
            at += STAMP + run
        return count

    def __iter__(self) -> Iterator[Item]:
        """Go through them."""
        place = Place()
        while place.at < len(self.numbers):
            yield place.take(self)

    @property
    def sound(self) -> bool:
        """Whether these are items at all: what a peer has sent may be anything."""
        numbers = self.numbers
        end = len(numbers)
        words = at = 0
        while at + STAMP <= end:
            run, database = numbers[at + 4], numbers[at + 3]
            if (
                not 0 <= numbers[at] < PARTITIONS
                or not 0 <= numbers[at + 1] <= NUMBER_MAX
                or numbers[at + 2] < 0
                or not KIND_MIN <= database <= DATABASE_MAX
                or run < 1
                or (run > 1 and database < 0)
            ):
                return False
            at += STAMP
            if at + run > end:
                return False
            for place in range(at, at + run):
                count = numbers[place]
                if count < 0 or (count == 0 and database >= 0):
                    return False
                words += count
            at += run
        return at == end and words == len(self.words)


class Place:
    """A place in a list of items."""

    __slots__ = ("at", "taken", "word")

    def __init__(self) -> None:
        self.at = 0
        """Where the run begins, among the numbers."""
        self.taken = 0
        """How many items of it come before this place."""
        self.word = 0
        """Where the words begin."""

    def stamp(self, items: Items) -> Stamp:
        """Give the numbers of the item that begins here."""
        numbers, at = items.numbers, self.at
        return numbers[at], numbers[at + 1], numbers[at + 2] + self.taken, numbers[at + 3]

    def go_on(self, items: Items) -> None:
        """Go on behind that item."""
        numbers, at = items.numbers, self.at
        self.word += numbers[at + STAMP + self.taken]
        self.taken += 1
        if self.taken == numbers[at + STAMP - 1]:
            self.at, self.taken = at + STAMP + self.taken, 0

    def take(self, items: Items) -> Item:
        """Give that item, and go on behind it."""
        partition, epoch, sequence, database = self.stamp(items)
        word = self.word
        self.go_on(items)
        return partition, epoch, sequence, database, items.words[word : self.word]


def last_of(items: Items) -> Stamp:
    """Give the numbers of the last of some items; NOTHING if there are none."""
    place, last = Place(), NOTHING
    while place.at < len(items.numbers):
        last = place.stamp(items)
        place.go_on(items)
    return last


def items_of(*items: Item) -> Items:
    """Make a list of some."""
    made = Items([], [])
    for partition, epoch, sequence, database, argv in items:
        made.add(partition, epoch, sequence, database, argv)
    return made
