"""Drives the keeper of partitions, and carries commands and publications between nodes, over the links."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, assert_never, cast

from respcache import errands
from respcache.cluster.effects import (
    Acknowledged,
    Differed,
    Drained,
    Dropped,
    Effect,
    Forced,
    ForeignCluster,
    Formed,
    LeaseChanged,
    RecordChanged,
    Recreated,
    Resolved,
    RoutesChanged,
    Send,
)
from respcache.cluster.keeper import Keeper
from respcache.cluster.membership import Member
from respcache.cluster.ownership.record import Node
from respcache.cluster.ownership.wire import DecodeError
from respcache.cluster.replication.log import Gate
from respcache.cluster.replication.log import Log as PartitionLog
from respcache.cluster.replication.waits import WAITS_MAX, Wait
from respcache.cluster.sealing.sealing import Sealing
from respcache.commands.arguments import integer
from respcache.errands import Errand
from respcache.errors import CommandError, ProtocolError
from respcache.executor import NEVER
from respcache.locking import Locks
from respcache.net import frames
from respcache.net.links import Links
from respcache.net.membership import Membership
from respcache.net.messages import Ask, Greeting
from respcache.net.messenger import Messenger
from respcache.order import Order
from respcache.pubsub.exchange import Exchange
from respcache.resp.encode import integer as encoded
from respcache.routing import Router
from respcache.store.partition import Log

log: Final = logging.getLogger(__name__)

SLEPT_S: Final = 0.05
"""How far the clock that runs while the machine sleeps may get ahead of the one that does not, until that counts."""
FROZEN: Final = object()
"""What a partition is marked with that this node serves no more because it is to move."""


class Replicator:
    """One node's dealings with the others, other than gossip: its keeper, its links, its router's orders."""

    def __init__(
        self,
        keeper: Keeper,
        locks: Locks,
        membership: Membership,
        greeting: Greeting,
        exchange: Exchange,
        *,
        rerouted: Callable[[Sequence[str]], None],
        sealing: Sealing | None = None,
    ) -> None:
        """`rerouted` is given the primaries of all partitions whenever some may have changed.

        Without `sealing`, links are plain.
        """
        self.keeper: Final = keeper
        self.links: Final = Links(self, greeting, sealing)
        self.messenger: Final = Messenger(exchange, self.links)
        self.drained: Final = asyncio.Event()
        """Set when this node, having asked to leave, holds nothing any more."""
        self.changed: Final = asyncio.Event()
        """Set with every new record; whoever waits for one clears it."""
        self.router: Router
        self._locks: Final = locks
        self._membership: Final = membership
        self._rerouted: Final = rerouted
        self._loop: Final = asyncio.get_running_loop()
        self._clock: Final = self._loop.time
        self._table: Final = keeper.table
        self._lease_ends_s = -math.inf
        self._asleep_s = asleep_s()
        locks.suspend()
        self._marked: Final[list[object]] = [None] * len(keeper.serving)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = float("inf")
        self._waking = False
        self._waits: Final[dict[Wait, tuple[Order, asyncio.TimerHandle]]] = {}
        self._closed = False

    # -- membership ---------------------------------------------------------------------

    def member_up(self, member: Member) -> None:
        """Link up with a node that lives, and answers."""
        host, port = member.address
        self.links.keep(member.name, host, port)
        node = Node(member.name, member.epoch_unix_ms, member.meta.weight, member.meta.zone)
        self.perform(self.keeper.member_up(self._loop.time(), node))

    def member_down(self, member: Member, *, left: bool) -> None:
        """Let go of a node that is dead or has left."""
        self.links.drop(member.name)
        self.messenger.exchange.remove(member.name)
        self.router.peer_gone(member.name)
        end = self.keeper.member_left if left else self.keeper.member_down
        self.perform(end(self._loop.time(), member.name, member.epoch_unix_ms))

    def member_suspect(self, member: Member) -> None:
        """Do without a node that does not answer, as soon as that is safe."""
        self.perform(self.keeper.member_suspect(self._loop.time(), member.name, member.epoch_unix_ms))

    # -- the router's side ----------------------------------------------------------------

    def connected(self, node: str) -> bool:
        """Tell whether a link stands."""
        return self.links.link(node) is not None

    def ask(self, node: str, order: Order) -> None:
        """Have an order run by another node."""
        link = self.links.link(node)
        assert link is not None, "the router asks connected nodes only"
        link.ask(order, self._table.version, self._clock)

    def under_way(self) -> Iterable[tuple[str, Order]]:
        """List what nodes were asked and have not answered, by node."""
        return [(link.peer, order) for link in self.links.standing() for order in link.under_way]

    def client_address(self, node: str) -> tuple[str, int]:
        """Give host and RESP port of a member."""
        member = self._membership.member(node)
        return ("", 0) if member is None else (member.address[0], member.meta.client_port)

    def gate(self, logs: list[Log]) -> Gate | None:
        """Give what replies must wait for whose effects are in `logs`."""
        return self.keeper.gate(cast("list[PartitionLog]", logs))

    def acknowledge(self, order: Order) -> None:
        """Answer how many copies have what was written to partitions of this node, once enough have, or in time."""
        copies = integer(order.argv[1])
        if len(self._waits) >= WAITS_MAX:
            order.fail(CommandError("too many clients wait for copies"))
            return
        wait = self.keeper.wait(order.partitions, copies)
        if wait.done:
            order.resolve(encoded(wait.count))
            return
        timer = self._loop.call_at(order.deadline_s, self._acknowledged, wait)
        self._waits[wait] = (order, timer)

    def _acknowledged(self, wait: Wait) -> None:
        """Answer: it is done, or its time is up."""
        order, timer = self._waits.pop(wait)
        timer.cancel()
        self.keeper.holdings.waits.drop(wait)
        order.resolve(encoded(wait.count))

    def lapsed(self) -> None:
        """Serve nothing more unless the lease turns out to last."""
        self.perform(self.keeper.tick(time.monotonic()))

    def wake(self) -> None:
        """Send effects and acks at the end of this turn of the event loop."""
        if not self._waking:
            self._waking = True
            self._loop.call_soon(self._end_of_turn)

    # -- the links' side --------------------------------------------------------------------

    def link_up(self, name: str) -> None:
        """Greet the peer's keeper, and go on where the last link ended."""
        self.messenger.exchange.connect(name)
        self.perform(self.keeper.peer_connected(self._loop.time(), name))
        self.router.routes_changed()

    def link_down(self, name: str) -> None:
        """Note that what was on its way is lost, and with it any transaction of that node's; see whether it lives."""
        if not self._closed:
            self._membership.hint(name)
            self.messenger.exchange.disconnect(name)
            self.router.peer_gone(name)
            self.perform(self.keeper.peer_disconnected(self._loop.time(), name))

    def keeper_frame(self, name: str, body: bytes) -> None:
        """Take a message of a peer's keeper. Raises ProtocolError."""
        try:
            effects = self.keeper.receive(self._loop.time(), name, body)
        except DecodeError as reason:
            raise ProtocolError(str(reason)) from reason
        self.perform(effects)

    def pubsub_frame(self, name: str, body: bytes) -> None:
        """Take a message of a peer's exchange. Raises ProtocolError."""
        self.messenger.exchange.receive(name, body)

    def asked(self, name: str, ask: Ask, reply: Callable[[int, bytes | None], None]) -> None:
        """Run commands for a peer, or tell it to look elsewhere."""
        self._check_lease()
        if self.keeper.table.behind(ask.version):
            self.perform(self.keeper.catch_up(name, ask.version))
        errand = Errand(ask.version, ask.database, ask.protocol, self._loop.time() + ask.timeout_s)
        errands.run(self.router, errand, ask.requests, reply)

    def answered(self, answers: list[tuple[Order, bytes | None]]) -> None:
        """Pass answers on."""
        self._check_lease()  # what follows from them may be run here
        for order, wire in answers:
            self.router.answered(order, wire)

    def lost(self, order: Order) -> None:
        """Pass on that no answer will come."""
        if not self._closed:
            self.router.lost(order, sent=True)

    def unreachable(self, name: str) -> None:
        """Have a node probed that refuses connections."""
        self._membership.hint(name)

    # -- the keeper's side ----------------------------------------------------------------------

    def start(self) -> None:
        """Begin: found a cluster, or wait for others."""
        self.perform(self.keeper.start(self._loop.time()))

    def leave(self) -> None:
        """Begin to hand everything over."""
        self.perform(self.keeper.leave(self._loop.time()))

    def take_over(self) -> None:
        """Go on without a majority of the voters."""
        self.perform(self.keeper.take_over(self._loop.time()))

    def fail_over(self, *, force: bool) -> None:
        """Become the primary of all that this node has copies of. Raises CommandError."""
        claimable = self.keeper.claimable
        if not claimable:
            raise CommandError("You should send CLUSTER FAILOVER to a replica")
        if not force and any(self.links.link(primary) is None for primary in claimable):
            raise CommandError("Master is down or failed, please use CLUSTER FAILOVER FORCE")
        log.warning("an operator wants this node to be the primary of all that it has copies of")
        self.perform(self.keeper.fail_over(self._loop.time(), force=force))

    def perform(self, effects: Sequence[Effect]) -> None:  # noqa: C901, PLR0912 # one case for each effect
        """Carry out what the keeper asks for, in order."""
        for effect in effects:
            match effect:
                case Send(peer, frame):
                    link = self.links.link(peer)
                    if link is not None:
                        link.send(frames.KEEPER, frame)
                case RoutesChanged() | RecordChanged():
                    self._take_routes()
                case LeaseChanged(held):
                    self._take_lease(held=held)
                case Resolved(gates):
                    self.router.held.resolved(gates)
                case Acknowledged(waits):
                    for wait in waits:
                        self._acknowledged(wait)
                case Drained():
                    self.drained.set()
                case Formed(cluster_id):
                    log.info("founded cluster %s", cluster_id)
                case Forced(voters):
                    log.error("too many voters are dead: this side goes on alone, with %s", ", ".join(voters))
                case Dropped(partitions, keys, orphaned):
                    level = logging.WARNING if orphaned else logging.DEBUG
                    log.log(
                        level,
                        "dropped %d keys of %d partitions that others have, %d of them were written here "
                        "while this node was cut off",
                        keys,
                        len(partitions),
                        orphaned,
                    )
                case Recreated(partitions):
                    log.error("all copies of %d partitions were lost; they start again, empty", len(partitions))
                case Differed(partitions):
                    log.error(
                        "copies of %d partitions here (%s) differ from their primaries; they are made afresh",
                        len(partitions),
                        ", ".join(map(str, partitions)),
                    )
                case ForeignCluster(peer, cluster_id):
                    log.error("%s belongs to another cluster, %s; the two are not merged", peer, cluster_id)
                case _:
                    assert_never(effect)
        self._arm()
        self.wake()

    async def close(self) -> None:
        """Stop: no more is sent or taken in."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        for _, timer in self._waits.values():
            timer.cancel()
        await self.links.close()

    def _take_routes(self) -> None:
        """Open and close partitions as the keeper says, then look again at the commands that wait."""
        frozen = self.keeper.handovers
        for number, served in enumerate(self.keeper.serving):
            state = FROZEN if number in frozen else served
            if state is self._marked[number]:
                continue
            self._marked[number] = state
            if served is not None:
                self._locks.open(number, served)
            elif state is FROZEN:
                self._locks.freeze(number)
            else:
                self._locks.close(number)
        self._rerouted(self.keeper.table.primary)
        self._locks.ration(self.keeper.holdings.scarce)
        self._locks.congest(self.keeper.holdings.congestion.partitions)
        self.changed.set()
        self.router.rerouted()

    def _take_lease(self, *, held: bool) -> None:
        """Serve, or do not."""
        if held:
            self._locks.resume()
            self.router.routes_changed()
        else:
            log.warning("this node reaches no majority of the voters: it serves nothing for now")
            self._locks.suspend()

    def _check_lease(self) -> None:
        if time.monotonic() >= self._lease_ends_s:
            self.lapsed()

    def _mind_lease(self) -> None:
        """Tell the executor until when it may serve; it looks at clocks that this loop does not stop."""
        ends_s = self.keeper.lease_until_s
        if ends_s == self._lease_ends_s:
            return
        self._lease_ends_s = ends_s
        executor = self.router.executor
        if ends_s == math.inf:
            executor.lease_ends_unix_ms = executor.lease_ends_ns = NEVER
        elif ends_s > 0:
            left_s = ends_s - time.monotonic()
            executor.lease_ends_unix_ms = int((time.time() + left_s) * 1e3)
            executor.lease_ends_ns = time.perf_counter_ns() + int(left_s * 1e9)
        else:
            executor.lease_ends_unix_ms = executor.lease_ends_ns = 0

    def _end_of_turn(self) -> None:
        self._waking = False
        if self._closed:
            return
        self.router.tickets.serve()
        effects = self.keeper.flush(self._loop.time())
        if effects:
            self.perform(effects)
        else:
            self._arm()

    def _arm(self) -> None:
        self._mind_lease()
        due = self.keeper.deadline
        if due == self._timer_due or self._closed:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_due = None, due
        if due < float("inf"):
            self._timer = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer, self._timer_due = None, float("inf")
        before_s, self._asleep_s = self._asleep_s, asleep_s()
        if self._asleep_s > before_s + SLEPT_S:
            log.warning("the machine was asleep for %.1f s", self._asleep_s - before_s)
            self.perform(self.keeper.suspended(self._loop.time()))
        else:
            self.perform(self.keeper.tick(self._loop.time()))


def asleep_s() -> float:
    """Return for how long the machine has been asleep since it started, as far as it says so."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return 0.0 if clock is None else time.clock_gettime(clock) - time.monotonic()
