"""Looking for other nodes, again and again."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from loopback import HOST, free_ports
from respcache.cluster.membership import LOCAL, Address, Meta, Swim
from respcache.cluster.membership.snapshot import MembershipSnapshot
from respcache.net import seeds
from respcache.net.names import Names
from respcache.net.search import Search
from respcache.net.seeds import DnsSeed, FileSeed, HostSeed, Seed

TIMEOUT_S: Final = 10.0


class Seeker:
    """A search that notes whom it calls, with a resolver that can be told what to answer."""

    def __init__(self, *wanted: Seed, own: Sequence[Address] = (), joined: bool = False) -> None:
        self.called: Final[list[list[Address]]] = []
        self.joined = joined
        self.hosts: dict[str, list[str]] = {}
        """The addresses that names have."""
        self.swim: Final = Swim(
            name="seeker",
            address=("10.1.0.0", 1),
            meta=Meta(client_port=2, http_port=0),
            profile=LOCAL,
            rng=random.Random(1),
            now=0.0,
            epoch_unix_ms=1,
        )
        self.search: Final = Search(
            wanted,
            known=lambda: MembershipSnapshot.of(self.swim),
            call=lambda found: self.called.append(list(found)),
            names=Names(self._resolve),
            own=own,
            joined=lambda: self.joined,
            pause_s=0.01,
            default_port=6379,
            rng=random.Random(1),
        )

    def _resolve(self, host: str, *_rest: object, **_kinds: object) -> list[tuple[object, ...]]:
        host.encode("idna")  # which getaddrinfo does, too: there are texts that can be no names
        if host not in self.hosts:
            raise OSError("no such name")
        return [(0, 0, 0, "", (address, 0)) for address in self.hosts[host]]


@asynccontextmanager
async def nodes(*places: Address) -> AsyncIterator[dict[Address, int]]:
    """Answer at some addresses with a meeting point at 10.0.0.x:1, x being the number; count the questions."""
    asked = dict.fromkeys(places, 0)

    async with asyncio.TaskGroup() as answers:
        servers = []
        for number, place in enumerate(places):

            def serve(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, place: Address = place, number: int = number
            ) -> None:
                asked[place] += 1
                answers.create_task(_answer(reader, writer, (f"10.0.0.{number}", 1)))

            servers.append(await asyncio.start_server(serve, *place))
        try:
            yield asked
        finally:
            for server in servers:
                server.close()


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, meeting_point: Address) -> None:
    await reader.readexactly(len(seeds.QUESTION))
    writer.write(seeds.meeting_point(meeting_point))
    writer.close()
    await writer.wait_closed()


def test_all_addresses_of_a_name_are_nodes() -> None:
    """The name is resolved anew for every attempt, as it is when pods come and go."""

    async def main() -> None:
        (port,) = free_ports(1)
        seeker = Seeker(DnsSeed("cache", port))
        async with nodes(("127.0.0.1", port), ("127.0.0.2", port), ("127.0.0.3", port)):
            seeker.hosts = {"cache": ["127.0.0.1", "127.0.0.2"]}
            assert await seeker.search.attempt() == {("10.0.0.0", 1), ("10.0.0.1", 1)}
            seeker.hosts = {"cache": ["127.0.0.3"]}
            assert await seeker.search.attempt() == {("10.0.0.2", 1)}
            seeker.hosts = {}
            assert await seeker.search.attempt() == set()
        assert seeker.called == [[("10.0.0.0", 1), ("10.0.0.1", 1)], [("10.0.0.2", 1)]]

    asyncio.run(main())


def test_the_first_address_of_a_host_that_answers_is_the_node() -> None:
    """A host with two addresses, one of them dead, is one node."""

    async def main() -> None:
        (port,) = free_ports(1)
        seeker = Seeker(HostSeed("cache-1", port))
        seeker.hosts = {"cache-1": ["127.0.0.9", "127.0.0.1", "127.0.0.2"]}
        async with nodes(("127.0.0.1", port), ("127.0.0.2", port)) as asked:
            assert await seeker.search.attempt() == {("10.0.0.0", 1)}
            assert asked[("127.0.0.2", port)] == 0

    asyncio.run(main())


def test_a_file_is_read_again_for_every_attempt(tmp_path: Path) -> None:
    """What is added to it is found."""

    async def main() -> None:
        path = tmp_path / "seeds"
        seeker = Seeker(FileSeed(str(path)))
        one, two = ((HOST, port) for port in free_ports(2))
        async with nodes(one, two):
            assert await seeker.search.attempt() == set()
            path.write_text("{}:{}\n".format(*one), encoding="utf-8")
            assert await seeker.search.attempt() == {("10.0.0.0", 1)}
            path.write_text("{}:{}\n{}:{}\n".format(*one, *two), encoding="utf-8")
            assert await seeker.search.attempt() == {("10.0.0.0", 1), ("10.0.0.1", 1)}

    asyncio.run(main())


def test_our_own_address_is_passed_over_however_it_is_written() -> None:
    """By number it is not even asked; where the answer leads back to us it is not called."""

    async def main() -> None:
        number, named = ((HOST, port) for port in free_ports(2))
        seeker = Seeker(HostSeed(*number), HostSeed("me", named[1]), own=[number, ("10.0.0.1", 1)])
        seeker.hosts = {"me": [HOST]}
        async with nodes(number, named) as asked:
            assert await seeker.search.attempt() == set()
            assert asked == {number: 0, named: 1}
        assert seeker.called == []

    asyncio.run(main())


def test_a_member_that_is_known_is_not_asked_again() -> None:
    """By either of its ports: an idle cluster exchanges no questions."""

    async def main() -> None:
        (cluster, client) = (HostSeed("10.1.0.0", 1), HostSeed("10.1.0.0", 2))  # nobody is there
        seeker = Seeker(cluster, client, joined=True)
        assert await seeker.search.attempt() == {("10.1.0.0", 1)}

    asyncio.run(main())


def test_silence_is_told_once_and_searching_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """One plain line; a seed that comes up later is found, and one that was added in the meantime."""

    async def main() -> None:
        late, added = ((HOST, port) for port in free_ports(2))
        seeker = Seeker(HostSeed(*late))
        searching = asyncio.create_task(seeker.search.run())
        async with asyncio.timeout(TIMEOUT_S):
            while not caplog.records:  # noqa: ASYNC110 # a log has no events
                await asyncio.sleep(0.01)
            async with nodes(late, added):
                while not seeker.called:  # noqa: ASYNC110 # nor has a list
                    await asyncio.sleep(0.01)
                seeker.joined = True
                seeker.search.add(HostSeed(*added))
                while len(seeker.called[-1]) < 2:  # noqa: ASYNC110 # the same
                    await asyncio.sleep(0.01)
        searching.cancel()
        await asyncio.gather(searching, return_exceptions=True)
        told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        assert told == ["none of the join addresses answers yet: {}:{}".format(*late)]

    asyncio.run(main())


def test_wrong_seeds_are_told_once_each(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With what is wrong; the good one is found nevertheless."""

    async def main() -> None:
        (good,) = ((HOST, port) for port in free_ports(1))
        missing = tmp_path / "missing"
        seeker = Seeker(HostSeed(*good), FileSeed(str(missing)), HostSeed("a..b", 1))
        async with nodes(good):
            for _ in range(3):
                assert await seeker.search.attempt() == {("10.0.0.0", 1)}
        assert sorted(record.getMessage() for record in caplog.records) == [
            "join address ignored: 'a..b' cannot be the name of a host",
            f"join address ignored: file:{missing}: No such file or directory",
        ]

    asyncio.run(main())
