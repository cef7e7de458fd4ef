"""A network and its machines in virtual time, wholly determined by one seed.

One heap of (time, delivery). Drives any machine of the shape of `Machine`:
bytes and `now` in, effects out, one deadline. Each node has its own monotonic
clock, with an origin of its own, as real machines do.
"""

import heapq
import itertools
import math
import random
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from respcache.cluster.membership.effects import Send, SendStream

Address = tuple[str, int]

STREAM_TIMEOUT_S: Final = 2.0
RETRANSMIT_S: Final = 0.2
CONNECT_RETRANSMIT_S: Final = 1.0
SOCKET_BUFFER_PACKETS: Final = 512
"""Datagrams that the kernel keeps for a paused process; further ones are lost."""


class Machine(Protocol):
    """What the simulator can drive."""

    @property
    def deadline(self) -> float:
        """When `tick` is due."""

    def tick(self, now: float) -> Sequence[object]:
        """Do what is due."""

    def datagram(self, now: float, source: Address, payload: bytes) -> Sequence[object]:
        """Take in a datagram."""

    def stream(self, now: float, payload: bytes) -> tuple[bytes, Sequence[object]]:
        """Answer a stream request."""

    def stream_reply(self, now: float, peer: Address, payload: bytes) -> Sequence[object]:
        """Take in a stream reply."""

    def stream_failed(self, now: float, peer: Address) -> Sequence[object]:
        """Learn that a stream request had no reply."""


@dataclass(frozen=True, slots=True)
class Link:
    """How packets travel: jitter reorders them."""

    latency_s: float = 0.000_3
    jitter_s: float = 0.000_5
    loss: float = 0.0
    duplication: float = 0.0


@dataclass(frozen=True, slots=True)
class Happening:
    """An effect that asks for no packet: an event of one node."""

    at_s: float
    node: str
    run: int
    event: object


@dataclass(slots=True)
class Node:
    """One process: its machine while it runs, what waits while it is paused."""

    name: str
    address: Address
    clock_origin_s: float
    machine: Machine | None = None
    run: int = 0
    paused: bool = False
    jammed: bool = False
    """Its timers run, but what it sends and what comes in waits."""
    input_s: float = 0.0
    """CPU time that each input takes; what comes in meanwhile waits its turn."""
    busy_until_s: float = 0.0
    waiting: list[Callable[[], None]] = field(default_factory=list)
    unsent: list[Send | SendStream] = field(default_factory=list)
    alarm_at_s: float = math.inf
    datagrams_sent: int = 0
    bytes_sent: int = 0


