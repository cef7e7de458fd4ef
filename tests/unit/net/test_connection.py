"""One client's connection: whatever comes in, replies go out in the order of the requests."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.config import Config, ServerConfig
from respcache.errors import CommandError
from respcache.net.connection import QUEUE_PAUSE, Connection
from respcache.net.server import LINGER_S, Server
from respcache.pending import Pending
from respcache.resp.encode import bulk, request
from unit.alone import Alone
from unit.net.transports import NotedTransport, at_once, later_at_once

AWAY = request([b"MGET", b"k", b"l"])
"""A command whose reply comes later."""
PING = request([b"PING"])
QUIT = request([b"QUIT"])
SET = request([b"SET", b"k", b"v"])


class Client:
    """A client of a node of its own."""

    def __init__(
        self,
        config: ServerConfig | None = None,
        *,
        soon: Callable[[Callable[[], None]], object] = at_once,
        later: Callable[[float, Callable[[], None]], object] = later_at_once,
    ) -> None:
        self.node = Alone(Config(server=config or ServerConfig()))
        self.node.lose(b"l")
        host = self.node.host
        self.server = Server(
            host.config.server, self.node.executor, self.node.stats, host.session, soon=soon, later=later
        )
        self.transport = NotedTransport()
        self.connection = Connection(self.server)
        self.connection.connection_made(self.transport)

    @property
    def waiting(self) -> list[Pending]:
        """The replies that are to come."""
        return self.node.away.waiting

    def send(self, wire: bytes) -> bytes:
        """Send bytes in one read; return what is written."""
        self.connection.data_received(wire)
        return self.transport.take()

    def ended(self) -> bool:
        """Tell whether the connection was closed from this side."""
        return self.transport.closed

    def leave(self) -> None:
        """Tell the connection that it is no more."""
        self.connection.connection_lost(None)


@given(
    script=st.lists(st.sampled_from(("ping", "away", "set")), max_size=10),
    cuts=st.lists(st.integers(0, 400), max_size=6),
    order=st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_replies_come_in_the_order_of_the_requests(script: list[str], cuts: list[int], order: Random) -> None:
    """In whatever order they become ready, and however the requests are cut."""
    client = Client()
    wire = b"".join({"ping": PING, "away": AWAY, "set": SET}[word] for word in script)
    places = [0, *sorted(min(cut, len(wire)) for cut in cuts), len(wire)]
    read = b"".join(client.send(wire[at:to]) for at, to in pairwise(places) if to > at)

    waiting = list(enumerate(client.waiting))
    order.shuffle(waiting)
    for number, reply in waiting:
        reply.resolve(b":%d\r\n" % number)
        read += client.transport.take()
    numbers = iter(range(len(waiting)))
    plain = {"ping": b"+PONG\r\n", "set": b"+OK\r\n"}
    assert read == b"".join(plain[word] if word in plain else b":%d\r\n" % next(numbers) for word in script)
    assert client.transport.reading


def test_replies_that_come_in_one_turn_are_written_at_once() -> None:
    """As an owner's answers do."""
    ends_of_turns: list[Callable[[], None]] = []
    client = Client(soon=ends_of_turns.append)
    client.send(AWAY + AWAY + PING + AWAY)
    for number in (1, 0, 2):
        client.waiting[number].resolve(b":%d\r\n" % number)
    assert client.transport.writes == 0
    for end in ends_of_turns:
        end()
    assert client.transport.take() == b":0\r\n:1\r\n+PONG\r\n:2\r\n"
    assert (client.transport.writes, len(ends_of_turns)) == (1, 1)


def test_replies_that_are_there_go_with_those_behind_them_or_in_a_moment() -> None:
    """One write for both if the last comes in time; and one timer, whatever comes meanwhile."""
    timers: list[tuple[float, Callable[[], None]]] = []
    client = Client(later=lambda delay_s, call: timers.append((delay_s, call)))
    assert client.send(PING + AWAY + PING + AWAY) == b""
    client.waiting[0].resolve(b":0\r\n")
    assert client.transport.take() == b""
    client.waiting[1].resolve(b":1\r\n")
    assert client.transport.take() == b"+PONG\r\n:0\r\n+PONG\r\n:1\r\n"
    assert client.transport.writes == 1

    assert client.send(PING + AWAY + PING) == b""
    [(delay_s, end)] = timers
    end()
    assert (delay_s, client.transport.take()) == (LINGER_S, b"+PONG\r\n")
    client.waiting[2].resolve(b":2\r\n")
    assert client.transport.take() == b":2\r\n+PONG\r\n"

    client.send(PING + AWAY)
    client.leave()
    timers[1][1]()
    assert client.transport.take() == b""


