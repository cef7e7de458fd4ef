"""Links between nodes: one for each pair, and whoever does not keep to the protocol is cut off."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

import pytest

from respcache.commands.session import Turns
from respcache.net import frames, messages
from respcache.net.crowd import CROWD, STRANGERS_MAX
from respcache.net.links import REDIAL_S, TURN_NS, UNSENT_MAX_BYTES, Link
from respcache.net.messages import Greeting
from respcache.net.questions import FRAME_BYTES
from respcache.routing.sheaf import Sheaf
from unit.net.noted import HOST, TIMEOUT_S, NotedNode, order, with_two
from unit.net.transports import NotedTransport


def test_two_nodes_have_one_link() -> None:
    """Both want it; the one with the smaller name dials."""

    async def scenario(a: NotedNode, b: NotedNode) -> None:
        assert (len(a.links), len(b.links), a.links.reconnects) == (1, 1, 0)
        there = b.links.link("a")
        assert there is not None
        assert (there.peer, there.run) == ("a", 1)
        assert b.links.link("z") is None

    with_two(scenario)


def test_commands_go_and_answers_come() -> None:
    """Those of one turn in one frame, each to the order that it belongs to; a refusal is told from a reply."""

    async def scenario(a: NotedNode, b: NotedNode) -> None:
        link = a.links.link("b")
        assert link is not None
        for words in ((b"GET", b"k"), (b"REFUSED", b""), (b"TTL", b"l")):
            link.ask(order(*words), (1, 2), lambda: 4.0)
        link.send(frames.KEEPER, b"message")
        await b.hears("frame", "a", b"message")
        await a.hears("answered", (b"GET", b"k"), (b"REFUSED", None), (b"TTL", b"l"))
        assert ("asked", "a", b"GET", b"REFUSED", b"TTL") in b.told

    with_two(scenario)


def test_answers_to_a_sheaf_come_together_and_in_their_place() -> None:
    """Between those to orders; when the link breaks each command that has no answer is lost by itself."""

    async def scenario(a: NotedNode, b: NotedNode) -> None:
        link = a.links.link("b")
        assert link is not None
        sheaf = Sheaf(Turns(), database=3, protocol=2, version=(1, 2), deadline_s=9.0)

        def clock() -> float:
            return 4.0

        link.ask(order(b"GET", b"before"), (1, 2), clock)
        link.relay(sheaf, 7, [b"GET", b"k"], clock)
        link.relay(sheaf, 8, [b"REFUSED", b""], clock)
        link.ask(order(b"GET", b"between"), (1, 2), clock)
        link.relay(sheaf, 9, [b"TTL", b"l"], clock)
        await a.hears("returned", (5, b"l"))
        assert ("asked", "a", b"GET", b"GET", b"REFUSED", b"GET", b"TTL") in b.told
        assert a.told[-4:] == [
            ("answered", (b"GET", b"before")),
            ("returned", (2, b"k"), (3, None)),
            ("answered", (b"GET", b"between")),
            ("returned", (5, b"l")),
        ]
        link.relay(sheaf, 7, [b"SILENCE", b"k"], clock)
        link.ask(order(b"SILENCE"), (1, 2), clock)
        link.relay(sheaf, 7, [b"SILENCE", b"l"], clock)
        await b.hears("asked", "a", b"SILENCE", b"SILENCE", b"SILENCE")
        a.told.clear()
        link.cut()
        await a.hears("up", "b")
        assert a.told == [("down", "b"), ("lost", 6), ("lost", b"SILENCE"), ("lost", 8), ("up", "b")]

    with_two(scenario)


def test_a_broken_link_gives_its_orders_back_and_is_dialled_anew() -> None:
    """Both ends are told; what was not answered is lost."""

    async def scenario(a: NotedNode, b: NotedNode) -> None:
        link = a.links.link("b")
        assert link is not None
        link.ask(order(b"SILENCE"), (1, 2), lambda: 4.0)
        await b.hears("asked", "a", b"SILENCE")
        b.told.clear()
        a.told.clear()
        link.cut()
        await a.hears("up", "b")
        await b.hears("up", "a")
        assert a.told == [("down", "b"), ("lost", b"SILENCE"), ("up", "b")]
        assert b.told == [("down", "a"), ("up", "a")]
        assert a.links.reconnects == 1

    with_two(scenario)


def test_a_link_that_is_dropped_stays_down() -> None:
    """The node is gone."""

    async def scenario(a: NotedNode, b: NotedNode) -> None:
        a.links.drop("b")
        await b.hears("down", "a")
        assert (len(a.links), len(b.links), a.links._dialling) == (0, 0, {})

    with_two(scenario)


@pytest.mark.parametrize("kind", [frames.HELLO, 9, frames.ASK, frames.ANSWER, frames.KEEPER])
def test_nonsense_cuts_the_link(kind: int) -> None:
    """Of any kind; the other side dials again."""

    async def scenario(a: NotedNode, b: NotedNode) -> None:
        link = a.links.link("b")
        assert link is not None
        link.send(kind, b"nonsense" if kind != frames.ANSWER else b"")
        await b.hears("down", "a")
        await a.hears("down", "b")

    with_two(scenario)


def test_those_who_begin_a_greeting_and_say_no_more_keep_nobody_out() -> None:
    """Twice as many as there is room for: they are cut off, a link that stands is not, and a new one is made."""

    async def scenario(a: NotedNode, b: NotedNode) -> None:
        streams = []
        for _ in range(2 * STRANGERS_MAX):
            reader, writer = await asyncio.open_connection(*b.address)
            writer.write(frames.frame(frames.HELLO, b"x" * 50)[:20])
            streams.append((reader, writer))
        for reader, _ in streams[:STRANGERS_MAX]:
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        assert b.links.rejections.counts[CROWD] + b.door.rejections.counts[CROWD] >= STRANGERS_MAX
        assert ("down", "a") not in b.told
        link = a.links.link("b")
        assert link is not None
        link.cut()
        b.told.clear()
        await b.hears("up", "a")
        for _, writer in streams:
            writer.close()

    with_two(scenario)


def test_a_living_node_that_refuses_connections_is_told_of() -> None:
    """Whoever probes it has a reason then."""

    async def main() -> None:
        a, b = NotedNode("a"), NotedNode("b")
        await b.listen()
        await b.close()
        a.keep(b)
        await a.hears("unreachable", "b")
        await a.links.close()

    asyncio.run(main())


def incoming(name: str = "b") -> tuple[NotedNode, Link, NotedTransport]:
    """Let a stranger connect to a node."""
    node, transport = NotedNode(name), NotedTransport()
    link = Link(node.links)
    link.connection_made(transport)
    return node, link, transport


HELLO: Final = frames.frame(frames.HELLO, messages.encode_greeting(Greeting("a*", 5)))


@pytest.mark.parametrize("at", range(len(HELLO)))
def test_a_greeting_may_come_in_pieces(at: int) -> None:
    """Wherever it is cut, even where a piece looks like the start of something else."""

    async def main() -> None:
        node, link, transport = incoming()
        for piece in (HELLO[:at], HELLO[at:]):
            if piece:
                link.data_received(piece)
        await asyncio.sleep(0)
        assert node.told == [("up", "a*")]
        assert transport.take() == frames.frame(frames.HELLO, messages.encode_greeting(node.links.greeting))

    asyncio.run(main())


@pytest.mark.parametrize(
    "words",
    [
        frames.frame(frames.KEEPER, b"x"),
        frames.frame(frames.ASK, b"x"),
        frames.frame(frames.GOSSIP, b"x"),
        frames.frame(frames.HELLO, b"x"),
        frames.frame(frames.HELLO, messages.encode_greeting(Greeting("a*", 5, messages.PROTOCOL + 1))),
        b"\xff\xff\xff\xff\x00",
        b"GET / HTTP/1.1\r\n",
    ],
)
def test_strangers_who_do_not_greet_are_cut_off(words: bytes) -> None:
    """Before they have done anything."""

    async def main() -> None:
        node, link, transport = incoming()
        link.data_received(words)
        assert (transport.aborted, transport.take(), node.told) == (True, b"", [])

    asyncio.run(main())


def test_a_peer_that_is_slow_to_greet_is_not_dialled_again() -> None:
    """Its event loop may be busy: one connection waits for it, and not one after the other."""

    async def main() -> None:
        connections: list[asyncio.StreamWriter] = []
        news = asyncio.Event()

        def accept(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.append(writer)
            news.set()

        server = await asyncio.start_server(accept, HOST, 0)
        node = NotedNode("a")
        async with server, asyncio.timeout(TIMEOUT_S):
            node.links.keep("b", *server.sockets[0].getsockname())
            await news.wait()
            await asyncio.sleep(2 * REDIAL_S)  # nothing tells that something does not happen
            assert len(connections) == 1
            news.clear()
            connections[0].close()
            await news.wait()
            assert len(connections) == 2
            await node.links.close()
            for connection in connections:
                connection.close()

    asyncio.run(main())


def test_whoever_answers_under_another_name_is_cut_off() -> None:
    """An address may have passed to another node."""

    async def main() -> None:
        node, transport = NotedNode("a"), NotedTransport()
        link = Link(node.links, dialled="b")
        link.connection_made(transport)
        link.data_received(HELLO)
        assert (transport.aborted, node.told) == (True, [])

    asyncio.run(main())


def test_a_newer_link_takes_the_place_of_an_older_one() -> None:
    """The peer has dialled again before this side knew; the end of the older one is no news."""

    async def main() -> None:
        node, older, transport = incoming()
        older.data_received(HELLO)
        newer, other = Link(node.links), NotedTransport()
        newer.connection_made(other)
        newer.data_received(HELLO)
        older.connection_lost(None)
        await asyncio.sleep(0)
        assert node.told == [("up", "a*"), ("down", "a*"), ("up", "a*")]
        assert node.links.link("a*") is newer
        assert transport.aborted
        assert not other.closed

    asyncio.run(main())


def test_a_link_whose_making_is_cancelled_sends_nothing_more() -> None:
    """Uvloop closes the transport under it, without a word."""

    async def main() -> None:
        node, link, transport = incoming()
        link.send(frames.KEEPER, b"x")
        link.abandoned()
        await asyncio.sleep(0)
        assert transport.take() == b""
        assert link.gone.is_set()
        assert not node.links._all
        link.connection_lost(None)  # asyncio's own transports do tell, afterwards
        Link(node.links).abandoned()  # and one that was never made has nothing to end

    asyncio.run(main())


def test_a_peer_that_leaves_too_much_unread_is_cut_off() -> None:
    """What it missed is made up for by a new link."""

    async def main() -> None:
        _, link, transport = incoming()
        link.data_received(HELLO)
        transport.unsent_bytes = UNSENT_MAX_BYTES + 1
        link.send(frames.KEEPER, b"x")
        await asyncio.sleep(0)
        assert transport.aborted

    asyncio.run(main())


def test_what_is_sent_in_one_turn_is_written_at_once() -> None:
    """And what is answered twice is taken once."""

    async def main() -> None:
        node, link, transport = incoming()
        link.data_received(HELLO)
        link.send(frames.KEEPER, b"x")
        link.ask(order(b"GET", b"k"), (1, 2), lambda: 4.0)
        assert transport.take() == b""
        await asyncio.sleep(0)
        reader = frames.FrameReader()
        kinds = reader.feed(transport.take())
        assert [kind for kind, _ in kinds] == [frames.HELLO, frames.KEEPER, frames.ASK]
        ask = messages.decode_ask(kinds[2][1])
        assert (ask.requests, ask.timeout_s, ask.database) == ([(1, [7], [b"GET", b"k"])], 5.0, 3)
        answer = frames.frame(frames.ANSWER, messages.encode_answer([(1, b"+OK\r\n")]))
        link.data_received(answer + answer)
        assert node.told == [("up", "a*"), ("answered", (b"GET", b"+OK\r\n"))]

    asyncio.run(main())


async def written(link: Link) -> None:
    """Let turns pass until all that was sent is written."""
    for _ in range(20):
        await asyncio.sleep(0)
    assert link._outgoing.unsent_bytes == 0


def test_a_large_frame_keeps_its_place() -> None:
    """It is written as it is, between what was sent before and after it in the same turn."""

    async def main() -> None:
        _, link, transport = incoming()
        link.data_received(HELLO)
        await asyncio.sleep(0)
        transport.take()
        bodies = [b"before", bytes(FRAME_BYTES), bytes(FRAME_BYTES + 1), b"after"]
        for body in bodies:
            link.send(frames.KEEPER, body)
        await asyncio.sleep(0)
        link.send(frames.KEEPER, b"later")
        await written(link)
        reader = frames.FrameReader()
        reader.body_max_bytes = frames.BODY_MAX_BYTES
        arrived = reader.feed(transport.take())
        assert [kind for kind, _ in arrived] == [frames.KEEPER] * 5
        assert [body for _, body in arrived] == [*bodies, b"later"]

    asyncio.run(main())


def test_what_is_large_goes_in_several_frames() -> None:
    """Requests and answers alike, in order: no frame is larger than the limit by more than one of them."""

    async def main() -> None:
        _, link, transport = incoming()
        link.data_received(HELLO)
        value, count = bytes(frames.BODY_MAX_BYTES // 1024), 10
        for number in range(count):
            link.ask(order(b"SET", b"k", value), (1, 2), lambda: 4.0)
            link.reply(number, value)
        await written(link)
        reader = frames.FrameReader()
        reader.body_max_bytes = frames.BODY_MAX_BYTES
        arrived = reader.feed(transport.take())
        asks = [messages.decode_ask(body).requests for kind, body in arrived if kind == frames.ASK]
        answers = [messages.decode_answer(body) for kind, body in arrived if kind == frames.ANSWER]
        assert [number for requests in asks for number, _, _ in requests] == list(range(1, count + 1))
        assert [number for replies in answers for number, _ in replies] == list(range(count))
        assert len(asks) == len(answers) == 2
        assert max(len(body) for _, body in arrived) < FRAME_BYTES + 2 * len(value)

    asyncio.run(main())


class SlowNode(NotedNode):
    """A node that has a turn's work with each message of a keeper."""

    def keeper_frame(self, name: str, body: bytes) -> None:
        """Take a whole turn."""
        super().keeper_frame(name, body)
        until_ns = time.perf_counter_ns() + TURN_NS + 1
        while time.perf_counter_ns() < until_ns:
            pass


