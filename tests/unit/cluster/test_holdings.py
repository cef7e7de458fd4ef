"""What a primary waits for while the record is about to count another copy."""

from dataclasses import replace
from random import Random

import msgspec

from respcache.cluster.config import KeeperConfig
from respcache.cluster.holdings import STEERED_MAX, Holdings
from respcache.cluster.ownership.changes import Admit, InSync, Retire
from respcache.cluster.ownership.planner import TargetCache
from respcache.cluster.ownership.record import Node, found
from respcache.cluster.replication.log import Gate, Stream
from simulation.ownership.store import ModelStore

A, B = Node("a", 1), Node("b", 2)
SET = [b"SET", b"key", b"value"]
PARTITIONS = STEERED_MAX + 1
"""One more than are looked at in a turn."""


def vouching() -> tuple[Holdings, Stream, Gate]:
    """Return a primary that has said of a copy that it is in sync, with a write that this copy has refused since."""
    first, placement = Admit(B).apply(found("id", A, 2, partitions=1)), TargetCache()
    placement(first)
    holdings = Holdings(A.life, KeeperConfig(partitions=1), ModelStore(), placement, Random(1), ())
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
    replication = holdings.replication
    for _ in range(3):  # the snapshot, its end, and what came meanwhile
        holdings.copying.step(0.0, replication.number)
        replication.cut(0.0, learning.version, lambda _peer, _frame: None)
        replication.ack(0.0, stream, replication.number - 1)
        holdings.advance(stream)
        holdings.steer()
    assert B.life in holdings.wishes.in_sync
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
