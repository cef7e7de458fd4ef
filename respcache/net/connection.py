"""One client's connection: bytes in, replies out, in order and within limits."""

import asyncio
import logging
import os
import re
import socket
from asyncio.protocols import BufferedProtocol
from collections import deque
from typing import TYPE_CHECKING, Final, cast

import hiredis

from respcache.errors import ProtocolError
from respcache.executor import NotARequest, Out
from respcache.pending import Pending
from respcache.resp.decode import Decoder

if TYPE_CHECKING:
    from respcache.commands.session import Session
    from respcache.net.server import Server

UNSENT_PAUSE_BYTES: Final = 1024 * 1024
"""Unsent replies above which a client's further requests wait in its socket."""
QUEUE_PAUSE: Final = 10_000
"""Replies waiting in the queue above which they do so too."""

FOREIGN: Final = re.compile(rb"\x16\x03|(?:CONNECT|DELETE|GET|HEAD|OPTIONS|PATCH|POST|PRI|PUT|TRACE) \S+ HTTP/[0-9]")
"""How clients begin that took this port for another: TLS, HTTP. No inline request that could be run looks like it."""

_NOTHING: Final = memoryview(b"")

log: Final = logging.getLogger(__name__)


class Connection(BufferedProtocol):
    """Reads requests, has them executed in batches, writes the replies of each batch at once.

    A reply that is not there yet holds up those behind it; the requests behind it run all
    the same.

    open --QUIT, kill, no RESP--> closing (nothing more is read) --all replies sent--> closed
      `------------ client gone, output limit, defect of the program -----------------^
    """

    __slots__ = (
        "_closing",
        "_decoder",
        "_descriptor",
        "_paused",
        "_queue",
        "_server",
        "_transport",
        "ended",
        "session",
    )

    def __init__(self, server: "Server") -> None:
        self._server: Final = server
        self._decoder: Final = Decoder()
        self._queue: Final[deque[bytes | Pending]] = deque()
        self._closing = False
        self._descriptor = -1
        """Of the socket while it may be written to directly; the loop closes it only after `connection_lost`."""
        self._paused = False
        self._transport: asyncio.Transport
        self.session: Session
        self.ended = "client"
        """Why the connection ended, one of the reasons that Stats counts."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the client in, or tell it why not."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=UNSENT_PAUSE_BYTES)
        refusal = self._server.admit(self, self._transport)
        if refusal is not None:
            self._closing = True
            self._transport.write(refusal)
            self._transport.close()
            return
        connection: socket.socket | None = transport.get_extra_info("socket")
        if connection is not None:
            self._descriptor = connection.fileno()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 # asyncio's signature
        """Let go of everything that waits for this client."""
        self._closing, self._descriptor = True, -1
        for reply in self._queue:
            if isinstance(reply, Pending):
                reply.abandon()
        self._queue.clear()
        self._server.dismiss(self)

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 # asyncio's signature
        """Read into the buffer that all connections share: it is emptied before the next read."""
        return self._server.read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Run what has come in."""
        if self._closing or self.session.closing:
            return
        server = self._server
        server.stats.input_bytes += nbytes
        self.session.last_active_unix_s = server.now_unix_s
        self._run(server.read_view[:nbytes])

    def _run(self, chunk: memoryview) -> None:
        """Take in a chunk and run what is complete, up to a command that the others have to wait for."""
        server, decoder, session = self._server, self._decoder, self.session
        out: Out = []
        last: list[bytes] = []
        try:
            if chunk:
                self._feed(chunk)
            while session.barrier is None:
                try:
                    last = server.executor.batch(session, decoder.gets, out)
                    break
                except (hiredis.ProtocolError, NotARequest):
                    decoder.recover()
            decoder.settle(last, trusted=not session.restricted)
            if decoder.unfinished_bytes > server.config.client_query_buffer_limit_bytes:
                raise ProtocolError("Protocol error: too big request")  # noqa: TRY301 # one way to end the connection
        except ProtocolError as refusal:
            server.stats.protocol_errors += 1
            out.append(b"-ERR %b\r\n" % str(refusal).encode("utf-8", "surrogateescape"))
            self.ended, session.closing = "protocol", True
        except Exception:
            log.exception("a command failed on a defect of this program; its client is disconnected")
            out.append(b"-ERR internal error\r\n")
            self.ended, session.closing = "protocol", True
        barrier = session.barrier
        if out and barrier is not None and out[-1] is barrier:
            self._transport.pause_reading()
            barrier.also(self._go_on)
        self._send(out)
        if session.stalled and not self._closing:
            self._transport.pause_reading()
            if not self._paused:
                asyncio.get_running_loop().call_soon(self._catch_up)

    def _go_on(self) -> None:
        """Run the requests that waited behind a command with keys of several owners."""
        self.session.barrier = None
        if not self._closing and not self.session.closing:
            if not self._paused:
                self._transport.resume_reading()
            self._run(_NOTHING)

    def _catch_up(self) -> None:
        """Run the requests that waited for the replies before them to be sent."""
        if self._closing or self._paused:
            return
        self.session.stalled = False
        if not self.session.closing:
            self._transport.resume_reading()
            self._run(_NOTHING)

    def eof_received(self) -> bool:
        """End with the client; it does not wait for replies any more."""
        return False

    def pause_writing(self) -> None:
        """Stop reading requests of a client that does not read its replies."""
        self._paused = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again."""
        self._paused = False
        if self.session.stalled:
            self._catch_up()
        elif not self._transport.is_closing() and self.session.barrier is None:
            self._transport.resume_reading()

    def end(self, reason: str) -> None:
        """Close now, whatever has not been sent."""
        self.ended = reason
        self._closing, self._descriptor = True, -1
        self._transport.abort()

    @property
    def waits(self) -> bool:
        """Whether replies are still to come."""
        return bool(self._queue)

    def push(self, wire: bytes) -> None:
        """Send what the client has not asked for, behind the replies that it waits for."""
        self._send([wire])

    def _send(self, out: Out) -> None:
        if self.session.killed:
            self.end("killed")
            return
        if self._queue:
            self._queue.extend(out)
            self._flush()
            return
        if out:
            try:
                self._write(b"".join(out))  # type: ignore[arg-type] # a Pending in it is told by the TypeError
            except TypeError:
                self._queue.extend(out)
                self._flush()
                return
        if self.session.closing:
            self._close()

    def _flush(self) -> None:
        """Send the replies that are there, up to the first that is not."""
        queue = self._queue
        ready: list[bytes] = []
        while queue:
            reply = queue[0]
            if isinstance(reply, Pending):
                if reply.wire is None:
                    reply.then(self._flush)
                    break
                ready.append(reply.wire)
            else:
                ready.append(reply)
            queue.popleft()
        if ready:
            self._write(b"".join(ready))
        if not queue and self.session.closing:
            self._close()
        elif len(queue) > QUEUE_PAUSE and not self._paused:
            self.pause_writing()
        elif self._paused and len(queue) < QUEUE_PAUSE // 2 and not self._transport.get_write_buffer_size():
            self.resume_writing()

    def _write(self, wire: bytes) -> None:
        """Write to the socket, or, where it takes no more, to the transport's buffer.

        At 16 commands a batch the direct write takes a tenth to a fifth off the CPU
        time of a command: the transport would write at the end of the loop's turn.
        """
        self._server.stats.output_bytes += len(wire)
        if self._descriptor >= 0 and not self._transport.get_write_buffer_size():
            try:
                sent = os.write(self._descriptor, wire)
            except OSError:  # no room, or the client is gone: the transport finds out which
                sent = 0
            if sent == len(wire):
                return
            wire = wire[sent:]
        self._transport.write(wire)
        if self._paused:
            unsent = self._transport.get_write_buffer_size()
            self.session.unread_bytes = unsent
            if unsent > self._server.config.client_output_buffer_limit_bytes:
                log.warning("client %s is disconnected: it does not read its replies", self.session.address)
                self.end("output_limit")

    def _close(self) -> None:
        self._closing, self._descriptor = True, -1
        self._transport.close()

    def _feed(self, chunk: memoryview) -> None:
        """Hand bytes to the decoder. Raises ProtocolError for a first chunk of TLS or HTTP."""
        if not self._decoder.unfinished_bytes and FOREIGN.match(chunk):
            log.warning("client %s speaks TLS or HTTP on the RESP port; disconnected", self.session.address)
            raise ProtocolError("this is a RESP port, not HTTP and not TLS")
        self._decoder.feed(chunk)
