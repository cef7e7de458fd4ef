"""Replies wait for exactly the acks that they need."""

import pytest

from respcache.cluster.replication.items import Item, items_of
from respcache.cluster.replication.log import Gate, Log, Replication, Stream
from respcache.cluster.replication.wire import Frame
from respcache.cluster.wire import decode

SET = [b"SET", b"key", b"value"]


class Primary:
    """A node with streams to b and c, and what it sent."""

    def __init__(self) -> None:
        self.replication = Replication()
        self.b, self.c = (self.replication.stream(name, 1) for name in ("b", "c"))
        self.b.connected = self.c.connected = True
        self.sent: list[tuple[str, Frame]] = []

    def log(self, partition: int, *required: Stream) -> Log:
        """Return a log with required streams."""
        log = Log(self.replication, partition, 1, 0)
        log.attach((), required)
        return log

    def flush(self, now: float = 0.0) -> None:
        """End a tick."""
        self.replication.cut(now, (1, 1), self.receive)

    def receive(self, peer: str, frame: bytes) -> None:
        """Note what was sent."""
        message = decode(frame)
        assert isinstance(message, Frame)
        self.sent.append((peer, message))

    def gate(self, *logs: Log) -> Gate:
        """Return a gate that must be there."""
        gate = self.replication.gate(logs)
        assert gate is not None
        return gate


def frame(*items: Item) -> Frame:
    """Return the first frame, with these effects."""
    made = items_of(*items)
    return Frame(1, (1, 1), made.numbers, made.words)


def outcome(gate: Gate) -> bool | None:
    """Return what became of a gate."""
    return gate.committed


@pytest.fixture
def primary() -> Primary:
    """Return a primary."""
    return Primary()


def test_effects_of_a_tick_travel_in_one_frame_per_peer(primary: Primary) -> None:
    """In order, numbered by the tick, and stamped."""
    one, two = primary.log(1, primary.b, primary.c), primary.log(2, primary.b)
    one.append(0, SET)
    two.append(3, SET)
    one.append(0, SET)
    primary.flush()
    primary.flush()

    assert primary.sent == [
        ("b", frame((1, 1, 1, 0, SET), (2, 1, 1, 3, SET), (1, 1, 2, 0, SET))),
        ("c", frame((1, 1, 1, 0, SET), (1, 1, 2, 0, SET))),
    ]


def test_nothing_written_or_nobody_to_tell_is_no_gate(primary: Primary) -> None:
    """A clean log and a log without other copies let replies pass."""
    lonely = primary.log(1)
    lonely.append(0, SET)
    assert primary.replication.gate([lonely, primary.log(2, primary.b)]) is None


def test_a_gate_opens_with_the_last_ack(primary: Primary) -> None:
    """Every required copy has to have it; acks are cumulative."""
    log = primary.log(1, primary.b, primary.c)
    log.append(0, SET)
    gate = primary.gate(log)
    primary.flush()
    assert primary.replication.ack(0.1, primary.b, 1) == []
    assert primary.replication.ack(0.1, primary.b, 1) == []
    assert outcome(gate) is None
    log.append(0, SET)
    primary.flush()
    assert primary.replication.ack(0.2, primary.c, 2) == [gate]
    assert outcome(gate) is True
    assert not log.clean


def test_a_gate_before_the_flush_waits_for_the_frame_to_come(primary: Primary) -> None:
    """An ack of earlier frames says nothing of an open one."""
    log = primary.log(1, primary.b)
    log.append(0, SET)
    primary.flush()
    log.append(0, SET)
    gate = primary.gate(log)
    assert primary.replication.ack(0.0, primary.b, 1) == []
    primary.flush()
    assert primary.replication.ack(0.0, primary.b, 2) == [gate]


