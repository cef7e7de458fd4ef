"""Whom to call, and when, to get into a cluster and to find the other side of a healed split."""

import random
from collections.abc import Collection, Sequence
from typing import Final

from respcache.cluster.membership.member import Address
from respcache.cluster.membership.profile import GossipConfig

SEEDS_MAX: Final = 1_024
CALLS_PER_ATTEMPT_MAX: Final = 8
_JITTER: Final = 0.1


class Seeds:
    """The schedule of join attempts; it never ends.

    A node without peers calls its seeds after one probe interval, then after
    twice as long, up to the reseed interval. A node with peers calls, once per
    reseed interval, the seeds that are no live members and one dead member.
    """

    __slots__ = ("_addresses", "_own", "_profile", "_retry_s", "_rng", "deadline")

    def __init__(self, now: float, *, own: Address, profile: GossipConfig, rng: random.Random) -> None:
        self._profile, self._rng = profile, rng
        self._own = {own}
        self._addresses: tuple[Address, ...] = ()
        self._retry_s = profile.probe_interval_s
        self.deadline = now + self._jittered(profile.reseed_interval_s)

    def replace(self, now: float, addresses: Sequence[Address]) -> None:
        """Take newly resolved seeds; the next attempt is due at once."""
        self._addresses = tuple(dict.fromkeys(addresses))[:SEEDS_MAX]
        self._retry_s = self._profile.probe_interval_s
        self.deadline = now

    def ignore(self, address: Address) -> None:
        """Remember that an address leads back to this very node."""
        if len(self._own) < SEEDS_MAX:
            self._own.add(address)

    def tick(self, now: float, *, live: Collection[Address], dead: Sequence[Address]) -> list[Address]:
        """Return the addresses to call now; `live` and `dead` are those of the other members."""
        if now < self.deadline:
            return []
        wait_s = self._profile.reseed_interval_s
        if not live:
            wait_s = min(wait_s, self._retry_s)
            self._retry_s *= 2
        self.deadline = now + self._jittered(wait_s)
        own = self._own
        calls = [address for address in self._addresses if address not in own and address not in live]
        if len(calls) > CALLS_PER_ATTEMPT_MAX:
            calls = self._rng.sample(calls, CALLS_PER_ATTEMPT_MAX)
        retried = [address for address in dead if address not in own and address not in live and address not in calls]
        if retried:
            calls.append(self._rng.choice(retried))
        return calls

    def _jittered(self, wait_s: float) -> float:
        return wait_s * self._rng.uniform(1 - _JITTER, 1)
