"""Large frames travel in parts of bounded size, and are applied once, whole and in order, whatever breaks."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.cluster.ownership.wire import DecodeError
from respcache.cluster.replication.items import Item, items_of
from respcache.cluster.replication.log import WINDOW_PARTS, Log, Replication
from respcache.cluster.replication.parts import WORD_BYTES, Gathering, Parts, gathered_again, size_of
from respcache.cluster.replication.replica import Replica
from respcache.cluster.replication.wire import WORD_MAX_BYTES, Ack, Frame, Part, decode_part, encode_part
from respcache.cluster.wire import decode
from simulation.ownership.store import ModelStore

WORDS = st.lists(st.binary(max_size=300), min_size=1, max_size=5)
RUNS = st.tuples(
    st.integers(0, 9), st.just(1), st.integers(0, 9), st.integers(-8, 9), st.lists(WORDS, min_size=1, max_size=4)
)


def unrolled(runs: list[tuple[int, int, int, int, list[list[bytes]]]]) -> list[Item]:
    """List the items of runs; steps of copies have the sequence of the last effect."""
    return [
        (partition, epoch, sequence + (place if database >= 0 else 0), database, argv)
        for partition, epoch, sequence, database, argvs in runs
        for place, argv in enumerate(argvs)
    ]


ITEMS = st.lists(RUNS, max_size=5).map(unrolled)


def cut(items: list[Item], bytes_max: int, parts: Parts | None = None) -> list[bytes]:
    """Return all messages of a frame with number 7."""
    parts = parts or Parts(7, (1, 2), items_of(*items), size_of(items_of(*items)), bytes_max)
    messages = []
    while not parts.ended:
        messages.append(parts.next())
    return messages


def gather(messages: Sequence[bytes], *, keep_max: int = 0) -> Gathering:
    """Put all parts together."""
    gathering = Gathering(keep_max)
    for encoded in messages:
        gathering.add(decode_part(encoded), encoded)
    return gathering


@settings(deadline=None)
@given(ITEMS, st.integers(1, 1_000))
def test_what_is_put_together_is_what_was_cut(items: list[Item], bytes_max: int) -> None:
    """Whatever the effects and the limit; behind the parts comes the frame, which counts them."""
    *parts, frame = cut(items, bytes_max)
    gathering = gather(parts)
    assert list(gathering.items) == items
    assert gathering.is_whole
    assert decode(frame) == Frame(7, (1, 2), [], [], len(parts))


@settings(deadline=None)
@given(ITEMS, st.integers(1, 1_000))
def test_no_part_is_larger_than_it_may_be(items: list[Item], bytes_max: int) -> None:
    """By the words in it, which cost something besides their bytes, too: the last one begins below the limit."""
    for encoded in cut(items, bytes_max)[:-1]:
        part = decode_part(encoded)
        assert part.numbers
        assert size_of(part.items) <= bytes_max + 2 * WORD_BYTES


@settings(deadline=None)
@given(ITEMS, st.integers(1, 500), st.integers(0, 9))
def test_a_frame_is_cut_anew_as_it_was_before(items: list[Item], bytes_max: int, before: int) -> None:
    """For another link, however far the last one got."""
    whole = cut(items, bytes_max)
    parts = Parts(7, (1, 2), items_of(*items), size_of(items_of(*items)), bytes_max)
    for _ in whole[:before]:
        parts.next()
    parts.restart()
    assert cut(items, bytes_max, parts) == whole


def test_a_long_word_is_not_copied_once_it_is_there() -> None:
    """The store keeps the memory that the parts were written into."""
    long = bytes(range(256)) * 40
    *parts, _ = cut([(1, 1, 1, 0, [b"SET", b"key", long, b"PXAT", b"9"])], 1_000)
    assert len(parts) == 11
    (item,) = gather(parts).items
    assert item[4] == [b"SET", b"key", long, b"PXAT", b"9"]


def test_parts_are_kept_as_they_came_while_they_are_few() -> None:
    """They can be read again; above the limit nothing is kept."""
    items: list[Item] = [(1, 1, 1, 0, [b"SET", b"key", b"x" * 1_000])]
    *parts, _ = cut(items, 100)
    kept = gather(parts, keep_max=2_000).kept
    assert kept == parts
    assert list(gathered_again(kept)) == items
    assert gather(parts, keep_max=500).kept == []


def part(index: int, *words: bytes, goes_on: bool = False, unfinished: int = 0, sequence: int = 1) -> Part:
    """Return a part with one item."""
    return Part(7, index, goes_on, unfinished, [1, 1, sequence, 0, 1, len(words)], list(words))


@pytest.mark.parametrize(
    "parts",
    [
        [part(1, b"x")],
        [part(0, b"x"), part(2, b"x")],
        [Part(7, 0, goes_on=False, unfinished=0, numbers=[], words=[])],
        [part(0, b"x", goes_on=True)],
        [part(0, b"x"), part(1, b"x", goes_on=True, sequence=2)],
        [part(0, b"ab", unfinished=2)],
        [part(0, unfinished=2)],
        [part(0, b"ab", unfinished=3), part(1, b"c")],
        [part(0, b"ab", unfinished=3), part(1, b"cd", goes_on=True)],
        [part(0, b"ab", unfinished=3), part(1, goes_on=True)],
        [part(0, b"ab", unfinished=5), part(1, b"c", b"d", goes_on=True)],
    ],
    ids=[
        "no first",
        "a gap",
        "empty",
        "goes on with nothing",
        "goes on with another",
        "no longer than its beginning",
        "no beginning",
        "left unfinished",
        "too much",
        "too little",
        "not the end",
    ],
)
def test_a_part_that_does_not_fit_is_refused(parts: list[Part]) -> None:
    """It comes from no node that works: its link is cut, and another one begins anew."""
    gathering = Gathering()
    *before, last = parts
    for each in before:
        gathering.add(each, b"")
    with pytest.raises(DecodeError):
        gathering.add(last, b"")


def test_no_part_announces_a_longer_word_than_there_is() -> None:
    """Memory is taken for all of it as soon as it begins."""
    announced = encode_part(7, 0, False, WORD_MAX_BYTES, items_of((1, 1, 1, 0, [b"x"])))
    assert decode_part(announced).unfinished == WORD_MAX_BYTES
    with pytest.raises(DecodeError):
        decode(encode_part(7, 0, False, WORD_MAX_BYTES + 1, items_of((1, 1, 1, 0, [b"x"]))))


class Diary(ModelStore):
    """Notes what is applied to it."""

    def __init__(self, applied: list[list[bytes]]) -> None:
        super().__init__()
        self._applied = applied

    def apply(self, partition: int, database: int, argv: list[bytes]) -> None:
        """Note an effect."""
        del partition, database
        self._applied.append(argv)


@dataclass
class Pair:
    """A primary and its copy of partition 1, and the link between them, each way in order."""

    frame_bytes: int
    there: deque[bytes] = field(default_factory=deque)
    applied: list[list[bytes]] = field(default_factory=list)
    acked: int = 0

    def __post_init__(self) -> None:
        self.replication = Replication(frame_bytes=self.frame_bytes)
        self.stream = self.replication.stream("copy", 1)
        self.stream.connected = True
        self.log = Log(self.replication, 1, 1, 0)
        self.log.attach((), (self.stream,))
        self.replica = Replica(Diary(self.applied))
        copy = self.replica.follow(1, 1, ("primary", 1))
        copy.whole, copy.sequence = True, 0
        self.inbound = self.replica.inbound(("primary", 1))

    def send(self, _peer: str, frame: bytes) -> None:
        """Put a message on the link."""
        self.there.append(frame)

    def write(self, *argvs: list[bytes]) -> None:
        """Write in one turn."""
        for argv in argvs:
            self.log.append(0, argv)
        self.replication.cut(0.0, (1, 1), self.send)

    def deliver(self, count: int) -> None:
        """Let some messages arrive, and what the copy answers."""
        for _ in range(min(count, len(self.there))):
            encoded = self.there.popleft()
            message = decode(encoded)
            if isinstance(message, Part):
                self.replica.gather(self.inbound, message, encoded)
            else:
                assert isinstance(message, Frame)
                self.replica.check(self.inbound, message)
                self.replica.receive(self.inbound, message, encoded)
        for _, ack in self.replica.acks():
            self.acknowledge(ack)

    def acknowledge(self, ack: Ack) -> None:
        """Take an ack in."""
        self.acked = ack.number
        self.replication.ack(1.0, self.stream, ack.number)
        self.replication.go_on(1.0, self.stream, ack.arrived, self.send)

    def relink(self) -> None:
        """Break the link and make another one."""
        self.there.clear()
        self.replica.unlinked("primary")
        self.replication.resume(self.stream, self.replica.applied("primary")[1], self.send)


def value(number: int, size: int) -> list[bytes]:
    """Return an effect."""
    return [b"SET", b"key:%d" % number, bytes([number % 256]) * size]


STEPS = st.one_of(
    st.lists(st.integers(0, 2_000), min_size=1, max_size=4).map(lambda sizes: ("write", sizes)),
    st.integers(1, 12).map(lambda count: ("deliver", [count])),
    st.just(("relink", [0])),
)


@settings(deadline=None)
@given(st.lists(STEPS, max_size=30), st.integers(8, 600))
def test_effects_are_applied_once_and_in_order(steps: list[tuple[str, list[int]]], frame_bytes: int) -> None:
    """Whenever the link breaks; an ack of a frame stands for all of it, and not more than a window is under way."""
    pair = Pair(frame_bytes)
    written: list[list[bytes]] = []
    ends: dict[int, int] = {}
    for what, numbers in [*steps, ("relink", [0])]:
        match what:
            case "write":
                effects = [value(len(written) + place, size) for place, size in enumerate(numbers)]
                ends[pair.replication.number] = len(written) + len(effects)
                written += effects
                pair.write(*effects)
            case "deliver":
                pair.deliver(numbers[0])
            case _:
                pair.relink()
        assert pair.applied == written[: len(pair.applied)]
        assert len(pair.applied) == ends.get(pair.acked, 0)
        assert len(pair.stream.flying) <= WINDOW_PARTS
    while pair.there:
        pair.deliver(3)
    assert pair.applied == written
    assert (pair.stream.unacked_bytes, len(pair.stream.backlog), pair.log.clean) == (0, 0, True)


def test_parts_that_arrive_show_that_a_peer_lives() -> None:
    """Long before the frame is acked: no copy is given up because a large value takes its time."""
    pair = Pair(100)
    pair.write(value(1, 3_000))
    assert pair.stream.busy_since_s == 0.0
    pair.deliver(2)
    assert pair.stream.busy_since_s == 1.0
    assert pair.acked == 0


def test_a_frame_is_whole_or_not_there() -> None:
    """What was written in one turn is one transaction, perhaps: a copy that takes over has all of it, or nothing."""
    pair = Pair(100)
    pair.write(value(1, 10), value(2, 3_000), value(3, 10))
    while len(pair.there) > 1 or pair.stream.backlog:
        pair.deliver(1)
        assert pair.applied == []
        assert pair.replica.position(1, 1) == 0
    pair.deliver(1)
    assert len(pair.applied) == 3
    assert pair.replica.position(1, 1) == 3
    assert pair.inbound.gathered == {}


def test_a_frame_does_not_begin_again_on_one_link() -> None:
    """What is complete, and waits for a record, cannot be exchanged for half of it."""
    pair = Pair(100)
    pair.write(value(1, 300))
    pair.there.insert(1, pair.there[0])
    with pytest.raises(DecodeError):
        pair.deliver(9)


def test_a_frame_that_lacks_parts_is_refused() -> None:
    """Its link is cut, and all of it comes again."""
    pair = Pair(100)
    pair.write(value(1, 300))
    del pair.there[1]
    with pytest.raises(DecodeError):
        pair.deliver(9)
    pair.relink()
    pair.deliver(9)
    assert pair.applied == [value(1, 300)]


def test_what_its_sender_gave_up_is_forgotten_with_the_next_frame() -> None:
    """Half a frame is kept no longer than that."""
    pair = Pair(100)
    pair.write(value(1, 3_000))
    pair.deliver(3)
    assert len(pair.inbound.gathered) == 1
    pair.replication.discard(pair.stream)
    pair.there.clear()
    pair.write(value(2, 1))
    pair.deliver(9)
    assert (pair.inbound.gathered, pair.inbound.refused) == ({}, {1: 1})


def test_the_tail_has_large_effects_too() -> None:
    """A new primary can send them again to a copy that lacks them."""
    pair = Pair(100)
    pair.write(value(1, 1_000), value(2, 10))
    pair.write(value(3, 10))
    while pair.there:
        pair.deliver(1)
    assert pair.replica.tail.after(pair.replica.copies, {1: 0}) == {
        1: [(1, 1, sequence, 0, value(sequence, size)) for sequence, size in ((1, 1_000), (2, 10), (3, 10))]
    }


def test_a_tail_that_is_sent_again_travels_in_parts() -> None:
    """As any other effects do."""
    pair = Pair(100)
    pair.replication.resend(pair.stream, [(1, 1, 1, 0, value(1, 1_000))])
    pair.write()
    assert isinstance(decode(pair.there[0]), Part)
    while pair.there:
        pair.deliver(9)
    assert pair.applied == [value(1, 1_000)]
