"""What this node believes of all members: rumours weighed by precedence, suspicions and their end, refutation.

The view sends nothing. It queues rumours, keeps timers, and collects events.
"""

import enum
import math
import random
from dataclasses import replace
from typing import Final

from respcache.cluster.membership.effects import (
    Died,
    Event,
    Joined,
    Left,
    NameConflict,
    PartitionSuspected,
    Recovered,
    Suspected,
    Updated,
)
from respcache.cluster.membership.health import Health
from respcache.cluster.membership.member import Address, Member, MemberState, Meta
from respcache.cluster.membership.profile import GossipConfig
from respcache.cluster.membership.rumors import RumorQueue, transmissions
from respcache.cluster.membership.stats import GossipStats
from respcache.cluster.membership.suspicion import Suspicion
from respcache.cluster.membership.table import MemberTable
from respcache.cluster.membership.wire import (
    EPOCH_MAX,
    INCARNATION_MAX,
    Rumor,
    decode_meta,
    encode_rumor,
    rumor_of,
)

_UNKNOWN_META: Final = Meta(client_port=0, http_port=0)
"""Of a member first heard of when it was already gone."""


class Heard(enum.Enum):
    """What a rumour was worth, and what its teller deserves."""

    NEWS = enum.auto()
    KNOWN = enum.auto()
    OUTDATED = enum.auto()
    """The teller accuses a member of what has been refuted: tell it what we hold."""
    DISPUTED = enum.auto()
    """The teller holds a member dead that we hold live: ask that member."""


