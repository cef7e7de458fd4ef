"""Pings that this node sends on behalf of others."""

import math
from dataclasses import dataclass
from typing import Final

from respcache.cluster.membership.member import Address

RELAYS_MAX: Final = 256
"""Requests served at a time; further ones are refused with a nack at once."""


@dataclass(slots=True)
class Relay:
    """One ping on behalf of the member at `requester`, who knows it by `round_no`."""

    requester: Address
    round_no: int
    nack_at: float
    ends_at: float


class Relays:
    """The open requests, keyed by our own round number.

    waiting --ack--> gone (forward it)
       `--nack_at--> nacked (say so) --ack--> gone (forward it all the same)
                        `--ends_at--> gone
    """

    __slots__ = ("_open", "deadline")

    def __init__(self) -> None:
        self._open: dict[int, Relay] = {}
        self.deadline = math.inf

    def start(self, own_round_no: int, relay: Relay) -> bool:
        """Take on a request. Returns False when there are too many."""
        if len(self._open) >= RELAYS_MAX:
            return False
        self._open[own_round_no] = relay
        self.deadline = min(self.deadline, relay.nack_at)
        return True

    def ack(self, own_round_no: int) -> Relay | None:
        """Close the request that this ack answers, if there is one."""
        return self._open.pop(own_round_no, None)

    def tick(self, now: float) -> list[Relay]:
        """Return the requests whose requester is owed a nack now, and forget those that are over."""
        if now < self.deadline:
            return []
        owed = [relay for relay in self._open.values() if relay.nack_at <= now]
        for relay in owed:
            relay.nack_at = math.inf
        self._open = {round_no: relay for round_no, relay in self._open.items() if relay.ends_at > now}
        self.deadline = min((min(relay.nack_at, relay.ends_at) for relay in self._open.values()), default=math.inf)
        return owed

    def clear(self) -> None:
        """Forget all requests: this node was not running when they were due."""
        self._open.clear()
        self.deadline = math.inf
