"""What the keeper of partitions wants, carried out: the one place where its decisions meet commands.

The keeper knows no commands, and the router knows no agreement. In between it has to be seen to that
partitions are opened and closed, and nothing is served without a lease, before commands are looked at
again; that replies go as soon as their effects are safe; and that frames are sent once a turn. Clocks,
timers and links are handed in, so sockets and simulations have all of this in common.

    links -----> receive, link_up, link_down ---.
    membership > member_up, member_down, ... ---+--> keeper --> effects --> locks, router, links
    the deadline, the end of a turn ------------'
"""

import math
from collections.abc import Callable, Sequence
from typing import Final, Protocol, TypeAlias, assert_never, cast

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
from respcache.cluster.ownership.record import Node
from respcache.cluster.replication.log import Gate
from respcache.cluster.replication.log import Log as PartitionLog
from respcache.cluster.replication.waits import WAITS_MAX, Wait
from respcache.commands.arguments import integer
from respcache.engine.routes import Request
from respcache.errors import CommandError
from respcache.pending import Timer
from respcache.resp.encode import integer as encoded
from respcache.routing import errands
from respcache.routing.errands import Answer, Errand
from respcache.routing.locking import Locks
from respcache.routing.order import Order
from respcache.routing.router import Router
from respcache.routing.sheaf import Sheaf
from respcache.store.partition import Log

News: TypeAlias = LeaseChanged | Drained | Formed | Forced | Dropped | Recreated | Differed | ForeignCluster
"""What is worth telling an operator, or the rest of the node."""

HELD_TURNS: Final = 3
"""How many turns of the event loop what is to be sent may wait for more, as long as something comes in with each."""
HELD_BYTES: Final = 8 * 1024
"""With so much it waits no longer: what a frame costs by itself is little beside what is in it then."""
HELD_S: Final = 0.000_5
"""Nor does it after so long: turns with large messages, or with steps of other work, are long."""
FROZEN: Final = object()
"""What a partition is marked with that this node serves no more because it is to move."""


class Surroundings(Protocol):
    """What a driver is handed: clocks, timers, links, and who hears of what."""

    def now_s(self) -> float:
        """Read a monotonic clock, in seconds, as of this turn of the event loop."""

    def exact_s(self) -> float:
        """Read the same clock now: a turn may be long, and a lease end in it."""

    def call_at(self, due_s: float, callback: Callable[[], None]) -> Timer:
        """Call a function at a time on that clock."""

    def at_end_of_turn(self, callback: Callable[[], None]) -> object:
        """Call a function at the end of this turn of the event loop, before what was sent in it is written."""

    def send(self, peer: str, frame: bytes) -> None:
        """Put a message of the keeper on the link to a peer, if it stands."""

    def slept(self) -> bool:
        """Tell whether the machine has been asleep, while that clock stood still, since this last said so."""

    def lease_until(self, ends_s: float) -> None:
        """Take note of when this node may serve no longer; infinity: for ever, and not positive: not at all."""

    def lease_over(self) -> bool:
        """Tell whether that time has come, by a clock that goes on while the machine sleeps, or by one nobody sets."""

    def rerouted(self, primary: Sequence[str]) -> None:
        """Hear of the primaries of all partitions, some of which may have changed."""

    def told(self, news: News) -> None:
        """Hear of what has happened."""


