"""The HTTP port: strict, bounded, and polite about what it refuses."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import TypeAlias

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge

from respcache.metrics.readiness import Readiness
from respcache.net.http import FIELDS_MAX, HEAD_MAX_BYTES, HttpServer, Refused, Request, Response, parse
from respcache.net.pages import pages

Talk: TypeAlias = Callable[[bytes], Awaitable[bytes]]


async def _hello(request: Request) -> Response:
    return Response(f"hello from {request.path}\n".encode())


async def _defect(_request: Request) -> Response:
    raise ZeroDivisionError


@asynccontextmanager
async def served(server: HttpServer) -> AsyncIterator[Talk]:
    """Run a server; give a function that sends bytes and returns all that comes back until the end."""
    bound = socket.create_server(("127.0.0.1", 0))
    port = bound.getsockname()[1]
    await server.listen(bound)

    async def talk(request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(request)
            return await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()

    try:
        yield talk
    finally:
        await server.close()


def exchange(request: bytes, server: HttpServer | None = None) -> bytes:
    """Send bytes to a server of one page, and return all that it answers."""

    async def main() -> bytes:
        async with served(server or HttpServer({"/hello": _hello})) as talk:
            return await talk(request)

    return asyncio.run(main())


async def hang_up(writers: list[asyncio.StreamWriter]) -> None:
    """End connections, some of which the server has ended before."""
    for writer in writers:
        writer.close()
        with suppress(ConnectionResetError):
            await writer.wait_closed()


def get(path: str, method: str = "GET", fields: str = "Connection: close\r\n") -> bytes:
    """Write a request."""
    return f"{method} {path} HTTP/1.1\r\nHost: node\r\n{fields}\r\n".encode()


def status(answer: bytes) -> int:
    """Read the status code of an answer."""
    return int(answer.split(b" ", 2)[1])


def test_a_page_comes_with_type_and_length() -> None:
    """GET of a known path is answered in full."""
    head, _, body = exchange(get("/hello?at=all")).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Type: text/plain; charset=utf-8" in head
    assert b"Content-Length: 18" in head
    assert b"Connection: close" in head
    assert body == b"hello from /hello\n"


def test_head_is_the_same_without_the_page() -> None:
    """The length is that of the page that GET would bring."""
    head, _, body = exchange(get("/hello", "HEAD")).partition(b"\r\n\r\n")

    assert b"Content-Length: 18" in head
    assert body == b""


def test_a_connection_serves_several_requests_also_sent_at_once() -> None:
    """Keep-alive is the default of HTTP/1.1; the last request asks for the end."""
    answer = exchange(get("/hello", fields="") * 2 + get("/hello"))

    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert answer.count(b"Connection: keep-alive") == 2


def test_old_clients_get_one_answer() -> None:
    """HTTP/1.0 without a Host closes behind the page."""
    answer = exchange(b"GET /hello HTTP/1.0\r\n\r\n")

    assert status(answer) == HTTPStatus.OK
    assert b"Connection: close" in answer


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (get("/else"), 404),
        (get("/hello", "POST"), 405),
        (get("/hello", "DELETE"), 405),
        (b"*1\r\n$4\r\nPING\r\n\r\n", 400),
        (b"GET hello HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET  /hello HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /hello HTTP/1.1\r\n\r\n", 400),
        (b"GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET /hello HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET /hello HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n", 400),
        (b"GET /hello HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", 400),
        (get("/hello", fields="Content-Length: 5\r\n") + b"12345", 400),
        (get("/hello", fields="Transfer-Encoding: chunked\r\n"), 400),
        (b"GET /hello HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (get("/" + "x" * 3000), 414),
        (get("/" + "x" * (HEAD_MAX_BYTES + 10)), 414),
        (get("/hello", fields="X: y\r\n" * FIELDS_MAX), 431),
        (get("/hello", fields=f"X: {'y' * HEAD_MAX_BYTES}\r\n"), 431),
        (get("/hello", fields=f"X: {'y' * 40_000}\r\n"), 431),
    ],
)
def test_what_is_no_plain_question_is_refused_with_the_right_status(request_bytes: bytes, expected: int) -> None:
    """The answer arrives whole, and the connection ends although the client did not ask for that."""
    answer = exchange(request_bytes)

    assert status(answer) == expected
    assert b"Connection: close" in answer
    assert answer.count(b"HTTP/1.1") - answer.count(b"speaks HTTP/1.1") - answer.count(b"no HTTP/1.1") == 1


@pytest.mark.parametrize("said", [b"*1\r\n$4\r\nPING\r\n", b"PING\r\n", b"\r\n", b"\x16\x03\x01\r\n"])
def test_another_protocol_is_refused_at_the_end_of_its_first_line(said: bytes) -> None:
    """Its clients wait for an answer and send no blank line: they are told at once, and not by the time limit."""
    assert status(exchange(said, HttpServer({"/hello": _hello}, head_timeout_s=3600))) == HTTPStatus.BAD_REQUEST


def test_a_head_may_come_byte_by_byte() -> None:
    """What is read in pieces is the same request."""

    async def main() -> bytes:
        server = HttpServer({"/hello": _hello})
        bound = socket.create_server(("127.0.0.1", 0))
        await server.listen(bound)
        reader, writer = await asyncio.open_connection(*bound.getsockname())
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in get("/hello"):
            writer.write(bytes([number]))
            await asyncio.sleep(0)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        await server.close()
        return answer

    assert asyncio.run(main()).endswith(b"hello from /hello\n")


def test_refused_methods_are_told_the_allowed_ones() -> None:
    """405 comes with Allow."""
    assert b"Allow: GET, HEAD\r\n" in exchange(get("/hello", "POST"))


def test_an_unknown_path_is_told_the_known_ones() -> None:
    """People who guess find their way."""
    assert exchange(get("/")).endswith(b"No such page. There are: /hello\n")


def test_a_defect_ends_in_500_and_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """The client gets no details; the log gets the trace."""
    answer = exchange(get("/"), HttpServer({"/": _defect}))

    assert status(answer) == HTTPStatus.INTERNAL_SERVER_ERROR
    assert b"ZeroDivision" not in answer
    assert "ZeroDivisionError" in caplog.text


class HungUp:
    """The server's end of a connection whose client is gone, as uvloop has it."""

    def __init__(self) -> None:
        self.transport = self
        self.aborted = False

    def is_closing(self) -> bool:
        """Say that it is gone."""
        return True

    def write(self, _data: bytes) -> None:
        """Refuse."""
        raise RuntimeError("unable to perform operation on a closed transport")

    def abort(self) -> None:
        """Take note."""
        self.aborted = True