def test_inline_requests_and_arrays_mix() -> None:
    """As in Redis, for people with telnet."""
    client = Client()
    assert client.send(b"PING\r\n" + SET + b'GET "k"\r\n' + PING) == b"+PONG\r\n+OK\r\n$1\r\nv\r\n+PONG\r\n"
    assert client.send(PING + b"PING\r\n" + b"PI") == b"+PONG\r\n+PONG\r\n"
    assert client.send(b"NG\r\n") == b"+PONG\r\n"


def test_a_farewell_is_answered_before_the_end() -> None:
    """And so is what was asked before it; nothing behind it is run, in the same read or a later one."""
    client = Client()
    assert client.send(AWAY + QUIT + SET) == b""
    assert client.send(SET) == b""
    assert not client.ended()
    client.waiting[0].resolve(b":1\r\n")
    assert client.transport.take() == b":1\r\n+OK\r\n"
    assert client.ended()
    assert client.send(SET) == b""
    assert not client.node.store.keyspace(0).at(b"k").values


@pytest.mark.parametrize(
    ("wire", "told"),
    [
        (b"*1\r\n:5\r\n", b"-ERR Protocol error: expected '$', got ':'"),
        (b"*1\r\n$-5\r\nx\r\n", b"-ERR Protocol error: invalid bulk length"),
        (b'"unbalanced\r\n', b"-ERR Protocol error: unbalanced quotes in request"),
    ],
)
def test_what_is_no_request_ends_the_connection_behind_the_replies(wire: bytes, told: bytes) -> None:
    """The requests before it are answered, those of peers included; then the error; then the end."""
    client = Client()
    assert client.send(AWAY + PING) == b""
    assert client.send(PING + wire + SET) == b""
    assert client.send(b"more") == b""
    client.waiting[0].resolve(b":1\r\n")
    written = client.transport.take()
    assert written.startswith(b":1\r\n+PONG\r\n+PONG\r\n" + told)
    assert written.count(b"-ERR") == 1
    assert client.ended()
    client.leave()
    assert client.node.stats.disconnects["protocol"] == client.node.stats.protocol_errors == 1


def test_a_key_that_looks_like_a_path_is_a_key() -> None:
    """People may well ask for it on an inline request, and values may begin a chunk."""
    client = Client()
    assert client.send(b"GET /index.html\r\n") == b"$-1\r\n"
    assert client.send(b"SET /k HTTP/1.1\r\n") == b"+OK\r\n"
    assert client.send(b"*2\r\n$4\r\nECHO\r\n$14\r\n") == b""
    assert client.send(b"GET / HTTP/1.1\r\n") == b"$14\r\nGET / HTTP/1.1\r\n"


@pytest.mark.parametrize(
    "start", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"POST /x HTTP/1.1\r\n\r\n"]
)
def test_http_and_tls_are_told_that_they_are_wrong_here(start: bytes) -> None:
    """Before a header can pass for a command."""
    client = Client()
    assert client.send(start) == b"-ERR this is a RESP port, not HTTP and not TLS\r\n"
    assert client.ended()


def test_a_defect_of_the_program_ends_the_connection_and_no_other() -> None:
    """The client cannot know what was done; the log has the rest."""
    client = Client()

    def defect(*_: object) -> bytes:
        raise ZeroDivisionError

    client.node.away.several = defect  # type: ignore[assignment, method-assign] # a defect
    assert client.send(PING + AWAY + PING) == b"+PONG\r\n-ERR internal error\r\n"
    assert client.ended()


