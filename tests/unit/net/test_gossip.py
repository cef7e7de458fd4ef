"""The membership machine on a real socket."""

import asyncio
import random
import socket
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Final

import pytest

from respcache.cluster.membership import LOCAL, Address, Event, Joined, Meta, Recovered, Suspected, Swim
from respcache.cluster.sealing.channel import Identity
from respcache.cluster.sealing.keyring import Key, Keyring
from respcache.cluster.sealing.sealing import Sealing
from respcache.errors import ProtocolError
from respcache.net import frames
from respcache.net.door import Door
from respcache.net.gossip import LATE_S, Gossip, exchange
from respcache.net.sockets import bind_pair

HOST: Final = "127.0.0.1"
TIMEOUT_S: Final = 5.0
DATAGRAMS: Final = 10


class Gossiper:
    """A node that knows nothing but who is there."""

    def __init__(self, name: str, sealing: Callable[[Identity], Sealing] | None = None) -> None:
        self._stream, self._datagram = bind_pair(HOST, 0)
        self.address: Final[Address] = self._stream.getsockname()
        self.events: Final[list[Event]] = []
        self.on_turn: Callable[[], None] = lambda: None
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
        self.sealing: Final = None if sealing is None else sealing(Identity(name, 1))
        self.hangs = False
        self.gossip: Final = Gossip(self.swim, self._take, hangs=lambda _now: self.hangs, sealing=self.sealing)
        self._door: Final = Door(
            meeting_point=b"",
            gossip=self.gossip.stream,
            pass_on=lambda connection, *_: connection.close(),
            sealing=self.sealing,
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
        self.on_turn()
        self._news.set()


def sealed(me: Identity, *, secret: bytes = b"k" * 32, plaintext: bool = False) -> Sealing:
    """Give a node a key, the same one as all others by default."""
    dice = random.Random(me.name)
    return Sealing(Keyring((Key.of(secret),)), me, label="", entropy=dice.randbytes, plaintext=plaintext)


@pytest.mark.parametrize("sealing", [None, sealed])
def test_nodes_find_each_other_over_one_seed(sealing: Callable[[Identity], Sealing] | None) -> None:
    """The second and the third know the first alone, and then all know all; with keys and without."""

    async def main() -> None:
        nodes = [Gossiper(name, sealing) for name in "abc"]
        for node in nodes:
            await node.open()
        for node in nodes[1:]:
            loop = asyncio.get_running_loop()
            node.gossip.perform(node.swim.join(loop.time(), [nodes[0].address]))
        await asyncio.gather(nodes[0].meets("b", "c"), nodes[1].meets("a", "c"), nodes[2].meets("a", "b"))
        for node in nodes:
            await node.close()

    asyncio.run(main())


def test_a_node_that_hangs_is_suspected_and_suspects_nobody() -> None:
    """It is as if its process stood still; when it goes on it clears itself."""

    async def main() -> None:
        hung, other = Gossiper("a"), Gossiper("b")
        await hung.open()
        await other.open()
        other.gossip.perform(other.swim.join(asyncio.get_running_loop().time(), [hung.address]))
        await asyncio.gather(hung.meets("b"), other.meets("a"))
        hung.hangs = True
        async with asyncio.timeout(6 * TIMEOUT_S):
            while not any(isinstance(event, Suspected) for event in other.events):  # noqa: ASYNC110 # found by time
                await asyncio.sleep(0.01)
        with pytest.raises(EOFError):
            await exchange(hung.address, b"are you there")
        assert {type(event) for event in hung.events} == {Joined}
        hung.hangs = False
        async with asyncio.timeout(6 * TIMEOUT_S):
            while not isinstance(other.events[-1], Recovered | Joined):  # noqa: ASYNC110 # found by time as well
                await asyncio.sleep(0.01)
        await hung.close()
        await other.close()

    asyncio.run(main())


def test_what_has_arrived_is_read_before_a_late_verdict() -> None:
    """The thread was kept waiting until its timer was due: datagrams come first, all of them, and then the timer."""
    turns: list[int] = []

    async def main() -> None:
        node = Gossiper("a")
        node.on_turn = lambda: turns.append(node.swim.stats.dropped["decode"])
        await node.open()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            for _ in range(DATAGRAMS):
                other.sendto(b"no packet", node.address)
        wait_s = max(0.0, node.swim.deadline - asyncio.get_running_loop().time()) + 2 * LATE_S
        time.sleep(wait_s)  # noqa: ASYNC251 # this is what keeps the thread waiting
        async with asyncio.timeout(TIMEOUT_S):
            while len(turns) <= DATAGRAMS:  # noqa: ASYNC110 # one turn of the loop after the other
                await asyncio.sleep(0)
        await node.close()

    asyncio.run(main())
    assert turns[: DATAGRAMS + 1] == [*range(1, DATAGRAMS + 1), DATAGRAMS]


def test_nodes_with_other_keys_do_not_find_each_other(caplog: pytest.LogCaptureFixture) -> None:
    """Neither with none; one line says so, however often it is tried."""

    async def main() -> None:
        node = Gossiper("a", sealed)
        others = [Gossiper("b", partial(sealed, secret=b"x" * 32)), Gossiper("c")]
        for each in (node, *others):
            await each.open()
        loop = asyncio.get_running_loop()
        for other in others:
            for _ in range(2):
                await other.gossip._exchange(node.address, b"let me in")
                await node.gossip._exchange(other.address, b"let me in")
            other.gossip.perform(other.swim.join(loop.time(), [node.address]))
            other.gossip._send(node.address, b"\x96let me in")
        async with asyncio.timeout(TIMEOUT_S):
            assert node.sealing is not None
            dropped = node.sealing.datagrams.dropped
            while not (dropped["key"] and dropped["plaintext"]):  # noqa: ASYNC110 # counts have no events
                await asyncio.sleep(0.01)
        for each in (node, *others):
            assert each.events == []
            await each.close()

    asyncio.run(main())
    told = [record.getMessage() for record in caplog.records if "is not understood" in record.getMessage()]
    assert len(told) == 3


def test_a_node_that_lets_plain_ones_in_talks_to_both() -> None:
    """While a cluster moves from no keys to keys."""

    async def main() -> None:
        nodes = [Gossiper("a"), *(Gossiper(name, partial(sealed, plaintext=True)) for name in "bc"), Gossiper("d")]
        for node in nodes:
            await node.open()
        loop = asyncio.get_running_loop()
        for node in nodes[1:]:
            node.gossip.perform(node.swim.join(loop.time(), [nodes[0].address]))
        await asyncio.gather(*(node.meets(*({"a", "b", "c", "d"} - {node.swim.me.name})) for node in nodes))
        async with asyncio.timeout(TIMEOUT_S):
            sealing = nodes[1].sealing
            assert sealing is not None
            while nodes[2].address not in sealing.datagrams._peers:  # noqa: ASYNC110 # nor has this
                await asyncio.sleep(0.01)
        assert sealing.datagrams._peers.keys() == {nodes[2].address}
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
