"""A node of a simulation with everything that a real one has behind its sockets, and its clients.

Store, executor, router, transactions, waiting commands, locks, driver and keeper are those of the program. What is
simulated are links (`simulation.ownership.wires`), timers and connections.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from respcache.cluster.config import KeeperConfig
from respcache.cluster.effects import Drained, Effect, LeaseChanged
from respcache.cluster.keeper import Keeper
from respcache.cluster.ownership.record import Node
from respcache.cluster.replication.log import Gate
from respcache.commands.families import ROWS
from respcache.commands.replay import CommandCopies
from respcache.config import Config, ServerConfig
from respcache.driving import Driver, News
from respcache.engine.executor import Executor
from respcache.engine.memory import Memory
from respcache.net import frames, messages
from respcache.net.messages import Reply, Sent
from respcache.routing.locking import Locks
from respcache.routing.order import Order
from respcache.routing.relaying import order_of
from respcache.routing.router import Router
from respcache.routing.sheaf import Sheaf
from respcache.scripting.interpreter import Interpreter
from respcache.stats import Stats
from respcache.store.keyspace import Store
from respcache.store.ledger import Ledger
from respcache.store.partition import Argv, Log
from respcache.store.values import Value
from respcache.transactions.multi import Multi
from simulation.commands.connections import Connection
from simulation.ownership.life import SimNode
from simulation.ownership.outcome import Violation
from unit.commands.front import Front

if TYPE_CHECKING:
    from simulation.ownership.world import World

TURN_S: Final = (0.0, 0.000_3)
"""How long a turn of the event loop goes on after the first input."""
SETTINGS: Final = Config(server=ServerConfig(databases=1))
FAREWELL_S: Final = 0.5
FAREWELL_POLL_S: Final = 0.01
"""A node that has handed everything over waits so long for its last replies, and looks for them so often."""
SAME_TIME_S: Final = 0.01
"""Deadlines that are no further apart may be one frame's."""
SWEEP_S: Final = 0.1
"""From one look at deadlines to the next."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Settings of a node that its clients meet."""

    timeout_s: float = 1.0
    """How long a command waits for an owner."""
    backlog_bytes: int = 1024 * 1024
    """How much may wait to be written while copies do not keep up."""


class Alarm:
    """A timer, on a node's own clock."""

    __slots__ = ("callback", "due_s", "slept_s")

    def __init__(self, callback: Callable[[], None], due_s: float, slept_s: float) -> None:
        self.callback: Callable[[], None] | None = callback
        self.due_s: Final = due_s
        self.slept_s = slept_s
        """For how long that clock had stood still when this was set."""

    def cancel(self) -> None:
        """Do not call."""
        self.callback = None


@dataclass(slots=True, eq=False)
class Link:
    """One end of a link: what was asked over it, and what is to go out at the end of this turn."""

    asked: dict[int, Order] = field(default_factory=dict)
    sheaves: dict[int, Sheaf] = field(default_factory=dict)
    """Those of which some of `asked` are commands, by number."""
    orders: list[tuple[tuple[int, int], float, int, Order]] = field(default_factory=list)
    """(version that it goes by, seconds that it may take, number, order)."""
    replies: list[Reply] = field(default_factory=list)


