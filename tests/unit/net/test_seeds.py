"""From what a user gives to where nodes are."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from respcache.cluster.membership import Address
from respcache.errors import ConfigError
from respcache.net.seeds import QUESTION, REPLY_MAX_BYTES, discover, meeting_point, parse_seed
from respcache.resp.encode import request


@pytest.mark.parametrize(
    ("seed", "address"),
    [
        ("cache-1:6379", ("cache-1", 6379)),
        (" 127.0.0.1:1 ", ("127.0.0.1", 1)),
        ("[::1]:65535", ("::1", 65535)),
    ],
)
def test_an_address_is_a_host_and_a_port(seed: str, address: Address) -> None:
    """With brackets around what has colons itself."""
    assert parse_seed(seed) == address


@example("a:²")
@example("a:" + "9" * 5000)
@example("[]:1")
@example("a:0")
@example("a:65536")
@given(st.text(max_size=20) | st.from_regex(r"\w+:\w+", fullmatch=True))
def test_any_other_text_is_a_configuration_error(seed: str) -> None:
    """Never anything else that is raised, and never an address that cannot be."""
    try:
        host, port = parse_seed(seed)
    except ConfigError:
        return
    assert host
    assert 0 < port < 2**16


def ask(answer: Callable[[bytes], bytes | None]) -> Address:
    """Discover a listener that answers so; with None it says nothing and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reply = answer(await reader.readexactly(len(QUESTION)))
        writer.write(reply or b"")
        writer.close()

    async def main() -> Address:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as listener:
            return await discover(listener.sockets[0].getsockname())

    return asyncio.run(main())


def test_a_node_tells_its_cluster_address() -> None:
    """The question is an ordinary request, the answer a bulk string."""
    asked = []

    def node(question: bytes) -> bytes:
        asked.append(question)
        return meeting_point(("10.0.0.1", 16379))

    assert ask(node) == ("10.0.0.1", 16379)
    assert asked == [request([b"CLUSTER", b"MEETINGPOINT"])]
    assert ask(lambda _: meeting_point(("::1", 5))) == ("::1", 5)


@pytest.mark.parametrize(
    "reply",
    [
        None,
        b"+OK\r\n",
        b"-ERR unknown command 'CLUSTER'\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"$5\r\nhello\r\n",
        b"$-1\r\n\r\n",
        b"$9\r\nhost:\xff\xff\xff\xff\r\n",
        b"$1\r\n" + b"x" * REPLY_MAX_BYTES + b":1\r\n",
        b"x" * 100_000,
    ],
)
def test_whoever_is_no_node_is_told_from_one(reply: bytes | None) -> None:
    """It is the configuration that is wrong then."""
    with pytest.raises(ConfigError):
        ask(lambda _: reply)


@pytest.mark.parametrize("host", ["a..b", "a" * 70])
def test_a_host_that_cannot_be_is_a_configuration_error(host: str) -> None:
    """It need not be tried again and again."""
    with pytest.raises(ConfigError, match="cannot be the name of a host"):
        asyncio.run(discover((host, 5)))


def test_where_nobody_listens_there_may_be_a_node_later() -> None:
    """That is an OSError, not a wrong configuration."""

    async def main() -> None:
        server = await asyncio.start_server(_never, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        server.close()
        await server.wait_closed()
        await discover(address)

    with pytest.raises(OSError, match=r"."):
        asyncio.run(main())


async def _never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    raise AssertionError(reader, writer)
