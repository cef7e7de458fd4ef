"""Keyspace events: what clients may be told of keys as they change, and which of it somebody wants to know. Pure.

Names, classes and letters are those of Redis' `notify-keyspace-events`.
"""

from collections.abc import Callable
from typing import Final

KEYSPACE: Final = 1
KEYEVENT: Final = 2
GENERIC: Final = 4
STRING: Final = 8
LIST: Final = 16
SET: Final = 32
HASH: Final = 64
SORTED_SET: Final = 128
LIFETIME: Final = 256
MEMORY: Final = 512
STREAM: Final = 1024
MODULE: Final = 2048
MISS: Final = 4096
CREATION: Final = 8192

CHANNELS: Final = {"K": KEYSPACE, "E": KEYEVENT, "m": MISS}
"""The letters that `letters_of` writes last; the first two choose the channels, without which nothing is told."""
CLASSES: Final = {
    "g": GENERIC,
    "$": STRING,
    "l": LIST,
    "s": SET,
    "h": HASH,
    "z": SORTED_SET,
    "x": LIFETIME,
    "e": MEMORY,
    "t": STREAM,
    "d": MODULE,
}
"""What the letter A stands for."""
ALL: Final = sum(CLASSES.values())


class Event:
    """One kind of thing that happens to keys."""

    __slots__ = ("kind", "name")

    def __init__(self, kind: int, name: bytes) -> None:
        self.kind: Final = kind
        """Its class, one of the numbers above."""
        self.name: Final = name

    def __repr__(self) -> str:
        return f"Event({self.kind}, {self.name!r})"


DELETED: Final = Event(GENERIC, b"del")
EXPIRED: Final = Event(LIFETIME, b"expired")
EVICTED: Final = Event(MEMORY, b"evicted")
FIELDS_EXPIRED: Final = Event(HASH, b"hexpired")
MISSED: Final = Event(MISS, b"keymiss")
MADE: Final = Event(CREATION, b"new")


class Happening:
    """One event that has happened to one key."""

    __slots__ = ("database", "event", "key", "log", "number")

    def __init__(self, number: int, database: int, log: object, key: bytes, event: Event) -> None:
        self.number: Final = number
        """The partition of the key."""
        self.database: Final = database
        self.log: Final = log
        """Where the effects of the partition went then."""
        self.key: Final = key
        self.event: Final = event


class Journal:
    """The events of a node that have happened and that nobody was told of yet, in order."""

    __slots__ = ("_happenings", "_held_back", "channels", "listening", "wake")

    def __init__(self) -> None:
        self.listening = 0
        """Classes of events that are told; 0 for none."""
        self.channels = 0
        """Which channels they are told on: KEYSPACE, KEYEVENT."""
        self.wake: Callable[[], None] = _asleep
        """Called with the first event; set by whoever tells of them."""
        self._happenings: list[Happening] = []
        self._held_back = False
        """Whether nobody is to be told for now."""

    def choose(self, chosen: int) -> None:
        """Note from now on what a setting says: classes and channels together."""
        self.channels = chosen & (KEYSPACE | KEYEVENT)
        self.listening = chosen & ~(KEYSPACE | KEYEVENT) if self.channels else 0

    def note(self, happening: Happening) -> None:
        """Take an event that is listened to."""
        self._happenings.append(happening)
        if len(self._happenings) == 1:
            self.wake()

    @property
    def noted(self) -> int:
        """Count the events."""
        return len(self._happenings)

    def cut(self, noted: int) -> None:
        """Forget the events behind the first so many: they were undone."""
        del self._happenings[noted:]

    def hold_back(self) -> None:
        """Have nobody told until `go_on`: what has happened may have to be undone."""
        self._held_back = True

    def go_on(self) -> None:
        """Have the events told that were held back."""
        self._held_back = False
        if self._happenings:
            self.wake()

    def take(self) -> list[Happening]:
        """Give all events, and begin anew; none while they are held back."""
        if self._held_back:
            return []
        happenings, self._happenings = self._happenings, []
        return happenings


def chosen_by(letters: str) -> int:
    """Read the letters of the setting. Raises ValueError."""
    chosen = 0
    for letter in letters:
        if letter == "A":
            chosen |= ALL
        elif letter == "n":
            chosen |= CREATION
        elif letter in CLASSES:
            chosen |= CLASSES[letter]
        elif letter in CHANNELS:
            chosen |= CHANNELS[letter]
        else:
            raise ValueError(letter)
    return chosen


def letters_of(chosen: int) -> str:
    """Write the letters as CONFIG GET does: behind an A there is no n, whether it was chosen or not."""
    letters = "A"
    if chosen & ALL != ALL:
        letters = "".join([letter for letter, bit in CLASSES.items() if chosen & bit])
        letters += "n" if chosen & CREATION else ""
    return letters + "".join([letter for letter, bit in CHANNELS.items() if chosen & bit])


def _asleep() -> None:
    """Tell of events when somebody thinks of it."""
