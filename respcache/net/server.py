"""The RESP port: listens, admits clients, and knows all that are connected."""

import asyncio
import logging
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic, time
from typing import Final, cast

from respcache.addresses import host_in, is_loopback
from respcache.commands.session import Session
from respcache.complaints import Complaints
from respcache.config import ServerConfig
from respcache.engine.executor import Executor
from respcache.leaving import Losses
from respcache.net.connection import Connection
from respcache.pending import Farewell
from respcache.stats import Stats

BACKLOG: Final = 511
"""Connections that may wait to be accepted (Redis' `tcp-backlog`)."""
LINGER_S: Final = 0.001
"""How long a reply that is there may wait for those behind it, which other nodes are still to give: so they go to the
client in one write, where replies to a pipeline through one of three nodes took two or three."""
PART_POLL_S: Final = 0.01
"""How often a node that leaves looks whether its clients have all been answered."""

if sys.platform == "darwin":
    KEEPALIVE: Final = socket.TCP_KEEPALIVE
else:
    KEEPALIVE: Final = socket.TCP_KEEPIDLE
"""The socket option for the seconds of silence before the first probe."""
KEEPALIVE_MAX_S: Final = 32_767
"""The longest that Linux takes."""

PROTECTED: Final = (
    b"-DENIED this node is in protected mode: it has no password and accepts no clients from other machines. "
    b"Set a password (requirepass), or bind it to a loopback address only, or switch protected-mode off "
    b"if everyone who can reach it may use it.\r\n"
)
TOO_MANY: Final = b"-ERR max number of clients reached\r\n"

log: Final = logging.getLogger(__name__)


