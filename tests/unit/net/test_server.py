"""The RESP port: who is let in, who has to go."""

import asyncio
import socket
from contextlib import suppress

import pytest

from respcache.config import Config, ServerConfig
from respcache.net.connection import Connection
from respcache.net.server import KEEPALIVE, KEEPALIVE_MAX_S, PROTECTED, TOO_MANY, Server
from respcache.resp.encode import request
from unit.alone import Alone
from unit.net.transports import NotedTransport, at_once, later_at_once

AWAY = request([b"MGET", b"k", b"l"])
"""A command whose reply comes later."""


def server(config: ServerConfig | None = None, node: Alone | None = None) -> Server:
    """Make a server that does not listen."""
    node = node or Alone(Config(server=config or ServerConfig()))
    node.lose(b"l")
    return Server(
        node.host.config.server, node.executor, node.stats, node.host.session, soon=at_once, later=later_at_once
    )


def connect(to: Server, peer: tuple[str, int] | str = ("127.0.0.1", 5)) -> tuple[Connection, NotedTransport]:
    """Connect a client."""
    connection, transport = Connection(to), NotedTransport(peer)
    connection.connection_made(transport)
    return connection, transport


def test_one_client_too_many_is_told_so() -> None:
    """When another one leaves there is room again."""
    full = server(ServerConfig(maxclients=2))
    (first, _), _ = connect(full), connect(full)
    refused, transport = connect(full)
    assert (transport.take(), transport.closed) == (TOO_MANY, True)
    refused.connection_lost(None)
    assert len(full.sessions()) == 2
    first.connection_lost(None)
    assert not connect(full)[1].closed
    assert full.stats.connections_rejected["maxclients"] == 1
    assert full.stats.connections_accepted == 3


@pytest.mark.parametrize(
    ("peer", "config", "welcome"),
    [
        (("192.0.2.7", 5), ServerConfig(), False),
        (("2001:db8::1", 5), ServerConfig(), False),
        (("fe80::1%eth0", 5), ServerConfig(), False),
        (("::ffff:192.0.2.7", 5), ServerConfig(), False),
        (("192.0.2.7", 5), ServerConfig(protected_mode=False), True),
        (("192.0.2.7", 5), ServerConfig(requirepass="secret"), True),
        (("127.8.9.1", 5), ServerConfig(), True),
        (("::1", 5), ServerConfig(), True),
        (("::ffff:127.0.0.1", 5), ServerConfig(), True),
        ("", ServerConfig(), True),
    ],
)
def test_strangers_need_a_password(peer: tuple[str, int] | str, config: ServerConfig, welcome: bool) -> None:  # noqa: FBT001 # a table of cases
    """Protected mode refuses whoever comes from another machine, in whichever notation."""
    _, transport = connect(server(config), peer)
    assert transport.take() == (b"" if welcome else PROTECTED)
    assert transport.closed is not welcome


def test_a_refused_client_is_not_listened_to() -> None:
    """Whatever it has sent already."""
    careful = server()
    connection, _ = connect(careful, ("192.0.2.7", 5))
    connection.data_received(request([b"PING"]))
    connection.connection_lost(None)
    assert sum(careful.stats.calls) == sum(careful.stats.disconnects.values()) == 0


def test_addresses_are_written_as_clients_write_them() -> None:
    """With brackets where there are colons."""
    found = server()
    connect(found, ("127.0.0.1", 5))
    connect(found, ("::1", 6))
    assert [session.address for session in found.sessions()] == ["127.0.0.1:5", "[::1]:6"]


def test_idle_and_killed_clients_are_disconnected() -> None:
    """The one after the timeout, the other at once; the rest stay."""
    strict = server(ServerConfig(timeout_s=10))
    (idle, _), (killed, _), (busy, transport) = connect(strict), connect(strict), connect(strict)
    idle.session.last_active_unix_s -= 12
    busy.session.last_active_unix_s -= 5
    killed.session.killed = True
    assert killed.session not in strict.sessions()
    strict.sweep()
    idle.connection_lost(None)
    killed.connection_lost(None)
    assert strict.sessions() == [busy.session]
    assert not transport.closed
    assert (strict.stats.disconnects["idle"], strict.stats.disconnects["killed"]) == (1, 1)


