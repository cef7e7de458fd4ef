"""Names of hosts, looked up aside."""

import asyncio
import socket
import threading
from collections.abc import Sequence

import pytest

from respcache.cluster.membership import Address
from respcache.errors import ConfigError
from respcache.net import names
from respcache.net.names import FRESH_S, HOSTS_MAX, AddressBook, Names


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


def test_a_datagram_is_not_kept_waiting_for_a_name() -> None:
    """It is lost until the name is resolved; then the address is used until another one is known."""
    answers: list[str | None] = ["10.0.0.1", None, "10.0.0.2"]

    def resolve(*_asked: object, **_kinds: object) -> Sequence[tuple[object, ...]]:
        answer = answers.pop(0)
        if answer is None:
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return addresses(answer)

    async def main() -> None:
        under_way: list[asyncio.Task[None]] = []
        book = AddressBook(Names(resolve), lambda work: under_way.append(asyncio.create_task(work)))
        assert book.find(0.0, ("10.1.1.1", 7)) == ("10.1.1.1", 7)
        assert under_way == []
        assert [book.find(0.0, ("cache", port)) for port in (7, 8)] == [None, None]
        for now, found in (
            (1.0, "10.0.0.1"),
            (FRESH_S, "10.0.0.1"),
            (2 * FRESH_S, "10.0.0.1"),
            (2.5 * FRESH_S, "10.0.0.2"),
        ):
            await asyncio.gather(*under_way)
            assert book.find(now, ("cache", 7)) == (found, 7)
        assert len(under_way) == 3

    asyncio.run(main())


@pytest.mark.parametrize(("family", "found"), [(socket.AF_INET, "10.0.0.1"), (socket.AF_INET6, "fd00::1")])
def test_of_several_addresses_the_sockets_own_kind_is_used(family: int, found: str) -> None:
    """A datagram socket speaks one of the two protocols; with no such address it has to try another."""

    async def main() -> None:
        under_way: list[asyncio.Task[None]] = []
        resolver = Names(lambda *_asked, **_kinds: addresses("fd00::1", "10.0.0.1"))
        book = AddressBook(resolver, lambda work: under_way.append(asyncio.create_task(work)))
        book.family = family
        assert book.find(0.0, ("cache", 7)) is None
        await asyncio.gather(*under_way)
        assert book.find(1.0, ("cache", 7)) == (found, 7)

    asyncio.run(main())


def test_hosts_are_not_remembered_without_end() -> None:
    """Rumours may name any number of them."""

    async def main() -> None:
        book = AddressBook(Names(), lambda work: work.close())
        for number in range(HOSTS_MAX + 2):
            book.find(0.0, (f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", 1))
        assert len(book._known) == 2

    asyncio.run(main())
