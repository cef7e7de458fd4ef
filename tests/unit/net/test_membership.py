"""The membership machine on a thread of its own."""

import asyncio
import random
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import FrozenInstanceError
from typing import Final

import pytest

from respcache.cluster.membership import LOCAL, Address, Died, Event, Joined, Left, MemberState, Meta, Swim
from respcache.net import frames
from respcache.net.membership import LINKS_WAITING_MAX, Membership
from respcache.net.seeds import discover
from respcache.net.sockets import bind_pair

HOST: Final = "127.0.0.1"
TIMEOUT_S: Final = 10.0


class Noted:
    """A node that knows nothing but who is there, and notes what it is told."""

    def __init__(self, name: str) -> None:
        self.stream, self.datagram = bind_pair(HOST, 0)
        self.address: Final[Address] = self.stream.getsockname()
        self.events: Final[list[Event]] = []
        self.links: Final[list[bytes]] = []
        self.told_on: Final[set[threading.Thread]] = set()
        self._news: Final = asyncio.Event()
        swim = Swim(
            name=name,
            address=self.address,
            meta=Meta(client_port=1, http_port=0),
            profile=LOCAL,
            rng=random.Random(name),
            now=time.monotonic(),
            epoch_unix_ms=1,
        )
        self.membership: Final = Membership(swim, on_event=self._heard, on_link=self._linked)

    async def open(self) -> None:
        """Start the thread."""
        await self.membership.open(self.datagram, self.stream)

    async def close(self) -> None:
        """End it."""
        await self.membership.close()
        self.stream.close()
        self.datagram.close()

    async def sees(self, condition: Callable[[], bool]) -> None:
        """Wait until what was told so far fulfils a condition."""
        async with asyncio.timeout(TIMEOUT_S):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def hears(self, kind: type[Joined | Died | Left], *names: str) -> None:
        """Wait until this was told of these members, and of no others."""
        await self.sees(lambda: self.heard(kind) == set(names))

    def heard(self, kind: type[Joined | Died | Left]) -> set[str]:
        """Name the members of which this was told."""
        return {event.member.name for event in self.events if isinstance(event, kind)}

    def _heard(self, event: Event) -> None:
        self.told_on.add(threading.current_thread())
        self.events.append(event)
        self._news.set()

    def _linked(self, connection: socket.socket, received: bytes) -> None:
        connection.close()
        self.links.append(received)
        self._news.set()


def threads() -> list[str]:
    """Name the threads of memberships that run."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("membership-")]


def with_nodes(count: int, scenario: Callable[[list[Noted]], Awaitable[None]]) -> None:
    """Run a scenario on nodes that know the first one; afterwards nothing of them is left."""

    async def main() -> None:
        nodes = [Noted(name) for name in "abc"[:count]]
        for node in nodes:
            await node.open()
            node.membership.join([nodes[0].address])
        others = {node.membership.snapshot.me.name for node in nodes}
        try:
            for node in nodes:
                await node.hears(Joined, *(others - {node.membership.snapshot.me.name}))
            await scenario(nodes)
        finally:
            await asyncio.gather(*(node.close() for node in nodes))
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    assert threads() == []


def test_news_come_to_the_nodes_loop_and_the_snapshot_is_never_behind_them() -> None:
    """Whoever is told that a member joined finds it in the snapshot, which cannot be changed."""

    async def scenario(nodes: list[Noted]) -> None:
        assert sorted(threads()) == ["membership-a", "membership-b", "membership-c"]
        for node in nodes:
            assert node.told_on == {threading.current_thread()}
            snapshot = node.membership.snapshot
            assert sorted(snapshot.members) == ["a", "b", "c"]
            assert {member.state for member in snapshot.members.values()} == {MemberState.ALIVE}
            with pytest.raises(FrozenInstanceError):
                snapshot.digest = 0  # type: ignore[misc] # that it cannot be changed is what is tested
        assert len({node.membership.snapshot.digest for node in nodes}) == 1
        found = nodes[0].membership.member("b")
        assert found is not None
        assert found.address == nodes[1].address

    with_nodes(3, scenario)


def test_figures_are_a_copy_that_is_renewed() -> None:
    """Counters, round trips and bytes appear within a second or two, without an event."""

    async def scenario(nodes: list[Noted]) -> None:
        membership = nodes[0].membership
        first = membership.snapshot

        async def renewed() -> None:
            while not (  # noqa: ASYNC110 # figures come without an event
                membership.snapshot.stats.probes["ack"] > first.stats.probes["ack"]
                and membership.snapshot.acquaintances.get("b") is not None
                and membership.traffic.datagrams_out
                and membership.traffic.streams_in
            ):
                await asyncio.sleep(0.01)

        await asyncio.wait_for(renewed(), TIMEOUT_S)
        met = membership.snapshot.acquaintances["b"]
        assert met.round_trip_s is not None
        assert 0 < met.round_trip_s < 1
        assert sum(membership.snapshot.stats.probe_us_buckets) > 0
        assert membership.snapshot.stats is not first.stats

    with_nodes(2, scenario)


def test_a_farewell_reaches_the_others_before_the_thread_ends() -> None:
    """They are told that it left, not that it died."""

    async def scenario(nodes: list[Noted]) -> None:
        await nodes[2].membership.leave(TIMEOUT_S)
        await nodes[2].close()
        for node in nodes[:2]:
            await node.hears(Left, "c")
            assert node.heard(Died) == set()

    with_nodes(3, scenario)


def test_a_hint_leads_to_a_probe_at_once() -> None:
    """Whoever refuses connections is looked at; one that answers is none the worse for it."""

    async def scenario(nodes: list[Noted]) -> None:
        for _ in range(3):
            nodes[0].membership.hint("b")
        nodes[0].membership.hint("nobody")
        await nodes[1].membership.leave(TIMEOUT_S)  # so that something is waited for
        await nodes[0].hears(Left, "b")

    with_nodes(2, scenario)


def test_links_come_in_through_the_thread() -> None:
    """With what was read of them; where to join is answered without the node's loop."""

    async def scenario(nodes: list[Noted]) -> None:
        node = nodes[0]
        hello = frames.frame(frames.HELLO, b"who")
        _, writer = await asyncio.open_connection(*node.address)
        writer.write(hello)
        await node.sees(lambda: node.links == [hello])
        writer.close()
        assert await discover(node.address) == node.address

    with_nodes(1, scenario)


