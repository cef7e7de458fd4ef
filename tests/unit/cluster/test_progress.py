"""How far the making of copies is, by the record alone."""

import math
from dataclasses import replace

import pytest

from respcache.cluster.ownership.record import Entry, Node, Record, found
from respcache.cluster.progress import Progress

HERE = (("a",),) * 4
BOTH = (("a", "b"),) * 4
NODES = {name: Node(name, 1) for name in "ab"}
LIVE = {"a": 1, "b": 1}


def record(learning: int) -> Record:
    """Return a record of four partitions, of which so many have a copy in the making."""
    entries = [Entry(1, 1, 1, "a", ("a",), ("b",) if number < learning else ()) for number in range(4)]
    return replace(found("id", Node("a", 1), 2, partitions=4), entries=tuple(entries), nodes=NODES)


def test_with_nothing_to_do_nothing_is_said() -> None:
    """Before the first time, too."""
    progress = Progress("a", set())
    progress.note(5.0, None, record(0), ())
    status = progress.report(6.0, record(0), HERE, LIVE)
    assert not status.active
    assert (status.elapsed_s, status.eta_s, status.last_duration_s) == (0.0, 0.0, 0.0)
    assert status.last_ended_ago_s == math.inf


def test_the_rest_takes_as_long_as_what_was_done_says() -> None:
    """Nobody knows before the first copy."""
    progress = Progress("a", set())
    progress.note(10.0, None, record(4), ())
    assert progress.report(11.0, record(4), HERE, LIVE).eta_s == math.inf
    progress.note(13.0, None, record(1), ())
    status = progress.report(13.0, record(1), HERE, LIVE)
    assert (status.active, status.copies_pending, status.copies_made) == (True, 1, 3)
    assert (status.elapsed_s, status.eta_s) == (3.0, 1.0)
    progress.note(14.5, None, record(0), ())
    done = progress.report(20.0, record(0), HERE, LIVE)
    assert (done.active, done.eta_s, done.last_duration_s, done.last_ended_ago_s) == (False, 0.0, 4.5, 5.5)
    progress.note(30.0, None, record(2), ())
    again = progress.report(31.0, record(2), HERE, LIVE)
    assert (again.copies_made, again.elapsed_s, again.last_duration_s) == (0, 1.0, 4.5)


def test_primaries_that_are_to_move_are_counted() -> None:
    """As the ring wants them."""
    assert Progress("a", set()).report(0.0, record(0), (("a",), ("b", "a"), (), ("b",)), LIVE).primaries_pending == 2


def test_copies_that_are_not_begun_yet_are_pending() -> None:
    """One plan asks for some of them only; what lives in another life, or not at all, gets none."""
    progress = Progress("a", set())
    progress.note(10.0, None, record(2), ())
    assert progress.report(11.0, record(2), BOTH, LIVE).copies_pending == 4
    assert progress.report(11.0, record(2), BOTH, {"a": 1}).copies_pending == 2
    assert progress.report(11.0, record(2), BOTH, {"a": 1, "b": 2}).copies_pending == 2
    assert Progress("a", set()).report(11.0, record(0), BOTH, LIVE).eta_s == math.inf


def test_nobody_can_tell_while_a_node_that_copies_belong_on_is_dead() -> None:
    """Nothing is under way then, and yet not all is well, until others have a place. Nor before places are known."""
    progress = Progress("a", set())
    progress.note(10.0, None, record(0), ())
    waiting = progress.report(11.0, record(0), BOTH, {"a": 1})
    assert (waiting.active, waiting.copies_pending, waiting.eta_s) == (False, 0, math.inf)
    assert progress.report(11.0, record(0), HERE, {"a": 1}).eta_s == 0.0
    assert progress.report(11.0, record(0), None, {"a": 1}).eta_s == math.inf


def test_nobody_can_tell_while_there_is_nothing_to_copy_from() -> None:
    """The node that had it may come back; until then no more of it is pending than was begun."""
    progress = Progress("a", set())
    progress.note(10.0, None, record(2), ())
    orphaned = progress.report(11.0, record(2), BOTH, {"b": 1})
    assert (orphaned.copies_pending, orphaned.eta_s) == (2, math.inf)


def test_what_begins_again_at_once_goes_on() -> None:
    """The copies of the next plan belong to the same rebalancing; those of much later do not."""
    progress = Progress("a", set())
    progress.note(10.0, None, record(2), ())
    progress.note(12.0, None, record(0), ())
    assert progress.report(12.1, record(0), BOTH, LIVE).elapsed_s == pytest.approx(2.1)
    progress.note(12.5, None, record(2), ())
    progress.note(14.0, None, record(0), ())
    done = progress.report(14.0, record(0), HERE, LIVE)
    assert (done.copies_made, done.last_duration_s) == (4, 4.0)
    progress.note(20.0, None, record(1), ())
    assert progress.report(21.0, record(1), HERE, LIVE).elapsed_s == 1.0


def test_primaries_that_an_operator_chose_are_not_to_move() -> None:
    """The others saw the former one make way, and the node itself knows what it has claimed; until the nodes change."""
    target = (("a", "b"),) * 4
    before = replace(record(0), entries=(Entry(1, 1, 1, "a", ("a", "b")),) * 4)
    claimed, seized = Entry(2, 2, 1, "b", ("a", "b")), Entry(2, 3, 1, "b", ("a", "b"))
    inherited = Entry(2, 3, 1, "b", ("b",))
    after = replace(before, entries=(claimed, seized, inherited, before.entries[3]))

    kept = {0, 1}
    watching, claiming = Progress("a", ()), Progress("b", kept)
    for progress in (watching, claiming):
        progress.note(1.0, None, before, range(4))
        progress.note(2.0, before, after, (0, 1, 2))
        assert progress.report(2.0, after, target, LIVE).primaries_pending == 1
        assert progress.report(2.0, after, (("a", "c"),) * 4, LIVE).primaries_pending == 3, "surplus copies go"
    kept.clear()
    for progress in (watching, claiming):
        progress.note(3.0, None, after, ())
        assert progress.report(3.0, after, target, LIVE).primaries_pending == 3