def slow() -> tuple[SlowNode, Link, NotedTransport]:
    """Let a peer connect to such a node, and send five messages at once."""
    node, transport = SlowNode("b"), NotedTransport()
    link = Link(node.links)
    link.connection_made(transport)
    link.data_received(HELLO)
    link.data_received(b"".join(frames.frame(frames.KEEPER, b"%d" % number) for number in range(5)))
    return node, link, transport


def test_others_get_their_turn_while_a_peer_sends_much() -> None:
    """What came in one read is taken in over many turns, in order, and nothing more is read meanwhile."""

    async def main() -> None:
        node, link, transport = slow()
        assert node.told == [("up", "a*"), ("frame", "a*", b"0")]
        seen: list[int] = []
        while not transport.reading:
            seen.append(len(node.told))
            await asyncio.sleep(0)
        assert seen == [2, 3, 4, 5]
        assert node.told[1:] == [("frame", "a*", b"%d" % number) for number in range(5)]
        link.data_received(frames.frame(frames.KEEPER, b"5"))
        assert node.told[-1] == ("frame", "a*", b"5")

    asyncio.run(main())


def test_what_waits_for_its_turn_goes_with_its_link() -> None:
    """As what had not been read yet."""

    async def main() -> None:
        node, link, transport = slow()
        link.cut()
        link.connection_lost(None)
        for _ in range(3):
            await asyncio.sleep(0)
        assert node.told == [("up", "a*"), ("frame", "a*", b"0"), ("down", "a*")]
        assert not transport.reading

    asyncio.run(main())


