"""That the checker of histories tells what one Redis could have done from what none could."""

import math
import random
import time
from collections.abc import Callable
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.histories import Register
from simulation.linearizability import Kind, Operation, Outcome, State, Undecided, Unknown, effect, judge, linearizable

Plant = Callable[[Register], None]

REGISTER = (Kind.READ, Kind.WRITE, Kind.DELETE)
COUNTER = (Kind.READ, Kind.INCR)


def read(start: float, end: float, result: State) -> Operation:
    """Make a read that gave this."""
    return Operation(b"key", Kind.READ, start, end, result=result)


def write(start: float, end: float, value: bytes, outcome: Outcome = Outcome.OK) -> Operation:
    """Make a write."""
    return Operation(b"key", Kind.WRITE, start, end, argument=value, result=True, outcome=outcome)


def test_nothing_happened_in_order() -> None:
    """A history without operations, and one of reads that found nothing, are linearizable."""
    assert judge([]).linearizable
    assert linearizable([read(0, 1, None), read(1, 2, None)])


def test_real_time_is_respected() -> None:
    """A read after a write gives it; one that overlaps it gives either; after one that gave the new, none the old."""
    first, second = write(0, 1, b"1"), write(2, 5, b"2")
    assert linearizable([first, read(1.5, 1.8, b"1")])
    assert not linearizable([first, read(1.5, 1.8, None)])
    for seen in (b"1", b"2"):
        assert linearizable([first, second, read(3, 4, seen)])
    assert linearizable([first, second, read(2.5, 3, b"1"), read(3.5, 4, b"2")])
    assert not linearizable([first, second, read(2.5, 3, b"2"), read(3.5, 4, b"1")])


def test_operations_that_touch_are_concurrent() -> None:
    """An end and a beginning at the same reading of the clock are in no order."""
    assert linearizable([write(0, 1, b"1"), read(1, 2, None)])


def test_an_uncertain_write_is_done_late_or_never_but_once() -> None:
    """It explains a read long afterwards, no read before it, and not a return to it once it was overwritten."""
    doubtful, certain = write(1, 2, b"doubtful", Outcome.UNCERTAIN), write(3, 4, b"certain")
    assert linearizable([doubtful, certain, read(5, 6, b"certain")])
    assert linearizable([doubtful, certain, read(5, 6, b"certain"), read(7, 8, b"doubtful")])
    assert not linearizable([doubtful, read(0, 0.5, b"doubtful")])
    assert not linearizable(
        [doubtful, read(2.1, 2.2, b"doubtful"), certain, read(5, 6, b"certain"), read(7, 8, b"doubtful")]
    )


def test_a_failed_write_was_not_done() -> None:
    """What it would have written is seen by nobody."""
    assert linearizable([write(0, 1, b"1", Outcome.FAILED), read(2, 3, None)])
    assert not linearizable([write(0, 1, b"1", Outcome.FAILED), read(2, 3, b"1")])


def test_a_lock_has_one_holder() -> None:
    """Of two SETNX one succeeds, unless a DEL lies between them."""

    def setnx(start: float, result: bool) -> Operation:  # noqa: FBT001 # a reply
        return Operation(b"key", Kind.SETNX, start, start + 2, argument=b"%f" % start, result=result)

    delete = Operation(b"key", Kind.DELETE, 1, 2, result=True)
    assert linearizable([setnx(0, True), setnx(1, False)])
    assert linearizable([setnx(0, False), setnx(1, True)])
    assert not linearizable([setnx(0, True), setnx(1, True)])
    assert linearizable([setnx(0, True), setnx(1, True), delete])


def test_a_lost_and_a_doubled_increment_are_seen() -> None:
    """Sums are handed out once each, and none is left out."""

    def incr(start: float, total: int, outcome: Outcome = Outcome.OK) -> Operation:
        return Operation(b"key", Kind.INCR, start, start + 2, argument=b"1", result=total, outcome=outcome)

    assert linearizable([incr(0, 2), incr(1, 1), incr(4, 3)])
    assert not linearizable([incr(0, 1), incr(1, 1)])
    assert not linearizable([incr(0, 1), incr(4, 3)])
    assert linearizable([incr(0, 1), incr(1, 0, Outcome.UNCERTAIN), incr(4, 3)])
    assert not linearizable([incr(0, 1), incr(1, 0, Outcome.UNCERTAIN), incr(4, 3), read(7, 8, b"4")])


@pytest.mark.parametrize("kinds", [REGISTER, COUNTER, tuple(Kind)], ids=["register", "counter", "all"])
@given(seed=st.integers(min_value=0), clients=st.integers(1, 12), operations=st.integers(0, 120))
@settings(max_examples=60, deadline=None)
def test_what_one_register_did_is_linearizable(
    kinds: tuple[Kind, ...], seed: int, clients: int, operations: int
) -> None:
    """Whatever overlaps, and whatever became of the uncertain operations."""
    register = Register(random.Random(seed), clients=clients, uncertain_share=0.1)
    register.run(operations, kinds=kinds)
    verdict = judge(register.history)
    assert verdict.linearizable, str(verdict)


def stale_read(register: Register) -> None:
    """Give a value that was overwritten."""
    register.alone(Kind.WRITE, b"old")
    register.alone(Kind.WRITE, b"new")
    register.alone(Kind.READ, claims=b"old")


def lost_write(register: Register) -> None:
    """Acknowledge a write and forget it."""
    register.alone(Kind.WRITE, b"kept")
    register.alone(Kind.WRITE, b"lost", does=False)
    register.alone(Kind.READ)


def doubled_increment(register: Register) -> None:
    """Count one twice."""
    register.alone(Kind.WRITE, b"-1000000")
    register.alone(Kind.INCR, b"1")
    register.state = b"-999998"
    register.alone(Kind.READ)


