"""Failure detection: whose turn it is, the probes under way, and those done for others."""

import math
import random
from typing import Final

from respcache.cluster.membership.contact import Contact
from respcache.cluster.membership.health import Health
from respcache.cluster.membership.member import Address, Member, MemberState
from respcache.cluster.membership.outbox import Outbox
from respcache.cluster.membership.probe import Probe, ProbeOrder, Step
from respcache.cluster.membership.profile import GossipConfig
from respcache.cluster.membership.relay import Relay, Relays
from respcache.cluster.membership.stats import GossipStats
from respcache.cluster.membership.view import View
from respcache.cluster.membership.wire import Ack, Nack, Ping, PingReq

_NACK_SHARE: Final = 0.6
"""A helper says that it got no answer after this share of its timeout: in time even on a slow link."""
_HINTED_PROBES_MAX: Final = 8
"""Probes that hints may have under way, beside the one of the round."""


class Prober:
    """Sends pings, asks for help and gives it, and accuses to the view those that stay silent.

    One round per probe interval, stretched by the health score; hinted probes
    come on top. The direct ping has one probe timeout, or less where the round
    trips measured before say so; helpers and stream then have one together.
    """

    __slots__ = (
        "_health",
        "_order",
        "_outbox",
        "_probes",
        "_profile",
        "_relays",
        "_rng",
        "_round_at",
        "_round_no",
        "_stats",
        "_view",
        "contacts",
    )

    def __init__(
        self,
        now: float,
        *,
        view: View,
        outbox: Outbox,
        health: Health,
        profile: GossipConfig,
        stats: GossipStats,
        rng: random.Random,
    ) -> None:
        self._view, self._outbox, self._health = view, outbox, health
        self._profile, self._stats, self._rng = profile, stats, rng
        self.contacts: dict[str, Contact] = {}
        """First-hand knowledge of the members, by name."""
        self._order = ProbeOrder(rng)
        self._probes: dict[int, Probe] = {}
        self._relays = Relays()
        self._round_no = rng.getrandbits(32)
        self._round_at = now + profile.probe_interval_s * rng.random()

    @property
    def deadline(self) -> float:
        """When `tick` is due."""
        due = min(self._round_at, self._relays.deadline)
        for probe in self._probes.values():
            due = min(due, probe.deadline)
        return due

    def meet(self, newcomer: str) -> None:
        """Give a new member its place in the order."""
        self._order.add(newcomer)

    def hurry(self, name: str) -> None:
        """Give a member the next turn."""
        self._order.hurry(name)

    def confirm(self, suspect: str) -> None:
        """Maybe give a suspect the next turn: so many of us do that the verdict has its confirmations in time."""
        if not self._view.wants_confirmation(suspect):
            return
        wanted = 2 * (1 + self._profile.suspicion_confirmations)
        if self._rng.random() * self._view.table.live_count < wanted:
            self._order.hurry(suspect)

    def hint(self, now: float, name: str) -> None:
        """Probe a live member at once, unless that is under way or too many are."""
        probed = any(probe.target == name for probe in self._probes.values())
        if name in self._view.table.live_names and not probed and len(self._probes) <= _HINTED_PROBES_MAX:
            self._start(now, name)

    def tick(self, now: float) -> None:
        """Do what is due: next steps, verdicts, nacks owed, the next round."""
        for probe in tuple(self._probes.values()):
            self._advance(now, probe)
        for relay in self._relays.tick(now):
            self._outbox.send(relay.requester, Nack(relay.round_no))
        if now >= self._round_at:
            self._next_round(now)

    def ack(self, now: float, sender: str, ack: Ack) -> None:
        """Close the probe that this ack answers, or forward it to the member that we help."""
        probe = self._probes.get(ack.round_no)
        if probe is None:
            relay = self._relays.ack(ack.round_no)
            if relay is not None:
                self._outbox.send(relay.requester, Ack(relay.round_no, ack.lag_ms))
            return
        if sender != probe.target and sender not in probe.helpers:
            return
        del self._probes[ack.round_no]
        self._health.improve()
        self._stats.probes["ack" if probe.direct else "indirect"] += 1
        self._stats.answered(now - probe.started_at)
        contact = self.contacts.get(probe.target)
        if contact is not None:
            contact.lag_ms = ack.lag_ms
            if probe.direct:
                contact.measured(now - probe.started_at)

    def nack(self, sender: str, round_no: int) -> None:
        """Note that a helper lives, though it got no answer either."""
        probe = self._probes.get(round_no)
        if probe is not None and sender in probe.helpers:
            probe.nacks.add(sender)

    def help(self, now: float, requester: Address, request: PingReq) -> None:
        """Ping on behalf of another member, or say at once that we cannot."""
        target = request.target
        relay = Relay(
            requester,
            request.round_no,
            nack_at=now + _NACK_SHARE * self._profile.probe_timeout_s,
            ends_at=now + 2 * self._profile.probe_interval_s,
        )
        own_round_no = self._next_round_no()
        if target in self._view.table.live_names and self._relays.start(own_round_no, relay):
            self._outbox.send(self._view.table[target].address, Ping(own_round_no, target))
        else:
            self._outbox.send(requester, Nack(request.round_no))

    def forget_strangers(self) -> None:
        """Drop what was learned first hand of those that are no members any more, where there are such."""
        known = self._view.table.live_names
        if len(self.contacts) <= len(known):
            return
        self.contacts = {name: contact for name, contact in self.contacts.items() if name in known}

    def start_over(self, now: float) -> None:
        """Drop all that is under way, without a verdict: this node was not running."""
        self._probes.clear()
        self._relays.clear()
        self._round_at = max(self._round_at, now + self._profile.probe_interval_s)

    def stop(self) -> None:
        """Probe nobody any more."""
        self._probes.clear()
        self._round_at = math.inf

    def _next_round(self, now: float) -> None:
        self._round_at = now + self._profile.probe_interval_s * self._health.multiplier
        busy = {probe.target for probe in self._probes.values()}
        target = self._order.next(self._view.table.live_names, busy=busy)
        if target is not None:
            self._start(now, target)
        elif not self._view.table.live_peers:
            self._health.improve()  # nobody is left to misjudge

    def _start(self, now: float, target: str) -> None:
        member = self._view.table[target]
        contact = self.contacts.get(target)
        longest_s, stretch = self._profile.probe_timeout_s, self._health.multiplier
        rtt_s = longest_s if contact is None else contact.timeout_s(longest_s)
        probe = Probe(
            now,
            round_no=self._next_round_no(),
            target=target,
            helpers=self._view.some_peers(self._rng, self._profile.indirect_probes, but=target),
            rtt_s=rtt_s * stretch,
            period_s=(rtt_s + longest_s) * stretch,
        )
        self._probes[probe.round_no] = probe
        self._outbox.send(member.address, Ping(probe.round_no, target), self._notice(now, member))

    def _advance(self, now: float, probe: Probe) -> None:
        match probe.tick(now):
            case Step.ASK_HELPERS:
                self._ask_helpers(now, probe)
            case Step.GIVE_UP:
                del self._probes[probe.round_no]
                self._stats.probes["timeout"] += 1
                self._health.worsen(probe.nacks_missing)
                self._view.suspect(now, probe.target)
            case None:
                pass

    def _notice(self, now: float, target: Member) -> list[bytes]:
        """Tell a suspect of the suspicion in the very packet that probes it: so it refutes as soon as it can."""
        return [self._view.rumor(now, target.name)] if target.state is MemberState.SUSPECT else []

    def _ask_helpers(self, now: float, probe: Probe) -> None:
        table = self._view.table
        for helper in probe.helpers:
            if helper in table.live_names:
                self._outbox.send(table[helper].address, PingReq(probe.round_no, probe.target))
        target = table.get(probe.target)
        if target is not None:
            ping = self._outbox.pack(Ping(probe.round_no, probe.target), self._notice(now, target))
            self._outbox.request(target.address, ping)

    def _next_round_no(self) -> int:
        self._round_no += 1
        return self._round_no
