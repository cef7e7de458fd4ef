"""A wish to demote a copy counts while its asker is known to live; all others count as they come."""

import math

import pytest

from respcache.cluster.ownership.agenda import FRESH_S, QUEUE_MAX, Agenda
from respcache.cluster.ownership.changes import Demote, Retire
from respcache.cluster.ownership.wire import Doubted, Propose

DEMOTE = Demote("b", 1, ((0, 1),))
RETIRE = Retire("b", 1)


@pytest.mark.parametrize("asked_s", [-math.inf, math.nan, math.inf, 100.0 - 2 * FRESH_S, 100.1])
def test_a_demotion_is_asked_for_twice(asked_s: float) -> None:
    """Unasked, or in answer to a question that is too old, or that was never put, it is doubted."""
    agenda = Agenda()

    assert agenda.hear(100.0, "a", Propose(7, DEMOTE, asked_s)) == Doubted(7, 100.0)
    assert not agenda
    assert agenda.hear(100.0 + FRESH_S / 2, "a", Propose(7, DEMOTE, 100.0)) is None
    assert agenda.take(100.0 + FRESH_S)["a", 7] is DEMOTE


def test_what_takes_no_copy_from_anybody_is_not_doubted() -> None:
    """It holds whether its asker lives or not; and a leader does not doubt itself."""
    agenda = Agenda()

    assert agenda.hear(100.0, "a", Propose(7, RETIRE)) is None
    agenda.add("me", 1, DEMOTE)
    taken = agenda.take(100.0)
    assert list(taken) == [("a", 7), ("me", 1)]
    assert taken["a", 7] is RETIRE
    assert taken["me", 1] is DEMOTE
    assert agenda.take(100.0) == {}


def test_a_demotion_that_has_waited_for_too_long_is_not_decided() -> None:
    """Its asker may have died since, if the leader was stopped before its round began. Others do not grow old."""
    agenda = Agenda()
    agenda.hear(100.0, "a", Propose(7, RETIRE))
    agenda.hear(100.0, "b", Propose(8, DEMOTE, 100.0))
    agenda.hear(100.0, "c", Propose(9, DEMOTE, 99.5))
    agenda.add("me", 1, DEMOTE)
    agenda.forget({"b"})

    assert list(agenda.take(99.6 + FRESH_S)) == [("a", 7), ("me", 1)]
    assert agenda.hear(102.0, "c", Propose(9, DEMOTE, 102.0)) is None
    assert list(agenda.take(102.0)) == [("c", 9)]


def test_who_is_gone_has_asked_for_nothing() -> None:
    """The others' changes stay."""
    agenda = Agenda()
    agenda.hear(100.0, "a", Propose(1, RETIRE))
    agenda.hear(100.0, "b", Propose(1, RETIRE))
    agenda.forget({"a"})

    assert list(agenda.take(100.0)) == [("b", 1)]


def test_no_more_waits_than_there_is_room_for() -> None:
    """Further changes are ignored; their askers ask again."""
    agenda = Agenda()
    for number in range(QUEUE_MAX + 2):
        assert agenda.hear(100.0, "a", Propose(number, RETIRE)) is None
    assert len(agenda) == QUEUE_MAX
