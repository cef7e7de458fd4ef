"""Everything this node sends: packets filled with rumours, and effects in the order they were decided."""

from collections.abc import Sequence
from typing import Final, get_args

from respcache.cluster.membership.effects import Effect, Send, SendStream
from respcache.cluster.membership.member import Address
from respcache.cluster.membership.stats import GossipStats
from respcache.cluster.membership.view import View
from respcache.cluster.membership.wire import Message, Packer, close_packet, room_for_rumors

COUNTED_AS: Final = {kind: kind.__name__.lower() for kind in get_args(Message)}
"""The name under which each kind of message is counted."""


class Outbox:
    """Packs messages in the name of this node and keeps the effects of one input together.

    Every packet shows the digest of the view of the moment.
    """

    __slots__ = ("_effects", "_packer", "_packer_epoch", "_stats", "_view", "lag_ms")

    def __init__(self, view: View, stats: GossipStats) -> None:
        self._view, self._stats = view, stats
        self._effects: list[Effect] = []
        self._packer = _packer_of(view)
        self._packer_epoch = view.me.epoch_unix_ms
        self.lag_ms = 0
        """How late this node's event loop was lately, milliseconds."""

    def take(self) -> list[Effect]:
        """Return the effects since the last call."""
        effects, self._effects = self._effects, []
        return effects

    def note(self, effect: Effect) -> None:
        """Add an effect that needs no packing."""
        self._effects.append(effect)

    def send(self, address: Address, message: Message, first: Sequence[bytes] = ()) -> None:
        """Send a datagram with the rumours `first`, then queued ones."""
        self._effects.append(Send(address, self.pack(message, first)))

    def request(self, address: Address, payload: bytes) -> None:
        """Send one message over a stream."""
        self._effects.append(SendStream(address, payload))

    def pack(self, message: Message, first: Sequence[bytes] = ()) -> bytes:
        """Fill a packet of datagram size: the given rumours, then queued ones, as many as fit."""
        head = self._head(message)
        room_bytes = room_for_rumors(head)
        rumors: list[bytes] = []
        for rumor in first:
            if len(rumor) <= room_bytes:
                rumors.append(rumor)
                room_bytes -= len(rumor)
        if self._view.rumors:
            rumors += self._view.rumors.take(room_bytes, self._view.transmissions)
        return close_packet(head, rumors)

    def pack_self(self, now: float, message: Message) -> bytes:
        """Write a stream packet with the rumour of ourselves alone."""
        return close_packet(self._head(message), [self._view.rumor(now, self._view.me.name, whole=True)])

    def pack_differing(self, now: float, message: Message, buckets: bytes) -> bytes:
        """Write a stream packet with ourselves and all that is held in the buckets that differ."""
        view = self._view
        names = dict.fromkeys((view.me.name, *(member.name for member in view.table.differing(buckets))))
        return close_packet(self._head(message), [view.rumor(now, name, whole=True) for name in names])

    def _head(self, message: Message) -> bytes:
        if self._view.me.epoch_unix_ms != self._packer_epoch:
            self._packer = _packer_of(self._view)
            self._packer_epoch = self._view.me.epoch_unix_ms
        self._stats.sent[COUNTED_AS[type(message)]] += 1
        return self._packer.head(message, digest=self._view.table.digest)


def _packer_of(view: View) -> Packer:
    me = view.me
    return Packer(label=me.meta.label, sender=me.name, epoch_unix_ms=me.epoch_unix_ms)
