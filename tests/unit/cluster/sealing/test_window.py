"""Every number once."""

from hypothesis import given
from hypothesis import strategies as st

from respcache.cluster.sealing.window import WINDOW, ReplayWindow


@given(st.lists(st.one_of(st.integers(0, 3 * WINDOW), st.integers(0, 2**48 - 1)), max_size=200))
def test_no_number_is_new_twice(numbers: list[int]) -> None:
    """In any order: the model is a set, and what is too far behind counts as seen."""
    window, seen = ReplayWindow(), set[int]()
    for number in numbers:
        too_old = bool(seen) and number <= max(seen) - WINDOW
        assert window.is_new(number) == (number not in seen and not too_old)
        if window.is_new(number):
            window.note(number)
            seen.add(number)
            assert not window.is_new(number)


def test_a_packet_may_be_late_by_the_width_of_the_window() -> None:
    """And not by one more."""
    window = ReplayWindow()
    window.note(WINDOW)
    assert (window.is_new(1), window.is_new(0)) == (True, False)
