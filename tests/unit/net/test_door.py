"""The cluster port: who comes in, and who is turned away."""

import asyncio
import gc
import random
import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack

import pytest

from respcache.cluster.membership import Address
from respcache.cluster.sealing.channel import Identity
from respcache.cluster.sealing.keyring import Key, Keyring
from respcache.cluster.sealing.sealing import Sealing
from respcache.net import frames
from respcache.net.crowd import CROWD, STRANGERS_MAX
from respcache.net.door import Door
from respcache.net.sealed import Wire
from respcache.net.seeds import QUESTION
from respcache.net.sockets import bind_stream
from respcache.resp.encode import bulk

HOST = "127.0.0.1"
TIMEOUT_S = 5.0
MEETING = bulk(b"10.0.0.1:16379")

Passed = list[tuple[socket.socket, bytes]]


def with_door(
    scenario: Callable[[Address, Passed], Awaitable[None]],
    sealing: Sealing | None = None,
    rejected: dict[str, int] | None = None,
) -> None:
    """Run a scenario on a door that answers gossip by turning it around, and keeps what it passes on.

    `rejected` is filled with what it has counted.
    """

    async def main() -> None:
        passed: Passed = []
        door = Door(
            meeting_point=MEETING,
            gossip=lambda body: body[::-1],
            pass_on=lambda connection, received: passed.append((connection, received)),
            sealing=sealing,
        )
        with bind_stream(HOST, 0) as bound:
            door.open(bound)
            try:
                async with asyncio.timeout(TIMEOUT_S):
                    await scenario(bound.getsockname(), passed)
            finally:
                await door.close()
                if rejected is not None:
                    rejected.update({reason: count for reason, count in door.rejections.counts.items() if count})
                for connection, _ in passed:
                    connection.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


async def say(address: Address, *pieces: bytes) -> bytes:
    """Send pieces one by one, and read until the other side ends the connection, or breaks it."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (QUESTION, MEETING),
        (frames.frame(frames.GOSSIP, b"abc"), frames.frame(frames.GOSSIP, b"cba")),
        (frames.frame(frames.GOSSIP, b"a" * 300_000), frames.frame(frames.GOSSIP, b"a" * 300_000)),
    ],
)
def test_questions_are_answered_once(question: bytes, answer: bytes) -> None:
    """Whole or byte by byte at the start; then the connection ends, and nothing is passed on."""

    async def scenario(address: Address, passed: Passed) -> None:
        assert await say(address, question) == answer
        assert await say(address, question[:1], question[1:2], question[2:6], question[6:]) == answer
        assert passed == []

    with_door(scenario)


def test_a_greeting_is_passed_on_with_what_was_read() -> None:
    """As soon as it can be told for one: the rest, and the answer, are its new owner's."""

    async def scenario(address: Address, passed: Passed) -> None:
        hello = frames.frame(frames.HELLO, b"who I am")
        reader, writer = await asyncio.open_connection(*address)
        writer.write(hello[:5])
        while not passed:  # noqa: ASYNC110 # the door has no events
            await asyncio.sleep(0)
        ((connection, received),) = passed
        assert received == hello[:5]
        connection.setblocking(True)
        await asyncio.to_thread(connection.sendall, b"welcome")
        assert await reader.readexactly(7) == b"welcome"
        writer.close()

    with_door(scenario)


@pytest.mark.parametrize(
    "words",
    [
        frames.frame(frames.KEEPER, b"x"),
        frames.frame(frames.ASK, b"x"),
        b"\xff\xff\xff\xff\x01",
        b"GET / HTTP/1.1\r\n\r\n",
        b"*1\r\n$4\r\nPING\r\n",
    ],
)
def test_whoever_wants_something_else_is_cut_off(words: bytes) -> None:
    """Without an answer."""

    async def scenario(address: Address, passed: Passed) -> None:
        assert await say(address, words) == b""
        assert passed == []

    with_door(scenario)


def test_whoever_sends_rubbish_again_and_again_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """One line tells of a host and a reason; all are counted."""
    rejected: dict[str, int] = {}

    async def scenario(address: Address, passed: Passed) -> None:
        for _ in range(20):
            assert await say(address, b"GET / HTTP/1.1\r\n\r\n") == b""
        assert passed == []

    with_door(scenario, rejected=rejected)
    assert sum(rejected.values()) == 20
    (line,) = caplog.messages
    assert line.startswith("a connection from 127.0.0.1 to the cluster port was cut: ")


