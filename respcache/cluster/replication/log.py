"""The primary's side of replication: effects go out in frames, replies wait for the acks.

One `Log` per partition of which this node is the primary, one `Stream` per peer that holds or makes a copy. Effects
pile up in the streams; at the end of a turn of the event loop, or of a few, `cut` makes one frame per peer of them. A
frame has the number of its cut, one count for all peers, so "is everything acked" is one comparison of integers per
copy: `stream.acked >= log.dirty`.

This is the path of every write: its words are listed once per peer, behind a few numbers.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from respcache.cluster.replication.items import Item, Items, items_of
from respcache.cluster.replication.parts import FRAME_BYTES, WORD_BYTES, Parts, size_of
from respcache.cluster.replication.wire import encode_frame

if TYPE_CHECKING:
    from respcache.cluster.ownership.record import Version
    from respcache.cluster.replication.copying import Copying

ACK_BUCKETS: Final = 32
"""Buckets of ack times: bucket i counts those below 2**i microseconds."""
WINDOW_PARTS: Final = 16
"""Parts of large frames that may be on their way to a peer: four megabytes, two milliseconds of one turn. What is
under way stands in front of leases and new records, and whatever a slow link does not take piles up in this node."""


class Stream:
    """What flows to one life of one peer: the open frame, and the frames that it has not acked."""

    __slots__ = (
        "acked",
        "backlog",
        "busy_since_s",
        "connected",
        "flying",
        "items",
        "life",
        "open",
        "peer",
        "refused",
        "run",
        "stalled",
        "unacked",
        "unacked_bytes",
        "waiting",
    )

    def __init__(self, peer: str, run: int) -> None:
        self.peer, self.run, self.life = peer, run, (peer, run)
        self.acked = 0
        """All frames up to this number have been applied by the peer."""
        self.open = Items([], [])
        self.unacked: deque[tuple[int, bytes | Parts, float, int]] = deque()
        """(number, frame, when it was cut, items) of frames to send again should the link break."""
        self.backlog: deque[tuple[int, bytes | Parts]] = deque()
        """Frames that wait: a large one until its parts are through, others until those before them are."""
        self.flying: deque[tuple[int, int]] = deque()
        """(frame, part) of what went out of the backlog, and has not come to the peer as far as this node knows."""
        self.unacked_bytes = 0
        self.items = 0
        """Items in `unacked`."""
        self.refused: dict[int, int] = {}
        """Partition to epoch of effects that the peer has refused, and still names."""
        self.connected = False
        self.busy_since_s = 0.0
        """When the peer last acked something or had nothing to ack."""
        self.stalled = False
        """Whether it has acked nothing for so long that it is sent nothing new until it does."""
        self.waiting: list[tuple[int, int, Gate]] = []
        """A heap of (frame number, order, gate)."""


class Log:
    """The effects of one partition in the present epoch.

    `streams` get every effect: those whose acks are required and the copies in the making.
    While it is empty there is nobody to tell, and `append` need not be called. It is edited in
    place, so whoever asks for it with every command may keep it.
    """

    __slots__ = ("copying", "dirty", "epoch", "partition", "refusers", "replication", "required", "sequence", "streams")

    def __init__(self, replication: "Replication", partition: int, epoch: int, sequence: int) -> None:
        self.replication, self.partition, self.epoch = replication, partition, epoch
        self.sequence = sequence
        """Of the last effect. It goes on counting from one primary to the next."""
        self.dirty = 0
        """The number of the frames that the last effect is in."""
        self.streams: Final[list[Stream]] = []
        self.required: tuple[Stream, ...] = ()
        """The streams to copies that count as in sync, or are about to."""
        self.refusers: frozenset[Stream] = frozenset()
        """Those whose peers refused effects: their acks do not speak for this partition."""
        self.copying: Copying | None = None
        """Told of effects while a copy is being made."""

    def append(self, database: int, argv: list[bytes]) -> None:
        """Send an effect to all copies with the next flush. `argv` must not be changed afterwards."""
        self.sequence = sequence = self.sequence + 1
        size = WORD_BYTES * (1 + len(argv))  # as in `parts.size_of`, without a list around it
        for word in argv:
            size += len(word)
        self.replication.open_bytes += size
        for stream in self.streams:
            stream.open.add(self.partition, self.epoch, sequence, database, argv)
        self.dirty = self.replication.number
        if self.copying is not None:
            self.copying.touched(self.partition, database, argv)

    def attach(self, streams: Iterable[Stream], required: Iterable[Stream]) -> None:
        """Name the peers that get the effects from now on, and those of them that have to ack."""
        self.required = tuple(required)
        self.streams[:] = dict.fromkeys((*self.required, *streams))
        self.refusers &= frozenset(self.required)

    @property
    def clean(self) -> bool:
        """Whether every copy that counts has acked every effect."""
        if self.refusers:
            return False
        dirty = self.dirty
        for stream in self.required:  # noqa: SIM110 # a generator for each write is a tenth of what a copy costs
            if stream.acked < dirty:
                return False
        return True


class Gate:
    """Replies wait behind it until the effects of some partitions are safe.

    `committed` is None while that is open, True once all copies have them, and False when
    this node ceased to be a primary before it could know: the outcome is then *uncertain*,
    for the effects live on some copies and may have survived.
    """

    __slots__ = ("committed", "needs", "waits")

    def __init__(self, needs: list[tuple[Log, int]], waits: dict[Stream, int]) -> None:
        self.committed: bool | None = None
        self.needs = needs
        """(log, number of the frames that its last effect was in)."""
        self.waits = waits
        """The streams that have yet to ack, and up to which frame."""

    def refused_by(self, stream: Stream) -> bool:
        """Whether the peer has refused effects that this gate waits for: then its acks do not open it."""
        return any(stream in log.refusers for log, _ in self.needs)


class Replication:
    """All streams of this node, the numbering of frames, and the gates that wait for acks."""

    def __init__(self, *, frame_bytes: int = FRAME_BYTES) -> None:
        """Frames that count for more than `frame_bytes` travel in parts."""
        self._frame_bytes: Final = frame_bytes
        self.number = 1
        """The number of the next frames."""
        self.open_bytes = 0
        """What effects have been put into open frames, each counted once; steps of copies come besides."""
        self.streams: dict[tuple[str, int], Stream] = {}
        self.gates: dict[Gate, None] = {}
        self.refused = False
        """Whether any peer has ever refused effects: until then nobody need look for refusals."""
        self.acks = 0
        self.ack_us = [0] * ACK_BUCKETS
        """How long frames took from cut to ack."""
        self.withheld = False
        """Whether effects pile up for now: they belong to something that has not come to its end."""
        self.frames = 0
        self.effects = 0
        """Items sent."""
        self._order = 0
        """How many gates there have been."""

    def stream(self, peer: str, run: int) -> Stream:
        """Return the stream to one life of a peer, a new one at need."""
        stream = self.streams.get((peer, run))
        if stream is None:
            stream = self.streams[peer, run] = Stream(peer, run)
            stream.acked = self.number - 1
        return stream

    def gate(self, logs: Iterable[Log]) -> Gate | None:
        """Return None when all effects of these partitions are acked, else what to wait for."""
        needs: list[tuple[Log, int]] = []
        waits: dict[Stream, int] = {}
        for log in logs:
            dirty, refusers, is_safe = log.dirty, log.refusers, True
            for stream in log.required:
                if stream.acked < dirty or (refusers and stream in refusers):
                    is_safe = False
                    if waits.get(stream, 0) < dirty:
                        waits[stream] = dirty
            if not is_safe:
                needs.append((log, dirty))
        if not needs:
            return None
        gate = Gate(needs, waits)
        self._order = order = self._order + 1
        for stream, number in waits.items():
            if number == self.number:  # as after any write: nothing waits for more, and a heap takes its largest last
                stream.waiting.append((number, order, gate))
            else:
                heapq.heappush(stream.waiting, (number, order, gate))
        self.gates[gate] = None
        return gate

    def cut(self, now: float, version: "Version", send: Callable[[str, bytes], None]) -> bool:
        """Close the open frames and send them; without a link they wait for one. Return whether there were any."""
        number, sent = self.number, False
        if self.withheld:
            return False
        are_small, self.open_bytes = self.open_bytes <= self._frame_bytes, 0
        for stream in self.streams.values():
            items = stream.open
            if not items.numbers:
                continue
            frame: bytes | Parts
            if are_small or (size := size_of(items)) <= self._frame_bytes:
                frame = encode_frame(number, version, items)
            else:
                frame = Parts(number, version, items, size, self._frame_bytes)
            if not stream.unacked:
                stream.busy_since_s = now
            stream.unacked.append((number, frame, now, len(items)))
            stream.unacked_bytes += len(frame)
            stream.items += len(items)
            self.frames += 1
            self.effects += len(items)
            stream.open = Items([], [])
            sent = True
            if stream.connected:
                self._dispatch(stream, number, frame, send)
        if sent:
            self.number += 1
        return sent

    def _dispatch(self, stream: Stream, number: int, frame: bytes | Parts, send: Callable[[str, bytes], None]) -> None:
        """Send a frame behind those before it."""
        if isinstance(frame, bytes) and not stream.backlog:
            send(stream.peer, frame)
        else:
            stream.backlog.append((number, frame))
            self._send_some(stream, send)

    def _send_some(self, stream: Stream, send: Callable[[str, bytes], None]) -> None:
        """Send as much of the backlog as may be on its way."""
        backlog, flying = stream.backlog, stream.flying
        while backlog and len(flying) < WINDOW_PARTS:
            number, frame = backlog[0]
            if isinstance(frame, bytes):
                flying.append((number, 0))
                backlog.popleft()
                send(stream.peer, frame)
            else:
                flying.append((number, frame.cut))
                send(stream.peer, frame.next())
                if frame.ended:
                    backlog.popleft()

    def go_on(self, now: float, stream: Stream, arrived: tuple[int, int], send: Callable[[str, bytes], None]) -> None:
        """After an ack: send more of large frames; so many parts of the frame `arrived` have come to the peer."""
        flying = stream.flying
        while flying and (flying[0][0] <= stream.acked or flying[0] < arrived):
            flying.popleft()
            stream.busy_since_s = now
        if stream.connected:
            self._send_some(stream, send)

    def ack(self, now: float, stream: Stream, number: int) -> list[Gate]:
        """Take note that a peer has applied all frames up to `number`; return the gates that this opens."""
        if number <= stream.acked:
            return []
        stream.acked = number
        stream.busy_since_s = now
        self.acks += 1
        unacked = stream.unacked
        while unacked and unacked[0][0] <= number:
            _, frame, cut_at, items = unacked.popleft()
            stream.unacked_bytes -= len(frame)
            stream.items -= items
            microseconds = int((now - cut_at) * 1e6)
            self.ack_us[min(microseconds.bit_length(), ACK_BUCKETS - 1)] += 1
        opened: list[Gate] = []
        waiting = stream.waiting
        while waiting and waiting[0][0] <= number:
            gate = heapq.heappop(waiting)[2]
            if gate.committed is not None or (self.refused and gate.refused_by(stream)):
                continue
            gate.waits.pop(stream, None)
            if not gate.waits:
                del self.gates[gate]
                gate.committed = True
                opened.append(gate)
        return opened

    def resume(self, stream: Stream, applied: int, send: Callable[[str, bytes], None]) -> None:
        """On a new link: send again what comes after the last frame that the peer has applied."""
        stream.connected = True
        stream.backlog.clear()
        stream.flying.clear()
        for number, frame, _, _ in stream.unacked:
            if number > applied:
                if isinstance(frame, Parts):
                    frame.restart()
                self._dispatch(stream, number, frame, send)

    def resend(self, stream: Stream, effects: list[Item]) -> None:
        """Have a copy told what it lacks, with the next frame."""
        for partition, epoch, sequence, database, argv in effects:
            stream.open.add(partition, epoch, sequence, database, argv)
        self.open_bytes += size_of(items_of(*effects))

    def review(self) -> list[Gate]:
        """Open the gates whose last missing acks are no longer required. To be called when a log lost a stream."""
        opened = []
        for gate in list(self.gates):
            waits = _waits(gate.needs)
            gate.waits = {stream: number for stream, number in gate.waits.items() if stream in waits}
            if not gate.waits:
                opened.append(self._resolve(gate, committed=True))
        return opened

    def lose(self, lost: Sequence[Log]) -> list[Gate]:
        """Fail the gates of partitions whose primary this node no longer is."""
        gone = set(lost)
        failed = [gate for gate in self.gates if any(log in gone and not _acked(log, at) for log, at in gate.needs)]
        return [self._resolve(gate, committed=False) for gate in failed]

    def discard(self, stream: Stream) -> None:
        """Keep what a peer has not acked no longer, for nothing depends on it: its copies are made afresh.

        What is on its way all the same does no harm: it is applied in order, or refused for what is missing.
        """
        stream.unacked.clear()
        stream.backlog.clear()
        stream.flying.clear()
        stream.unacked_bytes = stream.items = 0

    def forget(self, peer: str, run: int) -> None:
        """Give up the stream to a life that no log refers to any more."""
        self.streams.pop((peer, run), None)

    def _resolve(self, gate: Gate, *, committed: bool) -> Gate:
        gate.committed = committed
        gate.waits = {}
        self.gates.pop(gate, None)
        return gate


def _waits(needs: list[tuple[Log, int]]) -> dict[Stream, int]:
    """Return the streams that owe an ack, and the highest number that they owe."""
    waits: dict[Stream, int] = {}
    for log, number in needs:
        for stream in log.required:
            if (stream.acked < number or stream in log.refusers) and (stream not in waits or waits[stream] < number):
                waits[stream] = number
    return waits


def _acked(log: Log, number: int) -> bool:
    return not log.refusers and all(stream.acked >= number for stream in log.required)
