"""Work that rests: it goes on where it was, and whoever has begun it gets its outcome."""

from collections.abc import Callable, Collection
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from respcache.errors import CommandError, InternalError
from respcache.strand import Rested, Strand


class Held:
    """Notes when it is told to stand still."""

    is_intact = True
    untold_bytes = 0
    untold_max_bytes = 1024

    def __init__(self) -> None:
        self.told: Final[list[str]] = []

    def has(self, _number: int) -> bool:
        """Have nothing."""
        return False

    def lacks_copies(self, _numbers: Collection[int]) -> bool:
        """Lose none."""
        return False

    def begin(self) -> None:
        """Take note."""
        self.told.append("begin")

    def resume(self) -> None:
        """Take note."""
        self.told.append("resume")

    def pause(self) -> None:
        """Take note."""
        self.told.append("pause")

    def end(self) -> None:
        """Take note."""
        self.told.append("end")


class Turns:
    """A strand, and the turns that it has asked for."""

    def __init__(self) -> None:
        self.strand: Final = Strand()
        self.waiting: Final[list[Callable[[], None]]] = []
        self.strand.soon = self.waiting.append
        self.held: Final = Held()

    def pass_all(self) -> int:
        """Give it all the turns that it wants; count them."""
        count = 0
        while self.waiting:
            self.waiting.pop(0)()
            count += 1
        return count


@given(rests=st.lists(st.integers(min_value=0, max_value=5), min_size=1, max_size=5))
def test_work_goes_on_where_it_was(rests: list[int]) -> None:
    """However often it rests, and whatever was done before it: one turn for each rest."""
    turns = Turns()
    for times in rests:
        found: list[int] = []

        def work(times: int = times) -> int:
            return sum(1 for _ in range(times) if turns.strand.rest())

        try:
            found.append(turns.strand.run(work, turns.held))
        except Rested:
            assert turns.strand.is_resting
            turns.strand.then(lambda outcome, found=found: found.append(outcome()))  # type: ignore[misc] # a default as closure
        assert turns.pass_all() == times
        assert found == [times]
        assert not turns.strand.is_resting


def test_others_have_their_turn_while_it_rests() -> None:
    """What stands still for it is told so before the first of them, and in time for the next."""
    turns = Turns()

    def work() -> None:
        turns.strand.rest()
        turns.held.told.append("works")
        turns.strand.rest()

    with pytest.raises(Rested):
        turns.strand.run(work, turns.held)
    turns.held.told.append("others")
    turns.pass_all()
    assert turns.held.told == ["begin", "others", "resume", "works", "pause", "resume", "end"]


@pytest.mark.parametrize("rests", [False, True])
def test_an_error_gets_to_whoever_has_begun_it(rests: bool) -> None:  # noqa: FBT001 # a case
    """At once, or with the outcome; and other work can be done afterwards."""
    turns = Turns()
    raised: list[str] = []

    def work() -> None:
        if rests:
            turns.strand.rest()
        raise CommandError("lost")

    def ended(outcome: Callable[[], object]) -> None:
        with pytest.raises(CommandError, match="lost"):
            outcome()
        raised.append("later")

    with pytest.raises(Rested if rests else CommandError):
        turns.strand.run(work, turns.held)
    if rests:
        turns.strand.then(ended)
    turns.pass_all()
    assert raised == ["later"] * rests
    assert turns.strand.run(lambda: 7, turns.held) == 7


def test_a_defect_behind_a_rest_is_logged_and_answered(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever has begun the work is told that something is wrong, and other work can be done afterwards."""
    turns = Turns()
    heard: list[str] = []

    def work() -> None:
        turns.strand.rest()
        raise KeyError("lost")

    def ended(outcome: Callable[[], object]) -> None:
        with pytest.raises(InternalError) as caught:
            outcome()
        heard.append(str(caught.value))

    with pytest.raises(Rested):
        turns.strand.run(work, turns.held)
    turns.strand.then(ended)
    turns.pass_all()
    assert heard == ["internal error"]
    assert "KeyError: 'lost'" in caplog.text
    assert turns.strand.run(lambda: 7, turns.held) == 7


def test_work_within_work_is_a_part_of_it() -> None:
    """It rests as one."""
    turns = Turns()
    found: list[int] = []

    def inner() -> int:
        turns.strand.rest()
        return 2

    with pytest.raises(Rested):
        turns.strand.run(lambda: 1 + turns.strand.run(inner, turns.held), turns.held)
    turns.strand.then(lambda outcome: found.append(outcome()))
    turns.pass_all()
    assert found == [3]


def test_what_follows_from_an_outcome_may_be_work_that_rests() -> None:
    """The strand is free by then."""
    turns = Turns()
    found: list[bool] = []

    def again(outcome: Callable[[], object]) -> None:
        outcome()
        with pytest.raises(Rested):
            turns.strand.run(turns.strand.rest, turns.held)
        turns.strand.then(lambda last: found.append(last()))

    with pytest.raises(Rested):
        turns.strand.run(turns.strand.rest, turns.held)
    turns.strand.then(again)
    turns.pass_all()
    assert found == [True]


def test_work_can_be_finished_at_once() -> None:
    """The turns that it had asked for do nothing any more."""
    turns = Turns()
    ended: list[str] = []

    def work() -> None:
        for _ in range(3):
            turns.strand.rest()
        ended.append("work")

    with pytest.raises(Rested):
        turns.strand.run(work, turns.held)
    turns.strand.finish()
    assert ended == ["work"]
    turns.pass_all()
    turns.strand.finish()
    assert ended == ["work"]


def test_nothing_rests_outside_of_work() -> None:
    """Nor where nobody would let it go on."""
    assert not Turns().strand.rest()
    strand = Strand()
    assert not strand.run(strand.rest, Held())
