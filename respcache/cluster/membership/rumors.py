"""News on their way: what rides along in packets, how often, and in which order."""

import math
from typing import Final

from respcache.cluster.membership.stats import GossipStats

_MISFITS_MAX: Final = 4
"""Rumours too big for the rest of a packet that are passed over before it is called full."""


def transmissions(multiplier: int, members: int) -> int:
    """How often each node sends one rumour: `multiplier * ceil(log10(n + 1))`, the figure of SWIM."""
    return multiplier * math.ceil(math.log10(members + 1))


class RumorQueue:
    """Encoded rumours, at most one per member, the newest belief replacing the older one.

    Tier t holds what was sent t times. Packets are filled from the own rumour,
    then from the lowest tier, newest first; so fresh news never wait behind old.
    """

    __slots__ = ("_capacity", "_own", "_stats", "_tier_of", "_tiers")

    def __init__(self, *, own: str, capacity: int, stats: GossipStats) -> None:
        self._own, self._stats = own, stats
        self._capacity = capacity
        self._tiers: list[dict[str, bytes]] = []
        self._tier_of: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._tier_of)

    def put(self, name: str, encoded: bytes) -> None:
        """Start spreading a rumour about a member, from its first transmission on."""
        self.drop(name)
        if len(self._tier_of) >= self._capacity:
            self._give_way()
        self._place(name, encoded, 0)

    def drop(self, name: str) -> None:
        """Stop spreading what there is about a member, if anything."""
        tier = self._tier_of.pop(name, None)
        if tier is not None:
            del self._tiers[tier][name]

    def clear(self) -> None:
        """Stop spreading anything."""
        self._tiers.clear()
        self._tier_of.clear()

    def take(self, room_bytes: int, sends_max: int) -> list[bytes]:
        """Take the rumours of one packet; each counts as sent, and is forgotten after `sends_max` times."""
        if not self._tier_of:
            return []
        chosen = self._choose(room_bytes)
        for name, encoded in chosen:
            tier = self._tier_of[name]
            self.drop(name)
            if tier + 1 < sends_max:
                self._place(name, encoded, tier + 1)
        return [encoded for _, encoded in chosen]

    def _choose(self, room_bytes: int) -> list[tuple[str, bytes]]:
        chosen: list[tuple[str, bytes]] = []
        misfits = 0
        own_tier = self._tier_of.get(self._own)
        if own_tier is not None:
            encoded = self._tiers[own_tier][self._own]
            if len(encoded) <= room_bytes:
                chosen.append((self._own, encoded))
                room_bytes -= len(encoded)
        for tier in self._tiers:
            for name in reversed(tier):
                if name == self._own:
                    continue
                encoded = tier[name]
                if len(encoded) > room_bytes:
                    misfits += 1
                    if misfits == _MISFITS_MAX:
                        return chosen
                    continue
                chosen.append((name, encoded))
                room_bytes -= len(encoded)
        return chosen

    def _place(self, name: str, encoded: bytes, tier: int) -> None:
        while len(self._tiers) <= tier:
            self._tiers.append({})
        self._tiers[tier][name] = encoded
        self._tier_of[name] = tier

    def _give_way(self) -> None:
        for tier in reversed(self._tiers):
            for name in tier:
                if name != self._own:
                    self.drop(name)
                    self._stats.dropped["queue"] += 1
                    return
