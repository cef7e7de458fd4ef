"""Clients of simulated nodes, which know no more of the cluster than real ones do, and remember all that they heard."""

import math
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from respcache.cluster.ownership.slots import partition_of
from respcache.routing.merging import elements
from respcache.store.lists import List
from respcache.store.partition import Argv
from respcache.store.texts import whole
from respcache.store.values import Value
from simulation.commands.connections import Connection
from simulation.commands.ledger import Ledger
from simulation.commands.node import CommandNode
from simulation.commands.queues import Queues
from simulation.linearizability import Kind
from simulation.ownership.clients import History
from simulation.ownership.life import SimNode
from simulation.ownership.outcome import Outcome, Violation
from simulation.ownership.world import World

THINK_S: Final = (0.002, 0.05)
RETRY_S: Final = (0.01, 0.05)
CHANGES_NODE: Final = 0.05
"""How often a client connects to another node without need."""
PARTITIONS: Final = 12
PAD: Final = b"."
UNDONE: Final = (b"-TRYAGAIN", b"-CLUSTERDOWN", b"-NOREPLICAS", b"-EXECABORT")
"""Errors that say: certainly not executed."""


def keys_in(word: bytes, partitions: Sequence[int]) -> list[bytes]:
    """Find a key in each of some partitions, by a tag, so that others can be in the same."""

    def first(partition: int) -> bytes:
        return next(key for key in (b"{%b%d}" % (word, n) for n in range(100_000)) if partition_of(key) == partition)

    return [first(partition) for partition in partitions]


ACCOUNTS: Final = tuple(keys_in(b"a", range(0, PARTITIONS, 2)))
TWINS: Final = tuple(key + b"twin" for key in ACCOUNTS[:2])
"""Keys of the same partitions as others."""
QUEUES: Final = tuple(keys_in(b"q", (1, 5, 9)))
PADS: Final = tuple(keys_in(b"p", (3, 7)))
PIPES: Final = tuple(keys_in(b"w", range(PARTITIONS)))
"""What is written in pipelines: a key in each partition."""


class Client:
    """Somebody who has a connection to some node, does one thing at a time, and goes on after a pause."""

    def __init__(self, world: World, act: Callable[[], None]) -> None:
        """`act` asks for something, once, by `ask`."""
        self._world: Final = world
        self._act: Final = act
        self._connection: Connection | None = None
        self._node: CommandNode | None = None
        self.stopped = False
        self.is_busy = False
        """Whether it waits for a reply."""
        self.outcomes: Final = dict.fromkeys(Outcome, 0)
        self.congested = 0
        """How often it was told TRYAGAIN."""
        self.scarce = 0
        """How often it was told that too few copies are in sync, also as what undid a transaction."""

    def go(self) -> None:
        """Do something."""
        if self.stopped:
            return
        if not self._is_connected or self._world.rng.random() < CHANGES_NODE:
            open_ = [sim.life for sim in self._world.live() if isinstance(sim.life, CommandNode) and not sim.life.parts]
            if not open_:
                self._world.after(RETRY_S, self.go)
                return
            self._node = self._world.rng.choice(open_)
            self._connection = Connection(self._node)
        self._act()

    @property
    def _is_connected(self) -> bool:
        return self._connection is not None and self._node is not None and not self._node.parts

    def ask(self, requests: Sequence[Argv], heard: "Heard") -> Connection:
        """Send a request, or a transaction, over the connection that it gives; tell what became of it, and go on."""
        return self.ask_all(requests, lambda outcomes, wires: heard(outcomes[-1], wires[-1]), counted=1)

    def ask_all(
        self,
        requests: Sequence[Argv],
        heard: Callable[[list[Outcome], list[bytes]], None],
        *,
        counted: int,
    ) -> Connection:
        """Send requests at once; tell what became of each of them, of which the last few are counted, and go on."""
        connection = self._connection
        assert connection is not None, "it has just connected"
        self.is_busy = True

        def done(wires: list[bytes] | None) -> None:
            self.is_busy = False
            if wires is None:
                self._connection = None
            replies = [None] * len(requests) if wires is None else wires
            outcomes = [outcome_of(wire) for wire in replies]
            for outcome, wire in list(zip(outcomes, replies, strict=True))[-counted:]:
                self.outcomes[outcome] += 1
                self.congested += wire is not None and wire.startswith(b"-TRYAGAIN")
                self.scarce += wire is not None and wire.startswith(b"-") and b"NOREPLICAS" in wire
            heard(outcomes, [wire or b"" for wire in replies])
            self._world.after(THINK_S if outcomes[-1] is Outcome.SAFE else RETRY_S, self.go)

        connection.send(requests, done)
        return connection


