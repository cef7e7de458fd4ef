"""Nodes whose clients cache, over links that are slow and break, while keys are written and their owners change.

What the owners do is simple here, so that what is tested is who is told: a key's value is a number that grows with each
write, an owner serves until another one does, and every node hears of a new owner late.
"""

import random
from collections import deque
from collections.abc import Callable
from itertools import combinations
from typing import Final

from respcache.cluster.ownership.slots import PARTITIONS, partition_of
from respcache.commands.registry import lookup
from respcache.commands.tracker import Tracker
from respcache.routing.locking import Locks
from respcache.store.keyspace import Store
from respcache.tracking.tracking import Tracking
from simulation.tracking.client import Client, Place
from unit.commands.front import Front

KEYS: Final = tuple(b"k%d" % number for number in range(6))
TRIES: Final = 3
PATIENCE_S: Final = 5.0


class Node:
    """A node in one of its runs."""

    def __init__(self, name: str, world: "World", primary: list[str]) -> None:
        self.name: Final = name
        self.world: Final = world
        self.primary: Final = primary
        self.store: Final = Store(1)
        self.locks: Final = Locks(self.store, run=name.encode())
        self.turn: Final[deque[Callable[[], object]]] = deque()
        self.held: Final[list[Callable[[], None]]] = []
        self.news: Final[deque[tuple[int, str]]] = deque()
        """New owners of partitions that it has not heard of yet."""
        self.asked: Final[list[tuple[str, Client, Place]]] = []
        """Reads that other nodes have not answered."""
        self.alive = True
        for number in range(PARTITIONS):
            self.locks.close(number)
        self.tracking: Final = Tracking(
            name,
            self.locks.readers,
            primary=primary,
            soon=self.turn.append,
            when_safe=self._when_safe,
            send=lambda peer, body: world.send(self, peer, body),
        )
        self.tracking.keys_max = lambda: world.keys_max
        self._front: Final = Front()
        self._front.host.tracking = self.tracking
        self.clients: Final = [Client(self._front.client()) for _ in range(2)]

    def _when_safe(self, numbers: object, call: Callable[[], None]) -> bool:
        del numbers
        if self.world.rng.random() < 0.5:
            return False
        self.held.append(call)
        return True

    def end_turn(self) -> None:
        """Do what is due at the end of a turn of the event loop."""
        for _ in range(len(self.turn)):
            self.turn.popleft()()

    def learn(self) -> None:
        """Hear of a new owner."""
        if self.news:
            number, owner = self.news.popleft()
            self.primary[number] = owner
            if owner == self.name and self.world.owner[number] == self.name:
                self.locks.open(number, None)
            elif owner != self.name:
                self.locks.close(number)
            if self.world.invalidates_moved:
                self.tracking.rerouted()

    def write(self, key: bytes, value: int) -> None:
        """Write as the owner."""
        partition = self.store.keyspace(0).at(key)
        partition.put(key, b"%d" % value)
        partition.ship([b"SET", key, b"%d" % value])