def test_a_copy_that_is_required_no_more_is_not_waited_for(primary: Primary) -> None:
    """When the record has dropped it, the gate opens."""
    log = primary.log(1, primary.b, primary.c)
    log.append(0, SET)
    gate = primary.gate(log)
    primary.flush()
    primary.replication.ack(0.0, primary.b, 1)
    assert primary.replication.review() == []
    log.attach((), (primary.b,))
    assert primary.replication.review() == [gate]
    assert outcome(gate) is True


def test_a_lost_partition_fails_only_the_gates_that_wait_for_it(primary: Primary) -> None:
    """The outcome is uncertain, and what was acked before is not."""
    lost, kept = primary.log(1, primary.b), primary.log(2, primary.b)
    lost.append(0, SET)
    kept.append(0, SET)
    failing, both, waiting = primary.gate(lost), primary.gate(kept, lost), primary.gate(kept)
    primary.flush()
    assert primary.replication.lose([lost]) == [failing, both]
    assert (failing.committed, both.committed, waiting.committed) == (False, False, None)
    assert primary.replication.ack(0.0, primary.b, 1) == [waiting]


def test_acks_of_a_peer_that_refused_do_not_open(primary: Primary) -> None:
    """Frames are acked as a whole, so a refusal takes its partition out of what the ack says."""
    refused, other = primary.log(1, primary.b), primary.log(2, primary.b)
    refused.append(0, SET)
    other.append(0, SET)
    shut, open_ = primary.gate(refused), primary.gate(other)
    primary.flush()
    refused.refusers |= {primary.b}
    primary.replication.refused = True
    assert primary.replication.ack(0.0, primary.b, 1) == [open_]
    assert outcome(shut) is None
    assert primary.replication.gate([refused]) is not None
    refused.attach((), ())
    assert shut in primary.replication.review()


def test_after_a_broken_link_only_what_was_not_applied_is_sent_again(primary: Primary) -> None:
    """And nothing is sent while there is no link."""
    log = primary.log(1, primary.b)
    for _ in range(3):
        log.append(0, SET)
        primary.flush()
        primary.b.connected = False
    assert [frame.number for _, frame in primary.sent] == [1]
    primary.replication.resume(primary.b, 1, primary.receive)
    assert [frame.number for _, frame in primary.sent] == [1, 2, 3]


def test_acks_are_timed(primary: Primary) -> None:
    """From the cut of the frame to its ack."""
    log = primary.log(1, primary.b)
    log.append(0, SET)
    primary.flush()
    primary.replication.ack(0.001, primary.b, 1)
    assert sum(primary.replication.ack_us) == 1
    assert primary.replication.ack_us[(1_000).bit_length()] == 1


def test_what_is_discarded_is_not_sent_again(primary: Primary) -> None:
    """And takes no memory; later effects go out as ever."""
    log = primary.log(1, primary.b)
    primary.b.connected = False
    log.append(0, SET)
    primary.flush()
    primary.replication.discard(primary.b)
    assert (primary.b.unacked_bytes, primary.b.items) == (0, 0)
    primary.replication.resume(primary.b, 0, primary.receive)
    assert primary.sent == []
    log.append(0, SET)
    primary.flush()
    assert [frame.number for _, frame in primary.sent] == [2]


def test_what_is_withheld_goes_in_one_frame(primary: Primary) -> None:
    """However many ticks it took; a gate for it waits for that frame, and acks of earlier ones count meanwhile."""
    log = primary.log(1, primary.b)
    log.append(0, SET)
    primary.flush()
    before = primary.gate(log)
    primary.replication.withheld = True
    for _ in range(3):
        log.append(0, SET)
        primary.flush()
    assert len(primary.sent) == 1
    assert primary.replication.ack(1.0, primary.b, 1) == [before]
    gate = primary.gate(log)
    primary.replication.withheld = False
    primary.flush()
    assert len(primary.sent) == 2
    assert len(primary.sent[1][1].items) == 3
    assert outcome(gate) is None
    assert primary.replication.ack(2.0, primary.b, 2) == [gate]
