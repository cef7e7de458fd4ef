"""A node as programs embed it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import IntEnum

import pytest

from loopback import free_ports
from respcache.cluster.ownership.slots import partition_of
from respcache.commands.registry import ROWS, Flags
from respcache.config import ClusterConfig, Config, HttpConfig, ServerConfig
from respcache.errors import ConfigError, JoinTimeout, NodeClosed, ReplyError
from respcache.net.sockets import bind_stream
from respcache.node import Address, Node

Scenario = Callable[[Node], Awaitable[None]]


def config(*, join: tuple[str, ...] = (), port: int = 0, join_timeout_s: float = 5.0) -> Config:
    """Configure a node on free ports."""
    return Config(
        server=ServerConfig(port=port),
        cluster=ClusterConfig(environment="local", join=join, port=0, join_timeout_s=join_timeout_s),
        http=HttpConfig(enabled=False),
    )


def run(scenario: Scenario) -> None:
    """Run a scenario on a node that serves."""

    async def main() -> None:
        async with Node(config()) as node:
            await scenario(node)

    asyncio.run(main())


def test_a_node_answers_in_python_values() -> None:
    """Bytes for strings, None for null, RESP3's kinds for the others."""

    async def scenario(node: Node) -> None:
        await node.set("k", 5)
        assert await node.execute("INCRBYFLOAT", b"k", 0.25) == b"5.25"
        assert await node.get("k") == b"5.25"
        assert await node.execute("MGET", "k", "l") == [b"5.25", None]
        assert await node.execute("EXISTS", "k", "k") == 2
        assert await node.delete("k", "l") == 1
        assert await node.get("k") is None
        assert isinstance(await node.execute("CONFIG", "GET", "maxclients"), dict)

    run(scenario)


@pytest.mark.parametrize(("ttl_s", "least_ms", "most_ms"), [(100.0, 90_000, 100_000), (None, -1, -1)])
def test_a_value_lives_as_long_as_it_was_told(ttl_s: float | None, least_ms: int, most_ms: int) -> None:
    """For ever, unless told otherwise."""

    async def scenario(node: Node) -> None:
        await node.set("k", "v", ttl_s=ttl_s)
        left_ms = await node.execute("PTTL", "k")
        assert isinstance(left_ms, int)
        assert least_ms <= left_ms <= most_ms

    run(scenario)


def test_a_refused_command_raises() -> None:
    """With the text of the error reply; the node goes on."""

    async def scenario(node: Node) -> None:
        with pytest.raises(ReplyError, match="wrong number of arguments"):
            await node.execute("GET")
        with pytest.raises(ReplyError, match="unknown command"):
            await node.execute("NOPE")
        assert await node.execute("PING") == b"PONG"

    run(scenario)


def test_a_node_lives_once() -> None:
    """From starting over serving to left; before and after there is nothing to ask."""

    async def main() -> None:
        node = Node(config())
        for ask in (lambda: node.name, lambda: node.address, node.members):
            with pytest.raises(NodeClosed):
                ask()
        assert node.state == "starting"
        await node.start()
        assert node.state == "serving"
        assert [member.name for member in node.members()] == [node.name]
        assert node.copies_missing == 0
        with pytest.raises(ConfigError, match="only once"):
            await node.start()
        assert all(await asyncio.gather(node.close(), node.close()))
        assert node.state == "left"
        with pytest.raises(NodeClosed):
            await node.get("k")
        await node.kill()

    asyncio.run(main())


def test_a_node_that_was_never_started_can_be_closed() -> None:
    """There is nothing to hand over."""
    node = Node(config())
    assert asyncio.run(node.close())
    assert node.state == "left"


def test_a_node_that_finds_nobody_stops_again() -> None:
    """And its ports are free."""

    async def main() -> None:
        with bind_stream("127.0.0.1", 0) as silent:
            node = Node(config(join=(f"127.0.0.1:{silent.getsockname()[1]}",), join_timeout_s=0.05))
            with pytest.raises(JoinTimeout, match=r"no cluster within 0\.05 s \(join-timeout\): none of 127"):
                await node.start()
            assert node.state == "left"
            bind_stream(*node.address).close()

    asyncio.run(main())


def test_a_node_says_why_nobody_let_it_in() -> None:
    """What stood at each address: nobody, another program."""

    async def main() -> None:
        async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"MEETINGPOINT\r\n")
            writer.write(b"-ERR no\r\n")
            writer.close()
            await writer.wait_closed()

        port = free_ports(1)[0]
        async with await asyncio.start_server(refuse, "127.0.0.1", 0) as other:
            foreign = "{}:{}".format(*other.sockets[0].getsockname())
            node = Node(config(join=(foreign, f"127.0.0.1:{port}"), join_timeout_s=2.0))
            with pytest.raises(JoinTimeout) as caught:
                await node.start()
        assert f"{foreign} is no respcache node: it answers b'-ERR no\\r\\n'" in str(caught.value)
        assert f"127.0.0.1:{port}: Connection refused" in str(caught.value)

    asyncio.run(main())


def test_a_node_that_is_to_join_itself_is_told_at_once() -> None:
    """It would wait in vain."""

    async def main() -> None:
        port = free_ports(1)[0]
        with pytest.raises(ConfigError, match=f"join names only this node itself: 127.0.0.1:{port}"):
            await Node(config(join=(f"127.0.0.1:{port}",), port=port)).start()

    asyncio.run(main())


def test_an_address_is_a_pair_and_as_text_what_join_takes() -> None:
    """IPv6 hosts stand in brackets."""

    async def scenario(node: Node) -> None:
        host, port = node.address
        assert str(node.address) == f"{host}:{port}"
        async with Node(config(join=(str(node.address),))) as other:
            assert len(other.members()) == 2

    run(scenario)
    assert str(Address("::1", 2)) == "[::1]:2"


