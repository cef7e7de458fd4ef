"""Plain clients in a process of their own: a steady load on all nodes, and a record of every reply.

Run as a program, with a `Plan` as JSON for its argument; it obeys lines on its standard
input. `count` is answered with a `Count` as JSON; `avoid N` has the clients leave node N after
their next replies, or none if N is -1; `homes` with `Homes` as JSON has them do so with all nodes
but some, of which there may be more than before; `stop` ends all clients once their last replies are
there, and writes the history to a file. All are answered in the same way.

Each client has one connection, one command at a time, and as many a second as the plan says.
It begins at its home node; where that does not answer it goes to the next one, as a client
with a list of addresses does, and looks after its home again a little later.
"""

import asyncio
import random
import select
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

import hiredis
import msgspec
import uvloop

RETRY_S: Final = 0.02
"""Until a client that reached no node at all tries again."""
HOMESICK_S: Final = 2.0
"""How long a client stays with another node than its home."""
LAST_REPLIES_S: Final = 20.0
CERTAINLY_NOT: Final = frozenset(
    {"CLUSTERDOWN", "TRYAGAIN", "NOREPLICAS", "EXECABORT", "LOADING", "MOVED", "BUSY", "NOPROTO", "ERR"}
)
"""Errors that say that a command was not done."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to do."""

    nodes: list[tuple[str, int]]
    """Where the nodes are; client n has its home at node n modulo their number."""
    file: str
    """Where the history goes."""
    seed: int
    clients: int = 32
    commands_a_second: float = 3_000.0
    """Of all clients together."""
    registers: int = 1_000
    """Keys that are written, read, deleted and locked by all clients."""
    counters: int = 200
    """Keys that are incremented and read by all clients."""
    timeout_s: float = 10.0
    """A client that has waited for so long for a reply hangs up."""
    stays: bool = False
    """Whether clients stay with their home node even where it does not answer."""


class Homes(msgspec.Struct, frozen=True):
    """Where clients are to have their homes from now on."""

    nodes: list[tuple[str, int]]
    """Where the nodes are: those that there were, and new ones behind them."""
    homes: list[int]
    """The places of those that are left; client n has its home at the one whose turn it is."""


class Sent(msgspec.Struct, array_like=True):
    """One command and what came of it."""

    client: int
    node: int
    kind: str
    """A name of linearizability.Kind."""
    key: bytes
    argument: bytes
    invoked_s: float
    returned_s: float = 0.0
    result: bytes | int | bool | None = None
    outcome: str = "ok"
    """A value of linearizability.Outcome."""
    error: str = ""
    """Code of the error reply, or what happened to the connection."""


class Count(msgspec.Struct, frozen=True):
    """How far the clients are."""

    commands: int
    writes: int
    """Acknowledged ones."""
    errors: dict[str, int]
    clients: list[int]
    """How many clients each node has."""


