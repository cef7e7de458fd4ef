"""A small HTTP/1.1 server for a handful of pages that are only read.

It is strict, because it is not for browsers: GET and HEAD, no bodies, known paths, a
head of limited size within limited time, a limited number of connections. Whatever else
comes in gets an answer that says what is wrong, and the connection ends. One connection too
many costs the one that has been idle for longest: a probe that is refused may end the node.
"""

import asyncio
import logging
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Final, TypeAlias

from respcache.complaints import Complaints
from respcache.net.crowd import Crowd

CONNECTIONS_MAX: Final = 64
"""Connections open at once: a few scrapers and probes, each with one."""
REQUEST_LINE_MAX_BYTES: Final = 2048
HEAD_MAX_BYTES: Final = 8192
"""Request line and header fields together."""
FIELDS_MAX: Final = 64
HEAD_TIMEOUT_S: Final = 5.0
"""From the first byte of a request (or from connecting) to the end of its head."""
IDLE_TIMEOUT_S: Final = 90.0
"""Between two requests; more than a minute, as that is how often most Prometheus servers come at the least."""
WRITE_TIMEOUT_S: Final = 10.0
"""For a client to take a page."""
LINGER_MAX_BYTES: Final = 64 * 1024
LINGER_TIMEOUT_S: Final = 1.0
"""How much, and how long, is read behind the last answer."""

REQUEST_LINE: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (/[!-~]*) HTTP/(\d)\.(\d)")
FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*?)[ \t]*")
BODY_FIELDS: Final = frozenset({"content-length", "transfer-encoding"})

TEXT: Final = "text/plain; charset=utf-8"

log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Request:
    """One request without its body: there is none."""

    method: str
    """GET or HEAD."""
    path: str
    """Without the query."""
    fields: Mapping[str, str]
    """Header fields by name in small letters; repeated ones are joined by commas."""
    keep_alive: bool
    """Whether the client means to ask for more on this connection."""


@dataclass(frozen=True, slots=True)
class Response:
    """One page."""

    body: bytes
    content_type: str = TEXT
    status: HTTPStatus = HTTPStatus.OK
    fields: Mapping[str, str] = field(default_factory=dict)
    """Further header fields."""


Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


