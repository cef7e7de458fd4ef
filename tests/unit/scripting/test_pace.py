"""How often a script is looked at."""

from hypothesis import given
from hypothesis import strategies as st

from respcache.scripting.pace import FIRST, GROWTH, LEAST, MOST, QUICK_NS, SLOW_NS, Pace


def test_quick_instructions_are_looked_at_ever_less_often() -> None:
    """Up to the most that may pass between two looks."""
    pace, now_ns = Pace(), 0
    pace.begin(now_ns)
    seen = []
    while pace.instructions < MOST:
        now_ns += pace.instructions * 5
        pace.look(now_ns)
        pace.resume(now_ns)
        seen.append(pace.instructions)
    assert seen == [FIRST * GROWTH, FIRST * GROWTH**2, MOST]


def test_another_script_begins_anew() -> None:
    """Whatever the last one was like."""
    pace = Pace()
    pace.begin(0)
    pace.look(1)
    assert pace.instructions > FIRST
    pace.begin(10**9)
    assert pace.instructions == FIRST
    pace.look(10**9 + SLOW_NS * 4)
    assert pace.instructions == FIRST // 4


@given(cost_ns=st.integers(1, 10**8), rests_ns=st.integers(0, 10**10))
def test_looks_settle_at_the_time_that_is_wanted(cost_ns: int, rests_ns: int) -> None:
    """For instructions of any cost, and however long others have their turn in between."""
    pace, now_ns = Pace(), 0
    pace.begin(now_ns)
    took_ns = 0
    for _ in range(20):
        took_ns = pace.instructions * cost_ns
        now_ns += took_ns
        pace.look(now_ns)
        now_ns += rests_ns
        pace.resume(now_ns)
    assert took_ns <= max(QUICK_NS * GROWTH, SLOW_NS, LEAST * cost_ns)
    assert took_ns >= min(QUICK_NS // GROWTH, MOST * cost_ns)
