"""What all partitions of a node share: the time of the running batch, dice, and counts."""

import random
from typing import Final


class Ledger:
    """One per node. The executor sets the time once per batch; the partitions count."""

    __slots__ = ("expired_active", "expired_lazy", "lookups", "misses", "now_unix_ms", "rng")

    def __init__(self, rng: random.Random | None = None) -> None:
        self.rng: Final = rng or random.Random(0)  # noqa: S311 # they decide on no secrets
        """The dice of commands such as RANDOMKEY."""
        self.now_unix_ms = 0
        """Wall clock of the batch; 0 while effects of a primary are applied: a copy
        lets nothing expire by itself, it waits to be told."""
        self.lookups = 0
        """Keys that read commands asked for."""
        self.misses = 0
        """Of these, the ones that were not there."""
        self.expired_lazy = 0
        """Keys found expired by a command that touched them."""
        self.expired_active = 0
        """Keys found expired by the sweep."""
