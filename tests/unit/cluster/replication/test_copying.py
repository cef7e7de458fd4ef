"""A copy that is made while its partition is written to ends up equal."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from respcache.cluster.replication.copying import RESTARTS, WINDOW_BYTES, WINDOW_STEPS, Copying
from respcache.cluster.replication.log import Log, Replication, Stream
from respcache.cluster.replication.replica import Replica
from respcache.cluster.replication.wire import BEGIN, END, LAST, PIECE, USES, VALUES, Frame
from respcache.cluster.wire import decode
from simulation.ownership.store import ModelStore

KEYS = [b"a", b"b", b"c", b"d"]
PARTITION = 7

keys = st.sampled_from(KEYS)
writes = st.one_of(
    st.builds(lambda key, value: [b"SET", key, value], keys, st.binary(max_size=3)),
    st.builds(lambda key: [b"APPEND", key, b"+"], keys),
    st.builds(lambda key: [b"DEL", key], keys),
    st.builds(lambda one, other: [b"RENAME", one, other], keys, keys),
    st.just([b"FLUSHDB"]),
    st.just([b"SWAPDB", b"0", b"1"]),
)
chunks = st.just([b"chunk"])


class Pair:
    """A primary with data, and a learner at the other end of its stream."""

    def __init__(self, *, step_keys: int = 1, bytes_per_s: int = 0) -> None:
        self.store, self.copy = ModelStore(), ModelStore()
        self.replication = Replication()
        self.stream: Stream = self.replication.stream("learner", 1)
        self.stream.connected = True
        self.log = Log(self.replication, PARTITION, 1, 0)
        self.copying = Copying(self.store, step_keys=step_keys, bytes_per_s=bytes_per_s)
        self.replica = Replica(self.copy)
        self.replica.follow(PARTITION, 1, ("primary", 1))

    def write(self, argv: list[bytes]) -> None:
        """Execute a command on the primary."""
        self.store.apply(PARTITION, 0, argv)
        if self.log.streams:
            self.log.append(0, argv)

    def flush(self) -> None:
        """End a tick: the learner applies and acks."""
        self.replication.cut(0.0, (1, 1), self._deliver)
        self.replication.ack(0.0, self.stream, self.replication.number - 1)

    def _deliver(self, _: str, frame: bytes) -> None:
        message = decode(frame)
        assert isinstance(message, Frame)
        self.replica.receive(self.replica.inbound(("primary", 1)), message, frame)

    @property
    def done(self) -> bool:
        """Whether the learner has acked the end."""
        return bool(self.copying.acked(self.stream))


@settings(deadline=None)
@given(
    before=st.lists(writes, max_size=8),
    during=st.lists(st.one_of(writes, writes, chunks), max_size=40),
    flushes=st.integers(1, 5),
)
def test_a_copy_ends_equal_whatever_is_written_meanwhile(
    before: list[list[bytes]], during: list[list[bytes]], flushes: int
) -> None:
    """Sets, deletes, re-creations, renames and floods between any two chunks, in any framing."""
    pair = Pair()
    pair.copy.restore(PARTITION, 0, b"a", b"of a former life")
    for argv in before:
        pair.write(argv)
    pair.copying.add(pair.log, pair.stream)
    for number, argv in enumerate(during):
        if argv == [b"chunk"]:
            pair.copying.step(0.0, pair.replication.number)
        else:
            pair.write(argv)
        if number % flushes == 0:
            pair.flush()
    for _ in range(100):
        pair.copying.step(0.0, pair.replication.number)
        pair.flush()
        if not pair.copying.runnable:
            break

    assert pair.done
    assert pair.copy.partitions.get(PARTITION, {}) == pair.store.partitions.get(PARTITION, {})
    assert pair.replica.position(PARTITION, 1) == pair.log.sequence


def test_a_large_value_arrives_in_the_database_that_it_was_given_meanwhile() -> None:
    """Its pieces begin anew, and nothing is left of those before."""
    pair = Pair(step_keys=100)
    pair.write([b"SET", b"a", b"xy"])
    pair.copying.add(pair.log, pair.stream)
    assert kinds(pair) == [BEGIN, PIECE]
    pair.write([b"SWAPDB", b"0", b"1"])
    while pair.copying.runnable:
        pair.copying.step(0.0, pair.replication.number)
        pair.flush()
    assert pair.done
    assert pair.copy.partitions[PARTITION] == {(1, b"a"): b"xy"}


def test_a_step_is_bounded() -> None:
    """No step takes more keys than its limit; the end comes with the last of them."""
    pair = Pair(step_keys=4)
    for number in range(10):
        pair.write([b"SET", b"%d" % number, b"v"])
    pair.copying.add(pair.log, pair.stream)
    steps = 0
    while pair.copying.runnable:
        pair.copying.step(0.0, pair.replication.number)
        chunk = [item for item in pair.stream.open if item[3] not in (BEGIN, END)]
        assert sum(len(item[4]) // 3 for item in chunk) <= 4
        pair.flush()
        steps += 1
    assert steps == 3


def test_many_empty_partitions_travel_in_one_frame() -> None:
    """Joining an empty cluster takes no longer than it must."""
    pair = Pair(step_keys=500)
    for partition in range(100):
        pair.copying.add(Log(pair.replication, partition, 1, 0), pair.stream)
    pair.copying.step(0.0, pair.replication.number)
    pair.flush()
    assert len(pair.copying.acked(pair.stream)) == 100


def test_nothing_is_cut_into_a_full_window() -> None:
    """A learner that does not ack is not drowned."""
    pair = Pair()
    pair.stream.unacked_bytes = WINDOW_BYTES
    pair.copying.add(pair.log, pair.stream)
    assert not pair.copying.runnable
    pair.copying.step(0.0, pair.replication.number)
    assert not pair.stream.open


def test_little_is_under_way_to_a_slow_learner() -> None:
    """However small the steps are: leases and records stand behind them. What is discarded is not waited for."""
    pair = Pair(step_keys=1)
    for number in range(3 * WINDOW_STEPS):
        pair.write([b"SET", b"%d" % number, b"v"])
    pair.copying.add(pair.log, pair.stream)
    steps = 0
    while pair.copying.runnable:
        pair.copying.step(0.0, pair.replication.number)
        pair.replication.cut(0.0, (1, 1), lambda _peer, _frame: None)
        steps += 1
    assert steps == WINDOW_STEPS
    pair.replication.ack(0.0, pair.stream, pair.stream.unacked[1][0])
    goes_on = [pair.copying.runnable]
    for _ in range(2):
        pair.copying.step(0.0, pair.replication.number)
        pair.replication.cut(0.0, (1, 1), lambda _peer, _frame: None)
    goes_on.append(pair.copying.runnable)
    pair.replication.discard(pair.stream)
    goes_on.append(pair.copying.runnable)
    assert goes_on == [True, False, True]


def test_a_cancelled_copy_can_begin_again() -> None:
    """Whatever the first attempt left behind is forgotten."""
    pair = Pair()
    for key in KEYS:
        pair.write([b"SET", key, b"1"])
    pair.copying.add(pair.log, pair.stream)
    pair.copying.step(0.0, pair.replication.number)
    pair.flush()
    assert pair.copying.cancel(PARTITION, pair.stream)
    assert not pair.copying.cancel(PARTITION, pair.stream)
    assert pair.log.copying is None
    pair.log.attach((), ())
    pair.write([b"DEL", KEYS[-1]])
    pair.copying.add(pair.log, pair.stream)
    while pair.copying.runnable:
        pair.copying.step(0.0, pair.replication.number)
        pair.flush()
    assert pair.done
    assert pair.copy.partitions == pair.store.partitions


def kinds(pair: Pair, now: float = 0.0) -> list[int]:
    """Cut one step; return what is in it."""
    pair.copying.step(now, pair.replication.number)
    found = [item[3] for item in pair.stream.open]
    pair.flush()
    return found


def test_a_large_value_takes_several_steps() -> None:
    """A piece costs what its words cost; the learner has nothing of the value before the last one."""
    pair = Pair(step_keys=100)
    pair.write([b"SET", b"a", b"xy"])
    pair.copying.add(pair.log, pair.stream)
    assert kinds(pair) == [BEGIN, PIECE]
    assert pair.copy.dump(PARTITION, 0, b"a") is None
    assert kinds(pair) == [LAST, END]
    assert pair.done
    assert pair.copy.partitions == pair.store.partitions


def test_how_keys_are_used_follows_behind_their_values() -> None:
    """Behind the last piece of a large one, too; of keys of which nothing is known nothing is said."""
    pair = Pair(step_keys=100)
    for key, value in ((b"a", b"1"), (b"b", b"xy"), (b"c", b"3"), (b"d", b"4")):
        pair.write([b"SET", key, value])
    for key in (b"a", b"b", b"c"):
        pair.store.used(PARTITION, 0, key, b"use of " + key)
    pair.copying.add(pair.log, pair.stream)
    assert kinds(pair) == [BEGIN, PIECE, VALUES, USES]
    assert kinds(pair) == [LAST, USES]
    assert END in kinds(pair)
    assert pair.copy.uses == pair.store.uses


def test_a_value_that_changes_on_its_way_begins_anew_behind_the_others() -> None:
    """Its first piece is void; another key, and the effect, get ahead of it."""
    pair = Pair(step_keys=100)
    pair.write([b"SET", b"a", b"1"])
    pair.write([b"SET", b"b", b"xy"])
    pair.copying.add(pair.log, pair.stream)
    assert kinds(pair) == [BEGIN, PIECE]
    pair.write([b"APPEND", b"b", b"r"])
    assert kinds(pair) == [0, PIECE, VALUES]
    assert kinds(pair) == [PIECE]
    assert kinds(pair) == [LAST, END]
    assert pair.copy.dump(PARTITION, 0, b"b") == b"xyr"
    assert pair.copy.partitions == pair.store.partitions


def test_a_value_that_never_holds_still_is_withheld_until_it_is_through() -> None:
    """After so many attempts writes to its partition are to wait, for as long as its last one takes."""
    pair = Pair(step_keys=100)
    pair.write([b"SET", b"a", b"xy"])
    pair.copying.add(pair.log, pair.stream)
    for _ in range(RESTARTS):
        assert PIECE in kinds(pair)
        assert not pair.copying.withheld
        pair.write([b"APPEND", b"a", b"r"])
    assert pair.copying.withheld == {PARTITION}
    while LAST not in kinds(pair):
        assert pair.copying.withheld == {PARTITION}
    assert not pair.copying.withheld
    assert pair.done


def test_nothing_is_withheld_for_a_copy_that_is_given_up() -> None:
    """Writes go on."""
    pair = Pair(step_keys=100)
    pair.write([b"SET", b"a", b"xy"])
    pair.copying.add(pair.log, pair.stream)
    for _ in range(RESTARTS):
        kinds(pair)
        pair.write([b"APPEND", b"a", b"r"])
    assert pair.copying.withheld == {PARTITION}
    assert pair.copying.cancel(PARTITION, pair.stream)
    assert not pair.copying.withheld


def test_a_large_value_that_goes_on_its_way_does_not_arrive() -> None:
    """Deleted by name, or with all others."""
    for argv in ([b"DEL", b"a"], [b"FLUSHDB"]):
        pair = Pair(step_keys=100)
        pair.write([b"SET", b"a", b"xy"])
        pair.copying.add(pair.log, pair.stream)
        assert kinds(pair) == [BEGIN, PIECE]
        pair.write(argv)
        kinds(pair)
        assert pair.done
        assert pair.copy.dump(PARTITION, 0, b"a") is None


def test_a_step_waits_for_its_allowance() -> None:
    """One that is not due does nothing; when it is due is known, and never while there is nothing to do."""
    pair = Pair(step_keys=1, bytes_per_s=10)
    for key in KEYS:
        pair.write([b"SET", key, b"1"])
    assert pair.copying.due_s == math.inf
    pair.copying.add(pair.log, pair.stream)
    now, began_s, steps = 50.0, 50.0, 0
    while pair.copying.due_s < math.inf:
        now = max(now, pair.copying.due_s)
        if steps:
            assert kinds(pair, now - 0.001) == []
        assert kinds(pair, now)
        steps += 1
    assert pair.done
    assert pair.copy.partitions == pair.store.partitions
    assert steps <= len(KEYS) + 1
    last = 2  # bytes of a key and a value: the last step is not waited for
    assert (pair.copying.bytes_out - last) / 10 - 0.02 <= now - began_s <= pair.copying.bytes_out / 10


def test_what_writes_wait_for_waits_for_nothing() -> None:
    """The rest of its partition does not, either; others have to, and nothing of it is counted."""
    pair = Pair(step_keys=100, bytes_per_s=20)
    other = pair.replication.stream("other", 1)
    other.connected = True
    pair.write([b"SET", b"a", b"x" * 40])
    pair.copying.add(pair.log, pair.stream)
    now = 0.0
    for _ in range(RESTARTS):
        now = max(now, pair.copying.due_s)
        assert PIECE in kinds(pair, now)
        pair.write([b"APPEND", b"a", b"r"])
    pair.copying.add(Log(pair.replication, PARTITION + 1, 1, 0), other)
    assert pair.copying.withheld == {PARTITION}
    assert pair.copying.due_s == -math.inf
    due_s = pair.copying.allowance.due_s
    assert due_s > now + 0.3
    while pair.copying.withheld:
        assert kinds(pair, now)
        assert not other.open
    assert pair.copying.allowance.due_s == due_s
    assert pair.copying.due_s == due_s
    assert pair.done
