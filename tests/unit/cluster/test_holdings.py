"""What a primary waits for while the record is about to count another copy."""

from dataclasses import replace
from random import Random

import msgspec
import pytest

from respcache.cluster.config import KeeperConfig
from respcache.cluster.holdings import STEERED_MAX, Holdings
from respcache.cluster.ownership import slots
from respcache.cluster.ownership.changes import Admit, InSync, Retire
from respcache.cluster.ownership.planner import Outlook, TargetCache, plan
from respcache.cluster.ownership.record import Node, Record, found
from respcache.cluster.replication.log import Gate, Stream
from respcache.cluster.replication.wire import Positions
from simulation.ownership.store import ModelStore

A, B = Node("a", 1), Node("b", 2)
SET = [b"SET", b"key", b"value"]
PARTITIONS = STEERED_MAX + 1
"""One more than are looked at in a turn."""


def copying(partitions: int = 1) -> tuple[Record, Holdings, TargetCache]:
    """Return a primary that is about to copy a partition to a learner, the record that says so, and the targets."""
    first, placement = Admit(B).apply(found("id", A, 2, partitions=partitions)), TargetCache()
    placement(first)
    holdings = Holdings(A.life, KeeperConfig(partitions=partitions), ModelStore(), placement, Random(1), ())
    learning = replace(
        first.edited({0: msgspec.structs.replace(first.entries[0], learners=("b",))}),
        version=(first.version[0], first.version[1] + 1),
        parent=first.version,
    )
    holdings.adopt(0.0, None, first, leap=False)
    stream = holdings.replication.stream(*B.life)
    stream.connected = True
    holdings.adopt(0.0, first, learning, leap=False)
    holdings.steer()
    return learning, holdings, placement


def vouching(*, twice: bool = False) -> tuple[Holdings, Stream, Gate]:
    """Return a primary that has said of a copy that it is in sync, with a write that this copy has refused since.

    It may have said so again, of a newer revision, before the first was decided.
    """
    learning, holdings, _ = copying()
    replication = holdings.replication
    stream = replication.stream(*B.life)
    for _ in range(3):  # the snapshot, its end, and what came meanwhile
        holdings.copying.step(0.0, replication.number)
        replication.cut(0.0, learning.version, lambda _peer, _frame: None)
        replication.ack(0.0, stream, replication.number - 1)
        holdings.advance(stream)
        holdings.steer()
    assert B.life in holdings.wishes.in_sync
    if twice:
        thinner = replace(
            learning.edited({0: msgspec.structs.replace(learning.entries[0], revision=2)}),
            version=(learning.version[0], learning.version[1] + 1),
            parent=learning.version,
        )
        holdings.adopt(0.0, learning, thinner, leap=False)
        holdings.steer()
        assert holdings.wishes.in_sync[B.life] == {(0, 1), (0, 2)}
    log = holdings.logs[0]
    log.append(0, SET)
    gate = replication.gate([log])
    assert gate is not None
    written = replication.number
    replication.cut(0.0, learning.version, lambda _peer, _frame: None)
    holdings.refused(0.0, stream, written, [(0, log.epoch)])
    assert replication.ack(0.0, stream, written) == []
    return holdings, stream, gate


def test_a_copy_that_was_said_to_be_in_sync_is_waited_for_though_it_refuses() -> None:
    """It may count by now, and be the primary: what it does not have must not be acknowledged."""
    holdings, stream, _ = vouching()
    holdings.steer()
    assert holdings.resolved == []
    assert stream in holdings.logs[0].required


def test_once_nothing_came_of_that_the_copy_is_done_without() -> None:
    """The record does not count it, so nobody else will: what it refused is safe without it."""
    holdings, stream, gate = vouching()
    holdings.answered(InSync(*B.life, ((0, 1),)))
    holdings.steer()
    assert holdings.resolved == [gate]
    assert stream not in holdings.logs[0].required