class Driver:
    """One node's keeper at work. `router` is to be set before anything comes in."""

    def __init__(self, keeper: Keeper, locks: Locks, surroundings: Surroundings) -> None:
        self.keeper: Final = keeper
        self.router: Router
        self._locks: Final = locks
        self._around: Final = surroundings
        self._lease_ends_s = -math.inf
        self._marked: Final[list[object]] = [None] * len(keeper.serving)
        self._timer: Timer | None = None
        self._timer_due = math.inf
        self._waking = self._stirred = False
        """Whether `_end_of_turn` is to be called, and whether there was anything new since that was asked for."""
        self._turns = 0
        """How many turns it has been put off."""
        self._held_since_s = 0.0
        """Since when, on the exact clock."""
        self._waits: Final[dict[Wait, tuple[Order, Timer]]] = {}
        self.closed = False
        """Whether nothing is carried out any more."""
        locks.suspend()

    # -- from the node ----------------------------------------------------------------------

    def start(self) -> None:
        """Begin: found a cluster, or wait for others."""
        self.perform(self.keeper.start(self._around.now_s()))

    def leave(self) -> None:
        """Begin to hand everything over."""
        self.perform(self.keeper.leave(self._around.now_s()))

    def close(self) -> None:
        """Do nothing more: no timer goes off, nothing is sent."""
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        for _, timer in self._waits.values():
            timer.cancel()

    def wake(self) -> None:
        """Send effects and acks at the end of this turn of the event loop, or of the next in which nothing comes in."""
        self._stirred = True
        if not self._waking:
            self._waking = True
            self._around.at_end_of_turn(self._end_of_turn)

    # -- from membership ----------------------------------------------------------------------

    def member_up(self, node: Node) -> None:
        """Count on a node that lives, and answers."""
        self.perform(self.keeper.member_up(self._around.now_s(), node))

    def member_suspect(self, name: str, run: int) -> None:
        """Do without a node that does not answer, as soon as that is safe."""
        self.perform(self.keeper.member_suspect(self._around.now_s(), name, run))

    def member_down(self, name: str, run: int, *, left: bool) -> None:
        """Let go of a node that is dead or has left, and of what its transactions hold."""
        self.router.peer_gone(name)
        end = self.keeper.member_left if left else self.keeper.member_down
        self.perform(end(self._around.now_s(), name, run))

    # -- from the links -----------------------------------------------------------------------

    def link_up(self, name: str) -> None:
        """Greet the peer's keeper, and go on where the last link ended."""
        self.perform(self.keeper.peer_connected(self._around.now_s(), name))
        self.router.routes_changed()

    def link_down(self, name: str) -> None:
        """Note that what was on its way is lost, and with it any transaction of that node's."""
        self.router.peer_gone(name)
        self.perform(self.keeper.peer_disconnected(self._around.now_s(), name))

    def receive(self, name: str, frame: bytes) -> None:
        """Take a message of a peer's keeper. Raises DecodeError, having done nothing about it.

        It may grant what was asked for before the machine slept: from that lease the sleep would have to be taken off.
        """
        if self._around.slept():
            self._suspended()
        self.perform(self.keeper.receive(self._around.now_s(), name, frame))

    def asked(  # what a message says
        self,
        name: str,
        version: tuple[int, int],
        requests: Sequence[Request],
        *,
        database: int,
        protocol: int,
        timeout_s: float,
        answer: Answer,
        writer: tuple[str, int] | None = None,
    ) -> int:
        """Run commands for a peer that goes by a version of the record, or tell it to look elsewhere.

        `writer` is the client that they are of, if that does not want to hear of its own changes. Returns how many of
        the requests have been taken in; the others are to be handed in again once the peer has read the answers.
        """
        self.check_lease()
        if self.keeper.table.behind(version):
            self.perform(self.keeper.catch_up(name, version))
        errand = Errand(version, database, protocol, self._around.now_s() + timeout_s, writer)
        self._locks.readers.writer = writer
        try:
            return errands.run(self.router, errand, requests, answer)
        finally:
            self._locks.readers.writer = None

    def answered(self, answers: Sequence[tuple[Order, bytes | None]]) -> None:
        """Pass answers on."""
        self.check_lease()  # what follows from them may be run here
        for order, wire in answers:
            self.router.answered(order, wire)

    def returned(self, sheaf: Sheaf, answers: Sequence[tuple[int, bytes | None]]) -> None:
        """Pass answers to commands of a sheaf on."""
        self.check_lease()
        self.router.relays.returned(sheaf, answers)

    # -- from the router --------------------------------------------------------------------

    def gate(self, logs: list[Log]) -> Gate | None:
        """Give what replies must wait for whose effects are in `logs`."""
        return self.keeper.gate(cast("list[PartitionLog]", logs))

    def withhold(self, withheld: bool) -> None:  # noqa: FBT001 # the one thing that there is to say
        """Keep effects from the copies from now on, in order, or tell them again."""
        holdings = self.keeper.holdings
        holdings.replication.withheld = holdings.copying.still = withheld
        self.wake()

    def untold_bytes(self) -> int:
        """Tell how much the effects are that copies are still to be told of."""
        return self.keeper.holdings.replication.open_bytes

    def check_lease(self) -> None:
        """Serve nothing more if the lease has ended, though no timer has said so yet."""
        if self._around.lease_over():
            self.lapsed()

    def lapsed(self) -> None:
        """Serve nothing more unless the lease turns out to last: it does not if the machine has been asleep."""
        if self._around.slept():
            self._suspended()
        else:
            self.perform(self.keeper.tick(self._around.exact_s()))

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
        timer = self._around.call_at(order.deadline_s, lambda: self._acknowledged(wait))
        self._waits[wait] = (order, timer)

    def _acknowledged(self, wait: Wait) -> None:
        """Answer: it is done, or its time is up."""
        order, timer = self._waits.pop(wait)
        timer.cancel()
        self.keeper.holdings.waits.drop(wait)
        order.resolve(encoded(wait.count))

    # -- from the keeper --------------------------------------------------------------------

    def perform(self, effects: Sequence[Effect]) -> None:
        """Carry out what the keeper asks for, in order.

        But what this node serves no more is closed before any reply goes: what its client has sent behind it is run at
        once, and a write to a partition that has moved would be acknowledged here, and be nowhere. And what has waited
        for a partition is run before that, too, or it would be overtaken by what its own client has sent later.
        """
        if _moves(effects):
            self._mark()
            effects = sorted(effects, key=_lets_go)
        for effect in effects:
            match effect:
                case Send(peer, frame):
                    self._around.send(peer, frame)
                case RoutesChanged() | RecordChanged():
                    self._around.rerouted(self.keeper.table.primary)
                    self.router.rerouted()
                case LeaseChanged(held):
                    self._take_lease(held=held)
                    self._around.told(effect)
                case Resolved(gates):
                    self.router.held.resolved(gates)
                case Acknowledged(waits):
                    for wait in waits:
                        self._acknowledged(wait)
                case Drained() | Formed() | Forced() | Dropped() | Recreated() | Differed() | ForeignCluster():
                    self._around.told(effect)
                case _:
                    assert_never(effect)
        self._arm()
        self.wake()

    def _mark(self) -> None:
        """Open and close partitions as the keeper says."""
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
        self._locks.ration(self.keeper.holdings.scarce)
        self._locks.congest(self.keeper.holdings.congestion.partitions)

    def _take_lease(self, *, held: bool) -> None:
        """Serve, or do not."""
        if held:
            self._locks.resume()
            self.router.routes_changed()
        else:
            self._locks.suspend()

    # -- time -------------------------------------------------------------------------------

    def _end_of_turn(self) -> None:
        if self.closed:
            return
        self.router.tickets.serve()
        if self._awaits_more():
            self._stirred = False
            self._turns += 1
            self._around.at_end_of_turn(self._end_of_turn)
            return
        self._waking = self._stirred = False
        self._turns = 0
        effects = self.keeper.flush(self._around.now_s())
        if effects and (self.keeper.handovers or not self._sent(effects)):
            self.perform(effects)
        else:
            self._arm()

    def _awaits_more(self) -> bool:
        """Tell whether effects wait for a turn in which nothing comes in: those that follow at once may have more.

        Clients that were answered together write again one after the other. The turns with these had a frame each.
        """
        holdings = self.keeper.holdings
        waits = self._stirred and self._turns < HELD_TURNS and 0 < holdings.replication.open_bytes < HELD_BYTES
        if not waits or holdings.copying.pending:  # what is copied is large, and not counted
            return False
        now = self._around.exact_s()
        if not self._turns:
            self._held_since_s = now
        return now < self._held_since_s + HELD_S

    def _sent(self, effects: Sequence[Effect]) -> bool:
        """Send frames, if there is nothing but these: after them this turn has really ended, and no other follows."""
        for effect in effects:
            if not isinstance(effect, Send):
                return False
        for effect in effects:
            assert isinstance(effect, Send)
            self._around.send(effect.peer, effect.frame)
        return True

    def _arm(self) -> None:
        """Have the timer go off when the keeper says, and let the lease be known."""
        ends_s = self.keeper.lease_until_s
        if ends_s != self._lease_ends_s:
            self._lease_ends_s = ends_s
            self._around.lease_until(ends_s)
        due = self.keeper.deadline
        if due == self._timer_due or self.closed:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_due = None, due
        if due < math.inf:
            self._timer = self._around.call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer, self._timer_due = None, math.inf
        if self._around.slept():
            self._suspended()
        else:
            self.perform(self.keeper.tick(self._around.now_s()))

    def _suspended(self) -> None:
        """Serve nothing more before a new lease is granted: nobody knows for how long the machine was asleep."""
        self.perform(self.keeper.suspended(self._around.exact_s()))


def _lets_go(effect: Effect) -> bool:
    """Tell whether replies follow from an effect, and what clients have sent behind them."""
    return isinstance(effect, (Resolved, Acknowledged))


def _moves(effects: Sequence[Effect]) -> bool:
    """Tell whether partitions may have come or gone."""
    for effect in effects:  # noqa: SIM110 # one of these for every message: a generator and a union cost a microsecond
        if isinstance(effect, (RoutesChanged, RecordChanged)):
            return True
    return False
