"""That a node whose machine was asleep serves nothing by a lease from before: its clock shows that as lasting still."""

from collections.abc import Sequence
from typing import Final

import pytest

from respcache.resp.encode import bulk
from respcache.store.partition import Argv
from simulation.commands.bugs import SleepsUnawares
from simulation.commands.clients import keys_in
from simulation.commands.connections import Connection
from simulation.commands.node import CommandNode, Limits
from simulation.commands.storms import SETTINGS, Make
from simulation.ownership.chaos import begin
from simulation.ownership.checks import holder
from simulation.ownership.world import World

PARTITION: Final = 3
[KEY] = keys_in(b"s", [PARTITION])
OLD: Final = bulk(b"old")
NEW: Final = bulk(b"new")
SLEEP_S: Final = 2.0
"""So long that another node has taken over, and a client has written there."""
ASKED_S: Final = 1.9
"""When somebody asks the sleeper, whose lease, by its clock, lasts for longer than it takes to answer."""
STEP_S: Final = 0.000_05
ROUND_TRIP_S: Final = 0.002
SEEDS: Final = range(4)


class Bedroom:
    """A cluster in which the owner of a key falls asleep, and another one takes over."""

    def __init__(self, seed: int, make: Make, *, nodes: int) -> None:
        self.world: Final[World] = begin(
            seed, SETTINGS, nodes, build=lambda world, sim, config, dice: make(world, sim, config, dice, Limits())
        )
        self.sleeper: Final = holder(self.world, KEY).name
        self.others: Final = [sim.name for sim in self.world.live() if sim.name != self.sleeper]
        assert self.ask(self.others[0], [b"SET", KEY, b"old"]) == b"+OK\r\n"

    def send(self, name: str, request: Argv) -> list[bytes]:
        """Send a request to a node; its reply is added to the list when it comes."""
        node = self.world.nodes[name].life
        assert isinstance(node, CommandNode)
        replies: list[bytes] = []
        Connection(node).send([request], lambda wires: replies.extend(wires or [b"lost"]))
        return replies

    def ask(self, name: str, request: Argv) -> bytes:
        """Send a request, and wait for the reply."""
        replies = self.send(name, request)
        assert self.world.run_until(lambda: bool(replies), within_s=5.0)
        return replies[0]

    def sleep(self, writer: str, *, granted: bool, apart: Sequence[str] = ()) -> None:
        """Let the owner fall asleep, and a client write elsewhere.

        If it is `granted` a lease, it has just asked for that, and the answers are there when it wakes. Nothing else
        gets through to it.
        Those `apart` reach it alone, and are stopped for as long as it takes.
        """
        world, lease = self.world, self.world.nodes[self.sleeper].keeper._tenure.lease
        asked = lease._last
        while lease._last == asked:
            world.run(STEP_S)
        if not granted:
            world.run(ROUND_TRIP_S)
        woken_s = world.now + SLEEP_S
        world.suspend(self.sleeper, SLEEP_S)
        if granted:
            world.run(ROUND_TRIP_S)
        near = [name for name in self.others if name not in apart]
        for name in apart:
            world.pause(name, ASKED_S)
        for name in (self.sleeper, *apart):
            world.wires.cut([way for other in near for way in ((name, other), (other, name))])
        primary = world.nodes[writer].keeper.table.primary
        assert world.run_until(lambda: primary[PARTITION] in near, within_s=SLEEP_S)
        assert self.ask(writer, [b"SET", KEY, b"new"]) == b"+OK\r\n"
        assert world.now < woken_s - (SLEEP_S - ASKED_S)
        world.run(woken_s - (SLEEP_S - ASKED_S) - world.now)

    def answer(self, replies: list[bytes]) -> bytes:
        """Let the sleeper wake up, then let everything through; give the reply to what was sent before."""
        self.world.run(2 * (SLEEP_S - ASKED_S))
        self.world.wires.heal()
        assert self.world.run_until(lambda: bool(replies), within_s=5.0)
        return replies[0]


def read_there(seed: int, make: Make = CommandNode, *, granted: bool) -> bytes:
    """Ask the sleeper itself; the request is there before its timers go off."""
    room = Bedroom(seed, make, nodes=3)
    room.sleep(room.others[0], granted=granted)
    return room.answer(room.send(room.sleeper, [b"GET", KEY]))


def read_through_another(seed: int, make: Make = CommandNode, *, granted: bool) -> bytes:
    """Ask a node that was stopped and is cut off but from the sleeper, and takes that for the owner."""
    room = Bedroom(seed, make, nodes=5)
    believer, writer = room.others[:2]
    room.sleep(writer, granted=granted, apart=[believer])
    return room.answer(room.send(believer, [b"GET", KEY]))


@pytest.mark.parametrize("granted", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_client_is_told_nothing_stale_by_a_node_that_wakes(seed: int, granted: bool) -> None:  # noqa: FBT001 # a case
    """It waits for a lease, and for the owner."""
    assert read_there(seed, granted=granted) == NEW


@pytest.mark.parametrize("granted", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_peer_is_told_nothing_stale_by_a_node_that_wakes(seed: int, granted: bool) -> None:  # noqa: FBT001 # a case
    """Its client waits until both know the owner."""
    assert read_through_another(seed, granted=granted) == NEW


@pytest.mark.parametrize("granted", [False, True])
def test_a_node_that_does_not_see_that_it_slept_is_caught(granted: bool) -> None:  # noqa: FBT001 # a case
    """Whoever asks it."""
    assert read_there(0, SleepsUnawares, granted=granted) == OLD
    assert read_through_another(0, SleepsUnawares, granted=granted) == OLD
