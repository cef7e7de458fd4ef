"""How late another loop is, by signs of life."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from respcache.net.pulse import HUNG_S, PERIOD_S, Pulse


def test_a_beat_that_nobody_answers_grows_old() -> None:
    """Its age is the lag, and no other one is sent meanwhile."""
    pulse = Pulse()
    assert pulse.lag_s(100.0) == 0.0
    assert pulse.beat(100.0)
    assert not pulse.beat(110.0)
    assert pulse.lag_s(103.0) == 3.0


def test_an_answer_leaves_its_lag_behind_until_the_next_one() -> None:
    """Whoever asks between two beats is told how long the last one took."""
    pulse = Pulse()
    pulse.beat(100.0)
    pulse.answer(103.0)
    assert pulse.lag_s(103.5) == 3.0
    assert pulse.beat(104.0)
    assert pulse.lag_s(104.0) == 3.0
    pulse.answer(104.0)
    assert pulse.lag_s(104.0) == 0.0


@given(st.lists(st.floats(min_value=0, max_value=1), max_size=50))
def test_beats_are_a_period_apart_however_often_one_is_wanted(steps: list[float]) -> None:
    """A busy socket does not wake the other loop more often."""
    pulse, now, sent = Pulse(), 0.0, []
    for step in steps:
        now += step
        if pulse.beat(now):
            sent.append(now)
            pulse.answer(now)
    assert all(later - earlier >= PERIOD_S - 1e-9 for earlier, later in pairwise(sent))


def test_a_loop_hangs_once_it_has_given_no_sign_of_life_for_long() -> None:
    """Not while it merely is late, and not any more when it has answered, however late that was."""
    pulse = Pulse()
    assert not pulse.hangs(1e9)
    pulse.beat(100.0)
    assert not pulse.hangs(100.0 + HUNG_S - 0.1)
    assert pulse.hangs(100.0 + HUNG_S)
    pulse.answer(110.0)
    assert not pulse.hangs(110.0)
