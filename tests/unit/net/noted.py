"""Nodes whose links are real, and which note what they are told over them."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Final

from respcache.cluster.sealing.sealing import Sealing
from respcache.commands.families import ROWS
from respcache.errors import ProtocolError
from respcache.net.door import Door
from respcache.net.links import Links
from respcache.net.messages import Ask, Greeting, Reply
from respcache.net.sockets import bind_stream
from respcache.routing.order import Order
from respcache.routing.sheaf import Sheaf

HOST: Final = "127.0.0.1"
TIMEOUT_S: Final = 5.0
GET: Final = next(row for row in ROWS if row.name == "GET")


class NotedNode:
    """Notes what its links tell it, and answers every command with the key."""

    def __init__(self, name: str, sealing: Sealing | None = None) -> None:
        self.links: Final = Links(self, Greeting(name, 1), sealing)
        self.door: Final = Door(meeting_point=b"", gossip=bytes, pass_on=self.links.adopt, sealing=sealing)
        self.told: Final[list[tuple[object, ...]]] = []
        self.runs: Final[dict[str, int]] = {}
        """The latest run of each peer that gossip knows of."""
        self.address = (HOST, 0)
        self._news: Final = asyncio.Event()

    async def listen(self) -> None:
        """Take links in."""
        bound = bind_stream(HOST, 0)
        self.address = bound.getsockname()
        self._bound = bound
        self.door.open(bound)

    async def close(self) -> None:
        """End all links, and take none in."""
        await self.door.close()
        await self.links.close()
        self._bound.close()

    def keep(self, other: "NotedNode") -> None:
        """Keep a link to another node."""
        self.links.keep(other.links.greeting.name, *other.address)

    async def hears(self, *news: object) -> None:
        """Wait until this was told."""
        async with asyncio.timeout(TIMEOUT_S):
            while news not in self.told:
                self._news.clear()
                await self._news.wait()

    def run_of(self, name: str) -> int:
        """Give the one that the test has named."""
        return self.runs.get(name, 0)

    def link_up(self, name: str) -> None:
        """Note it."""
        self._note("up", name)

    def link_down(self, name: str) -> None:
        """Note it."""
        self._note("down", name)

    def keeper_frame(self, name: str, body: bytes) -> None:
        """Note it, unless it is nonsense."""
        if body == b"nonsense":
            raise ProtocolError(body.decode())
        self._note("frame", name, body)

    def pubsub_frame(self, name: str, body: bytes) -> None:
        """Note it."""
        self._note("pubsub", name, body)

    def tracking_frame(self, name: str, body: bytes) -> None:
        """Note it."""
        self._note("tracking", name, body)

    def functions_frame(self, name: str, body: bytes) -> None:
        """Note it."""
        self._note("functions", name, body)

    def asked(self, name: str, ask: Ask, reply: Callable[[int, bytes | None], None]) -> int:
        """Answer, or hold one's tongue."""
        self._note("asked", name, *(argv[0] for _, _, argv in ask.requests))
        for number, _, argv in ask.requests:
            if argv[0] != b"SILENCE":
                reply(number, argv[-1] if argv[0] != b"REFUSED" else None)
        return len(ask.requests)

    def answered(self, answers: list[tuple[Order, bytes | None]]) -> None:
        """Note it."""
        self._note("answered", *((order.argv[0], wire) for order, wire in answers))

    def returned(self, sheaf: Sheaf, answers: list[Reply]) -> None:
        """Note it, and hand them over."""
        self._note("returned", *answers)
        for number, wire in answers:
            sheaf.come(number, wire or b"refused")

    def lost_of(self, sheaf: Sheaf, number: int) -> None:
        """Note it."""
        assert sheaf.request(number)
        self._note("lost", number)

    def lost(self, order: Order) -> None:
        """Note it."""
        self._note("lost", order.argv[0])

    def unreachable(self, name: str) -> None:
        """Note it."""
        self._note("unreachable", name)

    def _note(self, *news: object) -> None:
        self.told.append(news)
        self._news.set()


def order(*argv: bytes) -> Order:
    """Make an order that a peer is to run."""
    return Order(GET, list(argv), database=3, protocol=2, partitions=(7,), deadline_s=9.0)


def with_two(scenario: Callable[[NotedNode, NotedNode], Coroutine[None, None, None]]) -> None:
    """Run a scenario with two nodes that have a link."""

    async def main() -> None:
        a, b = NotedNode("a"), NotedNode("b")
        await a.listen()
        await b.listen()
        a.keep(b)
        b.keep(a)
        await a.hears("up", "b")
        await b.hears("up", "a")
        await scenario(a, b)
        await a.close()
        await b.close()

    asyncio.run(main())
