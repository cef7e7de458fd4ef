"""The keys that commands come to without naming them in their request: those of SORT's patterns, and of scripts.

Nobody knows them before the commands are run. So they begin on the data of the node that owns the keys which
are named. If they come to a key of another node (`commands.stage.Wandered`), what they wrote is undone and they
are run as a transaction, on the keys known by then, all locked. What else they come to there is taken down, and
they are run again with that locked too, until there is no more: only the last run counts.

    on the data --a key elsewhere--> undone --> locked --> on the scratch store --nothing new--> committed
                                                  ^---- new keys: forgotten, unlocked ----'
"""

from typing import Final

from respcache.errors import CommandError
from respcache.store.copies import StoredKey

KEYS_MAX: Final = 10_000
"""Such keys of one order: all are locked meanwhile, and travel to the node that runs it."""
ROUNDS_MAX: Final = 64
"""How often it is run for them: a key that is known from another such key counts one."""


class TooFar(CommandError):
    """Commands come to too many keys of other nodes, or to ever others; nothing was done."""

    def __init__(self) -> None:
        super().__init__(
            "too many keys of other nodes that the command does not declare "
            f"(at most {KEYS_MAX}, to be found in {ROUNDS_MAX} runs)"
        )


class Reach:
    """What an order comes to besides what it names, as far as it is known."""

    __slots__ = ("has_grown", "keys", "patterns", "rounds")

    def __init__(self) -> None:
        self.keys: set[StoredKey] = set()
        self.patterns: set[StoredKey] = set()
        """What scripts have asked KEYS for, and in which database."""
        self.rounds = 0
        self.has_grown = False
        """Whether something has become known just now."""

    @property
    def is_any(self) -> bool:
        """Whether there is anything."""
        return bool(self.keys or self.patterns)

    def grow(self, more: "Reach") -> None:
        """Take in what one more run has come to. Raises TooFar."""
        self.keys |= more.keys
        self.patterns |= more.patterns
        self.rounds += 1
        if len(self.keys) > KEYS_MAX or self.rounds > ROUNDS_MAX:
            raise TooFar
        self.has_grown = True