def test_the_answer_to_one_of_two_says_nothing_of_the_other() -> None:
    """By the second the copy may count: what it does not have is not acknowledged before that is decided, too."""
    holdings, stream, gate = vouching(twice=True)
    holdings.answered(InSync(*B.life, ((0, 1),)))
    holdings.steer()
    assert holdings.resolved == []
    assert stream in holdings.logs[0].required
    holdings.answered(InSync(*B.life, ((0, 2),)))
    holdings.steer()
    assert holdings.resolved == [gate]


@pytest.mark.parametrize("ended", [True, False])
def test_a_learner_that_has_started_again_is_copied_to_again(*, ended: bool) -> None:
    """Its new life has nothing of what the old one acked, though the record names it as before."""
    learning, holdings, placement = copying(slots.PARTITIONS)
    replication = holdings.replication
    if ended:
        holdings.copying.step(0.0, replication.number)
        log = holdings.logs[0]
        log.append(0, SET)
        replication.cut(0.0, learning.version, lambda _peer, _frame: None)
        log.append(0, SET)
        replication.cut(0.0, learning.version, lambda _peer, _frame: None)
        stream = replication.stream(*B.life)
        replication.ack(0.0, stream, 1)
        holdings.advance(stream)
        holdings.steer()
        assert not holdings.wishes.in_sync, "it is complete, and has not acked all that nobody waited for"
    again, runs, names = Node("b", 3), {"a": 1, "b": 3}, frozenset("ab")
    restarted = learning
    for change in plan(learning, Outlook(runs, runs, names, (again,), (B.life,), frozenset(), frozenset()), placement):
        restarted = change.apply(restarted)
    assert restarted.entries[0].learners == learning.entries[0].learners
    version = (learning.version[0], learning.version[1] + 1)
    holdings.adopt(1.0, learning, replace(restarted, version=version, parent=learning.version), leap=False)
    anew = replication.stream(*again.life)
    anew.connected = True
    holdings.linked(anew)
    holdings.steer()
    assert holdings.copying.streams_of(0) == [anew]
    assert holdings.wishes.in_sync == {}


def test_a_copy_that_counts_after_all_is_known_by_what_it_has_refused() -> None:
    """It names it once, and had been given up since."""
    holdings, stream, _ = vouching()
    holdings.answered(InSync(*B.life, ((0, 1),)))
    holdings.steer()
    log, record = holdings.logs[0], holdings._record
    assert not log.refusers
    assert record is not None
    synced = following(record, primary="a", in_sync=("a", "b"))
    holdings.adopt(0.0, record, synced, leap=False)
    assert stream in log.refusers
    assert holdings.wishes.demote[B.life]


def test_where_nobody_stays_nothing_is_handed_over() -> None:
    """Not even what was about to be, and has not been looked at again since: there is no heir."""
    first, placement = Admit(B).apply(found("id", A, 2, partitions=PARTITIONS)), TargetCache()
    holdings = Holdings(A.life, KeeperConfig(partitions=PARTITIONS), ModelStore(), placement, Random(1), ())
    holdings.adopt(0.0, None, first, leap=False)
    last = PARTITIONS - 1
    holdings.handovers.want(last)
    assert holdings.handovers.freeze() == [last]
    nobody = replace(
        Retire(*A.life).apply(Retire(*B.life).apply(first)), version=(first.version[0], first.version[1] + 1)
    )
    placement(nobody)
    holdings.adopt(0.0, first, nobody, leap=False)
    holdings.steer()
    assert holdings.handovers.unproposed() == [last]
    holdings.steer()
    assert not holdings.handovers.unproposed()
    assert not holdings.wishes.move


def pair(*, primary: str, in_sync: tuple[str, ...]) -> Record:
    """Return a record of one partition on two nodes."""
    record = Admit(B).apply(found("id", A, 2, partitions=1))
    entry = msgspec.structs.replace(record.entries[0], primary=primary, in_sync=in_sync)
    return record.edited({0: entry})


