"""From what a user gives to where nodes are."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from respcache.cluster.membership import Address
from respcache.errors import ConfigError
from respcache.net.seeds import (
    FILE_MAX_BYTES,
    QUESTION,
    REPLY_MAX_BYTES,
    DnsSeed,
    FileSeed,
    HostSeed,
    Seed,
    discover,
    meeting_point,
    parse_seed,
    read_seeds,
)
from respcache.resp.encode import request


@pytest.mark.parametrize(
    ("seed", "meant"),
    [
        ("cache-1:6379", HostSeed("cache-1", 6379)),
        (" 127.0.0.1:1 ", HostSeed("127.0.0.1", 1)),
        ("[::1]:65535", HostSeed("::1", 65535)),
        ("dns:cache", DnsSeed("cache", 7)),
        ("dns:cache.default.svc:16379", DnsSeed("cache.default.svc", 16379)),
        ("file:/etc/seeds", FileSeed("/etc/seeds")),
        ("file:a:b", FileSeed("a:b")),
    ],
)
def test_a_seed_is_an_address_a_name_or_a_file(seed: str, meant: Seed) -> None:
    """With brackets around what has colons itself; a name without a port has the default one."""
    assert parse_seed(seed, default_port=7) == meant
    assert parse_seed(str(meant)) == meant


@example("a:²")
@example("a:" + "9" * 5000)
@example("[]:1")
@example("a:0")
@example("a:65536")
@example("dns:")
@example("dns:6379")
@example("dns:a:b:1")
@example("file:")
@given(st.text(max_size=20) | st.from_regex(r"(dns:|file:)?\w+:\w+", fullmatch=True))
def test_any_other_text_is_a_configuration_error(seed: str) -> None:
    """Never anything else that is raised, and never an address that cannot be."""
    try:
        meant = parse_seed(seed)
    except ConfigError:
        return
    match meant:
        case HostSeed(host, port) | DnsSeed(host, port):
            assert host
            assert 0 < port < 2**16
        case FileSeed(path):
            assert path


def test_a_file_has_a_seed_a_line(tmp_path: Path) -> None:
    """Comments and empty lines are passed over."""
    path = tmp_path / "seeds"
    path.write_text("# ours\ncache-1:1\n\n  dns:cache  # all of them\n", encoding="utf-8")
    assert read_seeds(str(path), default_port=7) == [HostSeed("cache-1", 1), DnsSeed("cache", 7)]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a:1\nnonsense\n", "line 2: join address 'nonsense': must be host:port"),
        ("file:/other\n", "line 1: a file of seeds names no other files"),
        ("\xff\n", "line 1: join address"),
        ("#" * (FILE_MAX_BYTES + 1), "is larger than 65536 bytes"),
        (None, "No such file"),
    ],
)
def test_a_file_that_makes_no_sense_is_a_configuration_error(tmp_path: Path, text: str | None, told: str) -> None:
    """It names the file, and the line."""
    path = tmp_path / "seeds"
    if text is not None:
        path.write_text(text, encoding="latin-1")
    with pytest.raises(ConfigError, match=f"^file:{path}.*{told}"):
        read_seeds(str(path))


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
