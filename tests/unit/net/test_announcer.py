"""What becomes an event, and who is told."""

import asyncio
import json
from dataclasses import replace

import pytest

from respcache.cluster.events import CHANNEL, ClusterEvent, EventType
from respcache.cluster.membership import (
    Died,
    Event,
    Joined,
    Left,
    Member,
    MemberState,
    Meta,
    NameConflict,
    PartitionSuspected,
    Recovered,
    Suspected,
    Updated,
)
from respcache.cluster.ownership.slots import PARTITIONS, SLOTS
from respcache.net.announcer import BACKLOG_MAX, Announcer, EventStream

B = Member("b", 1, 0, MemberState.ALIVE, ("10.0.0.2", 16379), Meta(client_port=6379, http_port=0), 0.0)


class Told:
    """An announcer, and what it published."""

    def __init__(self, *members: Member) -> None:
        self.members = {member.name: member for member in members}
        self.published: list[tuple[bytes, bytes]] = []
        self.announcer = Announcer("a", member=lambda name: self.members.get(name))  # noqa: PLW0108 # it is replaced
        self.announcer.publish = lambda channel, payload: self.published.append((channel, payload))

    def events(self) -> list[dict[str, object]]:
        """Decode what was published, without the times."""
        events = [json.loads(payload) for _, payload in self.published]
        assert all(event.pop("at_unix_ms") > 1_700_000_000_000 for event in events)
        assert all(channel == CHANNEL for channel, _ in self.published)
        return events


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (Joined(B), "joined"),
        (Updated(B), "updated"),
        (Suspected(B), "suspect"),
        (Recovered(B), "recovered"),
        (Died(B), "dead"),
        (Left(B), "left"),
    ],
)
def test_what_befalls_a_member_is_told_with_its_client_address(event: Event, kind: EventType) -> None:
    """One JSON object each, on one channel."""
    told = Told()
    told.announcer.heard(event)
    assert told.events() == [{"type": kind, "node": "b", "address": "10.0.0.2:6379"}]


def test_what_befalls_all_is_told_under_this_nodes_name() -> None:
    """A conflict names the other holder of the name, a suspected partition the suspects."""
    told = Told()
    told.announcer.heard(NameConflict("a", ("10.0.0.9", 1)))
    told.announcer.heard(PartitionSuspected(("b", "c"), 5))
    assert told.events() == [
        {"type": "name-conflict", "node": "a", "address": "10.0.0.9:1"},
        {"type": "partition-suspected", "node": "a", "address": "", "nodes": ["b", "c"]},
    ]


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (MemberState.ALIVE, "moved"),
        (MemberState.LEFT, "moved"),
        (MemberState.SUSPECT, "failover"),
        (MemberState.DEAD, "failover"),
        (None, "failover"),
    ],
)
def test_slots_that_change_their_node_are_told(state: MemberState | None, kind: EventType) -> None:
    """Handed over by a node that lives, or taken over from one that does not; in ranges, one event for each pair."""
    told = Told(*([] if state is None else [replace(B, state=state)]))
    told.announcer.routed(["b"] * PARTITIONS)
    assert told.events() == []
    told.announcer.routed(["c"] * 2 + ["b"] + ["c"] + ["b"] * (PARTITIONS - 4))
    slots = [[0, 31], [48, 63]]
    assert told.events() == [{"type": kind, "node": "c", "address": "", "source": "b", "slots": slots}]


def test_slots_without_a_node_in_between_are_told_once_they_have_one() -> None:
    """The time that nobody serves them is part of the failover, not an event of its own."""
    told = Told()
    told.announcer.routed(["b"] * PARTITIONS)
    told.announcer.routed([""] * PARTITIONS)
    assert told.events() == []
    told.announcer.routed(["c"] * PARTITIONS)
    told.announcer.routed(["c"] * PARTITIONS)
    (event,) = told.events()
    assert event["slots"] == [[0, SLOTS - 1]]


def test_a_stream_has_all_events_from_its_beginning_to_the_end() -> None:
    """Each reader its own; what comes after closing is nobody's."""

    async def main() -> None:
        told = Told()
        told.announcer.heard(Joined(B))
        streams = [told.announcer.subscribe(), told.announcer.subscribe()]
        reading = asyncio.create_task(_read(streams[0]))
        await asyncio.sleep(0)
        told.announcer.heard(Died(B))
        await asyncio.sleep(0)
        told.announcer.heard(Joined(B))
        told.announcer.close()
        for events in (await reading, await _read(streams[1])):
            assert [event.type for event in events] == ["dead", "joined"]
        assert await _read(told.announcer.subscribe()) == [], "there will be no more"

    asyncio.run(main())


async def _read(stream: EventStream) -> list[ClusterEvent]:
    return [event async for event in stream]


def test_a_reader_that_is_too_slow_loses_the_oldest() -> None:
    """Memory is bounded, and the loss is counted."""

    async def main() -> None:
        told = Told()
        stream = told.announcer.subscribe()
        told.announcer.heard(Joined(B))
        for _ in range(BACKLOG_MAX):
            told.announcer.heard(Died(B))
        told.announcer.close()
        assert {event.type for event in await _read(stream)} == {"dead"}
        assert stream.dropped == 1

    asyncio.run(main())


def test_a_stream_that_nobody_holds_is_gone() -> None:
    """Nothing is collected for it."""

    async def main() -> None:
        told = Told()
        told.announcer.subscribe()
        assert len(told.announcer._streams) == 0
        told.announcer.heard(Joined(B))

    asyncio.run(main())
