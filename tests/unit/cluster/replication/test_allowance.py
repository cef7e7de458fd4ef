"""How many bytes of copies may be sent in a second."""

import math

from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.replication.allowance import LATE_S, STEPS_PER_S, Allowance

STEPS = st.lists(st.tuples(st.floats(0, 3), st.integers(0, 1_000_000)), min_size=1, max_size=30)
"""How long after it is due each step is taken, and how large it is."""


@given(bytes_per_s=st.integers(1, 10_000_000), steps=STEPS)
def test_in_no_time_more_is_sent_than_the_rate_and_one_step(bytes_per_s: int, steps: list[tuple[float, int]]) -> None:
    """From any step to any later one, however large they are and however late."""
    allowance, now = Allowance(bytes_per_s), 100.0
    sent: list[tuple[float, int]] = []
    for late_s, size in steps:
        now = max(now, allowance.due_s) + late_s
        allowance.take(now, size)
        sent.append((now, size))
    for first, (began_s, _) in enumerate(sent):
        for last in range(first, len(sent)):
            bound = bytes_per_s * (sent[last][0] - began_s + LATE_S) + sent[last][1]
            assert sum(size for _, size in sent[first : last + 1]) <= bound * (1 + 1e-6) + 1e-3 * bytes_per_s


@given(bytes_per_s=st.integers(1, 10_000_000), steps=STEPS)
def test_who_takes_what_is_due_gets_the_whole_rate(bytes_per_s: int, steps: list[tuple[float, int]]) -> None:
    """No step waits for longer than those before it took; a timer that is a little late loses nothing."""
    allowance, now = Allowance(bytes_per_s), 100.0
    for late_s, size in steps:
        now = max(now, allowance.due_s) + min(late_s, LATE_S) / 2
        allowance.take(now, size)
        assert allowance.due_s <= 100.0 + LATE_S + sum(size for _, size in steps) / bytes_per_s + LATE_S * len(steps)
    assert allowance.due_s >= 100.0 + sum(size for _, size in steps) / bytes_per_s - LATE_S - 1e-6


def test_without_a_rate_nothing_ever_waits() -> None:
    """Nor is a step smaller."""
    allowance = Allowance(0)
    allowance.take(1.0, 10**12)
    assert (allowance.due_s, allowance.step_bytes(500)) == (-math.inf, 500)


def test_a_step_is_a_part_of_a_second() -> None:
    """At most what it may be, at least a byte."""
    assert Allowance(1).step_bytes(500) == 1
    assert Allowance(100).step_bytes(500) == 100 // STEPS_PER_S
    assert Allowance(10**6).step_bytes(500) == 500


def test_another_rate_holds_at_once() -> None:
    """Nobody waits for what was taken at a lower one; to set the same one again changes nothing."""
    allowance = Allowance(1)
    allowance.take(1.0, 1_000)
    allowance.change(1)
    assert allowance.due_s == 1_001.0 - LATE_S
    allowance.change(1_000)
    assert allowance.due_s == -math.inf
    allowance.take(1.0, 1_000)
    assert allowance.due_s == 2.0 - LATE_S


def test_what_is_lifted_stays_so() -> None:
    """A node that leaves has no time, whatever is set meanwhile, be it something else."""
    allowance = Allowance(1)
    allowance.take(100.0, 1_000)
    allowance.lift()
    allowance.change(1)
    allowance.take(100.0, 1_000)
    assert allowance.due_s == -math.inf


def test_a_rate_that_was_waived_is_what_was_asked_for_last() -> None:
    """Others leave for a while, and an operator may choose another rate meanwhile."""
    allowance = Allowance(1)
    allowance.take(100.0, 1_000)
    allowance.waive(True)
    assert (allowance.due_s, allowance.step_bytes(500)) == (-math.inf, 500)
    allowance.change(100)
    allowance.take(100.0, 1_000)
    assert allowance.due_s == -math.inf
    allowance.waive(False)
    allowance.take(100.0, 1_000)
    assert allowance.due_s == 110.0 - LATE_S
    allowance.waive(False)
    assert allowance.due_s == 110.0 - LATE_S, "a new record in which nobody leaves changes nothing"
