"""Links with keys: nodes that have one talk as before, and nobody else gets a word in or out."""

import asyncio
import random
import socket
from collections.abc import Callable, Coroutine
from typing import Final

import pytest

from respcache.cluster.sealing.channel import Identity
from respcache.cluster.sealing.keyring import Key, Keyring
from respcache.cluster.sealing.sealing import Sealing
from respcache.errors import ProtocolError
from respcache.net import frames, messages
from respcache.net.links import Link
from respcache.net.messages import Greeting
from respcache.net.sealed import Wire
from unit.net.noted import NotedNode
from unit.net.test_links import HELLO
from unit.net.transports import NotedTransport

TIMEOUT_S: Final = 5.0
OLD, NEW, FOREIGN = (Key.of(bytes([number]) * 32) for number in (1, 2, 3))


def sealing(name: str, *keys: Key, label: str = "", seed: int = 0, plaintext: bool = False) -> Sealing:
    """Give a node keys."""
    dice = random.Random(f"{name}{seed}").randbytes
    return Sealing(Keyring(keys or (OLD,)), Identity(name, 1), label=label, entropy=dice, plaintext=plaintext)


def incoming(sealing: Sealing | None) -> tuple[NotedNode, Link, NotedTransport]:
    """Let somebody connect to a node."""
    node, transport = NotedNode("b", sealing), NotedTransport()
    link = Link(node.links)
    link.connection_made(transport)
    return node, link, transport


def hail(wire: Wire, link: Link, transport: NotedTransport) -> None:
    """Shake hands with a node."""
    link.data_received(wire.begin())
    assert wire.feed(transport.take()) == []
    assert wire.is_ready


def with_two(
    a: Sealing | None, b: Sealing | None, scenario: Callable[[NotedNode, NotedNode], Coroutine[None, None, None]]
) -> None:
    """Run a scenario with two nodes, the first of which dials the second."""

    async def main() -> None:
        first, second = NotedNode("a", a), NotedNode("b", b)
        await first.listen()
        await second.listen()
        first.keep(second)
        try:
            await scenario(first, second)
        finally:
            await first.close()
            await second.close()

    asyncio.run(main())


def test_nodes_with_a_key_have_a_link() -> None:
    """It carries what any link carries, of any size, and rests on the key."""

    async def scenario(a: NotedNode, b: NotedNode) -> None:
        await a.hears("up", "b")
        await b.hears("up", "a")
        large = random.Random(1).randbytes(1_000_000)
        for here, there in ((a, b), (b, a)):
            name, peer = here.links.greeting.name, there.links.greeting.name
            link = here.links.link(peer)
            assert link is not None
            assert link.is_sealed
            assert link.key_ids == {OLD.id}
            for body in (b"small", large, b""):
                link.send(frames.KEEPER, body)
                await there.hears("frame", name, body)

    with_two(sealing("a"), sealing("b"), scenario)


def test_no_plain_word_is_on_the_wire() -> None:
    """Neither of a greeting, nor of what follows."""

    async def main() -> None:
        node, link, transport = incoming(sealing("b"))
        wire = Wire(sealing("a"), dialled=("127.0.0.1", 1))
        link.data_received(wire.begin())
        written = transport.take()
        wire.feed(written)
        link.data_received(wire.seal(frames.frame(frames.HELLO, messages.encode_greeting(Greeting("a", 1)))))
        link.send(frames.KEEPER, b"top secret")
        await asyncio.sleep(0)
        written = transport.take()
        assert node.told == [("up", "a")]
        assert b"top secret" not in written
        kinds = [kind for kind, _ in wire.feed(written)]
        assert kinds == [frames.HELLO, frames.KEEPER]

    asyncio.run(main())


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (HELLO, "plaintext"),
        (frames.frame(frames.GOSSIP, b"abc"), "plaintext"),
        (frames.frame(frames.KEYS, b"abc"), "plaintext"),
        (frames.frame(frames.HAIL, b"abc"), "decode"),
        (frames.frame(frames.INQUIRY, b"abc"), "decode"),
        (frames.frame(frames.WELCOME, b"abc"), "decode"),
        (frames.frame(frames.RECORD, b"abc"), "decode"),
        (frames.frame(frames.REKEY, b"abc"), "decode"),
        (b"\xff\xff\xff\xff\x20", "oversize"),
        (Wire(sealing("a", FOREIGN), dialled=("a", 1)).begin(), "key"),
        (Wire(sealing("a", label="other"), dialled=("a", 1)).begin(), "auth"),
        (Wire(sealing("b"), dialled=("a", 1)).begin(), "reflected"),
    ],
)
def test_outsiders_are_cut_off(words: bytes, reason: str) -> None:
    """Without an answer, and counted by what was wrong."""

    async def main() -> None:
        node, link, transport = incoming(sealing("b"))
        link.data_received(words)
        assert (transport.aborted, transport.take(), node.told) == (True, b"", [])
        assert {key: count for key, count in node.links.rejections.counts.items() if count} == {reason: 1}

    asyncio.run(main())