class Heard(Protocol):
    """Whoever hears what became of a request."""

    def __call__(self, outcome: Outcome, wire: bytes) -> None:
        """Hear of it; the reply counts if it is safe."""


def outcome_of(wire: bytes | None) -> Outcome:
    """Tell what a reply says of what was done. Raises Violation for errors that nothing explains."""
    if wire is None or wire.startswith(b"-UNCERTAIN"):
        return Outcome.UNCERTAIN
    if wire.startswith(UNDONE):
        return Outcome.REFUSED
    if wire.startswith(b"-"):
        raise Violation(f"a client is told {wire!r}")
    return Outcome.SAFE


class Teller:
    """Appends its numbers to several accounts at once, or reads several, or both."""

    def __init__(self, world: World, ledger: Ledger) -> None:
        self.client: Final = Client(world, self.act)
        self._world: Final = world
        self._ledger: Final = ledger

    def act(self) -> None:
        """Run a transaction, or a single command."""
        rng = self._world.rng
        keys = rng.sample((*ACCOUNTS, *TWINS), rng.choice((1, 2, 2, 3, 4)))
        appends = keys[: rng.choice((0, 0, 1, 2, len(keys)))]
        reads = keys[len(appends) :]
        entry = self._ledger.begin(self._world.now, appends)
        calls = [[b"APPEND", key, b"%d;" % entry.number] for key in appends] + [[b"GET", key] for key in reads]
        alone = len(calls) == 1 and rng.random() < 0.7
        requests = calls if alone else [[b"MULTI"], *calls, [b"EXEC"]]

        def heard(outcome: Outcome, wire: bytes) -> None:
            entry.outcome = outcome
            if outcome is not Outcome.SAFE:
                return
            entry.ended_s = self._world.now
            wires = [wire] if alone else elements(wire)
            if len(wires) != len(calls):
                raise Violation(f"{calls} are answered {wire!r}")
            for key, told in zip(reads, wires[len(appends) :], strict=True):
                entry.reads[key] = numbers_of(bulk_of(told))

        self.client.ask(requests, heard)


class Producer:
    """Pushes elements to queues."""

    def __init__(self, world: World, queues: Queues) -> None:
        self.client: Final = Client(world, self.act)
        self._world: Final = world
        self._queues: Final = queues

    def act(self) -> None:
        """Push one, or two to different queues in a transaction."""
        rng = self._world.rng
        pushes = [self._queues.push(self._world.now, queue) for queue in rng.sample(QUEUES, rng.choice((1, 1, 1, 2)))]
        calls = [[b"RPUSH", push.queue, push.element] for push in pushes]

        def heard(outcome: Outcome, wire: bytes) -> None:
            del wire
            for push in pushes:
                push.outcome = outcome
                if outcome is Outcome.SAFE:
                    push.ended_s = self._world.now

        self.client.ask(calls if len(calls) == 1 else [[b"MULTI"], *calls, [b"EXEC"]], heard)


class Consumer:
    """Waits for elements of queues, and now and then hangs up meanwhile."""

    def __init__(self, world: World, queues: Queues, *, hangs_up: float) -> None:
        """`hangs_up` is how often, of all waits."""
        self.client: Final = Client(world, self.act)
        self._world: Final = world
        self._queues: Final = queues
        self._hangs_up: Final = hangs_up

    def act(self) -> None:
        """Wait for an element of one or two queues."""
        rng, world = self._world.rng, self._world
        queues = tuple(rng.sample(QUEUES, rng.choice((1, 1, 2))))
        pop = self._queues.pop(world.now, queues)
        timeout_s = b"%.2f" % rng.uniform(0.2, 0.8)

        def heard(outcome: Outcome, wire: bytes) -> None:
            pop.outcome, pop.ended_s = outcome, world.now
            if outcome is Outcome.SAFE and wire != b"*-1\r\n":
                _, pop.element = (bulk_of(word) for word in elements(wire))

        connection = self.client.ask([[b"BLPOP", *queues, timeout_s]], heard)
        if rng.random() < self._hangs_up:
            world.after((0.0, 0.3), lambda: None if pop.ended_s < math.inf else connection.hang_up())