class Refused(Exception):
    """A request is answered with an error; the connection ends then, as what follows may be anything."""

    def __init__(self, status: HTTPStatus, reason: str, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.response: Final = Response(f"{reason}\n".encode(), status=status, fields=fields or {})


class HttpServer:
    """Serves pages on one port."""

    def __init__(
        self,
        routes: Mapping[str, Handler],
        *,
        connections_max: int = CONNECTIONS_MAX,
        head_timeout_s: float = HEAD_TIMEOUT_S,
        idle_timeout_s: float = IDLE_TIMEOUT_S,
        write_timeout_s: float = WRITE_TIMEOUT_S,
    ) -> None:
        """`routes` has a handler for each path."""
        self._routes: Final = routes
        self._complaints: Final = Complaints(log)
        self._head_timeout_s: Final = head_timeout_s
        self._idle_timeout_s: Final = idle_timeout_s
        self._write_timeout_s: Final = write_timeout_s
        self._clients: Final[set[asyncio.Task[None]]] = set()
        self._crowd: Final[Crowd[asyncio.Task[None]]] = Crowd(connections_max)
        """Those of them that have not been told to go."""
        self._listener: asyncio.Server | None = None

    async def listen(self, bound: socket.socket) -> None:
        """Serve on a bound socket, which belongs to the server from now on."""
        self._listener = await asyncio.start_server(self._connected, sock=bound, limit=HEAD_MAX_BYTES)

    async def close(self) -> None:
        """Stop listening and cut all connections."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        clients = list(self._clients)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._clients.add(client)
        # Closed there and not within the task, which may be cancelled before it has begun.
        client.add_done_callback(partial(self._parted, writer))
        host = str((writer.get_extra_info("peername") or "?")[0])
        if (leaving := self._crowd.enter(client, host)) is not None:
            leaving.cancel()

    def _parted(self, writer: asyncio.StreamWriter, client: asyncio.Task[None]) -> None:
        self._clients.discard(client)
        self._crowd.leave(client)
        if client.cancelled():
            writer.transport.abort()
        else:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client until it leaves or is too slow."""
        client = asyncio.current_task()
        assert client is not None
        try:
            first = b""
            while await self._answer(reader, writer, first):
                self._crowd.stay(client)
                async with asyncio.timeout(self._idle_timeout_s):
                    first = await reader.read(1)
                if not first:
                    return
            await self._linger(reader, writer)
        except (OSError, TimeoutError):
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes) -> bool:
        """Answer one request, whose first byte may have been read already; tell whether another one may follow."""
        try:
            async with asyncio.timeout(self._head_timeout_s):
                head = await _head(reader, first)
            if head is None:
                return False
            request = parse(head)
            response = await self._page(request)
        except Refused as refusal:
            await self._write(writer, refusal.response, keep_alive=False)
            return False
        except TimeoutError:
            late = Refused(HTTPStatus.REQUEST_TIMEOUT, "The request took too long.")
            await self._write(writer, late.response, keep_alive=False)
            return False
        await self._write(writer, response, keep_alive=request.keep_alive, with_body=request.method != "HEAD")
        return request.keep_alive

    async def _page(self, request: Request) -> Response:
        handler = self._routes.get(request.path)
        if handler is None:
            pages = ", ".join(sorted(self._routes))
            raise Refused(HTTPStatus.NOT_FOUND, f"No such page. There are: {pages}")
        try:
            return await handler(request)
        except Exception as defect:  # noqa: BLE001 # it is logged, with its traceback
            self._complaints.fault(request.path, "page %s failed on a defect of this program", defect, request.path)
            raise Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "This page has a defect; see the log.") from None

    async def _linger(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take in some of what a client still sends: closing on it would destroy the answer on its way."""
        if writer.transport.is_closing():
            return
        writer.write_eof()
        unread = LINGER_MAX_BYTES
        async with asyncio.timeout(LINGER_TIMEOUT_S):
            while unread > 0 and (chunk := await reader.read(unread)):
                unread -= len(chunk)

    async def _write(
        self, writer: asyncio.StreamWriter, response: Response, *, keep_alive: bool, with_body: bool = True
    ) -> None:
        if writer.transport.is_closing():  # uvloop raises a RuntimeError then
            raise ConnectionResetError("the client has hung up")
        writer.write(encode(response, keep_alive=keep_alive, with_body=with_body))
        async with asyncio.timeout(self._write_timeout_s):
            await writer.drain()


def parse(head: bytes) -> Request:
    """Read the head of a request, its blank line included. Raises Refused."""
    line, _, rest = head.removesuffix(b"\r\n\r\n").partition(b"\r\n")
    method, target, major, minor = (group.decode("ascii") for group in _request_line(line).groups())
    if major != "1":
        raise Refused(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "This server speaks HTTP/1.1.")
    if method not in {"GET", "HEAD"}:
        raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "Pages here are only read.", {"Allow": "GET, HEAD"})
    fields = _fields(rest)
    if minor != "0" and "host" not in fields:
        raise Refused(HTTPStatus.BAD_REQUEST, "The Host field is missing.")
    if any(fields.get(name, "0") != "0" for name in BODY_FIELDS):
        raise Refused(HTTPStatus.BAD_REQUEST, "Requests have no body here.")
    options = {option.strip().lower() for option in fields.get("connection", "").split(",")}
    keep_alive = "close" not in options if minor != "0" else "keep-alive" in options
    return Request(method, target.partition("?")[0], fields, keep_alive)


def encode(response: Response, *, keep_alive: bool, with_body: bool) -> bytes:
    """Write a response; without the body, its length is told all the same."""
    head = [
        f"HTTP/1.1 {response.status.value} {response.status.phrase}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(response.body)}",
        "Cache-Control: no-store",
        f"Connection: {'keep-alive' if keep_alive else 'close'}",
        *(f"{name}: {value}" for name, value in response.fields.items()),
        "\r\n",
    ]
    return "\r\n".join(head).encode("latin-1") + (response.body if with_body else b"")


def _fields(lines: bytes) -> dict[str, str]:
    fields: dict[str, str] = {}
    if not lines:
        return fields
    parts = lines.split(b"\r\n")
    if len(parts) > FIELDS_MAX:
        raise Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"There are more than {FIELDS_MAX} header fields.")
    for part in parts:
        matched = FIELD.fullmatch(part)
        if matched is None:
            raise Refused(HTTPStatus.BAD_REQUEST, "A header field is no field.")
        name, value = matched[1].decode("ascii").lower(), matched[2].decode("latin-1")
        if name == "host" and name in fields:
            raise Refused(HTTPStatus.BAD_REQUEST, "There are several Host fields.")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


async def _head(reader: asyncio.StreamReader, first: bytes) -> bytes | None:
    """Read up to the blank line; None if the client has gone before. Raises Refused.

    What is no request line is refused at its end: a client of another protocol sends no
    blank line, and would have to wait for the timeout to be told.
    """
    try:
        head = first + await reader.readuntil(b"\r\n")
        _request_line(head[:-2])
        while not head.endswith(b"\r\n\r\n"):
            try:
                head += await reader.readuntil(b"\r\n")
            except asyncio.LimitOverrunError:
                raise _fields_too_large() from None
            if len(head) > HEAD_MAX_BYTES:
                raise _fields_too_large()
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError:
        raise _too_long() from None
    return head


def _request_line(line: bytes) -> re.Match[bytes]:
    """Take a request line apart. Raises Refused."""
    if len(line) > REQUEST_LINE_MAX_BYTES:
        raise _too_long()
    matched = REQUEST_LINE.fullmatch(line)
    if matched is None:
        raise Refused(HTTPStatus.BAD_REQUEST, "This is no HTTP/1.1 request line with a path.")
    return matched


def _fields_too_large() -> Refused:
    return Refused(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"The head of the request exceeds {HEAD_MAX_BYTES} bytes."
    )


def _too_long() -> Refused:
    return Refused(HTTPStatus.REQUEST_URI_TOO_LONG, f"The request line exceeds {REQUEST_LINE_MAX_BYTES} bytes.")