@pytest.mark.parametrize("request_bytes", [b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n" * 2, b"nonsense\r\n"])
def test_who_has_hung_up_is_answered_no_more(request_bytes: bytes) -> None:
    """Which is no defect."""
    gone = HungUp()

    async def main() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(request_bytes)
        await HttpServer({"/hello": _hello})._serve(reader, gone)  # type: ignore[arg-type] # as much as is needed of one

    asyncio.run(main())
    assert gone.aborted


def test_who_does_not_finish_a_request_is_sent_away() -> None:
    """A head that takes too long is answered with 408."""
    assert status(exchange(b"GET /hello HT", HttpServer({}, head_timeout_s=0.02))) == HTTPStatus.REQUEST_TIMEOUT


def test_who_asks_nothing_more_is_disconnected() -> None:
    """An idle connection ends; `exchange` returns only then."""
    answer = exchange(get("/hello", fields=""), HttpServer({"/hello": _hello}, idle_timeout_s=0.02))

    assert status(answer) == HTTPStatus.OK


def test_one_connection_too_many_costs_the_one_that_is_idle_for_longest() -> None:
    """Whoever fills the port keeps nobody out: neither a new client, nor one that has asked just now."""

    async def main() -> tuple[list[bytes], list[bool]]:
        server = HttpServer({"/hello": _hello}, connections_max=3)
        bound = socket.create_server(("127.0.0.1", 0))
        await server.listen(bound)
        clients = [await asyncio.open_connection(*bound.getsockname()) for _ in range(3)]
        for reader, writer in (*clients, clients[0]):
            writer.write(get("/hello", fields=""))
            await reader.readuntil(b"hello from /hello\n")
        answers = [await talk(bound) for _ in range(2)]
        clients[0][1].write(get("/hello"))
        answers.append(await clients[0][0].read())
        gone = [await ended(reader) for reader, _ in clients[1:]]
        await hang_up([*held, *(writer for _, writer in clients)])
        await server.close()
        return answers, gone

    async def talk(bound: socket.socket) -> bytes:
        reader, writer = await asyncio.open_connection(*bound.getsockname())
        writer.write(get("/hello", fields=""))
        answer = await reader.readuntil(b"hello from /hello\n")
        held.append(writer)
        return answer

    async def ended(reader: asyncio.StreamReader) -> bool:
        try:
            return not await reader.read()
        except ConnectionResetError:
            return True

    held: list[asyncio.StreamWriter] = []
    answers, gone = asyncio.run(main())
    assert [status(answer) for answer in answers] == [HTTPStatus.OK] * 3
    assert gone == [True, True]


def test_a_crowd_that_comes_at_once_is_let_in_up_to_the_limit() -> None:
    """Those that have to go before anybody has looked at them are hung up on, too."""

    async def main() -> int:
        server = HttpServer({"/hello": _hello}, connections_max=2, head_timeout_s=3600)
        bound = socket.create_server(("127.0.0.1", 0))
        crowd = [socket.create_connection(bound.getsockname()) for _ in range(50)]  # before anybody takes them in
        await server.listen(bound)
        readers = [await asyncio.open_connection(sock=one) for one in crowd]
        await asyncio.gather(*(reader.read() for reader, _ in readers[:48]), return_exceptions=True)
        silent = sum(not reader.at_eof() and reader.exception() is None for reader, _ in readers)
        await hang_up([writer for _, writer in readers])
        await server.close()
        return silent

    assert asyncio.run(main()) == 2


def test_closing_cuts_connections_that_are_open() -> None:
    """A server that closes waits for no client."""

    async def main() -> bytes:
        server = HttpServer({"/hello": _hello})
        bound = socket.create_server(("127.0.0.1", 0))
        await server.listen(bound)
        reader, writer = await asyncio.open_connection(*bound.getsockname())
        writer.write(get("/hello", fields=""))
        await reader.readuntil(b"hello from /hello\n")
        await server.close()
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()

    assert asyncio.run(main()) == b""


@given(st.binary(max_size=300))
def test_any_head_is_a_request_or_refused(head: bytes) -> None:
    """No bytes bring another exception out of the parser than Refused."""
    with suppress(Refused):
        assert parse(head + b"\r\n\r\n").method in {"GET", "HEAD"}


def _pages(*, ready: bool) -> HttpServer:
    registry = CollectorRegistry()
    Gauge("answer", "To everything.", registry=registry).set(42)
    verdict = Readiness(ready=ready, reason="Because.")
    return HttpServer(pages(registry, readiness=lambda: verdict, status=lambda: {"node": "a"}))


def test_metrics_are_served_as_text_or_openmetrics() -> None:
    """The format is the one that the client accepts."""
    plain = exchange(get("/metrics"), _pages(ready=True))
    accept = "Accept: application/openmetrics-text;version=1.0.0\r\nConnection: close\r\n"
    openmetrics = exchange(get("/metrics", fields=accept), _pages(ready=True))

    assert b"answer 42.0\n" in plain
    assert b"Content-Type: text/plain; version=0.0.4" in plain
    assert b"Content-Type: application/openmetrics-text" in openmetrics
    assert openmetrics.endswith(b"# EOF\n")


@pytest.mark.parametrize(("ready", "expected"), [(True, 200), (False, 503)])
def test_readiness_is_a_status_and_a_sentence(ready: bool, expected: int) -> None:  # noqa: FBT001 # a case
    """The reason is given either way, and liveness does not depend on it."""
    answer = exchange(get("/readyz"), _pages(ready=ready))

    assert status(answer) == expected
    assert answer.endswith(b"\r\n\r\nBecause.\n")
    assert status(exchange(get("/livez"), _pages(ready=ready))) == HTTPStatus.OK


def test_status_is_json() -> None:
    """The page is what the callable returned."""
    answer = exchange(get("/status"), _pages(ready=True))

    assert b"Content-Type: application/json" in answer
    assert msgspec.json.decode(answer.partition(b"\r\n\r\n")[2]) == {"node": "a"}