class Padder:
    """Sets keys to long values, which copies take their time to confirm, and reads them."""

    def __init__(self, world: World, history: History, *, size: int) -> None:
        self.client: Final = Client(world, self.act)
        self._world: Final = world
        self._history: Final = history
        self._size: Final = size

    def act(self) -> None:
        """Set or read."""
        kind = self._world.rng.choice((Kind.WRITE, Kind.WRITE, Kind.READ))
        written = b"%d" % len(self._history) if kind is Kind.WRITE else b""
        number = self._history.begin(self._world.now, kind, written)
        key = self._history.key
        argv = [b"SET", key, written + PAD * self._size] if kind is Kind.WRITE else [b"GET", key]

        def heard(outcome: Outcome, wire: bytes) -> None:
            result: bytes | bool | None = True
            if outcome is Outcome.SAFE and kind is Kind.READ:
                result = unpadded(bulk_of(wire))
            self._history.end(number, self._world.now, outcome, result)

        self.client.ask([argv], heard)


class Pipeliner:
    """Sends a read of several keys behind a write, and more writes behind that, without waiting for any."""

    def __init__(self, world: World, histories: Sequence[History]) -> None:
        self.client: Final = Client(world, self.act)
        self._world: Final = world
        self._histories: Final = histories

    def act(self) -> None:
        """Write one, read two together, which waits for what was written, and write others."""
        rng = self._world.rng
        first, *others = rng.sample(self._histories, rng.choice((2, 3, 4)))
        writes = [(history, *self._begin(history)) for history in (first, *others)]
        reads = [(history, history.begin(self._world.now, Kind.READ)) for history in (first, others[0])]
        sets = [[b"SET", history.key, value] for history, _, value in writes]
        requests = [sets[0], [b"MGET", *[history.key for history, _ in reads]], *sets[1:]]

        def heard(outcomes: list[Outcome], wires: list[bytes]) -> None:
            now = self._world.now
            for (history, number, _), outcome in zip(writes, [outcomes[0], *outcomes[2:]], strict=True):
                history.end(number, now, outcome, True)
            values = elements(wires[1]) if outcomes[1] is Outcome.SAFE else [b"$-1\r\n"] * len(reads)
            for (history, number), value in zip(reads, values, strict=True):
                history.end(number, now, outcomes[1], bulk_of(value))

        self.client.ask_all(requests, heard, counted=len(requests))

    def _begin(self, history: History) -> tuple[int, bytes]:
        value = b"%d" % len(history)
        return history.begin(self._world.now, Kind.WRITE, value), value


def bulk_of(wire: bytes) -> bytes | None:
    """Give what a bulk string holds."""
    return None if wire == b"$-1\r\n" else wire[wire.index(b"\n") + 1 : -2]


def unpadded(value: bytes | None) -> bytes | None:
    """Give what a client has written, without what makes it long."""
    return None if value is None else value.rstrip(PAD)


def numbers_of(text: bytes | None) -> list[int]:
    """Read what an account holds."""
    return [int(word) for word in (text or b"").split(b";") if word]


def held_by(sim: SimNode, key: bytes) -> Value | None:
    """Look into the store of a node."""
    assert isinstance(sim.life, CommandNode)
    return sim.life.value(key)


def account(value: Value | None) -> list[int]:
    """Read what an account holds, by the store."""
    return numbers_of(value if value is None or isinstance(value, bytes) else whole(value))


def queue(value: Value | None) -> list[bytes]:
    """Read what a queue holds, by the store."""
    assert value is None or isinstance(value, List)
    return [] if value is None else list(value)
