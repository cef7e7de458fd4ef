"""One client's connection: bytes in, replies out, in order and within limits."""

import asyncio
import os
import socket
from collections import deque
from typing import TYPE_CHECKING, Final, cast

from respcache.addresses import host_in
from respcache.commands.resolving import row_of
from respcache.engine.executor import Out
from respcache.errors import ProtocolError
from respcache.pending import Late, Pending
from respcache.resp.decode import Decoder, WrongPort
from respcache.routing.order import Order
from respcache.routing.sheaf import Sheaf

if TYPE_CHECKING:
    from respcache.commands.session import Session
    from respcache.net.server import Server

UNSENT_PAUSE_BYTES: Final = 1024 * 1024
"""Unsent replies above which a client's further requests wait in its socket."""
QUEUE_PAUSE: Final = 10_000
"""Replies waiting in the queue above which they do so too."""


class Connection:
    """An asyncio.Protocol that reads requests, has them executed in batches, writes the replies of each batch at once.

    A reply that is not there yet holds up those behind it; the requests behind it run all
    the same.

    open --QUIT, kill, no RESP--> closing (nothing more is read) --all replies sent--> closed
      `------------ client gone, output limit, defect of the program -----------------^

    It inherits from nothing, for then compiled code finds its attributes at fixed places.
    """

    __slots__ = (
        "_closing",
        "_decoder",
        "_descriptor",
        "_flushing",
        "_full",
        "_heard_all",
        "_long",
        "_pushed_bytes",
        "_queue",
        "_ready",
        "_server",
        "_stats",
        "_transport",
        "_unsent",
        "ended",
        "session",
    )

    def __init__(self, server: "Server") -> None:
        self._server: Final = server
        self._stats: Final = server.stats
        self._decoder: Final = Decoder()
        self._queue: Final[deque[bytes | Pending]] = deque()
        self._ready: list[bytes] = []
        """Replies that are there and wait for those behind them, to go out in one write: see `Server.linger`."""
        self._closing = False
        self._descriptor = -1
        """Of the socket while it may be written to directly; the loop closes it only after `connection_lost`."""
        self._unsent = False
        """Whether the transport may still hold replies that the socket had no room for."""
        self._full = False
        """Whether the transport has more that is unsent than it should have: it says when that has ended."""
        self._long = False
        """Whether the queue has been too long, and is not short again. Nothing is read for as long as either holds."""
        self._flushing = False
        self._heard_all = False
        """Whether the client has said that it sends no more."""
        self._pushed_bytes = 0
        """Pushed behind replies that are to come, since they were last counted; some may have been sent."""
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
        if not (session := self.session).authenticated:
            self._decoder.distrust(lambda: session.authenticated)
        connection: socket.socket | None = transport.get_extra_info("socket")
        if connection is not None:
            self._descriptor = connection.fileno()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 # asyncio's signature
        """Let go of everything that waits for this client."""
        self._closing, self._descriptor = True, -1
        for reply in self._queue:
            if isinstance(reply, Pending):
                reply.abandon()
        if self._queue:
            self.session.barrier = self.session.blocked = None  # what waits knows its session: a cycle otherwise
        self._queue.clear()
        self._ready.clear()
        self._server.dismiss(self)

    def data_received(self, data: bytes) -> None:
        """Run what has come in."""
        session = self.session
        if self._closing or session.closing:
            return
        self._stats.input_bytes += len(data)
        session.last_active_unix_s = self._server.now_unix_s
        self._decoder.feed(data)
        self._run()

    def _run(self) -> None:
        """Run the requests that are complete, up to a command that the others have to wait for."""
        decoder, session = self._decoder, self.session
        out: Out = []
        whole = False
        try:
            if session.barrier is None and not session.is_held_up:
                whole = self._server.executor.batch(session, decoder, out)
            if decoder.unfinished_bytes > self._server.query_buffer_max_bytes:
                raise ProtocolError("Protocol error: too big request")  # noqa: TRY301 # one way to end the connection
        except ProtocolError as refusal:
            if isinstance(refusal, WrongPort):
                self._complain("wrong port", "client %s speaks TLS or HTTP on the RESP port; disconnected")
            self._stats.protocol_errors += 1
            out.append(b"-ERR %b\r\n" % str(refusal).encode("utf-8", "surrogateescape"))
            self.ended, session.closing = "protocol", True
        except Exception as defect:  # noqa: BLE001 # it is logged, with its traceback
            line = "a command failed on a defect of this program; its client is disconnected"
            self._server.complaints.fault(host_in(session.address), line, defect)
            out.append(b"-ERR internal error\r\n")
            self.ended, session.closing = "protocol", True
        barrier = session.barrier
        if out and barrier is not None and out[-1] is barrier:
            if session.blocked is None:  # else only reading tells that the client is gone; its buffer has a limit
                self._transport.pause_reading()
            barrier.also(self._go_on)
        self._send(out, whole=whole)
        if session.is_held_up and session.barrier is None and not self._closing:
            self._transport.pause_reading()
            if not self._paused and not self._awaits_replies:
                asyncio.get_running_loop().call_soon(self._catch_up)

    def _go_on(self) -> None:
        """Run the requests that waited behind a command on keys of several partitions."""
        self.session.barrier = None
        if not self._closing and not self.session.closing:
            if not self._paused:
                self._transport.resume_reading()
            with self.session.host.tracking.aside():
                self._run()

    def _catch_up(self) -> None:
        """Run the requests that waited for the replies before them to be sent, or to come."""
        session = self.session
        if self._closing or self._paused or self._awaits_replies:
            return
        session.go_on()
        if not self.session.closing:
            self._transport.resume_reading()
            self._run()

    @property
    def _awaits_replies(self) -> bool:
        return self.session.is_displaced and bool(self._queue)

    def eof_received(self) -> bool:
        """Hang up once a client that sends no more, but may still read, has its replies.

        All that it has sent has been run by now: while some of it has to wait nothing is read, so no end is seen. The
        exception is what is blocked, which ends with the client, as in Redis.
        """
        queue, session = self._queue, self.session
        if self._closing or not queue or queue[0] is session.barrier:
            return False
        self._heard_all = session.closing = True
        return True

    @property
    def _paused(self) -> bool:
        """Whether nothing is read: the client does not read its replies, or too many are to come."""
        return self._full or self._long

    def pause_writing(self) -> None:
        """Stop reading requests: the client does not read its replies."""
        self._full = True
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read again, if nothing else speaks against it."""
        self._full = False
        self._read_again()

    def _read_again(self) -> None:
        if self._paused:
            return
        if self.session.is_held_up:
            self._catch_up()
        elif not self._transport.is_closing() and self.session.barrier is None:
            self._transport.resume_reading()

    def end(self, reason: str) -> None:
        """Close now, whatever has not been sent."""
        self.ended = reason
        self._closing, self._descriptor = True, -1
        self._transport.abort()

    @property
    def transport(self) -> asyncio.Transport:
        """What it is connected by."""
        return self._transport

    @property
    def unfinished(self) -> bool:
        """Whether of what has come in something is still to be run, or a request is here by half."""
        session = self.session
        return session.is_held_up or session.barrier is not None or self._decoder.unfinished_bytes > 0

    @property
    def waits(self) -> bool:
        """Whether replies are still to come."""
        return bool(self._queue)

    @property
    def held_bytes(self) -> int:
        """Bytes that are here for the client: of requests that are not run, and of replies that it has not read."""
        return self._decoder.unfinished_bytes + self._unread_bytes()

    def _unread_bytes(self) -> int:
        """Count the bytes of replies that the client has not read: those that wait for others in front of them, too."""
        ready = sum([len(reply) for reply in self._queue if isinstance(reply, bytes)])
        pending = {reply for reply in self._queue if isinstance(reply, Pending)}  # one may stand in several places
        return ready + sum([reply.held_bytes() for reply in pending]) + self._transport.get_write_buffer_size()

    def review(self) -> None:
        """Take stock of the replies that are here, by whichever way they came. Too many end the connection."""
        unread = self._unread_bytes() if self._queue or self._paused else 0
        self.session.unread_bytes = unread
        if not unread or self._closing:
            return
        sent = self._transport.get_write_buffer_size()
        if unread > self._server.replies_limit_bytes or sent > self._server.output_limit_bytes(self.session):
            self._end_unread()

    def push(self, wire: bytes) -> None:
        """Send what the client has not asked for, behind the replies that it waits for.

        More than it may leave unread ends the connection.
        """
        if self._closing:
            return
        if self._queue:
            self._pushed_bytes += len(wire)
            limit = self._server.output_limit_bytes(self.session)
            if self._pushed_bytes > limit:
                self._pushed_bytes = len(wire) + sum(len(reply) for reply in self._queue if isinstance(reply, bytes))
                if self._pushed_bytes > limit:
                    self._end_unread()
                    return
        self._send([wire], whole=True)

    def _send(self, out: Out, *, whole: bool) -> None:
        """Send replies; `whole` says that each of them is there: to find out by a TypeError took 5 % of a write."""
        if self.session.killed:
            self.end("killed")
            return
        if self._queue or (out and not whole):
            self._queue.extend(out)
            self._flush()
            return
        if out:
            self._write(b"".join(cast("list[bytes]", out)))
        if self.session.closing:
            self._close()

    def _flush_soon(self) -> None:
        """Send the replies that are there at the end of this turn: others may come within it."""
        if not self._flushing:
            self._flushing = True
            self._server.soon(self._flush_now)

    def _flush_now(self) -> None:
        self._flushing = False
        if not self._closing:
            self._flush()

    def _flush(self) -> None:
        """Send the replies up to the first that is not there, at once if that leaves none."""
        queue, ready = self._queue, self._ready
        while queue:
            reply = queue[0]
            if isinstance(reply, Pending):
                if reply.wire is None:
                    reply.then(self._flush_soon)
                    break
                ready.append(self._told(reply, reply.wire))
            else:
                ready.append(reply)
            queue.popleft()
        if ready:
            if queue and self.session.barrier is None and not self.session.stalled:
                self._server.linger(self)
            else:
                self.send_ready()
        if self.session.closing and (not queue or (self._heard_all and queue[0] is self.session.barrier)):
            self._close()
        elif self._long and len(queue) < QUEUE_PAUSE // 2:
            self._long = False
            self._read_again()
        elif not queue and self.session.is_displaced:
            self._catch_up()
        elif len(queue) > QUEUE_PAUSE and not self._long:
            self._long = True
            self._transport.pause_reading()

    def _told(self, reply: Pending, wire: bytes) -> bytes:
        """Take a reply that is there off its place, and count it if it is an error."""
        if isinstance(reply, Sheaf):
            if wire.startswith(b"-"):
                self._stats.told(row_of(reply.argv).index, wire)
            reply.take()
        elif isinstance(reply, Order):
            self._stats.told(reply.row.index, wire)
        elif isinstance(reply, Late):
            self._stats.told(row_of(reply.argv).index, wire)
        return wire

    def send_ready(self) -> None:
        """Send the replies that are there, whatever those behind them wait for."""
        if self._ready and not self._closing:
            ready, self._ready = self._ready, []
            self._write(b"".join(ready))

    def _write(self, wire: bytes) -> None:
        """Write to the socket, or, where it takes no more, to the transport's buffer.

        At 16 commands a batch the direct write takes a tenth to a fifth off the CPU
        time of a command: the transport would write at the end of the loop's turn.
        """
        self._stats.output_bytes += len(wire)
        if self._unsent:
            self._unsent = self._transport.get_write_buffer_size() > 0
        if self._descriptor >= 0 and not self._unsent:
            try:
                sent = os.write(self._descriptor, wire)
            except OSError:  # no room, or the client is gone: the transport finds out which
                sent = 0
            if sent == len(wire):
                return
            rest: bytes | memoryview = memoryview(wire)[sent:]  # a slice of 100 MB takes as long as the reply did
        else:
            rest = wire
        self._unsent = True
        self._transport.write(rest)
        if self._paused:
            unsent = self._transport.get_write_buffer_size()
            self.session.unread_bytes = unsent
            if unsent > self._server.output_limit_bytes(self.session):
                self._end_unread()

    def _end_unread(self) -> None:
        self._complain("unread", "client %s is disconnected: it does not read what it is sent")
        self.end("output_limit")

    def _complain(self, reason: str, line: str) -> None:
        """Warn of the client, unless enough was said of it; the line has a place for its address."""
        address = self.session.address
        self._server.complaints.warn(reason, host_in(address), line, address)

    def _close(self) -> None:
        """Hang up, and tell the client at once if it has all replies.

        The transport closes a turn of the loop later. What a client sends meanwhile would get it a
        reset, and leave it in doubt; one that looks at its socket before it sends now knows.
        """
        descriptor = self._descriptor
        self._closing, self._descriptor = True, -1
        if descriptor >= 0 and not self._transport.get_write_buffer_size():
            try:
                with socket.socket(fileno=os.dup(descriptor)) as client:
                    client.shutdown(socket.SHUT_WR)
            except OSError:  # it has hung up itself
                pass
        self._transport.close()