def test_clients_that_do_wrong_again_and_again_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """One line tells of a host and a reason; all are counted."""
    client = Client()
    for _ in range(20):
        connection, transport = Connection(client.server), NotedTransport()
        connection.connection_made(transport)
        connection.data_received(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert transport.closed
    assert client.node.stats.protocol_errors == 20
    assert caplog.messages == ["client 127.0.0.1:50000 speaks TLS or HTTP on the RESP port; disconnected"]


def test_a_killed_client_is_cut_off_at_once() -> None:
    """Whatever it waits for."""
    client = Client()
    client.send(AWAY)
    client.connection.session.killed = True
    assert client.send(PING) == b""
    assert client.transport.aborted
    client.leave()
    assert client.node.stats.disconnects["killed"] == 1
    client.waiting[0].resolve(b":1\r\n")
    assert client.transport.take() == b""


def test_a_reply_that_comes_too_late_is_dropped() -> None:
    """The client has gone meanwhile."""
    client = Client()
    client.node.away.barriers.add(b"RENAME")
    client.send(AWAY + request([b"RENAME", b"k", b"l"]) + PING)
    client.leave()
    for reply in client.waiting:
        reply.resolve(b":1\r\n")
    assert client.transport.take() == b""
    assert client.server.sessions() == []
    assert client.node.stats.disconnects["client"] == 1


def test_a_client_that_only_reads_on_gets_its_replies() -> None:
    """All that are to come, then the end; one that has got all is hung up on at once."""
    client = Client()
    assert client.send(AWAY + PING + AWAY + PING[:5]) == b""
    assert client.connection.eof_received()
    client.waiting[0].resolve(b":0\r\n")
    assert (client.transport.take(), client.ended()) == (b":0\r\n+PONG\r\n", False)
    client.waiting[1].resolve(b":1\r\n")
    assert (client.transport.take(), client.ended()) == (b":1\r\n", True)

    content = Client()
    assert content.send(PING) == b"+PONG\r\n"
    assert not content.connection.eof_received()


def test_requests_behind_a_barrier_wait_for_it() -> None:
    """Nothing more is read meanwhile; then they run, those of the same read too."""
    client = Client()
    client.node.away.barriers.add(b"RENAME")
    rename = request([b"RENAME", b"k", b"l"])
    assert client.send(AWAY + rename + b"PING\r\n" + rename + SET) == b""
    assert (len(client.waiting), client.transport.reading) == (2, False)
    client.waiting[1].resolve(b"+1\r\n")
    assert (len(client.waiting), client.transport.reading) == (3, False)
    client.waiting[0].resolve(b":0\r\n")
    assert client.transport.take() == b":0\r\n+1\r\n+PONG\r\n"
    client.waiting[2].resolve(b"+2\r\n")
    assert client.transport.take() == b"+2\r\n+OK\r\n"
    assert client.transport.reading


def test_requests_behind_a_command_that_came_back_wait_for_all_replies() -> None:
    """Nothing more is read meanwhile; then they run, and those that come after them as usual."""
    client = Client()
    assert client.send(AWAY + AWAY) == b""
    turns = client.connection.session.turns
    assert turns is not None
    turns.displaced = True
    assert client.send(AWAY + b"PING\r\n") == b""
    assert (len(client.waiting), client.transport.reading) == (2, False)
    client.waiting[0].resolve(b":0\r\n")
    assert (client.transport.take(), len(client.waiting)) == (b":0\r\n", 2)
    client.waiting[1].resolve(b":1\r\n")
    assert (client.transport.take(), len(client.waiting), client.transport.reading) == (b":1\r\n", 3, True)
    client.waiting[2].resolve(b":2\r\n")
    assert client.transport.take() == b":2\r\n+PONG\r\n"


def test_a_client_that_does_not_read_is_not_read_from() -> None:
    """Until it does again, unless a barrier says otherwise."""
    client = Client()
    client.connection.pause_writing()
    assert not client.transport.reading
    client.connection.resume_writing()
    assert client.transport.reading


def test_a_client_that_leaves_too_much_unread_is_cut_off() -> None:
    """At the configured limit; below it, CLIENT LIST shows how much it is."""
    limit = 1024 * 1024
    client = Client(ServerConfig(client_output_buffer_limit_bytes=limit))
    client.connection.pause_writing()
    client.transport.unsent_bytes = limit
    client.send(PING)
    assert (client.transport.aborted, client.connection.session.unread_bytes) == (False, limit)
    client.transport.unsent_bytes = limit + 1
    client.send(PING)
    assert client.transport.aborted
    client.leave()
    assert client.node.stats.disconnects["output_limit"] == 1


def test_a_request_that_never_ends_is_cut_off() -> None:
    """At the configured limit."""
    limit = 1024 * 1024
    client = Client(ServerConfig(client_query_buffer_limit_bytes=limit))
    assert client.send(b"*2\r\n$3\r\nGET\r\n$%d\r\n" % (8 * limit)) == b""
    step = 200 * 1024
    written = b""
    for _ in range(limit // step):
        written += client.send(b"x" * step)
    assert written == b""
    assert client.send(b"x" * step) == b"-ERR Protocol error: too big request\r\n"
    assert client.ended()


def test_a_client_with_too_many_replies_to_come_is_not_read_from() -> None:
    """The queue of what waits is bounded as the buffers are."""
    client = Client()
    client.send(AWAY)
    for _ in range(0, QUEUE_PAUSE, 1000):
        client.send(PING * 1000)
    assert not client.transport.reading
    client.waiting[0].resolve(b":1\r\n")
    assert client.transport.take() == b":1\r\n" + b"+PONG\r\n" * QUEUE_PAUSE
    assert client.transport.reading


def test_what_nobody_asked_for_goes_behind_what_was() -> None:
    """A push does not overtake a reply."""
    client = Client()
    client.send(AWAY)
    client.connection.push(b">1\r\n+news\r\n")
    assert client.transport.take() == b""
    client.waiting[0].resolve(b":1\r\n")
    assert client.transport.take() == b":1\r\n>1\r\n+news\r\n"


def test_bytes_are_counted_both_ways() -> None:
    """What was refused, too."""
    client = Client()
    client.send(PING)
    assert client.node.stats.input_bytes == len(PING)
    assert client.node.stats.output_bytes == len(b"+PONG\r\n")


def test_an_error_text_of_strange_bytes_does_not_break_the_line() -> None:
    """What a client sent comes back as it was."""
    client = Client()
    line = CommandError("\udcff").line()
    assert line == b"ERR \xff"
    assert client.send(request([b"\xff\r\n"])).startswith(b"-ERR unknown command '\xff  '")
    assert client.send(request([b"ECHO", b"\r\n"])) == bulk(b"\r\n")


def filled(client: Client) -> None:
    """Send a command whose reply comes later, and so many behind it that no more is read."""
    client.send(AWAY)
    for _ in range(0, QUEUE_PAUSE + 1000, 1000):
        client.send(PING * 1000)
    assert not client.transport.reading


def test_a_client_whose_many_replies_have_gone_is_read_from_though_it_has_not_read_them() -> None:
    """The transport has less than would make it say anything, be it then or once that is read."""
    client = Client()
    filled(client)
    client.transport.unsent_bytes = 30_000
    client.waiting[0].resolve(b":1\r\n")
    client.transport.unsent_bytes = 0
    assert client.transport.reading


def test_a_client_that_leaves_many_replies_unread_is_read_from_once_both_are_over() -> None:
    """Whichever is over first."""
    for replies_first in (True, False):
        client = Client()
        filled(client)
        client.connection.pause_writing()
        ends: list[Callable[[], None]] = [
            partial(client.waiting[0].resolve, b":1\r\n"),
            client.connection.resume_writing,
        ]
        for end in ends if replies_first else reversed(ends):
            assert not client.transport.reading
            end()
        assert client.transport.reading


def test_a_client_whose_commands_came_back_goes_on_when_its_many_replies_are_there() -> None:
    """All in one go, with nothing left that could let it go on later."""
    client = Client()
    filled(client)
    turns = client.connection.session.turns
    assert turns is not None
    turns.displaced = True
    client.waiting[0].resolve(b":1\r\n")
    assert client.transport.reading
    assert not turns.displaced
