"""Names of hosts, looked up aside."""

import asyncio
import socket
import threading
from collections.abc import Sequence

import pytest

from respcache.cluster.membership import Address
from respcache.errors import ConfigError
from respcache.net import names
from respcache.net.names import Names


def addresses(*hosts: str) -> Sequence[tuple[object, ...]]:
    """Answer as getaddrinfo does."""
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 0)) for host in hosts]


def look_up(host: str, resolver: Names) -> list[Address]:
    """Look one name up."""
    return asyncio.run(resolver.look_up(host, 5))


def test_a_name_may_have_several_addresses() -> None:
    """In the resolver's order, each once."""
    resolver = Names(lambda *_asked, **_kinds: addresses("10.0.0.2", "10.0.0.1", "10.0.0.2"))
    assert look_up("cache", resolver) == [("10.0.0.2", 5), ("10.0.0.1", 5)]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_address_is_nobodys_name(host: str) -> None:
    """The resolver is not asked."""

    def never(*_asked: object, **_kinds: object) -> Sequence[tuple[object, ...]]:
        raise AssertionError

    assert look_up(host, Names(never)) == [(host, 5)]


@pytest.mark.parametrize("host", ["a..b", "a" * 70])
def test_a_host_that_cannot_be_is_a_configuration_error(host: str) -> None:
    """It need not be tried again and again."""
    with pytest.raises(ConfigError, match="cannot be the name of a host"):
        look_up(host, Names())


def test_a_name_without_an_address_is_an_oserror() -> None:
    """It may get one later."""

    def nobody(*_asked: object, **_kinds: object) -> Sequence[tuple[object, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    with pytest.raises(OSError, match="no such name"):
        look_up("cache", Names(nobody))


def test_a_resolver_that_hangs_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt gives up in time, the next one waits for the same look-up, and the loop may end without either."""
    asked: list[object] = []
    answer = threading.Event()

    def hangs(*words: object, **_kinds: object) -> Sequence[tuple[object, ...]]:
        asked.append(words[0])
        answer.wait()
        return addresses("10.0.0.1")

    async def main() -> None:
        resolver = Names(hangs)
        for _ in range(2):
            with pytest.raises(OSError, match="the address of cache is not known yet"):
                await resolver.look_up("cache", 5)
        assert asked == ["cache"]
        last = asyncio.create_task(resolver.look_up("cache", 5))
        await asyncio.sleep(0)
        answer.set()
        assert await last == [("10.0.0.1", 5)]
        answer.clear()
        with pytest.raises(OSError, match="not known yet"):
            await resolver.look_up("cache", 5)

    monkeypatch.setattr(names, "PATIENCE_S", 0.05)
    asyncio.run(main())
    answer.set()
