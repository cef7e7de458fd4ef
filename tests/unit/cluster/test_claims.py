"""What an operator can make a node the primary of: whole copies, in sync by the record, of the present epoch."""

from dataclasses import replace

import msgspec

from respcache.cluster.claims import claimable, keep, seize
from respcache.cluster.handovers import Handovers
from respcache.cluster.ownership.changes import Seize
from respcache.cluster.ownership.record import Entry, Node, Record, found
from respcache.cluster.replication.replica import Replica
from respcache.cluster.wishes import Wishes
from simulation.ownership.store import ModelStore


def record(*entries: Entry) -> Record:
    """Return a record with these entries."""
    return replace(found("id", Node("a", 1), 2, partitions=1), entries=entries)


def replica(*, epoch: int = 3, whole: bool = True) -> Replica:
    """Return a node's copies of four partitions."""
    made = Replica(ModelStore())
    for partition in range(4):
        copy = made.follow(partition, epoch, ("a", 1))
        copy.whole, copy.sequence = whole, 0
    return made


edited = msgspec.structs.replace
MINE = Entry(3, 5, 1, "a", ("a", "b"))
RECORD = record(
    MINE, edited(MINE, primary="c"), edited(MINE, in_sync=("a",), learners=("b",)), edited(MINE, primary="")
)


def test_copies_in_sync_are_claimed_from_their_primaries() -> None:
    """Not what is still being made, and not what nobody is the primary of."""
    assert claimable(RECORD, replica(), "b") == {"a": [0], "c": [1]}
    assert claimable(None, replica(), "b") == {}


def test_a_copy_that_is_not_what_the_record_says_is_not_claimed() -> None:
    """It would have to surrender at once."""
    assert claimable(RECORD, replica(whole=False), "b") == {}
    assert claimable(RECORD, replica(epoch=2), "b") == {}


def test_claims_are_kept_and_can_be_seized() -> None:
    """With the revisions at which they were made."""
    found_, handovers, wishes = {"a": [0], "c": [1]}, Handovers(), Wishes()
    keep(found_, handovers)
    assert handovers.kept == {0, 1}
    seize(RECORD, found_, wishes)
    assert wishes.changes(("b", 1)) == [Seize("b", 1, ((0, 5), (1, 5)))]
    handovers.ring_changed()
    assert handovers.kept == set()