def test_what_was_asked_over_a_link_that_is_cut_is_not_run() -> None:
    """What it would lock, nobody would unlock: that the peer is gone has been told by then, by a newer link."""

    async def main() -> None:
        node, link, _ = incoming()
        link.data_received(HELLO)
        ran = list[int]()

        def one(name: str, ask: messages.Ask, reply: Callable[[int, bytes | None], None]) -> int:
            del name, reply
            ran.append(ask.requests[0][0])
            return 1

        node.asked = one  # type: ignore[method-assign] # answers are large: one a turn
        requests = [(number, (0,), [b"LOCK"]) for number in range(3)]
        link.data_received(frames.frame(frames.ASK, messages.encode_ask((1, 1), 0, 2, 5.0, requests)))
        link.cut()
        for _ in range(3):
            await asyncio.sleep(0)
        assert ran == [0]

    asyncio.run(main())


def test_an_earlier_run_of_a_node_does_not_take_the_place_of_a_later_one() -> None:
    """It was stopped for so long that another one has its name, and would cut that one off again and again."""

    async def main() -> None:
        node, later, transport = incoming()
        later.data_received(HELLO)
        earlier, other = Link(node.links), NotedTransport()
        earlier.connection_made(other)
        earlier.data_received(frames.frame(frames.HELLO, messages.encode_greeting(Greeting("a*", 4))))
        assert other.aborted
        assert not transport.aborted
        assert node.links.link("a*") is later
        assert node.told == [("up", "a*")]

    asyncio.run(main())


def test_an_earlier_run_of_a_node_is_not_talked_to_where_a_later_one_is_known_of() -> None:
    """Whether that one has a link just now or not."""

    async def main() -> None:
        node, earlier, transport = incoming()
        node.runs["a*"] = 6
        earlier.data_received(HELLO)
        assert transport.aborted
        assert node.links.link("a*") is None
        assert node.told == []

    asyncio.run(main())