class Server:
    """All client connections of one node."""

    def __init__(
        self,
        config: ServerConfig,
        executor: Executor,
        stats: Stats,
        session: Callable[[str, str], Session],
        *,
        soon: Callable[[Callable[[], None]], object],
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        """`session(address, local_address)` makes the state of a new client.

        `soon` calls a function at the end of this turn of the event loop, `later` after so many seconds.
        """
        self.configure(config)
        self.executor: Final = executor
        self.stats: Final = stats
        self.complaints: Final = Complaints(log)
        """What the log is told of clients."""
        self.soon: Final = soon
        self._later: Final = later
        self.now_unix_s = int(time())
        self._session: Final = session
        self._connections: Final[dict[Connection, None]] = {}
        self._lingering: dict[Connection, None] = {}
        self._listener: asyncio.Server | None = None

    def configure(self, config: ServerConfig) -> None:
        """Take up settings, the first or changed ones."""
        self.config = config
        self.query_buffer_max_bytes = config.client_query_buffer_limit_bytes

    async def listen(self, bound: socket.socket) -> None:
        """Take clients in on a bound socket."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._connect, sock=bound, backlog=BACKLOG)

    def admit(self, connection: Connection, transport: asyncio.Transport) -> bytes | None:
        """Take a client in, or return the error to send it away with."""
        session = self._session(_address(transport, "peername"), _address(transport, "sockname"))
        session.transmit = connection.push
        connection.session = session
        reason, refusal = self._verdict(transport)
        if refusal is not None:
            self.stats.connections_rejected[reason] += 1
            return refusal
        self.stats.connections_accepted += 1
        self._connections[connection] = None
        client: socket.socket | None = transport.get_extra_info("socket")
        if client is not None and client.family != socket.AF_UNIX:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.config.tcp_keepalive_s:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                client.setsockopt(socket.IPPROTO_TCP, KEEPALIVE, min(self.config.tcp_keepalive_s, KEEPALIVE_MAX_S))
        return None

    def linger(self, connection: Connection) -> None:
        """Have the replies that a connection keeps back sent within LINGER_S.

        Most go before, with those behind them. One timer for all connections: the first to linger starts it.
        """
        is_first = not self._lingering
        self._lingering[connection] = None
        if is_first:
            self._later(LINGER_S, self._end_lingering)

    def _end_lingering(self) -> None:
        lingering, self._lingering = self._lingering, {}
        for connection in lingering:
            connection.send_ready()

    def dismiss(self, connection: Connection) -> None:
        """Forget a client whose connection has ended."""
        session = connection.session
        session.transmit = None
        session.host.monitors.leave(session)
        if session.subscribed:
            session.host.exchange.dismiss(session)
            session.subscribed = 0
        if session.tracker is not None:
            session.host.tracking.disable(session)
        if connection in self._connections:
            del self._connections[connection]
            self.stats.disconnects[connection.ended] += 1

    def sessions(self) -> Sequence[Session]:
        """List the connected clients, oldest first; one that was killed is gone, though its connection ends later."""
        return [connection.session for connection in self._connections if not connection.session.killed]

    def sweep(self) -> None:
        """Look after all clients once: the idle, the killed, those that are owed too much, and all together.

        To be called `hz` times a second.
        """
        self.now_unix_s = int(time())
        timeout_s = self.config.timeout_s
        for connection in list(self._connections):
            session = connection.session
            if session.killed:
                connection.end("killed")
            elif timeout_s and not session.is_patient and self.now_unix_s - session.last_active_unix_s > timeout_s:
                connection.end("idle")
            else:
                connection.review()
        if self.config.maxmemory_clients_bytes:
            self._make_room(self.config.maxmemory_clients_bytes)

    def _make_room(self, limit_bytes: int) -> None:
        """Disconnect those for whom most is held, until no more than that is held for all together."""
        held = [(connection.held_bytes, connection) for connection in self._connections]
        total_bytes = sum([size for size, _ in held])
        if total_bytes <= limit_bytes:
            return
        held.sort(key=_size, reverse=True)
        for size, connection in held:
            if total_bytes <= limit_bytes:
                break
            if not connection.session.no_evict:
                total_bytes -= size
                address = connection.session.address
                line = "client %s is disconnected: %d bytes are held for it"
                self.complaints.warn("held", host_in(address), line, address, size)
                connection.end("evicted")

    def wind_down(self) -> None:
        """Refuse new clients, and hang up on each of the others right behind the reply to what it sends next."""
        self._refuse()
        for connection in self._connections:
            connection.transport.set_protocol(Parting(connection))

    async def part(self, *, silent_s: float, answered_s: float) -> None:
        """Hang up on all clients, so that as few as possible are left in doubt about what they have sent.

        Within `silent_s` on each behind its reply to what it sends next, then on those that have sent nothing. Who
        waits for a reply by then still gets it, if it comes within `answered_s`, counted from the beginning as well:
        commands wait for owners, for locks and for copies. Who waits for a key, or for the end of the node, is not
        waited for.
        """
        began_s = monotonic()
        self.wind_down()
        while self._has_company() and monotonic() < began_s + silent_s:  # noqa: ASYNC110 # sessions have no events
            await asyncio.sleep(PART_POLL_S)
        self.close()
        while self._owes_replies() and monotonic() < began_s + answered_s:  # noqa: ASYNC110 # nor have replies
            await asyncio.sleep(PART_POLL_S)

    def _has_company(self) -> bool:
        return any(not isinstance(session.barrier, Farewell) for session in self.sessions())

    def _owes_replies(self) -> bool:
        return any(
            connection.waits
            and not connection.session.is_blocked
            and not isinstance(connection.session.barrier, Farewell)
            for connection in self._connections
        )

    @property
    def replies_limit_bytes(self) -> int:
        """How much of what a client has asked for may wait for it."""
        return self.config.client_output_buffer_limit_bytes

    def output_limit_bytes(self, session: Session) -> int:
        """Tell how much a client may leave unread: it depends on whether it is sent what it did not ask for."""
        config = self.config
        unasked = session.subscribed or session.monitors
        return config.pubsub_output_buffer_limit_bytes if unasked else config.client_output_buffer_limit_bytes

    def close(self) -> None:
        """Refuse new clients and end all connections; the replies already written are sent."""
        self._refuse()
        for connection in list(self._connections):
            _drain(connection)

    def abandon(self) -> None:
        """End the connections that wait for replies: none will come any more."""
        for connection in list(self._connections):
            if connection.waits and not isinstance(connection.session.barrier, Farewell):
                connection.end("drain")

    def finish(self, losses: Losses, *, complete: bool | None) -> None:
        """End the connections that are left: of those who wait for the end of the node.

        They are told whether everything was handed over, and what is lost; and nothing at all of a node that stops
        without leaving.
        """
        for connection in list(self._connections):
            if complete is not None and isinstance(connection.session.barrier, Farewell):
                connection.session.barrier.bid(complete=complete, gone=losses.leaves_keys, losses=str(losses))
            self.soon(partial(connection.end, "drain"))  # behind the reply, which goes at the end of this turn

    def _refuse(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _connect(self) -> asyncio.BaseProtocol:
        return cast("asyncio.BaseProtocol", Connection(self))  # which it is by its methods

    def _verdict(self, transport: asyncio.Transport) -> tuple[str, bytes | None]:
        if len(self._connections) >= self.config.maxclients:
            return "maxclients", TOO_MANY
        if self.config.protected_mode and not self.config.requirepass and not _is_local(transport):
            return "protected", PROTECTED
        return "", None


class Parting(asyncio.Protocol):
    """Takes the place of a connection whose node leaves: what comes next is answered, then the node hangs up.

    A client that waits for each reply has nothing under way at that moment, so nothing of it is
    cut off. At any other moment it may just have sent a request, and would not be able to tell
    whether that was run. One that says nothing is hung up on in the end.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection: Final = connection

    def data_received(self, data: bytes) -> None:
        """Run what has come in, and hang up behind the replies unless there is more to be run."""
        connection = self._connection
        connection.data_received(data)
        if not connection.unfinished:
            _drain(connection)

    def eof_received(self) -> bool:
        """End with the client."""
        return self._connection.eof_received()

    def pause_writing(self) -> None:
        """Pass it on."""
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._connection.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on."""
        self._connection.connection_lost(exc)


def _drain(connection: Connection) -> None:
    """Read nothing more from a client, and hang up once it has its replies."""
    connection.ended = "drain"
    connection.session.closing = True
    connection.push(b"")


def _size(held: tuple[int, Connection]) -> int:
    return held[0]


def _address(transport: asyncio.Transport, end: str) -> str:
    name = transport.get_extra_info(end)
    if not isinstance(name, tuple):
        return str(name or "")
    host, port = name[0], name[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_local(transport: asyncio.Transport) -> bool:
    name = transport.get_extra_info("peername")
    if not isinstance(name, tuple):
        return True
    return is_loopback(name[0])
