"""The commands that took long: the last of them, cut to a size that can be kept."""

from collections import deque
from dataclasses import dataclass
from typing import Final

ARGUMENTS_MAX: Final = 32
ARGUMENT_MAX_BYTES: Final = 128
"""Redis' own limits, so that monitors find the same shapes."""
REDACTED: Final = b"(redacted)"
"""Stands for a password, as in Redis."""
SECRET_SETTINGS: Final = frozenset({b"requirepass", b"masterauth", b"masteruser"})
"""Those whose values CONFIG SET is given and nobody else is to see."""


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
        self._entries.appendleft(
            SlowEntry(self._next_number, at_unix_s, duration_us, shortened(redacted(argv)), address, name)
        )
        self._next_number += 1
        while len(self._entries) > keep:
            self._entries.pop()

    def newest(self, count: int | None) -> list[SlowEntry]:
        """List the newest entries, newest first; all of them for None."""
        return list(self._entries)[:count]

    def clear(self) -> None:
        """Forget all entries; the numbers go on."""
        self._entries.clear()


def redacted(argv: list[bytes]) -> list[bytes]:
    """Take the passwords out of a request."""
    name, words = argv[0].upper(), argv[1:]
    if name == b"AUTH":
        return [argv[0], *[REDACTED] * len(words)]
    secret: set[int] = set()
    """Their places among the words."""
    if name == b"HELLO":
        secret = {at + step for at, word in enumerate(words) if word.upper() == b"AUTH" for step in (1, 2)}
    elif name == b"CONFIG" and words and words[0].upper() == b"SET":
        secret = {at + 1 for at in range(1, len(words), 2) if words[at].lower() in SECRET_SETTINGS}
    return [argv[0], *(REDACTED if at in secret else word for at, word in enumerate(words))] if secret else argv


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