class View:
    """All beliefs of one node, and the only place that changes them.

    Of a member, per run epoch and incarnation, beliefs only go forward:

        alive --> suspect --> dead --> left

    and a higher incarnation or epoch, which the member alone can issue, starts over at alive.
    """

    def __init__(self, me: Member, *, profile: GossipConfig, health: Health, stats: GossipStats) -> None:
        self._profile, self._health, self._stats = profile, health, stats
        self.table = MemberTable(me)
        self.rumors = RumorQueue(own=me.name, capacity=profile.rumors_max, stats=stats)
        self.changed_at = me.since_s
        """When the last change of any belief came in."""
        self.newcomers: list[str] = []
        """Members that entered since the owner last emptied this."""
        self._suspicions: dict[str, Suspicion] = {}
        self._verdict_at: float | None = math.inf
        """When the first suspicion ends; None where one has changed, for half of a big cluster may be suspect."""
        self._purge_at = math.inf
        self._cut = False
        self._events: list[Event] = []

    @property
    def me(self) -> Member:
        """This node, as the others should see it."""
        return self.table.me

    @property
    def deadline(self) -> float:
        """When the next suspicion or tombstone ends."""
        if self._verdict_at is None:
            self._verdict_at = min((suspicion.deadline for suspicion in self._suspicions.values()), default=math.inf)
        return min(self._purge_at, self._verdict_at)

    @property
    def transmissions(self) -> int:
        """How often a rumour is sent at the present size of the cluster."""
        return transmissions(self._profile.retransmit_multiplier, self.table.live_count)

    def take_events(self) -> list[Event]:
        """Return what happened since the last call."""
        events, self._events = self._events, []
        return events

    def some_peers(self, rng: random.Random, count: int, *, but: str | None = None) -> list[str]:
        """Draw the names of up to `count` live members at random."""
        peers = self.table.live_peers
        drawn = rng.sample(peers, min(len(peers), count + (but is not None)))
        return [name for name in drawn if name != but][:count]

    def rumor(self, now: float, name: str, *, whole: bool = False) -> bytes:
        """Encode what is held of a known member."""
        member = self.table[name]
        suspicion = self._suspicions.get(name)
        accusers = suspicion.accusers if suspicion is not None else ()
        return encode_rumor(rumor_of(member, now=now, accusers=accusers, whole=whole))

    def spread(self, now: float, name: str) -> None:
        """Queue what is held of a member, from its first transmission on."""
        self.rumors.put(name, self.rumor(now, name))

    def hear(self, now: float, rumor: Rumor, *, spread: bool = True, in_sync: bool = False) -> Heard:
        """Weigh one rumour. Raises DecodeError, having changed nothing, when its metadata is malformed.

        In a sync, a death that contradicts our view is disputed, not believed:
        after a split each side holds the other one dead, and neither is.
        """
        if rumor.name == self.me.name:
            return self._hear_of_self(now, rumor)
        held = self.table.get(rumor.name)
        precedence = (rumor.epoch_unix_ms, rumor.incarnation, rumor.state)
        if held is not None and precedence <= held.precedence:
            if precedence == held.precedence and rumor.state is MemberState.SUSPECT:
                return self._confirm(now, rumor)
            return Heard.OUTDATED if rumor.state in _ACCUSATIONS and held.live else Heard.KNOWN
        if in_sync and rumor.state is MemberState.DEAD and held is not None and held.live:
            return Heard.DISPUTED
        return self._adopt(now, held, rumor, spread=spread)

    def suspect(self, now: float, name: str) -> None:
        """Accuse a member that left our own probe unanswered; no-op for one that is gone."""
        held = self.table.get(name)
        if held is None or not held.live:
            return
        rumor = rumor_of(replace(held, state=MemberState.SUSPECT), now=now, accusers=(self.me.name,))
        self.hear(now, rumor)

    def tick(self, now: float) -> None:
        """Bury the suspects whose time is over, and forget the dead whose tombstone is."""
        if now < self.deadline:
            return
        for name in [name for name, suspicion in self._suspicions.items() if suspicion.deadline <= now]:
            held = self.table[name]
            self._settle(now, held, replace(held, state=MemberState.DEAD, since_s=now))
            self.spread(now, name)
        if now >= self._purge_at:
            self._purge(now)

    def postpone(self, until: float, *, by_s: float) -> None:
        """Give every suspect back the time in which this node was not running."""
        self._verdict_at = None
        for suspicion in self._suspicions.values():
            suspicion.postpone(until, by_s=by_s)

    def leave(self, now: float) -> None:
        """Believe of ourselves that we left, and say so."""
        self._state(now, replace(self.me, state=MemberState.LEFT, since_s=now))

    def forget(self, now: float, name: str) -> None:
        """Take a dead member for one that has left: nobody calls it any more, here or elsewhere.

        If it lives after all, it outranks this as it would any rumour. No-op unless the member is held dead.
        """
        held = self.table.get(name)
        if held is not None and held.state is MemberState.DEAD:
            self._settle(now, held, replace(held, state=MemberState.LEFT, since_s=now))
            self.spread(now, name)

    def publish(self, now: float, meta: Meta) -> None:
        """Change what this node tells of itself."""
        me = self.me
        self._rise(now, epoch_unix_ms=me.epoch_unix_ms, incarnation=me.incarnation + 1)
        self._state(now, replace(self.me, meta=meta))

    def conflict(self, address: Address) -> None:
        """Note that our name belongs to another node, at `address`."""
        self._events.append(NameConflict(self.me.name, address))

    def _hear_of_self(self, now: float, rumor: Rumor) -> Heard:
        """Refute what is wrong. The answer to the teller carries the refutation as well."""
        me = self.me
        if me.state is MemberState.LEFT:
            return Heard.KNOWN
        if rumor.epoch_unix_ms > me.epoch_unix_ms:
            address = (rumor.host, rumor.port)
            if address != me.address and rumor.state <= MemberState.SUSPECT:
                self.conflict(address)
                return Heard.KNOWN
            if rumor.epoch_unix_ms >= EPOCH_MAX:
                return Heard.KNOWN
            self._rise(now, epoch_unix_ms=rumor.epoch_unix_ms + 1, incarnation=0)
            return Heard.OUTDATED
        if rumor.epoch_unix_ms < me.epoch_unix_ms:
            self.spread(now, me.name)
            return Heard.OUTDATED
        if rumor.state is MemberState.ALIVE and rumor.incarnation <= me.incarnation:
            return Heard.KNOWN
        if rumor.incarnation >= me.incarnation:
            self._health.worsen()
            self._stats.refutations += 1
            self._rise(now, epoch_unix_ms=me.epoch_unix_ms, incarnation=rumor.incarnation + 1)
        return Heard.OUTDATED

    def _rise(self, now: float, *, epoch_unix_ms: int, incarnation: int) -> None:
        """Outrank all that is said of this node."""
        if incarnation > INCARNATION_MAX:
            epoch_unix_ms, incarnation = epoch_unix_ms + 1, 0
        self._state(now, replace(self.me, epoch_unix_ms=epoch_unix_ms, incarnation=incarnation))

    def _state(self, now: float, me: Member) -> None:
        """Be what `me` says from now on, and tell."""
        self.table.put(me)
        self.changed_at = now
        self.spread(now, me.name)

    def _confirm(self, now: float, rumor: Rumor) -> Heard:
        if not self._suspicions[rumor.name].confirm(rumor.accusers):
            return Heard.KNOWN
        self._verdict_at = None
        self.spread(now, rumor.name)
        return Heard.NEWS

    def _adopt(self, now: float, held: Member | None, rumor: Rumor, *, spread: bool) -> Heard:
        known_run = held is not None and held.epoch_unix_ms == rumor.epoch_unix_ms
        if rumor.state <= MemberState.SUSPECT and not rumor.meta and not known_run:
            return Heard.KNOWN  # too little to go by: digests differ now, and a sync brings the rest
        if held is None and self._refuses(rumor):
            return Heard.KNOWN
        meta, encoded_meta = _UNKNOWN_META, b""
        if rumor.meta:
            meta, encoded_meta = decode_meta(rumor.meta), rumor.meta
        elif held is not None:
            meta, encoded_meta = held.meta, held.encoded_meta
        member = Member(
            name=rumor.name,
            epoch_unix_ms=rumor.epoch_unix_ms,
            incarnation=rumor.incarnation,
            state=rumor.state,
            address=(rumor.host, rumor.port),
            meta=meta,
            since_s=now - rumor.age_s,
            encoded_meta=encoded_meta,
        )
        self._settle(now, held, member, accusers=rumor.accusers)
        if spread:
            self.spread(now, member.name)
        return Heard.NEWS

    def _refuses(self, rumor: Rumor) -> bool:
        """Whether a stranger is not worth remembering, or there is no room for it."""
        if len(self.table) >= self._profile.members_max:
            self._stats.dropped["full"] += 1
            return True
        return rumor.age_s >= self._profile.tombstone_s

    def _settle(self, now: float, held: Member | None, member: Member, *, accusers: tuple[str, ...] = ()) -> None:
        """Hold a new belief: table, timers and events."""
        self.table.put(member)
        self.changed_at = now
        self._suspicions.pop(member.name, None)
        self._verdict_at = None
        if member.state is MemberState.SUSPECT:
            self._suspicions[member.name] = self._suspicion(now, accusers)
        elif not member.live:
            self._purge_at = min(self._purge_at, member.since_s + self._profile.tombstone_s)
        was_live = held is not None and held.live
        if member.live and not was_live:
            self.newcomers.append(member.name)
        self._events += _told(held if was_live else None, member)
        self._watch_for_partition(now)

    def _suspicion(self, now: float, accusers: tuple[str, ...]) -> Suspicion:
        """Start a timer; two nodes are neither accuser nor confirmer: this one and the suspect."""
        profile, count = self._profile, self.table.live_count
        min_s = profile.suspicion_multiplier * max(1.0, math.log10(count)) * profile.probe_interval_s
        suspicion = Suspicion(
            now,
            accusers=accusers,
            min_s=min_s,
            max_s=min_s * profile.suspicion_max_multiplier,
            confirmations_wanted=min(profile.suspicion_confirmations, count - 2),
        )
        suspicion.held = self._cut
        return suspicion

    def wants_confirmation(self, name: str) -> bool:
        """Whether our own probe of a suspect would bring its verdict nearer."""
        suspicion = self._suspicions.get(name)
        return suspicion is not None and not suspicion.confirmed and self.me.name not in suspicion.accusers

    def _watch_for_partition(self, now: float) -> None:
        """Report once when too many, and at least two, are suspect at a time, and hold their verdicts.

        It is rather the network then than all of them. A cut that is shorter
        than the longest suspicion thereby costs nobody its membership.
        """
        suspects, members = len(self._suspicions), self.table.live_count
        cut = suspects >= 2 and suspects > self._profile.partition_share * members
        if cut and not self._cut:
            for suspicion in self._suspicions.values():
                suspicion.held = True
            self._events.append(PartitionSuspected(tuple(sorted(self._suspicions)), members))
        elif self._cut and not cut:
            for suspicion in self._suspicions.values():
                suspicion.release(now)
        self._cut = cut

    def _purge(self, now: float) -> None:
        tombstone_s = self._profile.tombstone_s
        gone = self.table.gone
        for member in gone:
            if member.since_s + tombstone_s <= now:
                self.table.remove(member.name)
                self.rumors.drop(member.name)
        self._purge_at = min(
            (member.since_s + tombstone_s for member in gone if member.since_s + tombstone_s > now), default=math.inf
        )


_ACCUSATIONS: Final = (MemberState.SUSPECT, MemberState.DEAD)


def _told(was: Member | None, member: Member) -> list[Event]:
    """Name the events between a live belief, if there was one, and the next belief."""
    if was is None:
        return _entrance(member) if member.live else []
    if member.epoch_unix_ms > was.epoch_unix_ms and member.live:
        return [Died(replace(was, state=MemberState.DEAD, since_s=member.since_s)), *_entrance(member)]
    if not member.live:
        return [Left(member) if member.state is MemberState.LEFT else Died(member)]
    events: list[Event] = []
    if was.state is not member.state:
        events.append(Recovered(member) if member.state is MemberState.ALIVE else Suspected(member))
    if (was.meta, was.address) != (member.meta, member.address):
        events.append(Updated(member))
    return events


def _entrance(member: Member) -> list[Event]:
    suspected = [Suspected(member)] if member.state is MemberState.SUSPECT else []
    return [Joined(member), *suspected]
