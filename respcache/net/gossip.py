"""Drives the membership machine: datagrams, streams, timer, seeds."""

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine
from typing import Any, Final, cast

from respcache.cluster.membership import Address, Effect, Event, Send, SendStream, Swim
from respcache.errors import ProtocolError
from respcache.net import frames
from respcache.net.frames import FrameReader

STREAM_TIMEOUT_S: Final = 2.0
READ_BYTES: Final = 64 * 1024

log: Final = logging.getLogger(__name__)


class Gossip(asyncio.DatagramProtocol):
    """The membership machine on a socket of its own and on the node's event loop."""

    def __init__(self, swim: Swim, on_event: Callable[[Event], None]) -> None:
        self.swim: Final = swim
        self._on_event: Final = on_event
        self._transport: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._loop: asyncio.AbstractEventLoop
        self.bytes_in = 0
        self.bytes_out = 0

    async def open(self, bound: socket.socket) -> None:
        """Begin to listen on a bound UDP socket."""
        self._loop = asyncio.get_running_loop()
        await self._loop.create_datagram_endpoint(lambda: self, sock=bound)
        self._arm()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """Hand a datagram to the machine, which refuses what is none of its own."""
        self.bytes_in += len(data)
        self.perform(self.swim.datagram(self._loop.time(), (addr[0], addr[1]), data))

    def error_received(self, exc: Exception) -> None:
        """Ignore: a datagram that could not be delivered is a lost one."""
        del exc

    def stream(self, body: bytes) -> bytes:
        """Answer a message that came over TCP."""
        reply, effects = self.swim.stream(self._loop.time(), body)
        self.perform(effects)
        return reply

    def perform(self, effects: list[Effect]) -> None:
        """Carry out what the machine asks for, and set the timer anew."""
        for effect in effects:
            match effect:
                case Send(address, payload):
                    self._send(address, payload)
                case SendStream(address, payload):
                    self._start(self._exchange(address, payload))
                case _:
                    self._on_event(effect)
        self._arm()

    async def close(self) -> None:
        """Stop; nothing more is sent."""
        if self._timer is not None:
            self._timer.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def _send(self, address: Address, payload: bytes) -> None:
        if self._transport is not None:
            self.bytes_out += len(payload)
            self._transport.sendto(payload, address)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _exchange(self, address: Address, payload: bytes) -> None:
        try:
            async with asyncio.timeout(STREAM_TIMEOUT_S):
                reply = await exchange(address, payload)
        except (OSError, TimeoutError, EOFError, ProtocolError):
            effects = self.swim.stream_failed(self._loop.time(), address)
        else:
            effects = self.swim.stream_reply(self._loop.time(), address, reply)
        self.perform(effects)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        if self._transport is not None and self.swim.deadline < float("inf"):
            self._timer = self._loop.call_at(self.swim.deadline, self._tick, self.swim.deadline)

    def _tick(self, due: float) -> None:
        self._timer = None
        self.perform(self.swim.tick(max(due, self._loop.time())))


async def exchange(address: Address, payload: bytes) -> bytes:
    """Send one gossip message over TCP and return the reply. Raises OSError, EOFError, ProtocolError."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(frames.frame(frames.GOSSIP, payload))
        cutter = FrameReader()
        cutter.body_max_bytes = frames.BODY_MAX_BYTES
        while True:
            chunk = await reader.read(READ_BYTES)
            if not chunk:
                raise EOFError
            complete = cutter.feed(chunk)
            if complete:
                return complete[0][1]
    finally:
        writer.close()