class CommandNode:
    """One life of a node. It is what its driver has around it, and what its router knows of the peers."""

    def __init__(
        self,
        world: "World",
        sim: SimNode,
        config: KeeperConfig,
        dice: random.Random,
        limits: Limits,
    ) -> None:
        self._world: Final = world
        self._sim: Final = sim
        self.store: Final = Store(1, ledger=Ledger(dice))
        self._copies: Final = CommandCopies(self.store)
        stats = Stats(len(ROWS))
        self.locks: Final = Locks(self.store, run=f"{sim.name}:{sim.node.run}".encode())
        self.keeper: Final = Keeper(sim.node, config, self._copies, dice, self.locks.held)
        self.driver: Final = Driver(self.keeper, self.locks, self)
        self._links: Final[dict[str, Link]] = {}
        self._flushing = False
        self._next = 0
        self._overdue: list[Alarm] = []
        self._lease_ends_s = self._lease_ends_wall_s = -math.inf
        self._slept_s = 0.0
        """How much of its sleep the driver knows of."""
        self.connections: Final[dict[Connection, None]] = {}
        """Those with something under way."""
        self.parts = False
        """Whether it takes no new requests, for it is about to leave."""
        scripts = Interpreter(
            lambda: self.front.host.session("", ""),
            stats,
            memory_max_bytes=16 * 1024 * 1024,
            time_limit_ms=60_000,
            library_max_bytes=1024 * 1024,
            seed=1,
        )
        self.router: Final = Router(
            name=sim.name,
            store=self.store,
            copies=self._copies,
            scripts=scripts,
            locks=self.locks,
            stats=stats,
            table=self.keeper.table,
            gate=self.gate,
            peers=self,
            timeout_s=limits.timeout_s,
            redirect="never",
            clock=self.now_s,
            call_at=self.call_at,
            backlog_max_bytes=limits.backlog_bytes,
        )
        memory = Memory(self.store, deleted=self.driver.wake, soon=lambda _again: None)
        self._executor: Final = Executor(self.store, stats, self.router, scripts, memory)
        self.router.executor = self._executor
        multi = Multi(self.router, self._executor, len(self.store))
        self.front: Final = Front(SETTINGS, multi=multi)
        self.driver.router = self.router
        for partition in self.store.keyspace(0).partitions:
            self.locks.close(partition.number)
        self._housekeep()

    # -- clients ----------------------------------------------------------------------------

    def run(self, connection: Connection, requests: Sequence[Argv]) -> None:
        """Run what a client has sent, now or when the node goes on."""
        self._world.arrive(self._sim, lambda: self._run(connection, requests))

    def _run(self, connection: Connection, requests: Sequence[Argv]) -> None:
        if self._sim.alive:
            self.driver.check_lease()
            connection.run(self._executor, requests)
            self.driver.wake()

    def go_on_behind(self, run: Callable[[], None]) -> None:
        """Run what a client has sent behind a command that has been answered by now."""
        run()

    def contents(self, partition: int) -> Mapping[tuple[int, bytes], object]:
        """Give what is stored of a partition, as copies are sent it."""
        keys = list(self.store.keyspace(0).partitions[partition].values)
        return {(0, key): self._copies.dump(partition, 0, key) for key in keys}

    def value(self, key: bytes) -> Value | None:
        """Give what is stored of a key."""
        return self.store.keyspace(0).at(key).values.get(key)

    def check_idle(self) -> None:
        """See that nothing is left of what is over: no lock, nobody who waits. Raises Violation."""
        held = [number for number in range(len(self.keeper.serving)) if number in self.locks.held]
        if held or len(self.router.tickets) or any(link.asked for link in self._links.values()):
            asked = [str(order.argv) for link in self._links.values() for order in link.asked.values()]
            tickets = [(t.name, t.keys, t.called, t.locked) for t in self.router.tickets._tickets.values()]
            raise Violation(f"{self._sim.name} at rest: {self.locks._holders}, {tickets} wait, asked {asked}")

    # -- from the world -----------------------------------------------------------------------

    def perform(self, effects: list[Effect]) -> None:
        """Carry out what the keeper wants."""
        self.driver.perform(effects)

    def member_up(self, node: Node) -> None:
        """Hear that a node lives, and answers."""
        self.driver.member_up(node)

    def member_suspect(self, name: str, run: int) -> None:
        """Hear that a node does not answer."""
        self.driver.member_suspect(name, run)

    def member_down(self, name: str, run: int, *, left: bool) -> None:
        """Hear that a node is dead, or has left."""
        self.driver.member_down(name, run, left=left)

    def link_up(self, peer: str) -> None:
        """Have a new link, instead of a former one."""
        self.link_down(peer)
        self._links[peer] = Link()
        self.driver.link_up(peer)

    def link_down(self, peer: str) -> None:
        """Lose a link, and what was asked over it."""
        link = self._links.pop(peer, None)
        if link is None:
            return
        self.driver.link_down(peer)
        for number, order in link.asked.items():
            if number in link.sheaves:
                self.router.relays.lost(link.sheaves[number], number)
            else:
                self.router.lost(order, sent=True)

    def receive(self, peer: str, frame: bytes) -> None:
        """Take in what came over a link."""
        link = self._links.get(peer)
        if link is None:
            return
        body = frame[1:]
        match frame[0]:
            case frames.KEEPER:
                self.driver.receive(peer, body)
            case frames.ASK:
                ask = messages.decode_ask(body)
                ran = self.driver.asked(
                    peer,
                    ask.version,
                    ask.requests,
                    database=ask.database,
                    protocol=ask.protocol,
                    timeout_s=ask.timeout_s,
                    answer=lambda number, wire: self._reply(link, number, wire),
                )
                assert ran == len(ask.requests), "values are small here"
                self.driver.wake()
            case _:
                for number, wire in messages.decode_answer(body):
                    order, sheaf = link.asked.pop(number), link.sheaves.pop(number, None)
                    if sheaf is None:
                        self.driver.answered([(order, wire)])
                    else:
                        self.driver.returned(sheaf, [(number, wire)])
                self.driver.wake()

    def go_on(self) -> None:
        """Let the timers go off that were due while the node was paused."""
        overdue, self._overdue = self._overdue, []
        for alarm in overdue:
            self._ring(alarm)

    def end(self) -> None:
        """Die, and with it the connections."""
        self.parts = True
        self.driver.close()
        for connection in list(self.connections):
            connection.lost()

    def _housekeep(self) -> None:
        if self._sim.alive:
            self.call_at(self.now_s() + SWEEP_S, self._housekeep)
            self.router.sweep()

    # -- what the driver has around it ----------------------------------------------------------

    def now_s(self) -> float:
        """Read the node's clock."""
        return self._world.clock(self._sim)

    def exact_s(self) -> float:
        """Read the node's clock: no time passes within a turn."""
        return self._world.clock(self._sim)

    def call_at(self, due_s: float, callback: Callable[[], None]) -> Alarm:
        """Call a function when the node's clock shows that it is time."""
        alarm = Alarm(callback, due_s, self._sim.slept_s)
        self._set(alarm)
        return alarm

    def _set(self, alarm: Alarm) -> None:
        world, sim = self._world, self._sim
        world.at(world.now + max(0.000_05, (alarm.due_s - world.clock(sim)) / sim.rate), lambda: self._ring(alarm))

    def _ring(self, alarm: Alarm) -> None:
        sim = self._sim
        if alarm.callback is None or not sim.alive:
            return
        if sim.paused:
            self._overdue.append(alarm)
        elif alarm.slept_s != sim.slept_s:
            alarm.slept_s = sim.slept_s
            self._set(alarm)
        else:
            callback, alarm.callback = alarm.callback, None
            callback()

    def at_end_of_turn(self, callback: Callable[[], None]) -> None:
        """Call a function at the end of this turn."""
        self._world.after(TURN_S, lambda: self._world.input(self._sim, callback))

    def send(self, peer: str, frame: bytes) -> None:
        """Put a message of the keeper on a link."""
        if peer in self._links:
            self._world.wires.transmit(self._sim, peer, bytes((frames.KEEPER,)) + frame)

    def slept(self) -> bool:
        """Tell whether the machine has slept since this last said so."""
        before_s, self._slept_s = self._slept_s, self._sim.slept_s
        return self._slept_s > before_s

    def lease_until(self, ends_s: float) -> None:
        """Note when that is, by both clocks."""
        self._lease_ends_s = ends_s
        self._lease_ends_wall_s = self._world.wall(self._sim) + (ends_s - self.now_s())

    def lease_over(self) -> bool:
        """Tell whether that time has come."""
        return self.now_s() >= self._lease_ends_s or self._world.wall(self._sim) >= self._lease_ends_wall_s

    def rerouted(self, primary: Sequence[str]) -> None:
        """Do nothing: no client here asks for the slot table."""

    def told(self, news: News) -> None:
        """Let the world know."""
        match news:
            case Drained():
                self.parts = True
                self._farewell(self.now_s() + FAREWELL_S)
            case LeaseChanged():
                pass
            case _:
                self._world.told(self._sim, news)

    def _farewell(self, until_s: float) -> None:
        """Wait for the last replies, then go."""
        if self.connections and self.now_s() < until_s:
            self.call_at(self.now_s() + FAREWELL_POLL_S, lambda: self._farewell(until_s))
        else:
            self._world.drained(self._sim)

    # -- what the router knows of the peers -------------------------------------------------------

    def connected(self, node: str) -> bool:
        """Tell whether a link stands."""
        return node in self._links

    def ask(self, node: str, order: Order) -> None:
        """Have an order run by another node."""
        link = self._links[node]
        self._next += 1
        link.asked[self._next] = order
        link.orders.append((self.keeper.table.version, max(order.deadline_s - self.now_s(), 0.0), self._next, order))
        self._flush_soon()

    def relay(self, node: str, sheaf: Sheaf, partition: int, argv: Argv) -> None:
        """Have one more command of a sheaf run by another node."""
        link = self._links[node]
        order = order_of(sheaf, (partition,), argv)
        self.ask(node, order)
        link.sheaves[self._next] = sheaf
        sheaf.sent((self._next, order.partitions, argv))

    def _reply(self, link: Link, number: int, wire: bytes | None) -> None:
        link.replies.append((number, wire))
        self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self.at_end_of_turn(self._flush)

    def _flush(self) -> None:
        """Send what was asked and answered in this turn: a frame for what is alike, as the links do."""
        self._flushing = False
        for peer, link in list(self._links.items()):
            orders, link.orders = link.orders, []
            requests: list[Sent] = []
            for at, (version, timeout_s, number, order) in enumerate(orders):
                requests.append((number, order.partitions, order.argv))
                following = orders[at + 1] if at + 1 < len(orders) else None
                if following is None or following[0] != version or abs(following[1] - timeout_s) > SAME_TIME_S:
                    body = messages.encode_ask(version, order.database, order.protocol, timeout_s, requests)
                    self._transmit(peer, frames.ASK, body)
                    requests = []
            replies, link.replies = link.replies, []
            if replies:
                self._transmit(peer, frames.ANSWER, messages.encode_answer(replies))

    def _transmit(self, peer: str, kind: int, body: bytes) -> None:
        self._world.wires.transmit(self._sim, peer, bytes((kind,)) + body)

    def under_way(self) -> list[tuple[str, Order | Sheaf]]:
        """List what nodes were asked and have not answered."""
        return [
            (peer, link.sheaves.get(number, order))
            for peer, link in self._links.items()
            for number, order in link.asked.items()
        ]

    def client_address(self, node: str) -> tuple[str, int]:
        """Give no address: clients are not sent elsewhere."""
        del node
        return ("", 0)

    def acknowledge(self, order: Order) -> None:
        """Answer how many copies have what was written."""
        self.driver.acknowledge(order)

    def gate(self, logs: list[Log]) -> Gate | None:
        """Give what replies must wait for whose effects are in `logs`."""
        return self.driver.gate(logs)

    def lapsed(self) -> None:
        """Serve nothing more unless the lease turns out to last."""
        self.driver.lapsed()

    def withhold(self, withheld: bool) -> None:  # noqa: FBT001 # as `order.Peers` has it
        """Keep effects from the copies, or tell them again."""
        self.driver.withhold(withheld)

    def untold_bytes(self) -> int:
        """Tell how much the effects are that copies are still to be told of."""
        return self.driver.untold_bytes()

    def wake(self) -> None:
        """Send effects at the end of this turn."""
        self.driver.wake()