class World:
    """All of them, and a seed that decides on everything."""

    def __init__(self, seed: int, nodes: int, *, invalidates_moved: bool = True, hears_links: bool = True) -> None:
        """Without `invalidates_moved`, or `hears_links`, nodes have a defect: the test is to find it."""
        self.rng: Final = random.Random(f"tracking {seed}")
        self.invalidates_moved: Final = invalidates_moved
        self.hears_links: Final = hears_links
        self.keys_max = self.rng.choice((0, 3, 100))
        self.values: Final = dict.fromkeys(KEYS, 0)
        names = [chr(ord("a") + number) for number in range(nodes)]
        self.owner: Final = [names[number % nodes] for number in range(PARTITIONS)]
        self.nodes: Final = {name: Node(name, self, list(self.owner)) for name in names}
        self._links: Final[dict[tuple[str, str], deque[Callable[[], None]]]] = {}
        """What is on its way, for each direction of each link that stands; an end may stand without the other."""
        self._now_s = 0.0
        for number, name in enumerate(self.owner):
            self.nodes[name].locks.open(number, None)
        for one, other in combinations(names, 2):
            self._link(one, other)
        self.told = 0

    def send(self, sender: Node, peer: str, body: bytes) -> None:
        """Put a message about keys on a link, if it stands at this end."""
        self._post(sender, peer, lambda: self.nodes[peer].tracking.receive(sender.name, body))

    def _post(self, sender: Node, peer: str, arrival: Callable[[], None]) -> bool:
        queue = self._links.get((sender.name, peer)) if sender.alive else None
        if queue is None:
            return False
        queue.append(arrival)
        return True

    # -- what happens -------------------------------------------------------------------------

    def storm(self, steps: int) -> None:
        """Let that many things happen."""
        weights = {
            self._read: 60,
            self._write: 30,
            self._turn: 80,
            self._deliver: 120,
            self._release: 30,
            self._track: 6,
            self._learn: 20,
            self._move: 4,
            self._depose: 2,
            self._die: 1,
            self._break: 2,
            self._notice: 6,
            self._relink: 8,
            self._sweep: 6,
        }
        for happening in self.rng.choices(list(weights), list(weights.values()), k=steps):
            happening()

    def settle(self) -> None:
        """Let every node hear of everything, all links stand, and all arrive; nothing is read or written any more."""
        for _ in range(8):
            for sender, receiver in list(self._links):
                if (receiver, sender) not in self._links:
                    self._cut_end(sender, receiver)
            for one, other in combinations(self.nodes, 2):
                if (one, other) not in self._links:
                    self._link(one, other)
            for node in self.nodes.values():
                while node.news:
                    node.learn()
            self._now_s += 1.1
            for node in self.nodes.values():
                node.tracking.sweep(self._now_s, PATIENCE_S)
            self._let_all_arrive()

    def _let_all_arrive(self) -> None:
        while any(self._links.values()) or any(node.turn or node.held for node in self.nodes.values()):
            for ends in list(self._links):
                while self._links.get(ends):
                    self._links[ends].popleft()()
            for node in self.nodes.values():
                while node.held:
                    node.held.pop(0)()
                node.end_turn()

    def stale(self) -> list[str]:
        """List what clients have that is not so."""
        return [
            f"{node.name}: {key!r} is {value}, was {self.values[key]}"
            for node in self.nodes.values()
            for client in node.clients
            if client.is_tracked
            for key, value in client.cache.items()
            if value != self.values[key]
        ]

    def _node(self) -> Node:
        return self.nodes[self.rng.choice(sorted(self.nodes))]

    def _track(self) -> None:
        node = self._node()
        client = self.rng.choice(node.clients)
        if client.is_tracked:
            node.tracking.disable(client.session)
            client.cache.clear()
            return
        kind = self.rng.choice(("default", "default", "bcast", "noloop"))
        tracker = Tracker(
            bcast=kind == "bcast", noloop=kind == "noloop", prefixes=frozenset([b"k"] if kind == "bcast" else [])
        )
        client.cache.clear()
        reply = node.tracking.enable(client.session, tracker)
        reply.then(client.begin)

    def _read(self) -> None:
        node, key = self._node(), self.rng.choice(KEYS)
        client = self.rng.choice(node.clients)
        tracker = client.session.tracker
        row = lookup(b"GET")
        assert row is not None
        if tracker is None or not client.confirmed:
            return
        if tracker.bcast and self.rng.random() < 0.5:  # over another connection, to another node
            client.cache[key] = self.values[key]
            return
        node.tracking.before(client.session, tracker, row, [b"GET", key])
        node.tracking.after()
        self._ask(node, client, client.place(key), TRIES)

    def _ask(self, node: Node, client: Client, place: Place, tries: int) -> None:
        """Have the owner read, as far as this node knows who that is."""
        number = partition_of(place.key)
        peer = node.primary[number]

        def refused() -> None:
            if tries and node.alive:
                self._ask(node, client, place, tries - 1)
            else:
                client.arrive(place, None)

        def run() -> None:
            owner = self.nodes[peer]
            value = self.values[place.key] if self.owner[number] == peer else None
            if value is None:
                self._post(owner, node.name, refused)
            else:
                self._post(owner, node.name, lambda: client.arrive(place, value))

        if peer == node.name and self.owner[number] == peer:
            client.arrive(place, self.values[place.key])
        elif peer == node.name or not self._post(node, peer, run):
            client.arrive(place, None)
        else:
            node.asked.append((peer, client, place))

    def _write(self) -> None:
        key = self.rng.choice(KEYS)
        owner = self.nodes[self.owner[partition_of(key)]]
        if not owner.alive or owner.primary[partition_of(key)] != owner.name:
            return
        self.values[key] += 1
        owner.write(key, self.values[key])

    def _turn(self) -> None:
        self._node().end_turn()

    def _deliver(self) -> None:
        busy = sorted(ends for ends, queue in self._links.items() if queue and ends[::-1] in self._links)
        if busy:
            self.told += 1
            self._links[self.rng.choice(busy)].popleft()()

    def _release(self) -> None:
        node = self._node()
        if node.held:
            node.held.pop(self.rng.randrange(len(node.held)))()

    def _learn(self) -> None:
        self._node().learn()

    def _move(self) -> None:
        """Hand a partition over: the former owner knows, and so does the new one."""
        number, heir = partition_of(self.rng.choice(KEYS)), self._node()
        former = self.nodes[self.owner[number]]
        if former is heir:
            return
        self._own(number, heir.name)
        for node in (former, heir):
            while node.news:
                node.learn()

    def _depose(self) -> None:
        """Give a partition to another node; the former owner serves no more, and hears of it late."""
        number, heir = partition_of(self.rng.choice(KEYS)), self._node()
        if self.owner[number] != heir.name:
            self._own(number, heir.name)
            while heir.news:
                heir.learn()

    def _own(self, number: int, name: str) -> None:
        self.owner[number] = name
        for node in self.nodes.values():
            node.news.append((number, name))

    def _die(self) -> None:
        """End a node with all its clients; another run has its name, and owns nothing."""
        name = self._node().name
        gone = self.nodes[name]
        gone.alive = False
        for other in self.nodes:
            for ends in ((name, other), (other, name)):
                if ends in self._links:
                    self._links[ends].clear()
            self._links.pop((name, other), None)
        heirs = [other for other in sorted(self.nodes) if other != name]
        fresh = Node(name, self, list(gone.primary))
        fresh.news.extend(gone.news)
        self.nodes[name] = fresh
        for number in {partition_of(key) for key in KEYS}:
            if self.owner[number] == name:
                heir = self.nodes[self.rng.choice(heirs)]
                self._own(number, heir.name)
                while heir.news:
                    heir.learn()

    # -- links --------------------------------------------------------------------------------

    def _link(self, one: str, other: str) -> None:
        for name in (one, other):
            peer = other if name == one else one
            if (name, peer) in self._links:
                self._cut_end(name, peer)
            self._links[name, peer] = deque()
        for name, peer in ((one, other), (other, one)):
            if self.hears_links or peer not in self.nodes[name].tracking._peers:
                self.nodes[name].tracking.connect(peer)

    def _cut_end(self, name: str, peer: str) -> None:
        self._links.pop((name, peer), None)
        if self.hears_links:
            self.nodes[name].tracking.disconnect(peer)
        lost = [entry for entry in self.nodes[name].asked if entry[0] == peer]
        self.nodes[name].asked[:] = [entry for entry in self.nodes[name].asked if entry[0] != peer]
        for _, client, place in lost:
            client.arrive(place, None)

    def _break(self) -> None:
        """Lose what is on a link; one end notices, the other will."""
        one, other = self.rng.sample(sorted(self.nodes), 2)
        for ends in ((one, other), (other, one)):
            if ends in self._links:
                self._links[ends].clear()
        self._cut_end(one, other)

    def _notice(self) -> None:
        half = sorted(ends for ends in self._links if ends[::-1] not in self._links)
        if half:
            self._cut_end(*self.rng.choice(half))

    def _relink(self) -> None:
        one, other = self.rng.sample(sorted(self.nodes), 2)
        if (one, other) not in self._links or (other, one) not in self._links:
            self._link(one, other)

    def _sweep(self) -> None:
        self._now_s += self.rng.uniform(0, 3)
        node = self._node()
        node.locks.sweep(self._now_s)
        node.tracking.sweep(self._now_s, PATIENCE_S)
