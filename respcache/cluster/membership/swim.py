"""The membership machine: SWIM with Lifeguard, bytes in and effects out.

It composes probing, the view, the rumours and the seeds, and owns what passes
between nodes. Sockets, clocks and threads belong to its driver.
"""

import math
import random
import re
from collections.abc import Sequence
from typing import Final

from respcache.cluster.membership.contact import Contact
from respcache.cluster.membership.effects import (
    Died,
    Effect,
    Event,
    Left,
    NameConflict,
    Send,
    SendStream,
    Suspected,
)
from respcache.cluster.membership.health import Health
from respcache.cluster.membership.member import Address, Member, MemberState, Meta, encode_meta
from respcache.cluster.membership.outbox import COUNTED_AS, Outbox
from respcache.cluster.membership.prober import Prober
from respcache.cluster.membership.profile import GossipConfig
from respcache.cluster.membership.seeds import Seeds
from respcache.cluster.membership.stats import GossipStats
from respcache.cluster.membership.view import Heard, View
from respcache.cluster.membership.wire import (
    EPOCH_MAX,
    HOST_PATTERN,
    LAG_MS_MAX,
    NAME_PATTERN,
    Ack,
    Conflict,
    DecodeError,
    Gossip,
    Nack,
    OversizeError,
    Packet,
    Ping,
    PingReq,
    SyncReply,
    SyncRequest,
    decode_datagram,
    decode_stream,
    encode_rumor,
)
from respcache.errors import ConfigError

_NOTICES_PER_SYNC_MAX: Final = 128
"""Members told by one sync that the other side holds them dead; the next sync tells the rest."""
_CORRECTIONS_MAX: Final = 16
"""Rumours that one answer sets right; the rest waits for the next packet."""
_FAREWELLS: Final = 8
"""Members told at once that this node leaves; gossip tells the rest."""
_SYNC_OVERDUE: Final = 8
"""Sync intervals after which a difference is looked into although the view has not settled."""
_SYNC_CONGESTED: Final = 0.5
"""The same where there is more news than gossip can carry. With 1,000 nodes that start at once, all know all after
1.2 to 1.6 s; waiting for the view to settle they did after 2.6 s."""
_RUMORS_PER_PACKET: Final = 20
"""Of members with usual names and metadata."""