class Client(asyncio.Protocol):
    """One client."""

    def __init__(self, number: int, plan: Plan, history: list[Sent], counts: Counter[str]) -> None:
        self._number, self._plan, self._history, self._counts = number, plan, history, counts
        self._rng = random.Random(plan.seed * 1_000 + number)
        self._loop = asyncio.get_running_loop()
        self._pause_s = plan.clients / plan.commands_a_second
        self._due_s = self._loop.time() + self._rng.random() * self._pause_s
        self.homes = Homes(plan.nodes, list(range(len(plan.nodes))))
        self._node = self._home
        self._written = 0
        self._transport: asyncio.Transport | None = None
        self._reader = hiredis.Reader()
        self._sent: Sent | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._away_since_s = 0.0
        self._connecting: asyncio.Task[None] | None = None
        self.stopping = False
        self.idle = asyncio.Event()
        self.avoided = -1
        """A node to keep away from."""

    @property
    def _home(self) -> int:
        homes = self.homes.homes
        return homes[self._number % len(homes)]

    @property
    def node(self) -> int:
        """The node that it is connected to; -1 if it is to none."""
        return -1 if self._transport is None else self._node

    def start(self) -> None:
        """Connect, and begin."""
        self._connecting = self._loop.create_task(self._connect())

    def stop(self) -> None:
        """Send nothing more."""
        self.stopping = True
        if self._sent is None:
            self.idle.set()

    def data_received(self, data: bytes) -> None:
        """Take a reply."""
        self._reader.feed(data)
        reply = self._reader.gets()
        if reply is False:
            return
        assert self._sent is not None, "a reply to nothing"
        if isinstance(reply, hiredis.ReplyError):
            code = str(reply).split(" ", 1)[0]
            self._settle("failed" if code in CERTAINLY_NOT else "uncertain", error=code)
        else:
            self._settle("ok", result=reply)
        self._next()

    def connection_lost(self, failure: Exception | None) -> None:
        """Find another node."""
        self._transport = None
        if self._sent is not None:
            self._settle("uncertain", error="cut off" if failure is None else type(failure).__name__)
        self._connecting = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        """Connect to the first node that takes it, the home node first."""
        self._reader = hiredis.Reader()
        while not self.stopping:
            nodes, homes = self.homes.nodes, self.homes.homes
            for step in range(1 if self._plan.stays else len(homes)):
                self._node = homes[(self._number + step) % len(homes)]
                if self._node == self.avoided:
                    continue
                try:
                    async with asyncio.timeout(self._plan.timeout_s):
                        transport, _ = await self._loop.create_connection(lambda: self, *nodes[self._node])
                except (OSError, TimeoutError):
                    continue
                self._transport = transport
                self._away_since_s = self._loop.time()
                self._next()
                return
            await asyncio.sleep(RETRY_S)
        self.idle.set()

    def _next(self) -> None:
        """Send the next command when it is time."""
        if self.stopping:
            self.idle.set()
            return
        now = self._loop.time()
        self._due_s = max(self._due_s + self._pause_s, now - self._pause_s)
        self._loop.call_at(self._due_s, self._send, self._transport)

    def _send(self, transport: asyncio.Transport | None) -> None:
        if transport is not self._transport or transport is None or hung_up(transport):
            return
        if self.stopping:
            self.idle.set()
            return
        now = self._loop.time()
        homesick = self.avoided != self._home != self._node and now - self._away_since_s > HOMESICK_S
        if homesick or self._node == self.avoided or self._node not in self.homes.homes:
            transport.abort()
            return
        self._sent, request = self._draw(time.monotonic())  # the loop's own clock stands still within a turn
        self._deadline = self._loop.call_later(self._plan.timeout_s, self._give_up, transport)
        transport.write(request)

    def _give_up(self, transport: asyncio.Transport) -> None:
        self._settle("uncertain", error="timeout")
        transport.abort()

    def _settle(self, outcome: str, *, result: object = None, error: str = "") -> None:
        """Put the command on record with what came of it."""
        sent = self._sent
        assert sent is not None
        if self._deadline is not None:
            self._deadline.cancel()
        self._sent = None
        sent.returned_s, sent.outcome, sent.error = time.monotonic(), outcome, error
        if outcome == "ok":
            sent.result = RESULTS.get(sent.kind, bool)(result)
            self._counts["writes"] += sent.kind != "READ"
        else:
            self._counts[error] += 1
        self._counts["commands"] += 1
        self._history.append(sent)

    def _draw(self, now: float) -> tuple[Sent, bytes]:
        """Choose a command: two of three write."""
        rng = self._rng
        chance = rng.random()
        self._written += 1
        if rng.random() < 0.25:
            key = b"counter:%d" % rng.randrange(self._plan.counters)
            kind, argument = ("READ", b"") if chance < 0.3 else ("INCR", b"1")
        else:
            key = b"register:%d" % rng.randrange(self._plan.registers)
            argument = b"%d.%d" % (self._number, self._written)
            if chance < 0.35:
                kind, argument = "READ", b""
            elif chance < 0.45:
                kind, argument = "DELETE", b""
            else:
                kind = "SETNX" if chance < 0.55 else "WRITE"
        words = [b"GET", key] if kind == "READ" else [b"DEL", key]
        if kind == "INCR":
            words = [b"INCRBY", key, argument]
        elif kind == "SETNX":
            words = [b"SETNX", key, argument]
        elif kind == "WRITE":
            words = [b"SET", key, argument, *([b"EX", b"36000"] if self._written % 3 == 0 else [])]
        return Sent(self._number, self._node, kind, key, argument, now), packed(words)


def hung_up(transport: asyncio.Transport) -> bool:
    """Look whether the node has closed its end; clients with pools do so before they send."""
    if transport.is_closing():
        return True
    readable, _, _ = select.select([transport.get_extra_info("socket").fileno()], [], [], 0)
    return bool(readable)


def packed(words: list[bytes]) -> bytes:
    """Write a request."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


RESULTS: Final[dict[str, Callable[[object], bytes | int | bool | None]]] = {
    "READ": lambda reply: reply if isinstance(reply, bytes) else None,
    "INCR": lambda reply: reply if isinstance(reply, int) else None,
}
"""How replies become results; all others say yes or no."""


async def main(plan: Plan) -> None:
    """Run the clients until told to stop."""
    history: list[Sent] = []
    counts: Counter[str] = Counter()
    clients = [Client(number, plan, history, counts) for number in range(plan.clients)]
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    for client in clients:
        client.start()
    while (line := await lines.readline()) not in {b"stop\n", b""}:
        if line.startswith(b"avoid "):
            for client in clients:
                client.avoided = int(line.split()[1])
        if line.startswith(b"homes "):
            homes = msgspec.json.decode(line[len(b"homes ") :], type=Homes)
            for client in clients:
                client.homes = homes
        tell(counts, clients)
    for client in clients:
        client.stop()
    await asyncio.wait([loop.create_task(client.idle.wait()) for client in clients], timeout=LAST_REPLIES_S)
    unanswered = [client._sent for client in clients if client._sent is not None]
    for sent in unanswered:
        sent.outcome, sent.error = "uncertain", "unanswered"
        counts["unanswered"] += 1
    with open(plan.file, "wb") as file:  # noqa: ASYNC230, PTH123 # nothing else is left to do
        file.write(msgspec.msgpack.encode(history + unanswered))
    tell(counts, clients)


def tell(counts: Counter[str], clients: list[Client]) -> None:
    """Write how far the clients are to the standard output."""
    errors = {name: number for name, number in counts.items() if name not in {"commands", "writes"}}
    connected = Counter(client.node for client in clients)
    places = [connected[node] for node in range(len(clients[0].homes.nodes))]
    count = Count(counts["commands"], counts["writes"], errors, places)
    sys.stdout.write(msgspec.json.encode(count).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main(msgspec.json.decode(sys.argv[1], type=Plan)))
