"""Stands between nodes on real sockets, loses what it is told to lose, and cuts whom it is told to cut.

Every node binds 127.0.0.1 and advertises an address of the switchboard's, 127.1.0.x with the same
port. So all that nodes send each other passes through here, and an answer to where a
datagram seems to come from does, too. Needs no privileges; only Linux answers on all of 127.0.0.0/8 by itself.
"""

import asyncio
import random
from collections.abc import Iterable
from itertools import product
from typing import Any, Final, Self, cast

from loopback import HOST
from respcache.cluster.membership.wire import decode_stream
from respcache.net import frames, messages
from respcache.net.frames import FrameReader

READ_BYTES: Final = 64 * 1024
RETRANSMIT_S: Final = 0.2
"""What a lost segment costs a TCP connection at least."""
CONNECT_RETRY_S: Final = 1.0
"""What a lost SYN costs."""


class Switchboard:
    """The network of some nodes, by their numbers."""

    def __init__(self, seed: int) -> None:
        self._dice: Final = random.Random(seed)
        self._plugs: Final[dict[int, _Plug]] = {}
        self._numbers: Final[dict[str, int]] = {}
        self._cut: set[tuple[int, int]] = set()
        self._mended: Final = asyncio.Event()
        self.loss = 0.0
        """The share of packets that are lost, each way. A lost segment of a connection is late instead."""
        self.passed = 0
        self.lost = 0
        """Datagrams."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *failure: object) -> None:
        """Pull all plugs."""
        for plug in self._plugs.values():
            await plug.close()

    async def plug(self, number: int, name: str, port: int) -> str:
        """Connect a node that binds the port on 127.0.0.1; return the host that it has to advertise."""
        plug = self._plugs[number] = _Plug(self, number, port)
        self._numbers[name] = number
        await plug.open()
        return plug.host

    def host_of(self, number: int) -> str | None:
        """Return the host that a node has to advertise, if it is connected."""
        plug = self._plugs.get(number)
        return None if plug is None else plug.host

    def cut(self, one_side: Iterable[int], other_side: Iterable[int]) -> None:
        """Let nothing pass between two groups, and tell nobody, as with a cable that is pulled."""
        pairs = set(product(one_side, other_side))
        self._cut |= pairs | {(there, here) for here, there in pairs}

    def mend(self) -> None:
        """End all cuts; what was held up in connections goes on its way."""
        self._cut = set()
        self._mended.set()
        self._mended.clear()

    def datagram(self, sender_port: int, receiver: int, payload: bytes) -> None:
        """Pass a datagram on, or lose it."""
        sender = next((number for number, plug in self._plugs.items() if plug.port == sender_port), None)
        if sender is None or (sender, receiver) in self._cut or self._dice.random() < self.loss:
            self.lost += 1
            return
        self.passed += 1
        self._plugs[sender].send(payload, self._plugs[receiver].port)

    async def passage(self, sender: int | None, receiver: int, *, lost_s: float = RETRANSMIT_S) -> None:
        """Wait until a segment gets through; `sender` is None where nobody can tell."""
        tries = 0
        while self._dice.random() < self.loss:
            tries += 1
        await asyncio.sleep(tries * lost_s)
        while any(pair == (sender, receiver) or (sender is None and receiver in pair) for pair in self._cut):
            await self._mended.wait()

    def sender_of(self, received: bytes) -> int | None:
        """Tell by the first bytes of a connection who has dialled; None for a question where to join."""
        if received.startswith(b"*"):
            return None
        reader = FrameReader()
        reader.body_max_bytes = frames.GOSSIP_MAX_BYTES
        ((kind, body), *_) = reader.feed(received)
        name = messages.decode_greeting(body).name if kind == frames.HELLO else decode_stream(body).sender
        return self._numbers[name]


class _Plug(asyncio.DatagramProtocol):
    """One node's place at the switchboard."""

    def __init__(self, board: Switchboard, number: int, port: int) -> None:
        self._board: Final = board
        self._number: Final = number
        self.host: Final = f"127.1.0.{number}"
        self.port: Final = port
        self._transport: asyncio.DatagramTransport
        self._server: asyncio.Server
        self._calls: Final[set[asyncio.Task[None]]] = set()

    async def open(self) -> None:
        """Listen where the other nodes believe this one to be."""
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=(self.host, self.port))
        self._server = await asyncio.start_server(self._called, self.host, self.port)

    async def close(self) -> None:
        """Stop."""
        self._transport.close()
        self._server.close()
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """Take a datagram for the node."""
        self._board.datagram(addr[1], self._number, data)

    def error_received(self, exc: Exception) -> None:
        """Ignore: a node that is gone does not listen."""
        del exc

    def send(self, payload: bytes, port: int) -> None:
        """Send a datagram in the name of the node."""
        self._transport.sendto(payload, (HOST, port))

    def _called(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call = asyncio.get_running_loop().create_task(self._connect(reader, writer))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect a caller with the node, for as long as both want."""
        try:
            received = await _first(reader)
            sender = self._board.sender_of(received)
            await self._board.passage(sender, self._number, lost_s=CONNECT_RETRY_S)
            there_reader, there_writer = await asyncio.open_connection(HOST, self.port)
            try:
                there_writer.write(received)
                async with asyncio.TaskGroup() as pumps:
                    pumps.create_task(self._pump(sender, reader, there_writer))
                    pumps.create_task(self._pump(sender, there_reader, writer))
            finally:
                there_writer.transport.abort()
        except (OSError, asyncio.IncompleteReadError, ExceptionGroup):
            pass
        finally:
            writer.transport.abort()

    async def _pump(self, sender: int | None, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Pass bytes on until the source ends; the end is passed on, too."""
        while chunk := await source.read(READ_BYTES):
            await self._board.passage(sender, self._number)
            sink.write(chunk)
            await sink.drain()
        sink.close()
        await sink.wait_closed()


async def _first(reader: asyncio.StreamReader) -> bytes:
    """Read what a connection begins with: a whole frame, or some of a question."""
    start = await reader.readexactly(1)
    if start == b"*":
        return start
    head = start + await reader.readexactly(frames.HEAD_BYTES - 1)
    return head + await reader.readexactly(int.from_bytes(head[:4], "big"))