def test_those_for_whom_most_is_held_make_room_for_the_others() -> None:
    """Unread replies and unfinished requests count; who has said NO-EVICT stays, and nobody goes without need."""
    narrow = server(ServerConfig(maxmemory_clients_bytes=1000))
    clients = [connect(narrow) for _ in range(5)]
    for (connection, transport), unread in zip(clients, (300, 400, 900, 200, 0), strict=True):
        transport.unsent_bytes = unread
        connection.session.no_evict = unread == 900
    clients[4][0].data_received(b"*2\r\n$3\r\nGET\r\n$500\r\n" + b"x" * 450)
    assert clients[4][0].held_bytes >= 450
    narrow.sweep()
    assert [transport.aborted for _, transport in clients] == [True, True, False, True, True]
    for connection, transport in clients:
        if transport.aborted:
            connection.connection_lost(None)
    assert narrow.stats.disconnects["evicted"] == 4
    clients[2][1].unsent_bytes = 0
    again = connect(narrow)
    again[1].unsent_bytes = 1000
    narrow.sweep()
    assert not again[1].closed


def test_replies_that_wait_for_one_in_front_of_them_count_as_unread() -> None:
    """By whichever way they come: beyond the limit for one client its connection ends, and all that was held goes."""
    limit = 1024 * 1024
    node = Alone(Config(server=ServerConfig(client_output_buffer_limit_bytes=limit)))
    narrow = server(node=node)
    connection, transport = connect(narrow)
    away = request([b"MGET", b"k", b"l"])
    connection.data_received(away * 3 + request([b"ECHO", b"x" * 1000]))
    _, second, third = node.away.waiting
    second.resolve(b"y" * (limit // 2))
    narrow.sweep()
    assert limit // 2 + 1000 < connection.session.unread_bytes < limit // 2 + 1100
    assert not transport.closed
    third.resolve(b"z" * (limit // 2))
    narrow.sweep()
    assert transport.aborted
    connection.connection_lost(None)
    assert (connection.held_bytes, narrow.stats.disconnects["output_limit"]) == (0, 1)


def test_who_listens_may_have_asked_for_more_than_it_may_leave_unread() -> None:
    """Replies that wait for one in front of them are none that it does not read."""
    node = Alone(Config(server=ServerConfig(pubsub_output_buffer_limit_bytes=1024 * 1024)))
    lenient = server(node=node)
    connection, transport = connect(lenient)
    connection.session.protocol = 3
    connection.data_received(request([b"SUBSCRIBE", b"news"]) + request([b"MGET", b"k", b"l"]) * 2)
    node.away.waiting[1].resolve(b"y" * 2 * 1024 * 1024)
    lenient.sweep()
    assert not transport.closed
    transport.unsent_bytes = 2 * 1024 * 1024
    lenient.sweep()
    assert transport.aborted


def test_without_a_limit_for_all_clients_nobody_is_evicted() -> None:
    """0 stands for none."""
    wide = server()
    (_, transport) = connect(wide)
    transport.unsent_bytes = 10**9
    wide.sweep()
    assert not transport.closed


def test_without_a_timeout_nobody_is_idle() -> None:
    """0 stands for never."""
    patient = server()
    client, transport = connect(patient)
    client.session.last_active_unix_s = 0
    patient.sweep()
    assert not transport.closed


def test_closing_ends_all_connections() -> None:
    """Each is counted as drained."""
    closing = server()
    clients = [connect(closing) for _ in range(2)]
    closing.close()
    for connection, transport in clients:
        assert transport.closed
        connection.connection_lost(None)
    assert closing.stats.disconnects["drain"] == 2


def test_who_waits_for_a_reply_at_the_end_is_cut_off() -> None:
    """But not before: it may still come."""
    closing = server()
    (waiting, transport), (_, other) = connect(closing), connect(closing)
    waiting.data_received(AWAY)
    closing.close()
    assert (transport.closed, other.closed) == (False, True)
    closing.abandon()
    assert (transport.aborted, other.aborted) == (True, False)


def test_silent_clients_are_probed_after_the_configured_time() -> None:
    """The operating system does it, within what it can."""

    async def main(seconds: int) -> tuple[int, int, int]:
        listening = server(ServerConfig(tcp_keepalive_s=seconds))
        bound = socket.create_server(("127.0.0.1", 0))
        await listening.listen(bound)
        reader, writer = await asyncio.open_connection(*bound.getsockname())
        writer.write(request([b"PING"]))
        assert await reader.readexactly(7) == b"+PONG\r\n"
        (connection,) = listening._connections
        client = connection._transport.get_extra_info("socket")
        found = [
            client.getsockopt(level, option)
            for level, option in (
                (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                (socket.IPPROTO_TCP, KEEPALIVE),
                (socket.IPPROTO_TCP, socket.TCP_NODELAY),
            )
        ]
        listening.close()
        assert await reader.read() == b""
        writer.close()
        return found[0], found[1], found[2]

    on, after_s, at_once = asyncio.run(main(77))
    assert (bool(on), after_s, bool(at_once)) == (True, 77, True)
    assert asyncio.run(main(10**9))[1] == KEEPALIVE_MAX_S
    assert not asyncio.run(main(0))[0]


def test_a_client_of_a_leaving_node_is_hung_up_on_behind_a_reply() -> None:
    """What it sends next is answered, in one piece or two; only one that says nothing stays until the end."""

    async def main() -> None:
        leaving = server()
        bound = socket.create_server(("127.0.0.1", 0))
        await leaving.listen(bound)
        ends = [await asyncio.open_connection(*bound.getsockname()) for _ in range(3)]
        for reader, writer in ends:
            writer.write(request([b"PING"]))
            assert await reader.readexactly(7) == b"+PONG\r\n"
        (silent, _), (busy, busy_writer), (slow, slow_writer) = ends

        leaving.wind_down()
        busy_writer.write(request([b"PING"]) * 3)
        assert await busy.read() == b"+PONG\r\n" * 3
        slow_writer.write(b"*1\r\n$4\r\nPI")
        while not any(connection.unfinished for connection in leaving._connections):  # noqa: ASYNC110 # it has no event
            await asyncio.sleep(0)
        slow_writer.write(b"NG\r\n")
        assert await slow.read() == b"+PONG\r\n"
        assert len(leaving.sessions()) == 1
        leaving.close()
        assert await silent.read() == b""
        for _, writer in ends:
            writer.close()

    asyncio.run(main())


def test_a_leaving_node_waits_for_replies_and_not_for_idle_clients() -> None:
    """What is under way is answered though it takes longer than a silent client is given; then both are hung up on."""

    async def main() -> None:
        node = Alone()
        leaving = server(node=node)
        bound = socket.create_server(("127.0.0.1", 0))
        await leaving.listen(bound)
        (silent, silent_writer), (busy, busy_writer) = [
            await asyncio.open_connection(*bound.getsockname()) for _ in range(2)
        ]
        busy_writer.write(AWAY)
        while not node.away.waiting:  # noqa: ASYNC110 # it has no event
            await asyncio.sleep(0)

        parting = asyncio.create_task(leaving.part(silent_s=0.0, answered_s=60.0))
        assert await silent.read() == b""
        assert not parting.done()
        node.away.waiting[0].resolve(b"*2\r\n$-1\r\n$-1\r\n")
        assert await busy.read() == b"*2\r\n$-1\r\n$-1\r\n"
        await asyncio.wait_for(parting, 10)
        for writer in (silent_writer, busy_writer):
            writer.close()

    asyncio.run(main())


def test_a_leaving_node_waits_for_replies_no_longer_than_it_may() -> None:
    """A reply that does not come in time holds nobody up."""

    async def main() -> None:
        node = Alone()
        leaving = server(node=node)
        bound = socket.create_server(("127.0.0.1", 0))
        await leaving.listen(bound)
        reader, writer = await asyncio.open_connection(*bound.getsockname())
        writer.write(AWAY)
        while not node.away.waiting:  # noqa: ASYNC110 # it has no event
            await asyncio.sleep(0)
        await asyncio.wait_for(leaving.part(silent_s=0.0, answered_s=0.01), 10)
        leaving.abandon()
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()

    asyncio.run(main())