def test_links_that_a_busy_node_does_not_take_up_are_limited() -> None:
    """While the node's loop stands still, no more than the limit wait; those above it are cut."""

    async def scenario(nodes: list[Noted]) -> None:
        node, hello = nodes[0], frames.frame(frames.HELLO, b"who")
        callers = []
        for _ in range(LINKS_WAITING_MAX + 6):
            caller = socket.create_connection(node.address)
            caller.sendall(hello)
            callers.append(caller)
        cut = 0
        for caller in callers[LINKS_WAITING_MAX:]:
            caller.settimeout(TIMEOUT_S)
            try:
                cut += caller.recv(1) == b""  # the node's loop, on which this runs, stands still
            except ConnectionResetError:
                cut += 1
        assert cut == 6
        await node.sees(lambda: len(node.links) == LINKS_WAITING_MAX)
        for caller in callers:
            caller.close()

    with_nodes(1, scenario)


def test_closing_ends_the_thread_whatever_comes_first() -> None:
    """Without opening, twice, at once; what is asked for afterwards is not done."""

    async def main() -> None:
        node = Noted("a")
        await node.close()
        node = Noted("b")
        opening = asyncio.create_task(node.open())
        await asyncio.sleep(0)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        await node.close()
        await node.close()
        node.membership.join([])
        node.membership.hint("c")
        await node.membership.leave(TIMEOUT_S)
        assert threads() == []

    asyncio.run(main())


def test_a_port_that_somebody_listens_on_is_an_error_of_the_opener() -> None:
    """The thread ends, and says why."""

    async def main() -> None:
        node = Noted("a")
        node.stream.close()
        node.stream, other = socket.socket(), socket.socket()
        with other:
            for bound in (node.stream, other):
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                bound.bind(node.address)
            other.listen()
            with pytest.raises(OSError, match="in use"):
                await node.open()
        await node.close()

    asyncio.run(main())
    assert threads() == []


def test_a_node_whose_loop_has_ended_does_not_pretend_to_live() -> None:
    """A thread that finds nobody to tell ends by itself."""
    nodes: list[Noted] = []

    async def main() -> None:
        nodes.append(Noted("a"))
        await nodes[0].open()

    asyncio.run(main())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        deadline = time.monotonic() + TIMEOUT_S
        while threads() and time.monotonic() < deadline:
            stranger.sendto(b"x", nodes[0].address)
            time.sleep(0.01)  # until the next sign of life is asked for
    assert threads() == []
    nodes[0].stream.close()
    nodes[0].datagram.close()


def test_nodes_of_one_process_are_independent() -> None:
    """One that is closed as if it had crashed is found dead by the others, whose threads go on."""

    async def scenario(nodes: list[Noted]) -> None:
        await nodes[0].close()
        assert sorted(threads()) == ["membership-b", "membership-c"]
        for node in nodes[1:]:
            await node.hears(Died, "a")

    with_nodes(3, scenario)
