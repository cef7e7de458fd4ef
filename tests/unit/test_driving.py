"""What follows from several turns of the event loop at once goes in one frame."""

import math
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

import pytest

from respcache.cluster.config import KeeperConfig
from respcache.cluster.effects import Resolved, RoutesChanged
from respcache.cluster.keeper import Keeper
from respcache.cluster.ownership.record import Node
from respcache.cluster.ownership.slots import partition_of
from respcache.cluster.replication.log import Gate, Log
from respcache.cluster.replication.wire import Frame
from respcache.cluster.wire import decode
from respcache.driving import HELD_BYTES, HELD_S, HELD_TURNS, Driver, News
from respcache.pending import Pending, Timer
from simulation.ownership.store import ModelStore
from unit.alone import NotedLog
from unit.neighbours import Street

SET = [b"SET", b"key", b"value"]


class NoTimer:
    """Never goes off."""

    def cancel(self) -> None:
        """Do nothing."""


class Writer:
    """A node that serves all, with a copy of one partition at a peer; and everything that its driver is handed."""

    def __init__(self) -> None:
        (neighbour,) = Street("a").nodes.values()
        keeper = Keeper(Node("a", 1), KeeperConfig(seeded=False), ModelStore(), Random(1), ())
        self.driver: Final = Driver(keeper, neighbour.locks, self)
        self.driver.router = neighbour.router
        self.node: Final = neighbour
        self.sent: Final[list[Frame]] = []
        self._ending: list[Callable[[], None]] = []
        self.passed_s = 0.0
        self.driver.start()
        while self._ending:
            self.end_turn()
        stream = keeper.holdings.replication.stream("b", 1)
        stream.connected = True
        log = keeper.serving[0]
        assert log is not None
        self._log: Final[Log] = log
        log.attach((stream,), ())

    def write(self, argv: list[bytes]) -> None:
        """Have an effect, and somebody who waits for it."""
        self._log.append(0, argv)
        self.driver.wake()

    def end_turn(self) -> None:
        """End a turn."""
        ending, self._ending = self._ending, []
        for callback in ending:
            callback()

    @property
    def is_ending(self) -> bool:
        """Whether anything is still to be done at the end of a turn."""
        return bool(self._ending)

    @property
    def frames(self) -> list[int]:
        """How many effects there were in each frame."""
        return [len(frame.items) for frame in self.sent]

    def now_s(self) -> float:
        """Stand still."""
        return 0.0

    def exact_s(self) -> float:
        """Go on as the test says."""
        return self.passed_s

    def call_at(self, due_s: float, callback: Callable[[], None]) -> Timer:
        """Let no time pass."""
        del due_s, callback
        return NoTimer()

    def at_end_of_turn(self, callback: Callable[[], None]) -> None:
        """Call at the end of the turn."""
        self._ending.append(callback)

    def send(self, peer: str, frame: bytes) -> None:
        """Note what is sent."""
        assert peer == "b"
        message = decode(frame)
        if isinstance(message, Frame):
            self.sent.append(message)

    def slept(self) -> bool:
        """Never sleep."""
        return False

    def lease_until(self, ends_s: float) -> None:
        """Have one for ever: it is the only voter."""
        assert ends_s == math.inf or ends_s < 0

    def lease_over(self) -> bool:
        """Have one for ever."""
        return False

    def rerouted(self, primary: Sequence[str]) -> None:
        """Tell nobody."""

    def told(self, news: News) -> None:
        """Tell nobody."""


@pytest.fixture
def writer() -> Writer:
    """Return one."""
    return Writer()


def test_a_frame_goes_with_the_first_turn_that_brings_nothing(writer: Writer) -> None:
    """Nobody knows at the end of a turn that the next one is idle: it has to be over."""
    writer.write(SET)
    writer.end_turn()
    assert writer.frames == []
    writer.end_turn()
    assert writer.frames == [1]
    writer.end_turn()
    assert writer.frames == [1]


def test_what_comes_in_turn_after_turn_goes_in_one_frame(writer: Writer) -> None:
    """And does not wait for longer than a few turns, whatever still comes."""
    for _ in range(2 * (HELD_TURNS + 1)):
        writer.write(SET)
        writer.end_turn()
    assert writer.frames == [HELD_TURNS + 1, HELD_TURNS + 1]


def test_what_is_large_does_not_wait(writer: Writer) -> None:
    """It would be no cheaper with more."""
    writer.write([b"SET", b"key", bytes(HELD_BYTES)])
    writer.end_turn()
    assert writer.frames == [1]


def test_a_frame_waits_for_no_slow_turn(writer: Writer) -> None:
    """A turn may be long for other reasons."""
    writer.write(SET)
    writer.end_turn()
    writer.write(SET)
    writer.passed_s = HELD_S
    writer.end_turn()
    assert writer.frames == [2]


def test_effects_do_not_wait_while_copies_are_made(writer: Writer) -> None:
    """What is copied goes along, and is large."""
    writer.driver.keeper.holdings.copying.pending = 1
    writer.write(SET)
    writer.end_turn()
    assert writer.frames == [1]


def test_acks_do_not_wait_where_there_is_nothing_to_send(writer: Writer) -> None:
    """The other side waits for them."""
    writer.driver.wake()
    writer.end_turn()
    assert not writer.is_ending


def test_what_has_waited_for_a_partition_runs_before_what_its_client_sent_behind_a_reply() -> None:
    """One ack may open both: the keeper tells of the reply first."""
    writer = Writer()
    node = writer.node
    waiting, written = b"k", b"m"
    writer.driver.perform([RoutesChanged((1, 1), (), ())])
    node.locks.congest(frozenset({partition_of(waiting)}))
    client = node.front.client()
    (parked,) = node.batch(client, [b"SET", waiting, b"1"])
    assert isinstance(parked, Pending)
    gate = Gate([], {})
    node.gates.append(gate)
    node.locks.open(partition_of(written), NotedLog())
    for words in ([b"MULTI"], [b"SET", written, b"x"]):
        node.batch(client, words)
    (reply,) = node.batch(client, [b"EXEC"])
    assert isinstance(reply, Pending)
    assert client.barrier is reply

    def go_on() -> None:
        client.barrier = None
        node.batch(client, [b"SET", waiting, b"2"])

    client.barrier.also(go_on)
    gate.committed = True
    writer.driver.perform([Resolved((gate,)), RoutesChanged((1, 1), (), ())])
    assert node.store.keyspace(0).at(waiting).values[waiting] == b"2"