def test_an_outsider_that_comes_again_and_again_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """One line tells of a host and a reason; all are counted."""

    async def main() -> None:
        node, _, _ = incoming(sealing("b"))
        for _ in range(20):
            link, transport = Link(node.links), NotedTransport()
            link.connection_made(transport)
            link.data_received(Wire(sealing("a", FOREIGN), dialled=("a", 1)).begin())
            assert transport.aborted
        assert node.links.rejections.counts["key"] == 20
        (line,) = caplog.messages
        assert line.startswith("link to 127.0.0.1 cut: ")

    asyncio.run(main())


def test_a_recorded_connection_cannot_be_played_again() -> None:
    """The first word is answered, and no other is understood."""

    async def main() -> None:
        node, link, transport = incoming(sealing("b"))
        wire = Wire(sealing("a"), dialled=("127.0.0.1", 1))
        recorded = [wire.begin()]
        link.data_received(recorded[0])
        wire.feed(transport.take())
        recorded.append(wire.seal(frames.frame(frames.HELLO, messages.encode_greeting(Greeting("a", 1)))))
        link.data_received(recorded[1])
        await asyncio.sleep(0)
        assert node.told == [("up", "a")]
        again, transport = Link(node.links), NotedTransport()
        again.connection_made(transport)
        for words in recorded:
            again.data_received(words)
        assert transport.aborted
        assert node.links.rejections.counts["auth"] == 1
        assert node.told == [("up", "a")]

    asyncio.run(main())


@pytest.mark.parametrize("change", ["flip", "repeat", "plain"])
def test_an_injected_word_ends_the_link(change: str) -> None:
    """Whether it is changed, repeated, or put in plainly."""

    async def main() -> None:
        node, link, transport = incoming(sealing("b"))
        wire = Wire(sealing("a"), dialled=("127.0.0.1", 1))
        hail(wire, link, transport)
        link.data_received(wire.seal(frames.frame(frames.HELLO, messages.encode_greeting(Greeting("a", 1)))))
        true = wire.seal(frames.frame(frames.KEEPER, b"true"))
        if change == "flip":
            words = true[:-1] + bytes([true[-1] ^ 1])
        elif change == "repeat":
            link.data_received(true)
            words = true
        else:
            words = frames.frame(frames.KEEPER, b"false")
        link.data_received(words)
        assert transport.aborted
        assert ("frame", "a", b"false") not in node.told
        assert node.told.count(("frame", "a", b"true")) == (change == "repeat")
        assert sum(node.links.rejections.counts.values()) == 1

    asyncio.run(main())


def test_a_member_cannot_greet_under_two_names() -> None:
    """The one that it has proved a key under counts."""

    async def main() -> None:
        node, link, transport = incoming(sealing("b"))
        wire = Wire(sealing("a"), dialled=("127.0.0.1", 1))
        hail(wire, link, transport)
        link.data_received(wire.seal(frames.frame(frames.HELLO, messages.encode_greeting(Greeting("c", 1)))))
        assert (transport.aborted, node.told) == (True, [])

    asyncio.run(main())


