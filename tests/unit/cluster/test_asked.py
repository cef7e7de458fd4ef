"""An answer counts at once, but not again and again at the speed of the network."""

from respcache.cluster.asked import AGAIN_S, Asked
from respcache.cluster.ownership.changes import Demote, Drop

DROP = Drop(((1, 1, "a"),))
OLD, NEW = (1, 1), (1, 2)


def test_a_first_answer_counts_at_once() -> None:
    """Whatever else is under way; a number that nobody knows means nothing."""
    asked = Asked()
    asked.add(range(1, 3), [DROP, Demote("b", 1, ((1, 1),))])
    assert asked.answered(1.0, 1, OLD) == DROP
    assert asked.answered(1.0, 1, OLD) is None
    assert asked.answered(1.0, 2, OLD) == Demote("b", 1, ((1, 1),))
    assert asked.take(100.0) == []


def test_the_same_answer_under_the_same_record_counts_later() -> None:
    """A new record makes it another answer."""
    asked = Asked()
    asked.add(range(1, 4), [DROP] * 3)
    assert asked.answered(1.0, 1, OLD) == DROP
    assert asked.answered(1.0, 2, OLD) is None
    assert asked.due_s == 1.0 + AGAIN_S
    assert asked.take(1.0) == []
    assert asked.take(asked.due_s) == [DROP]
    assert asked.take(asked.due_s) == []
    assert asked.answered(2.0, 3, NEW) == DROP
