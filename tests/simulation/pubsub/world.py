"""Nodes that tell each other of their clients over links that are slow, break, mix things up, and repeat the past."""

import random
from collections import deque
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final

from respcache.errors import ProtocolError
from respcache.pending import Pending
from respcache.pubsub.audience import Kind
from respcache.pubsub.exchange import Exchange, Push, Send

NAMES: Final = (b"a", b"b", b"a*", b"*")
SETTINGS: Final = frozenset({"one", "other"})


@dataclass(eq=False)
class Client:
    """A client, and what it has subscribed to."""

    protocol: int = 2
    names: set[tuple[Kind, bytes]] = field(default_factory=set)


@dataclass(eq=False)
class Node:
    """A node in one of its runs."""

    exchange: Exchange
    clients: list[Client] = field(default_factory=lambda: [Client(), Client(), Client()])
    settings: dict[str, str] = field(default_factory=dict)
    """What it goes by."""

    @property
    def names(self) -> set[tuple[Kind, bytes]]:
        """Which names have listeners here."""
        return {name for client in self.clients for name in client.names}


class World:
    """All of them, and a seed that decides on everything."""

    def __init__(self, seed: int, nodes: int) -> None:
        self._rng: Final = random.Random(f"pubsub {seed}")
        self._runs = 0
        self.nodes: Final = {chr(ord("a") + number): self._boot() for number in range(nodes)}
        self._links: Final[dict[tuple[str, str], deque[bytes]]] = {}
        """What is on its way, by sender and receiver, for each direction of each link that stands."""
        self._past: Final[list[tuple[str, str, bytes]]] = []
        """Messages that were on links when they broke."""
        self.replies: Final[list[tuple[Node, Pending]]] = []
        """Replies to clients, by the node that owes them."""
        self.out_of_step = 0
        """Links that were cut because of what came over them."""

    def _boot(self) -> Node:
        self._runs += 1
        node = Node(Exchange(self._runs * 1000, shared=SETTINGS))
        node.exchange.adopt = node.settings.update
        return node

    def storm(self, steps: int) -> None:
        """Let that many things happen."""
        weights = {
            self._change: 80,
            self._publish: 60,
            self._choose: 10,
            self._turn: 120,
            self._deliver: 100,
            self._relink: 20,
            self._break: 3,
            self._mix_up: 6,
            self._repeat: 6,
            self._restart: 1,
            self._sweep: 5,
        }
        for happening in self._rng.choices(list(weights), list(weights.values()), k=steps):
            happening()

    def settle(self) -> None:
        """Let all links stand and everything arrive."""
        for one, other in combinations(self.nodes, 2):
            if (one, other) not in self._links:
                self._link(one, other)
        while True:
            for name in self.nodes:
                self._flush(name)
            if not any(self._links.values()):
                return
            for sender, receiver in list(self._links):
                while (queue := self._links.get((sender, receiver))) and queue:
                    self._receive(sender, receiver, queue.popleft())
            for one, other in combinations(self.nodes, 2):
                if (one, other) not in self._links:
                    self._link(one, other)

    def _name(self) -> str:
        return self._rng.choice(sorted(self.nodes))

    def _change(self) -> None:
        node = self.nodes[self._name()]
        client, name = self._rng.choice(node.clients), (self._rng.choice(tuple(Kind)), self._rng.choice(NAMES))
        if name in client.names:
            client.names.remove(name)
            assert node.exchange.unsubscribe(client, *name)
        else:
            client.names.add(name)
            assert node.exchange.subscribe(client, *name)
            self.replies.append((node, node.exchange.when_known(b"known")))

    def _publish(self) -> None:
        node = self.nodes[self._name()]
        kind = self._rng.choice((Kind.CHANNEL, Kind.SHARD))
        reply = node.exchange.publish(Client(), kind, self._rng.choice((b"a", b"b", b"c")), b"m")
        if not isinstance(reply, int):
            self.replies.append((node, reply))

    def _choose(self) -> None:
        """Set something, by a clock that may be behind those of others."""
        node = self.nodes[self._name()]
        chosen = {self._rng.choice(sorted(SETTINGS)): str(self._rng.randrange(10))}
        node.settings.update(chosen)
        node.exchange.choose(chosen, self._rng.randrange(1000))

    def _turn(self) -> None:
        self._flush(self._name())

    def _flush(self, name: str) -> None:
        for effect in self.nodes[name].exchange.flush():
            match effect:
                case Send(peer, body):
                    queue = self._links.get((name, peer))
                    if queue is not None:
                        queue.append(body)
                case Push():
                    pass

    def _deliver(self) -> None:
        busy = sorted(ends for ends, queue in self._links.items() if queue)
        if busy:
            sender, receiver = self._rng.choice(busy)
            self._receive(sender, receiver, self._links[sender, receiver].popleft())

    def _receive(self, sender: str, receiver: str, body: bytes) -> None:
        try:
            self.nodes[receiver].exchange.receive(sender, body)
        except ProtocolError:
            self.out_of_step += 1
            self._cut(sender, receiver)

    def _link(self, one: str, other: str) -> None:
        for sender, receiver in ((one, other), (other, one)):
            self._links[sender, receiver] = deque()
            self.nodes[sender].exchange.connect(receiver)

    def _relink(self) -> None:
        one, other = self._rng.sample(sorted(self.nodes), 2)
        if (one, other) not in self._links:
            self._link(one, other)

    def _cut(self, one: str, other: str) -> None:
        for sender, receiver in ((one, other), (other, one)):
            lost = self._links.pop((sender, receiver), None)
            if lost is not None:
                self._past.extend((sender, receiver, body) for body in lost)
                self.nodes[sender].exchange.disconnect(receiver)

    def _break(self) -> None:
        self._cut(*self._rng.sample(sorted(self.nodes), 2))

    def _mix_up(self) -> None:
        """Exchange two messages on a link, which no real one does."""
        queues = [queue for _, queue in sorted(self._links.items()) if len(queue) > 1]
        if queues:
            queue = self._rng.choice(queues)
            queue.rotate(self._rng.choice((-1, 1)))

    def _repeat(self) -> None:
        """Deliver a message of a link that broke over the one of now, which no real one does."""
        if self._past:
            sender, receiver, body = self._rng.choice(self._past)
            if (sender, receiver) in self._links:
                self._receive(sender, receiver, body)

    def _restart(self) -> None:
        """End a node with all its clients; another run has its name."""
        name = self._name()
        for other in self.nodes:
            self._cut(name, other)
        gone = self.nodes[name]
        self.replies[:] = [(node, reply) for node, reply in self.replies if node is not gone]
        self.nodes[name] = self._boot()

    def _sweep(self) -> None:
        self.nodes[self._name()].exchange.sweep(self._rng.uniform(0, 100), 5.0)
