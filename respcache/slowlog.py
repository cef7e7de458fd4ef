"""The commands that took long: the last of them, cut to a size that can be kept."""

from collections import deque
from dataclasses import dataclass
from typing import Final

ARGUMENTS_MAX: Final = 32
ARGUMENT_MAX_BYTES: Final = 128
"""Redis' own limits, so that monitors find the same shapes."""


@dataclass(frozen=True, slots=True)
class SlowEntry:
    """One slow command."""

    number: int
    """Ascending from 0 over the life of the node."""
    at_unix_s: int
    duration_us: int
    argv: list[bytes]
    address: str
    name: bytes
    """What the client calls itself."""


class SlowLog:
    """Keeps the newest entries. To be told only of commands that were slow."""

    def __init__(self) -> None:
        self._entries: Final[deque[SlowEntry]] = deque()
        self._next_number = 0

    def __len__(self) -> int:
        """Count the entries kept."""
        return len(self._entries)

    def record(
        self, argv: list[bytes], *, duration_us: int, at_unix_s: int, address: str, name: bytes, keep: int
    ) -> None:
        """Take an entry, and let go of those beyond the newest `keep`."""
        self._entries.appendleft(SlowEntry(self._next_number, at_unix_s, duration_us, shortened(argv), address, name))
        self._next_number += 1
        while len(self._entries) > keep:
            self._entries.pop()

    def newest(self, count: int | None) -> list[SlowEntry]:
        """List the newest entries, newest first; all of them for None."""
        return list(self._entries)[:count]

    def clear(self) -> None:
        """Forget all entries; the numbers go on."""
        self._entries.clear()


def shortened(argv: list[bytes]) -> list[bytes]:
    """Cut what a request has too many of, and say how much was cut."""
    kept = argv
    if len(argv) > ARGUMENTS_MAX:
        kept = [*argv[: ARGUMENTS_MAX - 1], b"... (%d more arguments)" % (len(argv) - ARGUMENTS_MAX + 1)]
    return [_shortened_argument(argument) for argument in kept]


def _shortened_argument(argument: bytes) -> bytes:
    if len(argument) <= ARGUMENT_MAX_BYTES:
        return argument
    return b"%b... (%d more bytes)" % (argument[:ARGUMENT_MAX_BYTES], len(argument) - ARGUMENT_MAX_BYTES)
