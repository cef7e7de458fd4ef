"""Whether clients should be sent to a node, and whether the next one may be restarted because this one is back."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from respcache.cluster.stats import KeeperFigures

SERVING: Final = "serving"
SENTENCES: Final = {
    "starting": "The node is starting.",
    "joining": "The node is joining the cluster.",
    SERVING: "The node serves clients.",
    "draining": "The node is leaving the cluster and hands its keys over.",
    "left": "The node has left the cluster.",
}
"""What to say of each state that a node can be in."""
CUT_OFF: Final = (
    "This node reaches no majority of the voters, so it serves nothing; if the others are lost for good: "
    "CLUSTER FAILOVER TAKEOVER."
)
"""What to say of a node that was ready, and whose lease has ended."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether clients should be sent here."""

    ready: bool
    reason: str
    """A sentence for people, whichever way it is."""


class Preparation:
    """What a node that has joined has to get before it is ready, its copies, and what it must not lose: its lease.

    serving --leased, copies made--> ready <--lease ended, granted again--> not ready
                                       `--asked to leave--> not ready

    It stays ready when it is given more copies to make: any node answers for all keys by asking their owners, and a
    load balancer that takes all nodes out because one has died has none left. Without a lease it answers for none.
    """

    def __init__(
        self, state: Callable[[], str], figures: Callable[[], KeeperFigures], leased: Callable[[], bool]
    ) -> None:
        """`state` gives one of the keys of SENTENCES; `figures` are asked for until the node is ready, and no more.

        `leased` tells whether the node may serve at the moment.
        """
        self._state: Final = state
        self._figures: Final = figures
        self._leased: Final = leased
        self.done = False
        """Whether the node was ready once."""

    def review(self) -> None:
        """Find out whether the node is ready: to be called now and then, whether anybody asks or not."""
        if not self.done and self._state() == SERVING:
            self.done = _obstacle(self._figures()) is None

    def verdict(self) -> Readiness:
        """Say whether clients should be sent here, and why not."""
        state = self._state()
        if state == SERVING and not self.done:
            obstacle = _obstacle(self._figures())
            if obstacle is not None:
                return Readiness(ready=False, reason=obstacle)
            self.done = True
        if state == SERVING and not self._leased():
            return Readiness(ready=False, reason=CUT_OFF)
        return Readiness(ready=state == SERVING, reason=SENTENCES[state])


def _obstacle(figures: KeeperFigures) -> str | None:
    """Say what a node that serves still lacks; None if it is nothing."""
    match figures.copies_lacking:
        case None:
            return "The node has joined, and finds out what it is to have copies of."
        case 0 if figures.lease_held:
            return None
        case 0:
            return "The node waits for a lease: it does not hear from most of the nodes that vote."
        case count:
            return f"Copies of {count} partitions are being made here."
