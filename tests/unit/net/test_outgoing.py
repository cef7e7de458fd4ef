"""What is large is written bit by bit, and everything in the order in which it came."""

import asyncio
from collections import deque
from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.net import frames
from respcache.net.outgoing import PIECE_BYTES, TURN_BYTES, UNSENT_PAUSE_BYTES, Outgoing
from respcache.net.questions import FRAME_BYTES
from unit.net.test_links import HELLO, incoming, written


class Socket:
    """Notes what is written, and what is to be called in the next turn."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.soon: deque[Callable[[], None]] = deque()
        self.drained = 0
        self.outgoing = Outgoing(self.pieces.append, self.soon.append, self.drain)

    def drain(self) -> None:
        """Hear that there is room for more."""
        self.drained += 1
        assert self.outgoing.unsent_bytes == 0

    def turn(self) -> int:
        """Let the next turn come; return how much was written in it."""
        before = len(self.pieces)
        for _ in range(len(self.soon)):
            self.soon.popleft()()
        return sum(map(len, self.pieces[before:]))


STEPS = st.one_of(
    st.sampled_from([1, 100, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES]),
    st.sampled_from(["pause", "resume", "turn"]),
)


@given(st.lists(STEPS, max_size=30))
@settings(deadline=None)
def test_everything_is_written_once_and_in_order(steps: list[int | str]) -> None:
    """Whenever the transport has enough, and no piece is larger than it may be."""
    socket, sent = Socket(), bytearray()
    for number, step in enumerate(steps):
        match step:
            case "pause":
                socket.outgoing.pause()
            case "resume":
                socket.outgoing.resume()
            case "turn":
                socket.turn()
            case int():
                part = bytes([number]) * step
                sent += part
                socket.outgoing.put(part)
    socket.outgoing.resume()
    while socket.soon:
        assert socket.turn() <= TURN_BYTES + PIECE_BYTES
    assert b"".join(socket.pieces) == bytes(sent)
    assert max(map(len, socket.pieces), default=0) <= PIECE_BYTES
    assert socket.outgoing.unsent_bytes == 0


def test_a_turn_writes_so_much_and_no_more() -> None:
    """Others get theirs before it goes on."""
    socket = Socket()
    socket.outgoing.put(bytes(3 * TURN_BYTES))
    assert sum(map(len, socket.pieces)) == TURN_BYTES
    assert [socket.turn(), socket.drained, socket.turn(), len(socket.soon)] == [TURN_BYTES, 0, TURN_BYTES, 0]
    assert socket.drained == 1


def test_nothing_large_is_written_while_the_transport_has_enough() -> None:
    """What is small goes as ever, unless something is before it."""
    socket = Socket()
    socket.outgoing.pause()
    socket.outgoing.put(b"small")
    socket.outgoing.put(bytes(2 * PIECE_BYTES))
    socket.outgoing.put(b"behind")
    assert socket.pieces == [b"small"]
    assert socket.outgoing.unsent_bytes == 2 * PIECE_BYTES + len(b"behind")
    socket.outgoing.clear()
    socket.outgoing.resume()
    assert socket.pieces == [b"small"]


def test_what_is_large_waits_until_the_other_end_takes_it() -> None:
    """The transport has little to keep, and a broken link keeps nothing."""

    async def main() -> None:
        _, link, transport = incoming()
        link.data_received(HELLO)
        link.pause_writing()
        link.send(frames.KEEPER, bytes(FRAME_BYTES + 1))
        for _ in range(3):
            await asyncio.sleep(0)
        assert link._outgoing.unsent_bytes == FRAME_BYTES + 1
        link.resume_writing()
        await written(link)
        assert len(transport.take()) > FRAME_BYTES
        link.pause_writing()
        link.send(frames.KEEPER, bytes(FRAME_BYTES + 1))
        await asyncio.sleep(0)
        link.cut()
        link.connection_lost(None)
        assert link._outgoing.unsent_bytes == 0

    asyncio.run(main())


def test_nothing_more_is_run_for_a_peer_while_long_answers_wait() -> None:
    """Each turn could add one that is longer than what a turn writes; when all is written commands go on."""

    async def main() -> None:
        _, link, _ = incoming()
        link.data_received(HELLO)
        link.send(frames.KEEPER, bytes(UNSENT_PAUSE_BYTES + TURN_BYTES + 1))
        await asyncio.sleep(0)
        assert link._asks._full
        await written(link)
        assert not link._asks._full

    asyncio.run(main())
