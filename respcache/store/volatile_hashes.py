"""The hash some of whose fields have a deadline of their own. Pure.

It knows no clock: whoever serves it says up to which time fields are over, and the copies are told that time. So
a field is over everywhere at one place in the order of all changes, whatever the clocks of the nodes say.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from respcache.store.hashes import Hash
from respcache.store.limits import DEFAULT, Limits
from respcache.store.packing import NotASnapshot
from respcache.store.ranking import Entry, Ranking
from respcache.store.spread import Spread

TIME_BYTES: Final = 8
"""Of Unix milliseconds in a snapshot, big-endian."""
LATEST_UNIX_MS: Final = 2**63 - 1
"""The last deadline that a field can have."""
FIELD_BYTES: Final = 48
"""What a deadline takes besides its place in the dict: an integer, and an entry of the ranking."""
RANKING_BYTES: Final = 400
"""Of the ranking besides."""


class VolatileHash(Hash):
    """Values by field, and deadlines of some fields.

    A field is in one of these states; a hash that never had a field with a deadline is a plain Hash.

        lasting --expire--> timed --advance--> overdue --take_out--> gone
           ^                  |                   |
           `--set, persist----'                   |
           `--set-----------------(as a new one)--'

    An overdue field is as absent for all that is asked here, but takes its memory and its position until it is taken
    out, which `advance` leaves to later, for a million of them take seconds.
    """

    __slots__ = ("_deadlines", "_order", "horizon_unix_ms", "overdue")

    def __init__(self) -> None:
        super().__init__()
        self.table.compact = False
        self._deadlines: Spread[int] = Spread()
        """Unix milliseconds, those of overdue fields included."""
        self._order: Ranking = Ranking()
        """The fields in there by deadline: as floats, which are exact for 285,000 years, and in order beyond."""
        self.horizon_unix_ms = 0
        """Fields with a deadline up to then are overdue."""
        self.overdue = 0
        """How many are."""

    def __len__(self) -> int:
        return len(self.table.names) - self.overdue

    def get(self, field: bytes) -> bytes | None:
        """Give the value of a field, None if there is no such field."""
        deadline = self.deadline(field)
        return None if deadline is not None and deadline <= self.horizon_unix_ms else self.table.get(field)

    def set(self, field: bytes, value: bytes, limits: Limits = DEFAULT) -> bool:
        """Set a field, which has no deadline then; whether it is new."""
        del limits  # it is a table already
        self._release(field)
        return self.table.set(field, value)

    def keep(self, field: bytes, value: bytes, limits: Limits = DEFAULT) -> bool:
        """Set a field; a deadline that it has stays."""
        return self.set(field, value, limits) if self.get(field) is None else self.table.set(field, value)

    def remove(self, field: bytes) -> bool:
        """Take a field out; False if there is none."""
        if self.get(field) is None:
            return False
        self._release(field)
        return self.table.remove(field)

    def load(self, lifetimes: list[tuple[bytes, int]]) -> None:
        """Give fields that are new their deadlines."""
        entries: list[Entry] = []
        for field, deadline in lifetimes:
            self._deadlines.put(field, deadline)
            self.overdue += deadline <= self.horizon_unix_ms
            entries.append((float(deadline), field))
        if not len(self._order):
            self._order = Ranking(entries)
            return
        for score, field in entries:
            self._order.add(score, field)

    @property
    def lifetimes(self) -> int:
        """Count the fields with a deadline, the overdue ones included."""
        return len(self._order)

    def deadline(self, field: bytes) -> int | None:
        """Give the deadline of a field that is there in Unix milliseconds, None if it has none."""
        return self._deadlines.where(field).get(field)

    def expire(self, field: bytes, deadline_unix_ms: int) -> None:
        """Give a field that is there a deadline, beyond the horizon."""
        self._release(field)
        self._deadlines.put(field, deadline_unix_ms)
        self._order.add(float(deadline_unix_ms), field)

    def persist(self, field: bytes) -> bool:
        """Take its deadline from a field; False if there is no such field, or it has none."""
        if self.deadline(field) is None or self.get(field) is None:
            return False
        self._release(field)
        return True

    def due_unix_ms(self) -> int | None:
        """Give the earliest of all deadlines, those of overdue fields included; None if there are none."""
        return self.deadline(self._order.at(0)[1]) if self.lifetimes else None

    def over_by(self, now_unix_ms: int) -> bool:
        """Tell whether no field lasts longer than until then."""
        return self._order.rank(now_unix_ms + 1.0) == len(self.table.names)

    def advance(self, horizon_unix_ms: int) -> int:
        """Let all fields be over whose deadline is not later; return how many of them were not before."""
        before = self.overdue
        if horizon_unix_ms > self.horizon_unix_ms:
            self.horizon_unix_ms = horizon_unix_ms
            self.overdue = self._order.rank(horizon_unix_ms + 1.0)
        return self.overdue - before

    def take_out(self, count: int) -> int:
        """Take out up to so many overdue fields, those that were due first, and return how many."""
        due = self._order.slice(0, min(count, self.overdue) - 1)
        for score, field in due:
            self._order.remove(score, field)
            del self._deadlines.where(field)[field]
            self.table.remove(field)
        self.overdue -= len(due)
        return len(due)

    def reveal(self) -> None:
        """Count overdue fields again: nobody uses this any more but who frees it."""
        self.overdue = 0

    def fields(self) -> list[bytes]:
        """List the fields by position."""
        names = self.table.names
        return [names[at] for at in self.in_view(range(len(names)))] if self.overdue else list(names)

    def contents(self) -> list[bytes]:
        """List the values by position."""
        values = self.table.values
        return [values[at] for at in self.in_view(range(len(values)))] if self.overdue else list(values)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Go through fields and values by position; nothing may change meanwhile."""
        return zip(self.fields(), self.contents(), strict=True) if self.overdue else self.table.items()

    def in_view(self, positions: range) -> Sequence[int]:
        """Leave the positions of overdue fields out."""
        if not self.overdue:
            return positions
        names, deadlines, horizon = self.table.names, self._deadlines, self.horizon_unix_ms
        return [at for at in positions if deadlines.where(names[at]).get(names[at], LATEST_UNIX_MS) > horizon]

    def copy(self) -> "VolatileHash":
        """Give another hash that is equal and shares nothing that changes."""
        other = VolatileHash()
        other.table = self.table.copy()
        other._deadlines.take_from(self._deadlines)
        other._order = self._order.copy()
        other.horizon_unix_ms, other.overdue = self.horizon_unix_ms, self.overdue
        return other

    def size_bytes(self, samples: int) -> int:
        """Estimate the memory that this takes, from so many of its fields; 0: from all."""
        lifetimes = self._deadlines.dicts_bytes() + self.lifetimes * FIELD_BYTES + RANKING_BYTES
        return self.table.size_bytes(samples) + lifetimes

    def waste(self, count: int) -> int:
        """Free so many elements, or all; nobody uses this any more."""
        self._order.waste(count)
        freed = self._deadlines.waste(count)
        return freed + self.table.waste(count - freed)

    def _release(self, field: bytes) -> None:
        """Take its deadline from a field; an overdue one goes altogether."""
        deadline = self._deadlines.where(field).pop(field, None)
        if deadline is None:
            return
        self._order.remove(float(deadline), field)
        if deadline <= self.horizon_unix_ms:
            self.overdue -= 1
            self.table.remove(field)