@pytest.mark.parametrize("argument", [None, [1], True, {"a": 1}, bytearray(b"x")])
def test_an_argument_that_is_no_text_or_number_is_refused(argument: object) -> None:
    """Rather than written as Python happens to print it."""

    async def scenario(node: Node) -> None:
        with pytest.raises(TypeError, match=f"must be bytes, str, int or float, not {type(argument).__name__}"):
            await node.execute("SET", "k", argument)  # type: ignore[arg-type] # that is what is refused
        assert await node.get("k") is None

    run(scenario)


class Level(IntEnum):
    """A number that Python prints otherwise."""

    HIGH = 3


class Metres(float):
    """Another one."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "half a metre"


@pytest.mark.parametrize(
    ("argument", "written"), [(Level.HIGH, b"3"), (Metres(0.5), b"0.5"), (10**20, b"1" + b"0" * 20)]
)
def test_numbers_of_any_kind_are_written_as_numbers(argument: float, written: bytes) -> None:
    """Whatever a subclass makes of itself."""

    async def scenario(node: Node) -> None:
        await node.set("k", argument)
        assert await node.get("k") == written

    run(scenario)


@pytest.mark.parametrize("ttl_s", [0, -1, -0.0001])
def test_a_value_cannot_live_for_no_time(ttl_s: float) -> None:
    """As with SET; nothing is written. The shortest time is a millisecond."""

    async def scenario(node: Node) -> None:
        with pytest.raises(ReplyError, match="invalid expire time"):
            await node.set("k", "v", ttl_s=ttl_s)
        assert await node.get("k") is None
        await node.set("k", "v", ttl_s=0.0001)

    run(scenario)


def test_a_killed_node_is_left_at_once() -> None:
    """Whoever was connected is not."""

    async def scenario(node: Node) -> None:
        reader, writer = await asyncio.open_connection(*node.address)
        writer.write(b"PING\r\n")
        assert await reader.readexactly(7) == b"+PONG\r\n"
        await node.kill()
        assert await reader.read() == b""
        writer.close()
        assert node.state == "left"

    run(scenario)


def test_whoever_waits_for_a_reply_is_not_left_waiting() -> None:
    """The connection ends with the node."""

    async def scenario(node: Node) -> None:
        assert node._runtime is not None
        node._runtime.router._locks.lock(b"z:1", [partition_of(b"k")])
        reader, writer = await asyncio.open_connection(*node.address)
        writer.write(b"PING\r\nGET k\r\n")
        assert await reader.readexactly(7) == b"+PONG\r\n"
        await node.kill()
        async with asyncio.timeout(5.0):
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()

    run(scenario)


@pytest.mark.parametrize("stop", [Node.close, Node.kill])
def test_whoever_awaits_a_command_is_told_that_the_node_has_closed(stop: Callable[[Node], Awaitable[object]]) -> None:
    """A call of `execute` that would wait for ever ends with the node."""

    async def scenario(node: Node) -> None:
        waiting = asyncio.create_task(node.execute("BLPOP", "k", 0))
        while not node._arrivals:  # noqa: ASYNC110 # it has no event
            await asyncio.sleep(0)
        await stop(node)
        with pytest.raises(NodeClosed, match="before the reply"):
            await asyncio.wait_for(waiting, 10)
        assert not node._arrivals

    run(scenario)


def test_what_is_about_a_connection_needs_one() -> None:
    """`execute` refuses it, says what to do instead, and goes on as before for everybody who calls it."""

    async def scenario(node: Node) -> None:
        rows = [row for row in ROWS if Flags.CONNECTION in row.flags]
        assert {"MULTI", "SELECT", "MONITOR", "SUBSCRIBE", "CLIENT|REPLY", "CLIENT|TRACKING", "SHUTDOWN"} <= {
            row.name for row in rows
        }
        for row in rows:
            words = row.name.lower().split("|")
            for count in (row.argc_min, len(words)):
                with pytest.raises(ReplyError, match=f"use a client at {node.address}"):
                    await node.execute(*words, *["ON"] * (count - len(words)))
        for question in ("SLOTS", "SHARDS", "NODES"):
            await node.execute("CLUSTER", question)
        session = node._session
        assert session is not None
        assert not session.cluster_aware
        assert not session.node_scope
        assert not session.restricted
        assert not node.stopping.is_set()
        await node.set("k", "v")
        assert await node.get("k") == b"v"
        with pytest.raises(ReplyError, match="wrong number of arguments"):
            await node.execute("CLIENT")
        with pytest.raises(ReplyError, match="unknown subcommand"):
            await node.execute("CLIENT", "nothing")

    run(scenario)


def test_a_client_may_ask_the_node_to_stop() -> None:
    """Whoever runs it is told, and decides."""

    async def scenario(node: Node) -> None:
        reader, writer = await asyncio.open_connection(*node.address)
        writer.write(b"SHUTDOWN\r\n")
        async with asyncio.timeout(5.0):
            await node.stopping.wait()
        assert node.state == "serving"
        writer.close()
        del reader

    run(scenario)


def test_a_port_that_is_taken_is_a_configuration_error() -> None:
    """The node has not begun then."""

    async def main() -> None:
        with bind_stream("127.0.0.1", 0) as taken:
            taken.listen()
            node = Node(config(port=taken.getsockname()[1]))
            with pytest.raises(ConfigError):
                await node.start()
            assert node.state == "starting"

    asyncio.run(main())