class Swim:
    """One node's membership.

    Every input carries `now`, monotonic seconds, and returns the effects to
    carry out. `tick` is due at `deadline`; early ticks are no-ops. Times must
    not go backwards from call to call.

    A round: pick a member, ping it; no ack: ask helpers and ping over a stream;
    still none: suspect it, and tell. Any packet brings rumours, and a digest of
    its sender's view: where it differs from ours for longer than rumours
    travel, the two nodes sync. After a NameConflict the machine falls silent.
    """

    def __init__(
        self,
        *,
        name: str,
        address: Address,
        meta: Meta,
        profile: GossipConfig,
        rng: random.Random,
        now: float,
        epoch_unix_ms: int,
    ) -> None:
        """Make a cluster of one. Raises ConfigError when what names and describes the node does not fit the wire."""
        if not re.match(NAME_PATTERN, name):
            raise ConfigError(f"node name {name!r}: must be 1 to 64 printable ASCII characters without blanks")
        if not 0 <= epoch_unix_ms < EPOCH_MAX:
            raise ConfigError(f"epoch_unix_ms = {epoch_unix_ms}: must lie between 0 and 2**53")
        if not re.match(HOST_PATTERN, address[0]) or not 1 <= address[1] <= 65_535:
            raise ConfigError(f"node address {address}: must be a host and a port between 1 and 65535")
        encode_meta(meta)
        me = Member(name, epoch_unix_ms, 0, MemberState.ALIVE, address, meta, now)
        self.stats = GossipStats()
        self._profile, self._rng = profile, rng
        self._health = Health(profile.health_max)
        self._view = View(me, profile=profile, health=self._health, stats=self.stats)
        self._outbox = Outbox(self._view, self.stats)
        self._prober = Prober(
            now,
            view=self._view,
            outbox=self._outbox,
            health=self._health,
            profile=profile,
            stats=self.stats,
            rng=rng,
        )
        self._seeds = Seeds(now, own=address, profile=profile, rng=rng)
        self._syncs: dict[Address, float] = {}
        self._gossip_at = math.inf
        self._gossiped_at = -math.inf
        self._synced_at = now
        self._awake_at = now
        self._conflict_since = math.inf
        self._silent = False
        self._answered = False
        self.deadline = self._due()
        """Monotonic time at which `tick` is due; every input may change it."""

    @property
    def me(self) -> Member:
        """This node, as the others should see it."""
        return self._view.me

    @property
    def joined(self) -> bool:
        """Whether another node ever answered: a seed that let us in, or a newcomer."""
        return self._answered or bool(self._view.table.live_peers)

    @property
    def spreading(self) -> bool:
        """Whether rumours wait to be passed on; after `leave`, the node may stop once this is False."""
        return len(self._view.rumors) > 0 and bool(self._view.table.live_peers)

    @property
    def health_score(self) -> int:
        """Lifeguard's local health, 0 is healthy."""
        return self._health.score

    @property
    def rumors_queued(self) -> int:
        """Rumours that wait to be passed on."""
        return len(self._view.rumors)

    def members(self) -> tuple[Member, ...]:
        """Return all members in all states, this one and remembered dead ones included."""
        return tuple(self._view.table)

    def member(self, name: str) -> Member | None:
        """Find one member in any state."""
        return self._view.table.get(name)

    def fingerprint(self) -> int:
        """Digest the live members, independent of order: equal where two nodes agree on them."""
        return self._view.table.digest

    def contact(self, name: str) -> Contact | None:
        """Return what is known first hand of a peer: round trip and lag."""
        return self._prober.contacts.get(name)

    def set_lag(self, lag_ms: int) -> None:
        """Say in every ack from now on how late this node's event loop was lately."""
        self._outbox.lag_ms = min(max(0, lag_ms), LAG_MS_MAX)

    def join(self, now: float, seeds: Sequence[Address]) -> list[Effect]:
        """Call these seeds, in place of earlier ones, now and for ever; our own address is passed over."""
        self._notice_stall(now)
        self._seeds.replace(now, seeds)
        self._call_seeds(now)
        return self._done(now)

    def publish(self, now: float, meta: Meta) -> list[Effect]:
        """Tell everybody this node's new metadata. Raises ConfigError when it is too big or of another cluster."""
        encode_meta(meta)
        if meta.label != self.me.meta.label:
            raise ConfigError(f"label = {meta.label!r}: a running node cannot move from {self.me.meta.label!r}")
        self._notice_stall(now)
        self._view.publish(now, meta)
        return self._done(now)

    def leave(self, now: float) -> list[Effect]:
        """Say good-bye: to several members, to whoever is just called and may know this node, then by gossip."""
        self._notice_stall(now)
        if self.me.state is not MemberState.LEFT:
            self._view.leave(now)
            self._prober.stop()
            farewell = [self._view.rumor(now, self.me.name)]
            for name in self._view.some_peers(self._rng, _FAREWELLS):
                self._outbox.send(self._address(name), Gossip(), farewell)
            for address, ends_at in self._syncs.items():
                if ends_at > now:
                    self._outbox.request(address, self._outbox.pack(Gossip(), farewell))
            self._gossiped_at = now
        return self._done(now)

    def forget(self, now: float, name: str) -> list[Effect]:
        """Take a dead member for one that has left, and tell; any other member is left alone."""
        self._notice_stall(now)
        self._view.forget(now, name)
        return self._done(now)

    def hint(self, now: float, name: str) -> list[Effect]:
        """Probe a member now: the data plane saw a connection to it refused or reset."""
        self._notice_stall(now)
        if self.me.live:
            self._prober.hint(now, name)
        return self._done(now)

    def tick(self, now: float) -> list[Effect]:
        """Do what is due at `now`; a no-op before `deadline`."""
        self._notice_stall(now)
        if now < self.deadline:
            return []
        self._prober.tick(now)
        self._view.tick(now)
        if now >= self._gossip_at:
            self._gossip(now)
        self._call_seeds(now)
        return self._done(now)

    def datagram(self, now: float, source: Address, payload: bytes) -> list[Effect]:
        """Take in one datagram. Never raises: what is no packet is dropped and counted."""
        self._notice_stall(now)
        packet = self._open(payload, stream=False)
        if packet is None:
            return self._done(now)
        if packet.sender == self.me.name:
            self.stats.dropped["stale"] += 1
            return self._done(now)
        corrections = self._hear(now, packet, source)
        match packet.message:
            case Ping(round_no=round_no, target=target):
                if target == self.me.name:
                    self._outbox.send(source, Ack(round_no, self._outbox.lag_ms), corrections)
                    corrections = []
            case Ack():
                self._prober.ack(now, packet.sender, packet.message)
            case Nack(round_no=round_no):
                self._prober.nack(packet.sender, round_no)
            case PingReq():
                self._prober.help(now, source, packet.message)
            case _:
                pass
        if corrections:
            self._outbox.send(source, Gossip(), corrections)
        return self._done(now)

    def stream(self, now: float, payload: bytes) -> tuple[bytes, list[Effect]]:
        """Answer one stream request: (reply, effects). The reply to what is no request is empty."""
        self._notice_stall(now)
        packet = self._open(payload, stream=True)
        if packet is None:
            return b"", self._done(now)
        holder = self._holder_of_name(packet)
        if holder is not None:
            self._prober.hurry(holder.name)
            return self._outbox.pack(Conflict(holder.epoch_unix_ms, *holder.address)), self._done(now)
        corrections = self._hear(now, packet, None)
        match packet.message:
            case Ping(round_no=round_no, target=target):
                reply = (
                    self._outbox.pack(Ack(round_no, self._outbox.lag_ms), corrections)
                    if target == self.me.name
                    else b""
                )
            case SyncRequest(buckets=buckets):
                self._answered = True
                reply = self._outbox.pack_differing(now, SyncReply(self._view.table.buckets), buckets)
            case Gossip():
                reply = self._outbox.pack(Gossip(), corrections)
            case _:
                reply = b""
        return reply, self._done(now)

    def stream_reply(self, now: float, peer: Address, payload: bytes) -> list[Effect]:
        """Take in the reply to one of our SendStream effects."""
        self._notice_stall(now)
        packet = self._open(payload, stream=True) if payload else None
        if packet is None or isinstance(packet.message, SyncReply | Conflict):
            pending = self._syncs.pop(peer, None)
            if pending is not None:
                self.stats.syncs["done" if packet is not None else "failed"] += 1
        if packet is None:
            return self._done(now)
        match packet.message:
            case Conflict(epoch_unix_ms=epoch_unix_ms, host=host, port=port):
                self._refused(now, peer, epoch_unix_ms, (host, port))
            case SyncReply(buckets=buckets):
                self._answered, self._conflict_since = True, math.inf
                self._hear(now, packet, None, spread=bool(self._view.table.live_peers))
                if self._view.table.differing(buckets):
                    self._outbox.request(peer, self._outbox.pack_differing(now, Gossip(), buckets))
            case Ack():
                self._hear(now, packet, None)
                self._prober.ack(now, packet.sender, packet.message)
            case _:
                self._hear(now, packet, None)
        return self._done(now)

    def stream_failed(self, now: float, peer: Address) -> list[Effect]:
        """Note that the connection of a SendStream effect was refused, broke or timed out."""
        self._notice_stall(now)
        if self._syncs.pop(peer, None) is not None:
            self.stats.syncs["failed"] += 1
        return self._done(now)

    # What packets bring.

    def _open(self, payload: bytes, *, stream: bool) -> Packet | None:
        """Decode a packet of this cluster; None for any other bytes, which are counted."""
        if self._silent:
            return None
        try:
            packet = decode_stream(payload) if stream else decode_datagram(payload)
        except DecodeError as refusal:
            self.stats.dropped["oversize" if isinstance(refusal, OversizeError) else "decode"] += 1
            return None
        if packet.label != self.me.meta.label:
            self.stats.dropped["label"] += 1
            return None
        self.stats.received[COUNTED_AS[type(packet.message)]] += 1
        return packet

    def _hear(self, now: float, packet: Packet, source: Address | None, *, spread: bool = True) -> list[bytes]:
        """Take in what any packet brings; `source` is None for a stream. Returns what sets its sender right."""
        corrections: list[bytes] = []
        notices = 0
        for rumor in packet.rumors:
            if source is not None and rumor.state is not MemberState.ALIVE and self._fallen(packet.sender):
                continue  # a node that hears nobody would accuse everybody: it has to be back first
            try:
                heard = self._view.hear(now, rumor, spread=spread, in_sync=source is None)
            except DecodeError:
                self.stats.dropped["decode"] += 1
                continue
            if heard is Heard.OUTDATED and len(corrections) < _CORRECTIONS_MAX:
                corrections.append(self._view.rumor(now, rumor.name))
            elif heard is Heard.DISPUTED and notices < _NOTICES_PER_SYNC_MAX:
                notices += 1
                self._outbox.send(self._address(rumor.name), Gossip(), [encode_rumor(rumor)])
                self._prober.hurry(rumor.name)
        self._meet(now, packet, source)
        return corrections

    def _meet(self, now: float, packet: Packet, source: Address | None) -> None:
        """Compare what the sender shows of itself with what is held of it."""
        if packet.sender == self.me.name:
            return
        sender = self._view.table.get(packet.sender)
        if sender is None or packet.epoch_unix_ms > sender.epoch_unix_ms:
            if source is not None and now >= self._synced_at + self._profile.gossip_interval_s:
                self._sync(now, source)
            return
        earlier_run = packet.epoch_unix_ms < sender.epoch_unix_ms
        contact = self._prober.contacts.get(sender.name)
        if contact is None:
            contact = self._prober.contacts[sender.name] = Contact()
        if source is None:
            return
        accused = sender.state in {MemberState.SUSPECT, MemberState.DEAD}
        if (earlier_run or accused) and now >= contact.notified_at + self._profile.gossip_interval_s:
            contact.notified_at = now  # it can refute only what it knows of, and we may be the only one to say it
            self._outbox.send(source, Gossip(), [self._view.rumor(now, sender.name)])
        if sender.live and not earlier_run:
            self._compare(now, packet.digest, sender.address)

    def _compare(self, now: float, digest: int, address: Address) -> None:
        """Sync with a member whose digest differs although rumours had the time to arrive."""
        if digest == self._view.table.digest:
            return
        profile = self._profile
        wait_s = profile.sync_interval_s
        if now < self._view.changed_at + profile.gossip_interval_s * self._view.transmissions:
            wait_s *= _SYNC_CONGESTED if self._congested else _SYNC_OVERDUE
        if now >= self._synced_at + wait_s:
            self._sync(now, address)

    @property
    def _congested(self) -> bool:
        """Whether gossip needs longer than a sync interval for the rumours that wait."""
        profile = self._profile
        rounds = profile.sync_interval_s / profile.gossip_interval_s
        room = rounds * profile.gossip_fanout * _RUMORS_PER_PACKET
        return len(self._view.rumors) * self._view.transmissions > room

    def _holder_of_name(self, packet: Packet) -> Member | None:
        """Find the live member elsewhere, maybe ourselves, whose name a caller uses; None lets it in."""
        if packet.sender == self.me.name:
            return self.me
        held = self._view.table.get(packet.sender)
        if held is None or not held.live:
            return None
        own = next((rumor for rumor in packet.rumors if rumor.name == packet.sender), None)
        return held if own is not None and (own.host, own.port) != held.address else None

    def _refused(self, now: float, peer: Address, epoch_unix_ms: int, holder: Address) -> None:
        """Give up our name to its holder, unless that is an earlier run of ours, to be found dead soon."""
        if (epoch_unix_ms, holder) == (self.me.epoch_unix_ms, self.me.address):
            self._seeds.ignore(peer)  # it led back to us
            return
        self._conflict_since = min(self._conflict_since, now)
        if self.me.epoch_unix_ms <= epoch_unix_ms or now >= self._conflict_since + self._profile.conflict_patience_s:
            self._view.conflict(holder)

    # What time brings.

    def _notice_stall(self, now: float) -> None:
        """Judge nobody by the time in which this node itself was not running."""
        late_s = now - max(self.deadline, self._awake_at)
        if late_s <= self._profile.stall_s:
            return
        self._awake_at = now
        self.stats.stalls += 1
        self._health.worsen()
        self._prober.start_over(now)
        self._view.postpone(now + self._profile.probe_interval_s, by_s=late_s)

    def _gossip(self, now: float) -> None:
        self._gossiped_at, self._gossip_at = now, math.inf
        for name in self._view.some_peers(self._rng, self._profile.gossip_fanout):
            if not self._view.rumors:
                return
            self._outbox.send(self._address(name), Gossip())

    def _call_seeds(self, now: float) -> None:
        if now < self._seeds.deadline:
            return
        table = self._view.table
        dead = [member.address for member in table.gone if member.state is MemberState.DEAD]
        self._prober.forget_strangers()
        for address in self._seeds.tick(now, live=table.live_addresses, dead=dead):
            if self.me.live:
                self._sync(now, address)

    # Sending.

    def _sync(self, now: float, address: Address) -> None:
        """Ask a node for what we do not agree on, unless we are just doing so."""
        if self._syncs.get(address, -math.inf) > now or not self.me.live:
            return
        self._syncs = {peer: ends_at for peer, ends_at in self._syncs.items() if ends_at > now}
        self._syncs[address] = now + self._profile.stream_timeout_s
        self._synced_at = now
        self.stats.syncs["started"] += 1
        self._outbox.request(address, self._outbox.pack_self(now, SyncRequest(self._view.table.buckets)))

    def _address(self, name: str) -> Address:
        return self._view.table[name].address

    def _fallen(self, name: str) -> bool:
        member = self._view.table.get(name)
        return member is not None and member.state is MemberState.DEAD

    def _due(self) -> float:
        if self._silent:
            return math.inf
        return min(self._prober.deadline, self._gossip_at, self._seeds.deadline, self._view.deadline)

    def _done(self, now: float) -> list[Effect]:
        """End an input: act on what the view learned, arm the gossip timer, hand over the effects."""
        view = self._view
        if view.newcomers:
            for name in view.newcomers:
                self._prober.meet(name)
            view.newcomers.clear()
        events = view.take_events()
        if events:
            self._heed(events)
        if not view.table.live_peers:
            view.rumors.clear()  # nobody to tell; told after a split has healed, they would be lies
        elif self._gossip_at == math.inf and view.rumors:
            self._gossip_at = max(now, self._gossiped_at + self._profile.gossip_interval_s)
        self.deadline = self._due()
        effects: list[Effect] = [*self._outbox.take(), *events]
        if self._silent:
            return [effect for effect in effects if not isinstance(effect, Send | SendStream)]
        return effects

    def _heed(self, events: list[Event]) -> None:
        """Act on what the view learned."""
        for event in events:
            match event:
                case Suspected(member=member):
                    self._prober.confirm(member.name)
                case Died(member=member) | Left(member=member):
                    self._prober.contacts.pop(member.name, None)
                case NameConflict():
                    self._silent = True
                case _:
                    pass