def test_those_who_say_nothing_keep_nobody_out() -> None:
    """Three times as many as there is room for: the others are answered all the same, and the oldest are cut off."""
    rejected: dict[str, int] = {}

    async def scenario(address: Address, _passed: Passed) -> None:
        silent = [await asyncio.open_connection(*address) for _ in range(3 * STRANGERS_MAX)]
        assert await say(address, QUESTION) == MEETING
        for reader, _ in silent[: 2 * STRANGERS_MAX]:
            assert await reader.read() == b""
        assert not any(reader.at_eof() for reader, _ in silent[2 * STRANGERS_MAX + 1 :])
        for _, writer in silent:
            writer.close()

    with_door(scenario, rejected=rejected)
    assert rejected == {CROWD: 2 * STRANGERS_MAX + 1}


@pytest.mark.parametrize("turns", range(6))
def test_a_door_that_closes_drops_nobody(turns: int) -> None:
    """In whichever turn of the event loop that is: no connection that was let in is left open, or left behind."""

    async def main() -> None:
        door = Door(meeting_point=MEETING, gossip=bytes, pass_on=lambda connection, _: connection.close())
        with bind_stream(HOST, 0) as bound, ExitStack() as clients:
            door.open(bound)
            for _ in range(3):
                client = clients.enter_context(socket.create_connection(bound.getsockname(), TIMEOUT_S))
                client.sendall(frames.frame(frames.HELLO, b"who I am"))
            waiting = socket.create_connection(bound.getsockname(), TIMEOUT_S)
            clients.enter_context(waiting)
            for _ in range(turns):
                await asyncio.sleep(0)
            await door.close()
        gc.collect()  # a socket that nobody has closed warns now, which fails the test

    asyncio.run(main())


def keyed(name: str, secret: bytes = b"k" * 32) -> Sealing:
    """Give a node a key."""
    return Sealing(Keyring((Key.of(secret),)), Identity(name, 1), label="", entropy=random.Random(name).randbytes)


async def inquire(address: Address, wire: Wire, frame: bytes, *, size: int = 100_000) -> list[tuple[int, bytes]]:
    """Ask over a sealed connection, in pieces; give the frames that are answered."""
    reader, writer = await asyncio.open_connection(*address)
    words = wire.begin(frames.INQUIRY)
    try:
        while True:
            for start in range(0, len(words), size):
                writer.write(words[start : start + size])
                await writer.drain()
            received = await reader.read(100_000)
            if not received:
                return []
            was_ready = wire.is_ready
            if answered := wire.feed(received):
                return answered
            words = b"" if was_ready else wire.seal(frame)
    except ConnectionError:
        return []
    finally:
        writer.close()


@pytest.mark.parametrize(("body", "size"), [(b"abc", 1), (b"a" * 300_000, 100_000)])
def test_sealed_questions_are_answered_sealed(body: bytes, size: int) -> None:
    """Whole or in pieces."""

    async def scenario(address: Address, passed: Passed) -> None:
        wire = Wire(keyed("a"), dialled=address)
        wire.trust(frames.GOSSIP_MAX_BYTES)
        question = frames.frame(frames.GOSSIP, body)
        assert await inquire(address, wire, question, size=size) == [(frames.GOSSIP, body[::-1])]
        assert passed == []

    with_door(scenario, keyed("b"))


def test_a_sealed_link_is_passed_on() -> None:
    """Like a plain one: its owner knows what to do with either."""

    async def scenario(address: Address, passed: Passed) -> None:
        hail = Wire(keyed("a"), dialled=address).begin()
        _, writer = await asyncio.open_connection(*address)
        writer.write(hail)
        while not passed:  # noqa: ASYNC110 # the door has no events
            await asyncio.sleep(0)
        assert passed[0][1] == hail
        writer.close()

    with_door(scenario, keyed("b"))


def test_a_door_with_keys_opens_for_members_alone() -> None:
    """Others are cut off without an answer, and counted; anybody may ask where to join."""
    rejected: dict[str, int] = {}

    async def scenario(address: Address, passed: Passed) -> None:
        assert await say(address, frames.frame(frames.GOSSIP, b"abc")) == b""
        assert await say(address, frames.frame(frames.INQUIRY, b"abc")) == b""
        question = frames.frame(frames.GOSSIP, b"abc")
        assert await inquire(address, Wire(keyed("a", b"x" * 32), dialled=address), question) == []
        assert await inquire(address, Wire(keyed("a"), dialled=address), frames.frame(frames.ASK, b"abc")) == []
        assert await say(address, QUESTION) == MEETING
        assert passed == []

    with_door(scenario, keyed("b"), rejected)
    assert rejected == {"plaintext": 1, "decode": 2, "key": 1}
