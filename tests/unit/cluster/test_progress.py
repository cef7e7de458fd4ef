"""How far the making of copies is, by the record alone."""

import math
from dataclasses import replace

from respcache.cluster.ownership.record import Entry, Node, Record, found
from respcache.cluster.progress import Progress

HERE = (("a",),) * 4


def record(learning: int) -> Record:
    """Return a record of four partitions, of which so many have a copy in the making."""
    entries = [Entry(1, 1, 1, "a", ("a",), ("b",) if number < learning else ()) for number in range(4)]
    return replace(found("id", Node("a", 1), 2, partitions=4), entries=tuple(entries))


def test_with_nothing_to_do_nothing_is_said() -> None:
    """Before the first time, too."""
    progress = Progress()
    progress.note(5.0, record(0))
    status = progress.report(6.0, record(0), HERE)
    assert not status.active
    assert (status.elapsed_s, status.eta_s, status.last_duration_s) == (0.0, 0.0, 0.0)
    assert status.last_ended_ago_s == math.inf


def test_the_rest_takes_as_long_as_what_was_done_says() -> None:
    """Nobody knows before the first copy."""
    progress = Progress()
    progress.note(10.0, record(4))
    assert progress.report(11.0, record(4), HERE).eta_s == math.inf
    progress.note(13.0, record(1))
    status = progress.report(13.0, record(1), HERE)
    assert (status.active, status.copies_pending, status.copies_made) == (True, 1, 3)
    assert (status.elapsed_s, status.eta_s) == (3.0, 1.0)
    progress.note(14.5, record(0))
    done = progress.report(20.0, record(0), HERE)
    assert (done.active, done.eta_s, done.last_duration_s, done.last_ended_ago_s) == (False, 0.0, 4.5, 5.5)
    progress.note(30.0, record(2))
    again = progress.report(31.0, record(2), HERE)
    assert (again.copies_made, again.elapsed_s, again.last_duration_s) == (0, 1.0, 4.5)


def test_primaries_that_are_to_move_are_counted() -> None:
    """As the ring wants them."""
    assert Progress().report(0.0, record(0), (("a",), ("b", "a"), (), ("b",))).primaries_pending == 2