def returned_delete(register: Register) -> None:
    """Let a deleted value come back."""
    register.alone(Kind.WRITE, b"gone")
    register.alone(Kind.DELETE, does=False)
    register.alone(Kind.READ)


def second_holder(register: Register) -> None:
    """Give a lock away that is held."""
    register.alone(Kind.WRITE, b"held")
    register.alone(Kind.SETNX, b"stolen", claims=True)


@pytest.mark.parametrize("plant", [stale_read, lost_write, doubled_increment, returned_delete, second_holder])
@given(seed=st.integers(min_value=0), before=st.integers(0, 100), after=st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_every_planted_fault_is_found_and_shown(plant: Plant, seed: int, before: int, after: int) -> None:
    """Among other operations, concurrent ones and writes of which nobody knows, and with few operations to look at.

    Now and then another operation is as good a witness as one that was planted.
    """
    register = Register(random.Random(seed), uncertain_share=0.2, uncertain_kinds=(Kind.WRITE,))
    register.run(before)
    register.rest()
    planted_from = len(register.history)
    plant(register)
    planted = register.history[planted_from:]
    register.run(after)
    (violation,) = judge(register.history).violations
    assert set(violation.operations) & set(planted)
    assert len(violation.operations) + violation.others == len(register.history)
    assert not linearizable(violation.operations, initially=Unknown.VALUE)
    assert str(violation).count("planted") == len(set(violation.operations) & set(planted))


def test_only_the_key_at_fault_is_blamed() -> None:
    """Keys are judged one by one."""
    histories = []
    for number in range(5):
        register = Register(random.Random(number), key=b"key:%d" % number)
        register.run(100, kinds=REGISTER)
        if number == 3:
            stale_read(register)
        histories += register.history
    random.Random(1).shuffle(histories)
    verdict = judge(histories)
    assert [violation.key for violation in verdict.violations] == [b"key:3"]
    assert (verdict.keys, verdict.operations) == (5, 503)


def by_trying_all_orders(history: list[Operation]) -> bool:
    """Judge a short history without thinking."""
    possible = [operation for operation in history if operation.outcome is not Outcome.FAILED]
    certain = {id(operation) for operation in possible if operation.outcome is Outcome.OK}
    return any(
        certain <= {id(operation) for operation in order} and is_an_order(order)
        for length in range(len(certain), len(possible) + 1)
        for order in permutations(possible, length)
    )


def is_an_order(order: tuple[Operation, ...]) -> bool:
    """Tell whether operations, one after the other in this order, give their replies."""
    state: State = None
    latest_s = -math.inf
    for operation in order:
        latest_s = max(latest_s, operation.invoked_s)
        if operation.outcome is Outcome.OK and operation.returned_s < latest_s:
            return False
        result, state = effect(operation, state)
        if operation.outcome is Outcome.OK and result != operation.result:
            return False
    return True


@st.composite
def short_histories(draw: st.DrawFn) -> list[Operation]:
    """Draw operations with times, values and replies from a small supply, so that many histories nearly fit."""
    values = st.sampled_from([b"1", b"2"])
    results = {
        Kind.READ: st.sampled_from([None, b"1", b"2", b"3"]),
        Kind.WRITE: st.just(True),
        Kind.INCR: st.integers(1, 3),
    }
    history = []
    for _ in range(draw(st.integers(0, 6))):
        kind = draw(st.sampled_from(list(Kind)))
        start = draw(st.integers(0, 8))
        history.append(
            Operation(
                b"key",
                kind,
                start,
                start + draw(st.integers(1, 6)),
                outcome=draw(st.sampled_from([Outcome.OK, Outcome.OK, Outcome.OK, Outcome.UNCERTAIN, Outcome.FAILED])),
                argument=b"" if kind in {Kind.READ, Kind.DELETE} else draw(values),
                expected=draw(st.sampled_from([None, b"1", b"2"])) if kind is Kind.CAS else None,
                result=draw(results.get(kind, st.booleans())),
            )
        )
    return history


@given(short_histories())
@settings(max_examples=250, deadline=None)
def test_the_search_agrees_with_trying_all_orders(history: list[Operation]) -> None:
    """On short histories, in order or not."""
    assert linearizable(history) == by_trying_all_orders(history)


def test_a_write_that_changes_nothing_here_may_be_needed_later() -> None:
    """Two clients write the same value: that of the second is not spent on the state that the first has left."""
    history = [
        Operation(b"key", Kind.SETNX, 0, 1, argument=b"2", result=True),
        write(0, 1, b"1"),
        write(0, 1, b"2"),
        read(2, 3, b"2"),
    ]
    assert by_trying_all_orders(history)
    assert linearizable(history)


def test_a_search_that_takes_too_long_is_given_up() -> None:
    """Thirty concurrent increments whose sums do not fit are undecided, and said to be, not called in order."""
    history = [Operation(b"key", Kind.WRITE, 0, 100, argument=b"%d" % number, result=True) for number in range(30)]
    history.append(read(50, 60, b"none of these"))
    with pytest.raises(Undecided):
        linearizable(history, steps_max=2_000)
    verdict = judge(history, steps_max=2_000)
    assert verdict.undecided == (b"key",)
    assert not verdict.linearizable


def test_it_is_quick() -> None:
    """A thousand histories of 200 operations each are judged in seconds: 40 us of CPU an operation, at most."""
    histories = []
    for seed in range(100):
        register = Register(random.Random(seed), key=b"%d" % seed, clients=8, uncertain_share=0.01)
        register.run(200)
        histories += register.history
    started = time.process_time()
    assert judge(histories).linearizable
    assert time.process_time() - started < 20_000 * 40e-6
