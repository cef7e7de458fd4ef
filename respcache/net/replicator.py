"""Connects a node's driver with sockets, membership, clocks and the log: what it wants sent is sent over the links."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, assert_never

from respcache.cluster.effects import (
    Differed,
    Drained,
    Dropped,
    Forced,
    ForeignCluster,
    Formed,
    LeaseChanged,
    Recreated,
)
from respcache.cluster.health import Health
from respcache.cluster.keeper import Keeper
from respcache.cluster.membership import Member
from respcache.cluster.ownership.record import Node
from respcache.cluster.ownership.wire import DecodeError
from respcache.cluster.sealing.sealing import Sealing
from respcache.driving import Driver, News
from respcache.engine.executor import NEVER
from respcache.errors import CommandError, ProtocolError
from respcache.net import frames
from respcache.net.links import Links
from respcache.net.membership import Membership
from respcache.net.messages import Ask, Greeting, Reply
from respcache.net.messenger import Messenger
from respcache.pubsub.exchange import Exchange
from respcache.routing.locking import Locks
from respcache.routing.order import Order
from respcache.routing.sheaf import Sheaf
from respcache.scripting.sharing import Sharing
from respcache.store.partition import Argv
from respcache.tracking.tracking import Tracking

log: Final = logging.getLogger(__name__)

LAPSE_TOLD_S: Final = 0.5
"""For how long a node has no lease until the log says so. The second voter of a cluster has to be asked once it is one,
and on a busy machine that takes a tenth of a second: clients wait for so long, and an operator need not know."""
SLEPT_S: Final = 0.02
"""How far the clock that runs while the machine sleeps may get ahead of the one that does not, until that counts: less
than what the shortest lease, of 0.3 s, allows for clocks that drift apart."""
LOST_FOR_GOOD: Final = "if they are lost for good, send CLUSTER FAILOVER TAKEOVER to a node that is left"
"""What an operator can do about voters that do not come back."""
BOOT_CLOCK: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)
"""The one that runs while the machine sleeps, on systems that have it."""


class Replicator:
    """One node's dealings with the others, other than gossip: its links, and what its driver and its router need.

    It is the driver's `Surroundings`, and the router's `Peers`.
    """

    def __init__(
        self,
        keeper: Keeper,
        locks: Locks,
        membership: Membership,
        greeting: Greeting,
        exchange: Exchange,
        *,
        routed: Callable[[Sequence[str]], None],
        sealing: Sealing | None = None,
    ) -> None:
        """`routed` is given the primaries of all partitions whenever some may have changed.

        Without `sealing`, links are plain.
        """
        self.keeper: Final = keeper
        self.links: Final = Links(self, greeting, sealing)
        tracking = Tracking(
            greeting.name,
            locks.readers,
            primary=keeper.table.primary,
            soon=asyncio.get_running_loop().call_soon,
            when_safe=lambda numbers, call: self.driver.router.held.when_safe(
                locks.logs(numbers), call, or_in_doubt=True
            ),
            send=self._send_tracking,
        )
        self.messenger: Final = Messenger(exchange, tracking, self.links)
        self.drained: Final = asyncio.Event()
        """Set when this node, having asked to leave, holds nothing any more."""
        self._has_served = self._has_warned = False
        """Whether it has ever been granted a lease, and whether the log says that it has none since."""
        self._lapse: asyncio.TimerHandle | None = None
        """Goes off when it is time to say so."""
        self.changed: Final = asyncio.Event()
        """Set with every new record; whoever waits for one clears it."""
        self.sharing: Sharing
        self._membership: Final = membership
        self._routed: Final = routed
        self._loop: Final = asyncio.get_running_loop()
        self._clock: Final = self._loop.time
        self._table: Final = keeper.table
        self._asleep_s = asleep_s()
        self.driver: Final = Driver(keeper, locks, self)

    # -- membership ---------------------------------------------------------------------

    def member_up(self, member: Member) -> None:
        """Link up with a node that lives, and answers."""
        host, port = member.address
        self.links.keep(member.name, host, port)
        self.driver.member_up(Node(member.name, member.epoch_unix_ms, member.meta.weight, member.meta.zone))

    def member_down(self, member: Member, *, left: bool) -> None:
        """Let go of a node that is dead or has left."""
        self.links.drop(member.name)
        self.messenger.exchange.remove(member.name)
        self.driver.member_down(member.name, member.epoch_unix_ms, left=left)

    def member_suspect(self, member: Member) -> None:
        """Do without a node that does not answer, as soon as that is safe."""
        self.driver.member_suspect(member.name, member.epoch_unix_ms)

    # -- the router's side ----------------------------------------------------------------

    def connected(self, node: str) -> bool:
        """Tell whether a link stands."""
        return self.links.link(node) is not None

    def ask(self, node: str, order: Order) -> None:
        """Have an order run by another node."""
        link = self.links.link(node)
        assert link is not None, "the router asks connected nodes only"
        link.ask(order, self._table.version, self._clock)

    def relay(self, node: str, sheaf: Sheaf, partition: int, argv: Argv) -> None:
        """Have one more command of a sheaf run by another node."""
        link = self.links.link(node)
        assert link is not None, "the router asks connected nodes only"
        link.relay(sheaf, partition, argv, self._clock)

    def under_way(self) -> Iterable[tuple[str, Order | Sheaf]]:
        """List what nodes were asked and have not answered, by node."""
        return [(link.peer, order) for link in self.links.standing() for order in dict.fromkeys(link.under_way)]

    def client_address(self, node: str) -> tuple[str, int]:
        """Give host and RESP port of a member."""
        member = self._membership.member(node)
        return ("", 0) if member is None else (member.address[0], member.meta.client_port)

    def acknowledge(self, order: Order) -> None:
        """Answer how many copies have what was written to partitions of this node, once enough have, or in time."""
        self.driver.acknowledge(order)

    def lapsed(self) -> None:
        """Serve nothing more unless the lease turns out to last."""
        self.driver.lapsed()

    def withhold(self, withheld: bool) -> None:  # noqa: FBT001 # the one thing that there is to say
        """Keep effects from the copies from now on, or tell them again."""
        self.driver.withhold(withheld)

    def untold_bytes(self) -> int:
        """Tell how much the effects are that copies are still to be told of."""
        return self.driver.untold_bytes()

    def wake(self) -> None:
        """Send effects and acks at the end of this turn of the event loop, or soon after."""
        self.driver.wake()

    # -- the links' side --------------------------------------------------------------------

    def run_of(self, name: str) -> int:
        """The latest run of a peer that gossip knows of; 0 if there is none."""
        member = self._membership.member(name)
        return 0 if member is None else member.epoch_unix_ms

    def link_up(self, name: str) -> None:
        """Go on where the last link ended."""
        self.sharing.connect(name)  # first: whatever the peer is given next may call functions
        self.messenger.connect(name)
        self.driver.link_up(name)

    def link_down(self, name: str) -> None:
        """Note that what was on its way is lost; see whether the node lives."""
        if not self.driver.closed:
            self._membership.hint(name)
            self.messenger.disconnect(name)
            self.sharing.disconnect(name)
            self.driver.link_down(name)

    def keeper_frame(self, name: str, body: bytes) -> None:
        """Take a message of a peer's keeper. Raises ProtocolError."""
        try:
            self.driver.receive(name, body)
        except DecodeError as reason:
            raise ProtocolError(str(reason)) from reason

    def pubsub_frame(self, name: str, body: bytes) -> None:
        """Take a message of a peer's exchange. Raises ProtocolError."""
        self.messenger.exchange.receive(name, body)

    def tracking_frame(self, name: str, body: bytes) -> None:
        """Take a message about keys that clients cache. Raises ProtocolError."""
        self.messenger.tracking.receive(name, body)

    def _send_tracking(self, name: str, body: bytes) -> None:
        link = self.links.link(name)
        if link is not None:
            link.send(frames.TRACKING, body)

    def functions_frame(self, name: str, body: bytes) -> None:
        """Take what a peer says of functions and scripts. Raises ProtocolError."""
        self.sharing.receive(name, body)

    def asked(self, name: str, ask: Ask, reply: Callable[[int, bytes | None], None]) -> int:
        """Run commands for a peer, or tell it to look elsewhere; return how many, the rest being for later."""
        return self.driver.asked(
            name,
            ask.version,
            ask.requests,
            database=ask.database,
            protocol=ask.protocol,
            timeout_s=ask.timeout_s,
            answer=reply,
            writer=(name, ask.writer) if ask.writer else None,
        )

    def answered(self, answers: list[tuple[Order, bytes | None]]) -> None:
        """Pass answers on."""
        self.driver.answered(answers)

    def returned(self, sheaf: Sheaf, answers: list[Reply]) -> None:
        """Pass answers to commands of a sheaf on."""
        self.driver.returned(sheaf, answers)

    def lost_of(self, sheaf: Sheaf, number: int) -> None:
        """Pass on that no answer will come to a command of a sheaf."""
        if not self.driver.closed:
            self.driver.router.relays.lost(sheaf, number)

    def lost(self, order: Order) -> None:
        """Pass on that no answer will come."""
        if not self.driver.closed:
            self.driver.router.lost(order, sent=True)

    def unreachable(self, name: str) -> None:
        """Have a node probed that refuses connections."""
        self._membership.hint(name)

    # -- the node's side ----------------------------------------------------------------------

    def leave(self) -> None:
        """Begin to hand everything over."""
        self.driver.leave()

    def take_over(self) -> None:
        """Go on without a majority of the voters. Raises CommandError while there is one."""
        health = self._health()
        if health.decides:
            reached = f"{health.voters_reached} of {health.voters}"
            raise CommandError(f"a majority of the voters is in reach ({reached}): there is nothing to take over")
        if not self.keeper.joined:
            raise CommandError("this node has not been let in, and has no keys: send it to one that has been a member")
        self.driver.perform(self.keeper.take_over(self._loop.time()))

    def fail_over(self, *, force: bool) -> None:
        """Become the primary of all that this node has copies of. Raises CommandError."""
        health = self._health()
        if health.voters_spare < 0:
            raise CommandError(
                f"no majority of the voters is in reach ({health.voters_reached} of {health.voters}); {LOST_FOR_GOOD}"
            )
        if not health.leased:
            raise CommandError("this node may not serve just now, and cannot become the primary of anything: try again")
        claimable = self.keeper.claimable
        if not claimable:
            raise CommandError("You should send CLUSTER FAILOVER to a replica")
        if not force and any(self.links.link(primary) is None for primary in claimable):
            raise CommandError("Master is down or failed, please use CLUSTER FAILOVER FORCE")
        log.warning("an operator wants this node to be the primary of all that it has copies of")
        self.driver.perform(self.keeper.fail_over(self._loop.time(), force=force))

    def _health(self) -> Health:
        health = self.keeper.health(self._loop.time())
        if health is None:
            raise CommandError("This node does not belong to a cluster yet")
        return health

    async def close(self) -> None:
        """Stop: no more is sent or taken in."""
        self.driver.close()
        if self._lapse is not None:
            self._lapse.cancel()
        await self.links.close()

    # -- the driver's side ----------------------------------------------------------------------

    def now_s(self) -> float:
        """Read the clock of this turn of the event loop."""
        return self._loop.time()

    def exact_s(self) -> float:
        """Read the monotonic clock."""
        return time.monotonic()

    def call_at(self, due_s: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call a function when it is time."""
        return self._loop.call_at(due_s, callback)

    def at_end_of_turn(self, callback: Callable[[], None]) -> None:
        """Call a function at the end of this turn of the event loop, before what was sent in it is written."""
        self.links.turn.decide(callback)

    def send(self, peer: str, frame: bytes) -> None:
        """Put a message on the link to a peer, if it stands."""
        link = self.links.link(peer)
        if link is not None:
            link.send(frames.KEEPER, frame)

    def slept(self) -> bool:
        """Tell whether the machine has been asleep since this last said so."""
        slept_s = asleep_s() - self._asleep_s
        if slept_s <= SLEPT_S:  # short sleeps add up
            return False
        self._asleep_s += slept_s
        log.warning("the machine was asleep for %.1f s", slept_s)
        return True

    def lease_until(self, ends_s: float) -> None:
        """Tell the executor until when it may serve; it looks at clocks that this loop does not stop."""
        executor = self.driver.router.executor
        if ends_s == math.inf:
            executor.lease_ends_unix_ms = executor.lease_ends_ns = NEVER
        elif ends_s > 0:
            left_s = ends_s - time.monotonic()
            executor.lease_ends_unix_ms = int((time.time() + left_s) * 1e3)
            executor.lease_ends_ns = time.perf_counter_ns() + int(left_s * 1e9)
        else:
            executor.lease_ends_unix_ms = executor.lease_ends_ns = 0

    def lease_over(self) -> bool:
        """Tell whether this node may serve no longer, by either of these clocks."""
        executor = self.driver.router.executor
        return time.time() * 1e3 >= executor.lease_ends_unix_ms or time.perf_counter_ns() >= executor.lease_ends_ns

    def rerouted(self, primary: Sequence[str]) -> None:
        """Pass on that the owners may have changed."""
        self._routed(primary)
        self.changed.set()
        self.messenger.tracking.rerouted()

    def _tell_lease(self, *, held: bool) -> None:
        if not held:
            if self._has_served:  # else it has only just joined
                self._lapse = self._loop.call_later(LAPSE_TOLD_S, self._warn_of_lapse)
            return
        self._has_served = True
        if self._lapse is not None:
            self._lapse.cancel()
            self._lapse = None
        if self._has_warned:
            self._has_warned = False
            log.warning("this node reaches a majority of the voters again, and serves")

    def _warn_of_lapse(self) -> None:
        self._lapse, self._has_warned = None, True
        log.warning("this node reaches no majority of the voters: it serves nothing for now; %s", LOST_FOR_GOOD)

    def told(self, news: News) -> None:
        """Write into the log what an operator may want to know."""
        match news:
            case LeaseChanged(held):
                self._tell_lease(held=held)
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
                    "dropped %d keys of %d partitions that others have; of %d of them this node was the primary until "
                    "it was cut off: what it wrote to them since is gone; it was acknowledged only if this side went "
                    "on alone",
                    keys,
                    len(partitions),
                    orphaned,
                )
            case Recreated(partitions):
                log.error(
                    "all copies in sync of %d partitions were lost; they begin anew, empty, or with what a copy in the "
                    "making had of them if that was whole",
                    len(partitions),
                )
            case Differed(partitions):
                log.error(
                    "copies of %d partitions here (%s) differ from their primaries; they are made afresh",
                    len(partitions),
                    ", ".join(map(str, partitions)),
                )
            case ForeignCluster(peer, cluster_id):
                self.links.rejections.complaints.warn(
                    "foreign",
                    peer,
                    "%s belongs to another cluster, %s; the two are not merged. A node gives up its own cluster only "
                    "if it is started again with the address of another one (join)",
                    peer,
                    cluster_id,
                )
            case _:
                assert_never(news)


def asleep_s() -> float:
    """Return for how long the machine has been asleep since it started, as far as it says so; never too much.

    If this process is stopped between its looks at the two clocks, it is too little.
    """
    clock = BOOT_CLOCK  # mypyc takes the constant itself for an int once it is known not to be None, and C does not
    return 0.0 if clock is None else time.clock_gettime(clock) - time.monotonic()
