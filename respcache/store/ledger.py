"""What all partitions of a node share: the time of the running batch, dice, and counts."""

import random
from typing import Final

from respcache.store.events import Journal
from respcache.store.limits import Limits
from respcache.store.rubbish import Rubbish
from respcache.store.usage import Usage

UNLIMITED: Final = 2**62 - 1
"""More bytes than there are; one more, and compiled code would compare objects instead of machine words."""


class Ledger:
    """One per node. The executor sets the time once per batch; the partitions count."""

    __slots__ = (
        "active_expiry",
        "databases_weighed",
        "evicted",
        "expired_active",
        "expired_fields",
        "expired_lazy",
        "full",
        "gone",
        "journal",
        "keeps_expired",
        "limit_bytes",
        "limits",
        "lookups",
        "misses",
        "noting",
        "now_unix_ms",
        "peak_bytes",
        "rng",
        "rubbish",
        "still",
        "usage",
        "weighing",
        "weight_bytes",
    )

    def __init__(
        self, rng: random.Random | None = None, *, limits: Limits | None = None, rubbish: Rubbish | None = None
    ) -> None:
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
        self.expired_fields = 0
        """Fields of hashes whose own deadline has passed."""
        self.usage: Final = Usage(self)
        """How keys are used."""
        self.rubbish: Final = Rubbish() if rubbish is None else rubbish
        """What is gone, and has yet to be freed."""
        self.limits: Final = limits or Limits()
        """Sizes from which on values take another form."""
        self.still = False
        """Whether no key may go by itself: a script is in its midst, and others have their turn."""
        self.weighing = False
        """Whether commands on keys have to note what they use and what that weighs."""
        self.journal: Final = Journal()
        """The events that somebody wants to hear of."""
        self.noting = False
        """Whether commands on keys have to note any of this; see `note_what_is_wanted`."""
        self.weight_bytes = 0
        """What all keys and values of this node take, estimated; see `scale`."""
        self.peak_bytes = 0
        """The most that was."""
        self.databases_weighed = 0
        """Of these bytes, so many empty databases."""
        self.limit_bytes = UNLIMITED
        """How much that may be."""
        self.full = False
        """Whether it is more, and nothing can be deleted for it: then commands that take memory are refused."""
        self.active_expiry = True
        """Whether the sweep deletes what has expired; DEBUG SET-ACTIVE-EXPIRE turns it off."""
        self.keeps_expired = False
        """Whether, as CLIENT PAUSE has it, keys that have expired stay where nobody writes them, though nobody sees
        them."""
        self.gone: Final[set[bytes]] = set()
        """Keys that have gone by themselves, wholly or in part, since `tracking.readers` last looked."""
        self.evicted = 0
        """Keys deleted for want of memory."""

    def note_what_is_wanted(self) -> None:
        """Find out anew whether commands on keys have to note anything."""
        self.noting = self.weighing or self.journal.listening != 0
