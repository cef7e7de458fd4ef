"""Tells programs and subscribers what happens to the cluster, in the order in which this node notices it."""

import asyncio
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from time import time_ns
from typing import Final, Self

from respcache.cluster.events import CHANNEL, ClusterEvent, EventType, as_json, changes_of_owner
from respcache.cluster.membership import (
    Died,
    Event,
    Joined,
    Left,
    Member,
    MemberState,
    NameConflict,
    PartitionSuspected,
    Recovered,
    Suspected,
    Updated,
)
from respcache.cluster.ownership.slots import PARTITIONS

BACKLOG_MAX: Final = 1_024
"""Events that wait for a program to take them; of more, the oldest are dropped, and counted in `dropped`."""

MEMBER_EVENTS: Final[dict[type[Event], EventType]] = {
    Joined: "joined",
    Updated: "updated",
    Suspected: "suspect",
    Recovered: "recovered",
    Died: "dead",
    Left: "left",
}


class EventStream(AsyncIterator[ClusterEvent]):
    """Events from the moment it was made until the node closes; for one reader."""

    def __init__(self) -> None:
        self._waiting: Final[deque[ClusterEvent]] = deque(maxlen=BACKLOG_MAX)
        self._news: Final = asyncio.Event()
        self._ended = False
        self.dropped = 0
        """Events that were lost because the reader was slow."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ClusterEvent:
        while not self._waiting:
            if self._ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()

    def put(self, event: ClusterEvent) -> None:
        """Add an event."""
        self.dropped += len(self._waiting) == BACKLOG_MAX
        self._waiting.append(event)
        self._news.set()

    def end(self) -> None:
        """Let the reader finish what is there, and no more will come."""
        self._ended = True
        self._news.set()


class Announcer:
    """The one place where what happens becomes an event."""

    def __init__(self, name: str, *, member: Callable[[str], Member | None]) -> None:
        """`name` is this node's, `member` finds any member by its name."""
        self._name: Final = name
        self._member: Final = member
        self._streams: Final[weakref.WeakSet[EventStream]] = weakref.WeakSet()
        self._owners: Final = [""] * PARTITIONS
        """The last known primary of each partition."""
        self._closed = False
        self.publish: Callable[[bytes, bytes], object] = lambda _channel, _payload: None
        """Gives a payload to this node's own subscribers of a channel."""

    def subscribe(self) -> EventStream:
        """Collect events from now on; for as long as somebody holds the stream."""
        stream = EventStream()
        self._streams.add(stream)
        if self._closed:
            stream.end()
        return stream

    def heard(self, event: Event) -> None:
        """Announce what the membership machine tells."""
        match event:
            case NameConflict(name, (host, port)):
                self._tell("name-conflict", name, address=f"{host}:{port}")
            case PartitionSuspected(suspects, _):
                self._tell("partition-suspected", self._name, nodes=suspects)
            case _:
                member = event.member
                self._tell(MEMBER_EVENTS[type(event)], member.name, address=_client_address(member))

    def routed(self, primary: Sequence[str]) -> None:
        """Compare the primaries of all partitions with the last known ones, and announce who serves what instead."""
        for (source, node), slots in changes_of_owner(self._owners, primary).items():
            before = self._member(source)
            handed_over = before is not None and before.state in {MemberState.ALIVE, MemberState.LEFT}
            self._tell("moved" if handed_over else "failover", node, source=source, slots=tuple(slots))
        self._owners[:] = [new or old for old, new in zip(self._owners, primary, strict=True)]

    def close(self) -> None:
        """End all streams, and those that are asked for from now on."""
        self._closed = True
        for stream in list(self._streams):
            stream.end()

    def _tell(
        self,
        kind: EventType,
        node: str,
        *,
        address: str | None = None,
        source: str = "",
        slots: tuple[tuple[int, int], ...] = (),
        nodes: tuple[str, ...] = (),
    ) -> None:
        if address is None:
            known = self._member(node)
            address = "" if known is None else _client_address(known)
        event = ClusterEvent(
            type=kind,
            node=node,
            address=address,
            at_unix_ms=time_ns() // 1_000_000,
            source=source,
            slots=slots,
            nodes=nodes,
        )
        self.publish(CHANNEL, as_json(event))
        for stream in list(self._streams):
            stream.put(event)


def _client_address(member: Member) -> str:
    return f"{member.address[0]}:{member.meta.client_port}"