def test_the_handshake_may_come_in_pieces() -> None:
    """Byte by byte, with what follows it right behind."""

    async def main() -> None:
        node, link, transport = incoming(sealing("b"))
        wire = Wire(sealing("a"), dialled=("127.0.0.1", 1))
        for byte in wire.begin():
            link.data_received(bytes([byte]))
        for byte in transport.take():
            wire.feed(bytes([byte]))
        greeting = frames.frame(frames.HELLO, messages.encode_greeting(Greeting("a", 1)))
        for byte in wire.seal(greeting) + wire.seal(frames.frame(frames.KEEPER, b"x")):
            link.data_received(bytes([byte]))
        assert node.told == [("up", "a"), ("frame", "a", b"x")]

    asyncio.run(main())


def test_a_link_outlives_a_rotation() -> None:
    """What is under way arrives, and then nothing rests on the old key."""

    async def scenario(a: NotedNode, b: NotedNode) -> None:
        await a.hears("up", "b")
        await b.hears("up", "a")
        for number, node in enumerate((a, b)):
            assert node.links.sealing is not None
            (link,) = node.links.standing()
            link.send(frames.KEEPER, b"before %d" % number)
            node.links.sealing.ring = Keyring((NEW, OLD))
            link.rekey()
            link.send(frames.KEEPER, b"after %d" % number)
        await b.hears("frame", "a", b"after 0")
        await a.hears("frame", "b", b"after 1")
        assert ("frame", "a", b"before 0") in b.told
        assert a.links.standing()[0].key_ids == b.links.standing()[0].key_ids == {NEW.id}
        assert ("down", "b") not in a.told

    with_two(sealing("a", OLD, NEW), sealing("b", OLD, NEW), scenario)


@pytest.mark.parametrize(("a", "b"), [(True, False), (False, True), (True, True)])
def test_links_are_made_while_a_cluster_moves_to_keys(a: bool, b: bool) -> None:  # noqa: FBT001 # columns of a table
    """Plainly where one side has none yet."""

    async def scenario(first: NotedNode, second: NotedNode) -> None:
        await first.hears("up", "b")
        await second.hears("up", "a")
        assert first.links.standing()[0].is_sealed == (a and b)

    with_two(sealing("a", plaintext=True) if a else None, sealing("b", plaintext=True) if b else None, scenario)


@pytest.mark.parametrize("keyed", ["a", "b"])
def test_no_link_is_made_with_a_node_without_keys(keyed: str) -> None:
    """Unless the settings say so."""

    async def scenario(first: NotedNode, second: NotedNode) -> None:
        node = first if keyed == "a" else second
        other = second if keyed == "a" else first
        async with asyncio.timeout(TIMEOUT_S):
            while not sum((node if keyed == "b" else other).links.rejections.counts.values()):  # noqa: ASYNC110 # no events
                await asyncio.sleep(0.01)
        assert first.told == second.told == []

    with_two(sealing("a") if keyed == "a" else None, sealing("b") if keyed == "b" else None, scenario)


def test_messages_about_keys_are_for_nodes_that_have_some() -> None:
    """A node without keys cuts the link."""

    async def scenario(a: NotedNode, b: NotedNode) -> None:
        await a.hears("up", "b")
        a.links.standing()[0].send(frames.KEYS, b"x")
        await b.hears("down", "a")

    with_two(None, None, scenario)


def test_a_strange_listener_learns_nothing() -> None:
    """Whoever sits at a node's address gets its first word and no other, whatever it answers."""

    async def main() -> None:
        heard: list[bytes] = []

        async def pose(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.append(await reader.read(10_000))
            stranger = Wire(sealing("b", FOREIGN))
            for answer in (HELLO, frames.frame(frames.WELCOME, bytes(100)), heard[-1]):
                writer.write(answer)
            heard.append(await reader.read(10_000))
            writer.close()
            with pytest.raises(ProtocolError):
                stranger.feed(heard[0])

        listening = socket.create_server(("127.0.0.1", 0))
        async with await asyncio.start_server(pose, sock=listening):
            node = NotedNode("a", sealing("a"))
            node.links.keep("b", *listening.getsockname())
            async with asyncio.timeout(TIMEOUT_S):
                while not (len(heard) >= 2 and node.links.rejections.counts["plaintext"]):  # noqa: ASYNC110 # no events
                    await asyncio.sleep(0.01)
            await node.links.close()
        assert heard[1] == b""
        assert node.told == []

    asyncio.run(main())