def following(record: Record, *, primary: str, in_sync: tuple[str, ...]) -> Record:
    """Return the next version, in which others hold the partition."""
    before = record.entries[0]
    epoch = before.epoch + (primary != before.primary)
    entry = msgspec.structs.replace(before, epoch=epoch, revision=before.revision + 1, primary=primary, in_sync=in_sync)
    version = (record.version[0], record.version[1] + 1)
    return replace(record.edited({0: entry}), version=version, parent=record.version)


def test_what_is_under_way_when_too_few_copies_are_left_is_not_acknowledged() -> None:
    """The one that is left has it, and two are needed; what comes later is refused."""
    for needed in (2, 1):
        config = KeeperConfig(partitions=1, min_in_sync=needed)
        holdings = Holdings(A.life, config, ModelStore(), TargetCache(), Random(1), ())
        both = pair(primary="a", in_sync=("a", "b"))
        holdings.adopt(0.0, None, both, leap=False)
        holdings.positions(0.0, holdings.replication.stream(*B.life), Positions(both.version, ((0, 1, 0),)))
        log = holdings.logs[0]
        log.append(0, SET)
        gate = holdings.replication.gate([log])
        assert gate is not None
        assert not holdings.scarce
        holdings.adopt(0.0, both, following(both, primary="a", in_sync=("a",)), leap=False)
        holdings.steer()
        assert holdings.resolved == [gate]
        assert gate.committed is (needed == 1)
        assert holdings.scarce == ({0} if needed == 2 else set())


def test_a_successor_knows_that_copies_are_too_few_before_it_serves() -> None:
    """It waits for the former primary's lease to end, and hears of no new version when it has."""
    config = KeeperConfig(partitions=1, min_in_sync=2)
    holdings = Holdings(A.life, config, ModelStore(), TargetCache(), Random(1), ())
    before = pair(primary="b", in_sync=("b", "a"))
    holdings.adopt(0.0, None, before, leap=False)
    copy = holdings.replica.copies[0]
    copy.whole, copy.sequence = True, 0
    holdings.adopt(0.0, before, following(before, primary="a", in_sync=("a",)), leap=False)
    assert not holdings.logs
    assert holdings.scarce == {0}


def test_what_a_copy_refused_before_there_was_a_log_keeps_it_out() -> None:
    """What it lacks is sent to it first, and it says only once that it did not take that."""
    holdings = Holdings(A.life, KeeperConfig(partitions=1), ModelStore(), TargetCache(), Random(1), ())
    before = pair(primary="b", in_sync=("b", "a"))
    holdings.adopt(0.0, None, before, leap=False)
    copy = holdings.replica.copies[0]
    copy.whole, copy.sequence = True, 0
    after = following(before, primary="a", in_sync=("a", "b"))
    holdings.adopt(0.0, before, after, leap=False)
    stream = holdings.replication.stream(*B.life)
    holdings.refused(0.0, stream, 0, [(0, 2)])
    holdings.positions(0.0, stream, Positions(after.version, ((0, 2, 0),)))
    holdings.unfence(1e9)
    assert stream in holdings.logs[0].refusers
    assert holdings.wishes.demote[B.life] == {(0, 2)}


def test_keys_of_a_former_primary_are_orphans_though_a_copy_is_made_over_them() -> None:
    """The record named it nowhere for one version, which is too short a time to delete anything."""
    config = KeeperConfig(partitions=1)
    holdings = Holdings(A.life, config, ModelStore(), TargetCache(), Random(1), ())
    mine = pair(primary="a", in_sync=("a",))
    holdings.adopt(0.0, None, mine, leap=False)
    other = following(mine, primary="b", in_sync=("b",))
    holdings.adopt(0.0, mine, other, leap=True)
    assert len(holdings.surplus) == 1
    learner = other.edited({0: msgspec.structs.replace(other.entries[0], learners=("a",))})
    learner = replace(learner, version=(other.version[0], other.version[1] + 1), parent=other.version)
    holdings.adopt(0.0, other, learner, leap=False)
    assert holdings.replica.copies[0].orphaned
    holdings.adopt(0.0, learner, replace(other, version=(9 * other.version[0], 1)), leap=True)
    assert holdings.surplus.spare(0), "it is to go again, and is an orphan still"