class Network:
    """Time, links and nodes. Everything random comes from `seed`."""

    def __init__(self, seed: int, link: Link | None = None) -> None:
        self.seed = seed
        self.rng = random.Random(f"network {seed}")
        self.now = 0.0
        self.link = link or Link()
        self.links: dict[tuple[str, str], Link] = {}
        """Links, by sender and receiver, that differ from the common one."""
        self.cuts: set[tuple[str, str]] = set()
        """One-way cuts: (sender, receiver)."""
        self.nodes: dict[str, Node] = {}
        self.happenings: list[Happening] = []
        self.largest_datagram_bytes = 0
        self._by_address: dict[Address, Node] = {}
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    # Nodes.

    def add(self, name: str, address: Address) -> Node:
        """Add a host without a process."""
        node = Node(name, address, clock_origin_s=self.rng.uniform(0, 100_000))
        self.nodes[name] = self._by_address[address] = node
        return node

    def move(self, name: str, address: Address) -> None:
        """Give a host without a process another address; whoever had it has none until it is moved itself."""
        node = self.nodes[name]
        assert node.machine is None
        if self._by_address.get(node.address) is node:
            del self._by_address[node.address]
        node.address = address
        self._by_address[address] = node

    def clock(self, name: str) -> float:
        """Read a node's monotonic clock."""
        return self.now + self.nodes[name].clock_origin_s

    def start(self, name: str, machine: Machine, effects: Iterable[object] = ()) -> None:
        """Let a process begin on a host, with what it asked for in its first moment."""
        node = self.nodes[name]
        node.machine, node.run, node.paused, node.jammed = machine, node.run + 1, False, False
        node.waiting.clear()
        node.unsent.clear()
        node.busy_until_s = self.now
        node.alarm_at_s = math.inf
        self._carry_out(node, effects)

    def crash(self, name: str) -> None:
        """End a process without a word."""
        node = self.nodes[name]
        node.machine, node.run = None, node.run + 1
        node.waiting.clear()

    def pause(self, name: str, duration_s: float) -> None:
        """Stop a process for a while, as SIGSTOP does; what arrives meanwhile waits."""
        self.nodes[name].paused = True
        self.at(self.now + duration_s, lambda: self.resume(name))

    def resume(self, name: str) -> None:
        """Let a paused process go on: its timers and its sockets are ready at once, in any order."""
        node = self.nodes[name]
        if node.machine is None or not node.paused:
            return
        node.paused = False
        waiting, node.waiting = node.waiting, []
        waiting.insert(0 if self.rng.random() < 0.5 else len(waiting), lambda: self._tick(node))
        for delivery in waiting:
            delivery()

    def jam(self, name: str, duration_s: float) -> None:
        """Let a process run whose packets are stuck, both ways: a starved network thread, a stalled hypervisor."""
        self.nodes[name].jammed = True
        self.at(self.now + duration_s, lambda: self._clear(name))

    def _clear(self, name: str) -> None:
        node = self.nodes[name]
        if not node.jammed:
            return
        node.jammed = False
        unsent, node.unsent = node.unsent, []
        self._carry_out(node, unsent)
        waiting, node.waiting = node.waiting, []
        for delivery in waiting:
            delivery()

    def apply(self, name: str, effects: Iterable[object]) -> None:
        """Carry out effects that a test got by calling a machine itself."""
        self._carry_out(self.nodes[name], effects)

    # Links.

    def cut(self, senders: Iterable[str], receivers: Collection[str]) -> None:
        """Lose all that `senders` send to `receivers`, one way."""
        self.cuts.update((sender, receiver) for sender in senders for receiver in receivers)

    def split(self, left: Collection[str], right: Collection[str]) -> None:
        """Cut both ways between two sides."""
        self.cut(left, right)
        self.cut(right, left)

    def heal(self) -> None:
        """Mend all cuts."""
        self.cuts.clear()

    # Time.

    def at(self, time_s: float, action: Callable[[], None]) -> None:
        """Do something at a time to come."""
        heapq.heappush(self._heap, (time_s, next(self._order), action))

    def run(self, duration_s: float) -> None:
        """Let time pass."""
        end_s, heap, pop = self.now + duration_s, self._heap, heapq.heappop
        while heap and heap[0][0] <= end_s:
            time_s, _, action = pop(heap)
            self.now = max(self.now, time_s)
            action()
        self.now = end_s

    def run_until(self, condition: Callable[[], bool], *, within_s: float, step_s: float = 0.02) -> bool:
        """Let time pass until the condition holds, looked at every `step_s`; False when it never did in time."""
        end_s = self.now + within_s
        while not condition():
            if self.now >= end_s:
                return False
            self.run(min(step_s, end_s - self.now))
        return True

    # Delivery.

    def _carry_out(self, node: Node, effects: Iterable[object]) -> None:
        for effect in effects:
            match effect:
                case Send() | SendStream() if node.jammed:
                    node.unsent.append(effect)
                case Send():
                    payload = effect.payload
                    node.datagrams_sent += 1
                    node.bytes_sent += len(payload)
                    self.largest_datagram_bytes = max(self.largest_datagram_bytes, len(payload))
                    self._send(node, effect.address, payload)
                case SendStream(address=address, payload=payload):
                    node.bytes_sent += len(payload)
                    self._request(node, address, payload)
                case _:
                    self.happenings.append(Happening(self.now, node.name, node.run, effect))
        machine = node.machine
        if machine is not None:
            due_s = max(self.now, machine.deadline - node.clock_origin_s)
            if due_s < node.alarm_at_s:
                node.alarm_at_s = due_s
                self.at(due_s, lambda: self._ring(node, due_s))

    def _ring(self, node: Node, due_s: float) -> None:
        """Let an alarm go off, unless an earlier one took its place."""
        if node.alarm_at_s != due_s:
            return
        node.alarm_at_s = math.inf
        if not node.paused:
            self._take_in(node, lambda: self._tick(node))

    def _tick(self, node: Node) -> None:
        machine = node.machine
        if machine is None:
            return
        # A real timer never fires early: rounding of the clock's origin must not make this one do so.
        clock = self.now + node.clock_origin_s
        self._carry_out(node, machine.tick(max(clock, min(machine.deadline, clock + 1e-6))))

    def _link(self, sender: Node, receiver: Node) -> Link:
        return self.links.get((sender.name, receiver.name), self.link) if self.links else self.link

    def _delay_s(self, link: Link) -> float:
        return link.latency_s + self.rng.expovariate(1 / link.jitter_s) if link.jitter_s else link.latency_s

    def _send(self, sender: Node, address: Address, payload: bytes) -> None:
        receiver = self._by_address.get(address)
        if receiver is None or (self.cuts and (sender.name, receiver.name) in self.cuts):
            return
        link = self._link(sender, receiver)
        source = sender.address

        def arrive() -> None:
            machine = receiver.machine
            if machine is not None:
                self._carry_out(receiver, machine.datagram(self.now + receiver.clock_origin_s, source, payload))

        copies = 1 + (link.duplication > 0 and self.rng.random() < link.duplication)
        for _ in range(copies):
            if not link.loss or self.rng.random() >= link.loss:
                self._deliver(receiver, self._delay_s(link), arrive)

    def _deliver(self, node: Node, delay_s: float, delivery: Callable[[], None]) -> None:
        """Hand something to a process, or to its sockets while it is paused."""

        def arrive() -> None:
            if not node.paused and not node.jammed:
                self._take_in(node, delivery)
            elif len(node.waiting) < SOCKET_BUFFER_PACKETS:
                node.waiting.append(delivery)

        self.at(self.now + delay_s, arrive)

    def _take_in(self, node: Node, delivery: Callable[[], None]) -> None:
        """Do what an input brings, once a slow node is through with the earlier ones."""
        if node.input_s == 0.0:
            delivery()
            return
        begins_s = max(self.now, node.busy_until_s)
        node.busy_until_s = begins_s + node.input_s
        self.at(node.busy_until_s, delivery)

    def _request(self, client: Node, address: Address, payload: bytes) -> None:
        """One connection: handshake, request, reply; lost segments are sent again, late."""
        run, ended = client.run, False

        def end(outcome: Callable[[float, Machine], Sequence[object]]) -> None:
            nonlocal ended
            if ended or client.run != run or client.machine is None:
                return
            ended = True
            self._carry_out(client, outcome(self.clock(client.name), client.machine))

        def fail() -> None:
            end(lambda now, machine: machine.stream_failed(now, address))

        def serve() -> None:
            if server is None or server.machine is None:
                self._deliver(client, self._delay_s(self.link), fail)
                return
            reply, effects = server.machine.stream(self.clock(server.name), payload)
            self._carry_out(server, effects)
            if not self._is_cut(client, server):
                returned_s = self._segment_s(server, client, RETRANSMIT_S)
                self._deliver(client, returned_s, lambda: end(lambda now, m: m.stream_reply(now, address, reply)))

        server = self._by_address.get(address)
        self._deliver(client, STREAM_TIMEOUT_S, fail)
        if server is not None and self._is_cut(client, server):
            return
        connected_s = 0.0
        if server is not None:
            connected_s = self._segment_s(client, server, CONNECT_RETRANSMIT_S)
            connected_s += self._segment_s(server, client, CONNECT_RETRANSMIT_S)
            connected_s += self._segment_s(client, server, RETRANSMIT_S)
        self._deliver(server or client, connected_s, serve)

    def _segment_s(self, sender: Node, receiver: Node, retransmit_s: float) -> float:
        """Time that one segment takes, lost ones included."""
        link = self._link(sender, receiver)
        waited_s = 0.0
        while self.rng.random() < link.loss:
            waited_s += retransmit_s
            retransmit_s *= 2
        return waited_s + self._delay_s(link)

    def _is_cut(self, one: Node, other: Node) -> bool:
        return (one.name, other.name) in self.cuts or (other.name, one.name) in self.cuts
