"""Drives the membership machine: datagrams, streams, timer."""

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, cast

from respcache.cluster.membership import Address, Effect, Event, Send, SendStream, Swim
from respcache.cluster.sealing.channel import ChannelBroken
from respcache.cluster.sealing.sealing import Sealing
from respcache.errors import ProtocolError
from respcache.net import frames
from respcache.net.names import AddressBook, Names
from respcache.net.sealed import Wire

STREAM_TIMEOUT_S: Final = 2.0
READ_BYTES: Final = 64 * 1024
LATE_S: Final = 0.005
"""So late is a timer only on a thread that was kept waiting, and then datagrams wait, too."""
CATCH_UP_DATAGRAMS_MAX: Final = 512
"""What is read of them before the timer's turn; more may come in as fast as they are read."""
LAG_MAX_MS: Final = 2**31
"""The message has no room for more; 25 days."""
HANGS_UP: Final = "it hangs up on this node: it has other keys, or none, or belongs to another cluster"

log: Final = logging.getLogger(__name__)


@dataclass(slots=True)
class Traffic:
    """Bytes of the membership protocol since the start; what goes with a connection or a datagram is not counted."""

    datagrams_in: int = 0
    datagrams_out: int = 0
    streams_in: int = 0
    streams_out: int = 0


HUNG_POLL_S: Final = 0.1
"""How often a node that hangs looks whether it still does."""
HANGS: Final = "hangs, so this node says nothing to the others: they take over what it cannot serve"


