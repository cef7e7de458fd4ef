"""The membership machine on a real socket."""

import asyncio
import random
import socket
from collections.abc import Callable, Coroutine
from typing import Final

import pytest

from respcache.cluster.membership import LOCAL, Address, Event, Joined, Meta, Swim
from respcache.errors import ProtocolError
from respcache.net import frames
from respcache.net.door import Door
from respcache.net.gossip import Gossip, exchange
from respcache.net.sockets import bind_pair

HOST: Final = "127.0.0.1"
TIMEOUT_S: Final = 5.0


class Gossiper:
    """A node that knows nothing but who is there."""

    def __init__(self, name: str) -> None:
        self._stream, self._datagram = bind_pair(HOST, 0)
        self.address: Final[Address] = self._stream.getsockname()
        self.events: Final[list[Event]] = []
        self._news: Final = asyncio.Event()
        self.swim: Final = Swim(
            name=name,
            address=self.address,
            meta=Meta(client_port=1, http_port=0),
            profile=LOCAL,
            rng=random.Random(name),
            now=asyncio.get_running_loop().time(),
            epoch_unix_ms=1,
        )
        self.gossip: Final = Gossip(self.swim, self._take)
        self._door: Final = Door(
            meeting_point=b"", gossip=self.gossip.stream, pass_on=lambda connection, _: connection.close()
        )

    async def open(self) -> None:
        """Listen."""
        await self.gossip.open(self._datagram)
        self._door.open(self._stream)

    async def close(self) -> None:
        """Stop."""
        await self._door.close()
        await self.gossip.close()
        self._stream.close()

    async def meets(self, *names: str) -> None:
        """Wait until these are known."""
        async with asyncio.timeout(TIMEOUT_S):
            while {event.member.name for event in self.events if isinstance(event, Joined)} < set(names):
                self._news.clear()
                await self._news.wait()

    def _take(self, news: list[Event]) -> None:
        self.events.extend(news)
        self._news.set()


def test_nodes_find_each_other_over_one_seed() -> None:
    """The second and the third know the first alone, and then all know all."""

    async def main() -> None:
        nodes = [Gossiper(name) for name in "abc"]
        for node in nodes:
            await node.open()
        for node in nodes[1:]:
            loop = asyncio.get_running_loop()
            node.gossip.perform(node.swim.join(loop.time(), [nodes[0].address]))
        await asyncio.gather(nodes[0].meets("b", "c"), nodes[1].meets("a", "c"), nodes[2].meets("a", "b"))
        for node in nodes:
            await node.close()

    asyncio.run(main())


def test_garbage_is_none_of_its_business() -> None:
    """Datagrams from anywhere are counted, and the timer goes on."""

    async def main() -> None:
        node = Gossiper("a")
        await node.open()
        for garbage in (b"", b"x", bytes(1000)):
            node.gossip.datagram_received(garbage, ("192.0.2.1", 5))
        node.gossip.error_received(OSError())
        assert (node.events, node.gossip.traffic.datagrams_in) == ([], 1001)
        await node.close()
        node.gossip.perform(node.swim.join(asyncio.get_running_loop().time(), []))
        assert node.gossip._timer is None

    asyncio.run(main())


def talk(answer: bytes, then: Callable[[Address], Coroutine[None, None, bytes]] | None = None) -> bytes:
    """Exchange a message with a listener that answers so and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(8) == frames.frame(frames.GOSSIP, b"abc")
        writer.write(answer)
        writer.close()

    async def main() -> bytes:
        async with await asyncio.start_server(serve, HOST, 0) as listener:
            address: Address = listener.sockets[0].getsockname()
            return await (then(address) if then is not None else exchange(address, b"abc"))

    return asyncio.run(main())


def test_a_message_over_tcp_has_one_answer() -> None:
    """The body of the first frame; what hangs up before is an EOFError."""
    assert talk(frames.frame(frames.GOSSIP, b"cba") + b"more") == b"cba"
    with pytest.raises(EOFError):
        talk(frames.frame(frames.GOSSIP, b"cba")[:-1])
    with pytest.raises(ProtocolError):
        talk(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", frames.frame(frames.GOSSIP, b"junk")])
def test_an_exchange_that_fails_is_reported_to_the_machine(answer: bytes) -> None:
    """Whoever answers and however: no task dies of it."""

    async def then(address: Address) -> bytes:
        node = Gossiper("a")
        await node.open()
        node.gossip._loop.set_exception_handler(lambda _loop, context: node.events.append(context))  # type: ignore[arg-type] # any event will do
        await node.gossip._exchange(address, b"abc")
        assert node.events == []
        await node.close()
        return b""

    talk(answer, then)


def test_where_nobody_listens_an_exchange_fails() -> None:
    """A connection that is refused is an OSError to the caller."""
    with socket.create_server((HOST, 0)) as listener:
        address: Address = listener.getsockname()
    with pytest.raises(OSError, match=r"."):
        asyncio.run(exchange(address, b"abc"))