def volatile(plain: Hash) -> VolatileHash:
    """Make a hash whose fields may have deadlines of one, which is of no use any more."""
    made = VolatileHash()
    made.table = plain.table
    made.table.compact = False
    return made


def words(value: VolatileHash) -> Iterator[bytes]:
    """Write a hash: its horizon, then fields, values and deadlines (empty for none) by turns."""
    yield value.horizon_unix_ms.to_bytes(TIME_BYTES, "big")
    for field, content in value.table.items():
        yield field
        yield content
        deadline = value.deadline(field)
        yield b"" if deadline is None else deadline.to_bytes(TIME_BYTES, "big")


def begin(horizon: bytes) -> VolatileHash:
    """Begin to read a hash. Raises NotASnapshot."""
    found = VolatileHash()
    found.horizon_unix_ms = _time(horizon)
    return found


def extend(value: VolatileHash, some: list[bytes]) -> None:
    """Go on with some of its fields, values and deadlines. Raises NotASnapshot."""
    lifetimes: list[tuple[bytes, int]] = []
    for at in range(0, len(some), 3):
        field, written = some[at], some[at + 2]
        if not value.table.set(field, some[at + 1]):
            raise NotASnapshot("a field that comes twice")
        if written:
            lifetimes.append((field, _time(written)))
    value.load(lifetimes)


def _time(word: bytes) -> int:
    """Read a time. Raises NotASnapshot."""
    time_unix_ms = int.from_bytes(word, "big")
    if len(word) != TIME_BYTES or time_unix_ms > LATEST_UNIX_MS:
        raise NotASnapshot("no time")
    return time_unix_ms
