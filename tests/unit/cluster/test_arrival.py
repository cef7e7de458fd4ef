"""What a node that has joined has yet to get copies of."""

from typing import Final

from respcache.cluster.arrival import copies_lacking
from respcache.cluster.ownership.changes import Admit, InSync, Learn
from respcache.cluster.ownership.record import Node, Record, found

B: Final = ("b", 1)
LIVE: Final = {"a": 1, "b": 1}
BOTH: Final = (("a", "b"),) * 4


def alone() -> Record:
    """Return the record of a cluster of one node."""
    return found("cluster", Node("a", 1), 2, partitions=4)


def pair() -> Record:
    """Return that of a cluster that has just let a second one in."""
    return Admit(Node("b", 1)).apply(alone())


def test_copies_that_are_planned_or_in_the_making_are_lacking() -> None:
    """Each until it is in sync."""
    record = pair()
    assert copies_lacking(record, BOTH, LIVE, B) == 4
    record = Learn(tuple((p, "b") for p in range(4))).apply(record)
    assert copies_lacking(record, BOTH, LIVE, B) == 4
    record = InSync("b", 1, ((0, 1), (1, 1), (2, 1))).apply(record)
    assert copies_lacking(record, BOTH, LIVE, B) == 1
    assert copies_lacking(record, (("a",),) * 4, LIVE, B) == 1, "the copy is being made, though nobody wants it now"
    assert copies_lacking(InSync("b", 1, ((3, 1),)).apply(record), BOTH, LIVE, B) == 0


def test_a_node_that_is_to_have_nothing_lacks_nothing() -> None:
    """The founder has all there is; one of little weight may be placed nowhere."""
    assert copies_lacking(alone(), (("a",),) * 4, LIVE, ("a", 1)) == 0
    assert copies_lacking(pair(), (("a",),) * 4, LIVE, B) == 0


def test_what_no_live_node_has_is_not_waited_for() -> None:
    """Its last copy may never come back; an earlier life of a node is not it."""
    assert copies_lacking(pair(), BOTH, {"b": 1}, B) == 0
    assert copies_lacking(pair(), BOTH, {"a": 2, "b": 1}, B) == 0


def test_nothing_is_known_before_the_record_has_the_node_and_the_plan_is_made() -> None:
    """That is not the same as to lack nothing."""
    assert copies_lacking(None, BOTH, LIVE, B) is None
    assert copies_lacking(pair(), None, LIVE, B) is None
    assert copies_lacking(pair(), BOTH, LIVE, ("b", 2)) is None
