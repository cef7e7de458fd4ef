"""The checkers of transactions and queues: what they let through, and what they do not."""

import pytest

from simulation.commands.clients import ACCOUNTS, TWINS
from simulation.commands.ledger import Entry, Ledger
from simulation.commands.queues import Queues
from simulation.ownership.outcome import Outcome, Violation

A, B, C = ACCOUNTS[:3]
TWIN = TWINS[0]
"""Of the same partition as A."""


def done(ledger: Ledger, begun_s: float, ended_s: float, appends: tuple[bytes, ...] = (), **reads: list[int]) -> Entry:
    """Add a transaction that was acknowledged; what it saw of A, B and C by name."""
    entry = ledger.begin(begun_s, appends)
    entry.ended_s, entry.outcome = ended_s, Outcome.SAFE
    entry.reads = {{"a": A, "b": B, "c": C}[name]: seen for name, seen in reads.items()}
    return entry


def test_transactions_in_order_are_let_through() -> None:
    """Those at the same time may come in any order, as long as it is one."""
    ledger = Ledger()
    done(ledger, 1.0, 2.0, (A, B))
    done(ledger, 1.0, 3.0, (A, B))
    done(ledger, 1.5, 2.5, a=[1], b=[1])
    done(ledger, 4.0, 5.0, a=[1, 0], b=[1, 0])
    ledger.check({A: [1, 0], B: [1, 0]})


@pytest.mark.parametrize("seen", [([0], []), ([], [0])])
def test_half_a_transaction_must_not_be_seen(seen: tuple[list[int], list[int]]) -> None:
    """Whichever half it is."""
    ledger = Ledger()
    done(ledger, 1.0, 3.0, (A, B))
    done(ledger, 1.0, 3.0, a=seen[0], b=seen[1])
    with pytest.raises(Violation, match="no order explains"):
        ledger.check({A: [0], B: [0]})


def test_what_was_answered_is_seen_by_whoever_comes_later() -> None:
    """Real time counts."""
    ledger = Ledger()
    done(ledger, 1.0, 2.0, (A,))
    done(ledger, 3.0, 4.0, a=[])
    with pytest.raises(Violation, match="no order explains"):
        ledger.check({A: [0]})


def test_two_that_each_missed_the_other_are_caught() -> None:
    """Each has read what the other has written, before it was: a skew of writes."""
    ledger = Ledger()
    done(ledger, 1.0, 3.0, (A,), b=[])
    done(ledger, 1.0, 3.0, (B,), a=[])
    with pytest.raises(Violation, match="no order explains"):
        ledger.check({A: [0], B: [1]})


@pytest.mark.parametrize(
    ("held", "says"),
    [
        ({A: [0], TWIN: [0], B: []}, "lost in part"),
        ({A: [0, 0], TWIN: [0], B: [0]}, "twice"),
        ({A: [0], TWIN: [0], B: [0], C: [0]}, "is in"),
    ],
)
def test_all_or_nothing(held: dict[bytes, list[int]], says: str) -> None:
    """What was acknowledged is everywhere, once, and nowhere else."""
    ledger = Ledger()
    done(ledger, 1.0, 2.0, (A, TWIN, B))
    with pytest.raises(Violation, match=says):
        ledger.check(held)


def test_an_uncertain_one_may_be_partial_but_not_in_a_partition() -> None:
    """As an owner that dies can make it."""
    ledger = Ledger()
    ledger.begin(1.0, (A, TWIN, B))
    ledger.check({A: [0], TWIN: [0], B: []})
    ledger.check({A: [], TWIN: [], B: []})
    with pytest.raises(Violation, match="neither done nor not done"):
        ledger.check({A: [0], TWIN: [], B: []})


def test_what_was_refused_is_nowhere() -> None:
    """TRYAGAIN is certain."""
    ledger = Ledger()
    ledger.begin(1.0, (A,)).outcome = Outcome.REFUSED
    ledger.check({A: []})
    with pytest.raises(Violation, match="was refused"):
        ledger.check({A: [0]})


class Line:
    """A queue Q with three elements, pushed one after the other, and clients."""

    def __init__(self) -> None:
        self.queues = Queues()
        for at in (1.0, 2.0, 3.0):
            push = self.queues.push(at, b"Q")
            push.ended_s, push.outcome = at + 0.1, Outcome.SAFE

    def pop(self, begun_s: float, ended_s: float, element: bytes | None) -> None:
        """Add a client that was answered."""
        pop = self.queues.pop(begun_s, (b"Q",))
        pop.ended_s, pop.outcome, pop.element = ended_s, Outcome.SAFE, element


def test_each_element_is_taken_once() -> None:
    """By one client, or it is still there."""
    line = Line()
    line.pop(0.5, 1.2, b"0")
    line.queues.check({b"Q": [b"1", b"2"]})
    with pytest.raises(Violation, match="was taken 1 times, is there 1"):
        line.queues.check({b"Q": [b"0", b"1", b"2"]})
    with pytest.raises(Violation, match="never taken"):
        line.queues.check({b"Q": [b"1"]})
    line.queues.pop(1.0, (b"Q",))  # nobody knows what it got
    line.queues.check({b"Q": [b"1"]})
    line.pop(2.0, 3.0, b"0")
    with pytest.raises(Violation, match="was taken 2 times"):
        line.queues.check({b"Q": [b"1", b"2"]})


def test_elements_go_out_as_they_came_in() -> None:
    """The second not before the first."""
    line = Line()
    line.pop(4.0, 5.0, b"1")
    with pytest.raises(Violation, match="went out"):
        line.queues.check_order({b"Q": [b"0", b"2"]})
    line.pop(4.5, 6.0, b"0")
    line.queues.check_order({b"Q": [b"2"]})


def test_who_waited_longest_is_served_first() -> None:
    """As far as it is known who waited."""
    line = Line()
    line.pop(0.1, 2.2, b"1")
    line.pop(0.5, 1.2, b"0")
    line.queues.check_turns(0.5)
    with pytest.raises(Violation, match="had waited longer"):
        line.queues.check_turns(0.1)


def test_nobody_waits_in_vain() -> None:
    """While there is something."""
    line = Line()
    line.pop(0.5, 1.15, None)
    line.queues.check_served(0.1)
    line.pop(0.5, 1.3, None)
    with pytest.raises(Violation, match="got nothing while"):
        line.queues.check_served(0.1)
