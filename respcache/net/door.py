"""The cluster port, TCP: takes connections in and finds out what each of them is there for."""

import asyncio
import logging
import socket
from collections.abc import Callable
from functools import partial
from typing import Final

from respcache.cluster.sealing.sealing import Sealing
from respcache.errors import ProtocolError
from respcache.net import frames
from respcache.net.crowd import Crowd
from respcache.net.frames import HEAD_BYTES
from respcache.net.rejections import Rejections
from respcache.net.sealed import Wire
from respcache.net.seeds import QUESTION

BACKLOG: Final = 100
PATIENCE_S: Final = 5.0
"""A connection that has not said by then what it wants is closed."""
READ_BYTES: Final = 64 * 1024
ACCEPT_RETRY_S: Final = 0.5
"""After the system could not give us a connection, for want of file descriptors say."""

PassOn = Callable[[socket.socket, bytes], None]

log: Final = logging.getLogger(__name__)


class Door:
    """A listening socket that answers what is short by itself, and passes the rest on.

    accepted --RESP question----> answered, closed
        |-----GOSSIP, INQUIRY---> answered, closed
        |-----HELLO, HAIL-------> passed on, with what was read of it
        |-----anything else-----> closed
        `-----too many of them--> closed, if it is its turn (see `Crowd`)

    It runs on whichever event loop opens it, and does nothing on another.
    """

    def __init__(
        self,
        *,
        meeting_point: bytes,
        gossip: Callable[[bytes], bytes],
        pass_on: PassOn,
        sealing: Sealing | None = None,
    ) -> None:
        """`gossip` answers a message of the membership protocol; `pass_on` gets the socket of a link-to-be.

        Without `sealing` they come in plain.
        """
        self.rejections: Final = Rejections(log)
        self._sealing: Final = sealing
        self._meeting_point: Final = meeting_point
        self._gossip: Final = gossip
        self._pass_on: Final = pass_on
        self._strangers: Final[Crowd[asyncio.Task[bool]]] = Crowd()
        self._bound: socket.socket | None = None
        self._listening = False

    def open(self, bound: socket.socket) -> None:
        """Begin to take connections in on a bound socket. Raises OSError if somebody else listens there."""
        bound.listen(BACKLOG)
        self._bound = bound
        self._listen()

    async def close(self) -> None:
        """Stop, and cut those that have not said yet what they want."""
        self._pause()
        self._bound = None
        strangers = list(self._strangers)
        for stranger in strangers:
            stranger.cancel()
        await asyncio.gather(*strangers, return_exceptions=True)

    def _listen(self) -> None:
        if self._bound is not None and not self._listening:
            self._listening = True
            asyncio.get_running_loop().add_reader(self._bound, self._accept, self._bound)

    def _pause(self) -> None:
        if self._bound is not None and self._listening:
            self._listening = False
            asyncio.get_running_loop().remove_reader(self._bound)

    def _accept(self, bound: socket.socket) -> None:
        # Not `loop.sock_accept`, which drops what it has accepted, unclosed, if it is cancelled in that turn.
        try:
            connection, address = bound.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # they have gone again
        except OSError as reason:
            log.warning("the cluster port takes no connection: %s", reason)
            self._pause()
            asyncio.get_running_loop().call_later(ACCEPT_RETRY_S, self._listen)
            return
        connection.setblocking(False)
        host = str(address[0])
        stranger = asyncio.create_task(self._greet(connection, host))
        # Closed there and not within the task, which may be cancelled before it has begun.
        stranger.add_done_callback(partial(self._parted, connection, host))
        if (leaving := self._strangers.enter(stranger, host)) is not None:
            self.rejections.crowded_out()
            leaving.cancel()

    def _parted(self, connection: socket.socket, host: str, stranger: asyncio.Task[bool]) -> None:
        self._strangers.leave(stranger)
        problem = None if stranger.cancelled() else stranger.exception()
        if problem is not None:
            line = "a connection to the cluster port met a fault of this program"
            self.rejections.complaints.fault(host, line, problem)
        if stranger.cancelled() or problem is not None or not stranger.result():
            connection.close()

    async def _greet(self, connection: socket.socket, host: str) -> bool:
        """Serve a connection for as long as we have patience; True if it has another owner now."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._serve(connection)
        except ProtocolError as problem:
            self.rejections.cut(problem, host, "a connection from %s to the cluster port was cut: %s")
        except (OSError, EOFError, TimeoutError):
            pass  # whoever it was has gone, or never spoke
        return False

    async def _serve(self, connection: socket.socket) -> bool:
        """Do what a connection is there for; True if it has another owner now."""
        loop = asyncio.get_running_loop()
        received = await _read(connection)
        while QUESTION.startswith(received):
            if received == QUESTION:
                await loop.sock_sendall(connection, self._meeting_point)
                return False
            received += await _read(connection)
        if received.startswith(b"*"):
            raise ProtocolError("a Redis client: its port is another one")
        while len(received) < HEAD_BYTES:
            received += await _read(connection)
        kind = received[HEAD_BYTES - 1]
        if kind in {frames.HELLO, frames.HAIL}:
            self._pass_on(connection, received)
            return True
        if kind not in {frames.GOSSIP, frames.INQUIRY}:
            raise ProtocolError("no greeting")
        await self._answer(connection, received)
        return False

    async def _answer(self, connection: socket.socket, received: bytes) -> None:
        """Answer a message of the membership protocol."""
        loop = asyncio.get_running_loop()
        wire = Wire(self._sealing)
        wire.trust(frames.GOSSIP_MAX_BYTES)
        while not (complete := wire.feed(received)):
            if answer := wire.take():
                await loop.sock_sendall(connection, answer)
            received = await _read(connection)
        kind, body = complete[0]
        if kind != frames.GOSSIP:
            raise ProtocolError(f"a frame of kind {kind}")
        await loop.sock_sendall(connection, wire.seal(frames.frame(frames.GOSSIP, self._gossip(body))))


async def _read(connection: socket.socket) -> bytes:
    """Read what has come. Raises EOFError at the end, OSError if the connection breaks."""
    chunk = await asyncio.get_running_loop().sock_recv(connection, READ_BYTES)
    if not chunk:
        raise EOFError
    return chunk