class Gossip(asyncio.DatagramProtocol):
    """The membership machine on a socket and an event loop, which should be its own (see `net.membership`)."""

    def __init__(
        self,
        swim: Swim,
        on_turn: Callable[[list[Event]], None],
        *,
        lag_s: Callable[[float], float] = lambda _now: 0.0,
        hangs: Callable[[float], bool] = lambda _now: False,
        sealing: Sealing | None = None,
    ) -> None:
        """`on_turn` is given the news, if any, after every input.

        `lag_s` tells how late the node's own event loop is, in seconds: the others are told, too. While it `hangs`,
        this machine stands still as well: it is no life to answer for a node that does nothing, and as long as the
        others take it for alive nobody takes over what it should serve.
        Without `sealing`, everything is said in plain.
        """
        self.swim: Final = swim
        self._on_turn: Final = on_turn
        self._lag_s: Final = lag_s
        self._hangs: Final = hangs
        self._hung = False
        """Whether the log says that it does."""
        self._sealing: Final = sealing
        self._transport: asyncio.DatagramTransport | None = None
        self._bound: socket.socket
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = float("inf")
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._quiet: Final = asyncio.Event()
        self._book: Final = AddressBook(Names(), self._start)
        self._told: Final[set[Address]] = set()
        """The nodes of which it was logged that there is no talking to them."""
        self._loop: asyncio.AbstractEventLoop
        self.traffic: Final = Traffic()

    async def open(self, bound: socket.socket) -> None:
        """Begin to listen on a bound UDP socket."""
        self._loop = asyncio.get_running_loop()
        self._bound, self._book.family = bound, bound.family
        await self._loop.create_datagram_endpoint(lambda: self, sock=bound)
        self._arm()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """Hand a datagram to the machine, which refuses what is none of its own."""
        self.traffic.datagrams_in += len(data)
        if self._is_hung():
            return
        source, payload = (addr[0], addr[1]), data
        if self._sealing is not None:
            opened = self._sealing.datagrams.open(source, data)
            for address, answer in opened.answers:
                self._put(address, answer)
            if opened.payload is None:
                return
            payload = opened.payload
        now = self._show()
        self.perform(self.swim.datagram(now, source, payload))

    def error_received(self, exc: Exception) -> None:
        """Ignore: a datagram that could not be delivered is a lost one."""
        del exc

    def stream(self, body: bytes) -> bytes:
        """Answer a message that came over TCP. Raises TimeoutError if the node hangs."""
        if self._is_hung():
            raise TimeoutError
        now = self._show()
        reply, effects = self.swim.stream(now, body)
        self.traffic.streams_in += len(body)
        self.traffic.streams_out += len(reply)
        self.perform(effects)
        return reply

    def perform(self, effects: list[Effect]) -> None:
        """Carry out what the machine asks for, and set the timer anew."""
        news: list[Event] = []
        for effect in effects:
            match effect:
                case Send(address, payload):
                    self._send(address, payload)
                case SendStream(address, payload):
                    self._start(self._exchange(address, payload))
                case _:
                    news.append(effect)
        self._on_turn(news)
        if self.swim.spreading:
            self._quiet.clear()
        else:
            self._quiet.set()
        self._arm()

    async def quiet(self) -> None:
        """Wait until no rumour has to be passed on any more, and calls have ended."""
        await self._quiet.wait()
        await asyncio.gather(*self._tasks, return_exceptions=True)

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

    def _show(self) -> float:
        """Say in whatever is sent from now on how this node is doing; return the time."""
        now = self._loop.time()
        self.swim.set_lag(min(round(1000 * self._lag_s(now)), LAG_MAX_MS))
        return now

    def _is_hung(self) -> bool:
        now = self._loop.time()
        self._lag_s(now)  # asks for a sign of life
        hung = self._hangs(now)
        if hung != self._hung:
            self._hung = hung
            log.warning("the event loop %s", HANGS if hung else "turns again: this node speaks to the others")
        return hung

    def _send(self, address: Address, payload: bytes) -> None:
        sealed = [payload] if self._sealing is None else self._sealing.datagrams.seal(address, payload)
        for datagram in sealed:
            self._put(address, datagram)

    def _put(self, address: Address, datagram: bytes) -> None:
        place = self._book.find(self._loop.time(), address)
        if self._transport is not None and place is not None:
            self.traffic.datagrams_out += len(datagram)
            self._transport.sendto(datagram, place)  # which would wait for a name to be resolved

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _exchange(self, address: Address, payload: bytes) -> None:
        self.traffic.streams_out += len(payload)
        try:
            async with asyncio.timeout(STREAM_TIMEOUT_S):
                reply = await exchange(address, payload, self._sealing)
        except (OSError, TimeoutError, EOFError, ProtocolError) as problem:
            if isinstance(problem, ChannelBroken) and address not in self._told:
                self._told.add(address)
                log.warning("%s:%d is not understood: %s", *address, problem)
            effects = self.swim.stream_failed(self._loop.time(), address)
        else:
            self.traffic.streams_in += len(reply)
            self._told.discard(address)
            effects = self.swim.stream_reply(self._loop.time(), address, reply)
        self.perform(effects)

    def _arm(self) -> None:
        due = self.swim.deadline if self._transport is not None else float("inf")
        if due == self._timer_due:
            return  # as after most packets
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_due = None, due
        if due < float("inf"):
            self._timer = self._loop.call_at(due, self._tick, due)

    def _tick(self, due: float) -> None:
        if self._is_hung():  # and finds later how late it is, and judges nobody
            self._timer = self._loop.call_at(self._loop.time() + HUNG_POLL_S, self._tick, due)
            return
        self._timer, self._timer_due = None, float("inf")
        if self._loop.time() > due + LATE_S:
            self._catch_up()
        self.perform(self.swim.tick(max(due, self._show())))

    def _catch_up(self) -> None:
        """Read what has arrived before anybody is judged for not having answered.

        The event loop itself takes one datagram, then the timers that are due, and only then the next datagram.
        """
        for _ in range(CATCH_UP_DATAGRAMS_MAX):
            try:
                data, address = self._bound.recvfrom(READ_BYTES)
            except BlockingIOError:
                return
            except OSError as problem:
                self.error_received(problem)
            else:
                self.datagram_received(data, address)


async def exchange(address: Address, payload: bytes, sealing: Sealing | None = None) -> bytes:
    """Send one gossip message over TCP and return the reply. Raises OSError, EOFError, ProtocolError."""
    try:
        return await _exchanged(address, payload, Wire(sealing, dialled=address))
    except (OSError, EOFError, ProtocolError):
        if sealing is None or not sealing.plaintext:
            raise
        return await _exchanged(address, payload, Wire(sealing, dialled=address))  # the other way, of two


async def _exchanged(address: Address, payload: bytes, wire: Wire) -> bytes:
    understood = asked = False
    wire.trust(frames.GOSSIP_MAX_BYTES)
    reader, writer = await asyncio.open_connection(*address)
    try:
        writer.write(wire.begin(frames.INQUIRY))
        while True:
            if not asked and wire.is_ready:
                asked = True
                writer.write(wire.seal(frames.frame(frames.GOSSIP, payload)))
            chunk = await reader.read(READ_BYTES)
            if not chunk:
                raise EOFError if wire.is_ready else ChannelBroken("key", HANGS_UP)
            complete = wire.feed(chunk)
            understood = wire.is_ready
            if complete:
                return complete[0][1]
    finally:
        wire.ended(understood=understood)
        writer.close()
