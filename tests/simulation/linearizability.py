"""Judges whether what clients saw of single keys could have come from one Redis that does one thing at a time.

The search is that of Wing and Gong with the memory of Lowe: operations are put in an order that
respects real time (one that returned before another one was invoked comes first) until every
reply is explained, and no configuration is tried twice. Linearizability is local: a history of
many keys is linearizable if the history of each key is, so keys are judged one by one.

What became of an *uncertain* operation nobody knows: it takes effect at some time after its
invocation, or never. A *failed* one certainly took no effect.
"""

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, TypeAlias

STEPS_MAX: Final = 1_000_000
"""Configurations tried for one key before it is given up as undecided: some seconds."""
REDUCTIONS_MAX: Final = 300
"""Attempts to make a violation smaller."""
REDUCTION_STEPS_MAX: Final = 3_000
"""Configurations tried in such an attempt: it fails if that is not enough."""
SHOWN_MAX: Final = 5
"""Violations that are made smaller, and printed."""


class Unknown(Enum):
    """A value that nobody has looked at yet."""

    VALUE = "?"


State: TypeAlias = bytes | Unknown | None
"""The value of a key; None while there is none."""
Result: TypeAlias = State | int | bool


class Kind(Enum):
    """What an operation does to its key, and what it replies."""

    READ = "GET"
    """Replies the value, or None."""
    WRITE = "SET"
    """Replies True."""
    DELETE = "DEL"
    """Replies whether there was a value."""
    INCR = "INCRBY"
    """Replies the sum."""
    SETNX = "SETNX"
    """Replies whether the key was free, and only then sets it."""
    CAS = "CAS"
    """Replies whether the value was the expected one, and only then sets it."""


class Outcome(Enum):
    """What the client knows."""

    OK = "ok"
    """It took effect between invocation and return, and this was its reply."""
    FAILED = "failed"
    """It took no effect."""
    UNCERTAIN = "uncertain"
    """It takes effect at any time after its invocation, or never."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One command of one client."""

    key: bytes
    kind: Kind
    invoked_s: float
    returned_s: float
    """By the same clock; of no meaning for an uncertain operation."""
    outcome: Outcome = Outcome.OK
    argument: bytes = b""
    """What is written, or added."""
    expected: State = None
    """What CAS expects."""
    result: Result = None
    """The reply; of no meaning unless the outcome is OK."""
    client: str = ""

    def __str__(self) -> str:
        """Write it as a line of a report."""
        words = [self.kind.value]
        words += [repr(self.expected)] if self.kind is Kind.CAS else []
        words += [repr(self.argument)] if self.argument else []
        end = f"{self.returned_s:.4f}" if self.outcome is Outcome.OK else "?"
        reply = repr(self.result) if self.outcome is Outcome.OK else self.outcome.value
        return f"[{self.invoked_s:.4f} .. {end}] {self.client} {' '.join(words)} > {reply}"


@dataclass(frozen=True, slots=True)
class Violation:
    """Operations on one key for whose replies there is no order."""

    key: bytes
    operations: tuple[Operation, ...]
    """The fewest that were found to contradict each other, by the time of invocation; beyond SHOWN_MAX violations, all
    of which the reply is known."""
    others: int
    """Further operations on the key, which cannot explain it, whether they are done or not."""

    def __str__(self) -> str:
        """Write it for people."""
        head = f"{self.key!r}: no order explains these replies; {self.others} other operations change nothing about it"
        return "\n  ".join([head, *map(str, self.operations)])


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be said of a history."""

    operations: int
    keys: int
    violations: tuple[Violation, ...]
    undecided: tuple[bytes, ...]
    """Keys for which the search was given up."""

    @property
    def linearizable(self) -> bool:
        """Whether every key is known to be in order."""
        return not self.violations and not self.undecided

    def __str__(self) -> str:
        """Write it for people."""
        lines = [f"{self.operations} operations on {self.keys} keys, {len(self.violations)} violations"]
        lines += [str(violation) for violation in self.violations[:SHOWN_MAX]]
        lines += [f"{key!r}: undecided" for key in self.undecided]
        return "\n".join(lines)


class Undecided(Exception):
    """The search would take too long."""


def judge(history: Iterable[Operation], *, steps_max: int = STEPS_MAX, reductions_max: int = REDUCTIONS_MAX) -> Verdict:
    """Judge a history, key by key; each key begins without a value."""
    by_key: defaultdict[bytes, list[Operation]] = defaultdict(list)
    operations = 0
    for operation in history:
        operations += 1
        by_key[operation.key].append(operation)
    violations: list[Violation] = []
    undecided: list[bytes] = []
    for key, of_key in by_key.items():
        try:
            if not linearizable(of_key, steps_max=steps_max):
                shown = len(violations) < SHOWN_MAX
                violations.append(_smallest(key, of_key, steps_max, reductions_max) if shown else _whole(key, of_key))
        except Undecided:
            undecided.append(key)
    return Verdict(operations, len(by_key), tuple(violations), tuple(undecided))


def linearizable(history: Iterable[Operation], *, initially: State = None, steps_max: int = STEPS_MAX) -> bool:
    """Tell whether the operations on one key have an order that explains their replies. Raises Undecided.

    If what the key holds in the beginning is unknown, whatever explains most is assumed.
    """
    certain, uncertain = [], []
    for operation in sorted(history, key=_invoked):
        if operation.outcome is Outcome.OK:
            certain.append(operation)
        elif operation.outcome is Outcome.UNCERTAIN and operation.kind is not Kind.READ:
            uncertain.append(operation)
    return _Search(certain, uncertain).run(initially, steps_max)


def _invoked(operation: Operation) -> float:
    return operation.invoked_s


def effect(operation: Operation, state: State) -> tuple[Result, State]:
    """Do an operation: return its reply, and the state afterwards.

    What is unknown may be anything, so it gives whatever reply was had, and is known from then on.
    """
    if state is not Unknown.VALUE:
        return APPLY[operation.kind](operation, state)
    if operation.kind is Kind.WRITE:
        return True, operation.argument
    if operation.kind is Kind.DELETE:
        return operation.result, None
    if operation.outcome is Outcome.OK:
        match operation.kind, operation.result:
            case Kind.READ, bytes() | None as value:
                return value, value
            case Kind.INCR, int() as total:
                return total, b"%d" % total
            case ((Kind.SETNX | Kind.CAS), True):
                return True, operation.argument
    return operation.result, state


def _read(_: Operation, state: bytes | None) -> tuple[Result, State]:
    return state, state


def _write(operation: Operation, _: bytes | None) -> tuple[Result, State]:
    return True, operation.argument


def _delete(_: Operation, state: bytes | None) -> tuple[Result, State]:
    return state is not None, None


def _incr(operation: Operation, state: bytes | None) -> tuple[Result, State]:
    try:
        total = int(state or b"0") + int(operation.argument)
    except ValueError:
        return None, state
    return total, b"%d" % total


def _setnx(operation: Operation, state: bytes | None) -> tuple[Result, State]:
    return (True, operation.argument) if state is None else (False, state)


def _cas(operation: Operation, state: bytes | None) -> tuple[Result, State]:
    return (True, operation.argument) if state == operation.expected else (False, state)


APPLY: Final[dict[Kind, Callable[[Operation, bytes | None], tuple[Result, State]]]] = {
    Kind.READ: _read,
    Kind.WRITE: _write,
    Kind.DELETE: _delete,
    Kind.INCR: _incr,
    Kind.SETNX: _setnx,
    Kind.CAS: _cas,
}

Configuration: TypeAlias = tuple[int, int, int, State, bool]
"""How far an order is: the first certain operation not in it yet, a bit for each one from there on, a bit for each
uncertain one, the state, and whether an uncertain one came last."""


class _Search:
    """Depth first through the orders of the operations on one key.

    Three rules keep it small. An operation that fits and leaves the state as it is comes at
    once: whatever order there is, it may be moved to its front, unless it is a write, which
    may be needed where it changes the state. An uncertain operation comes
    only where the next one can tell that it was done: otherwise it may as well be left out.
    And of two configurations that differ in uncertain operations only, the one that has more
    of them left can do all that the other one can.
    """

    def __init__(self, certain: Sequence[Operation], uncertain: Sequence[Operation]) -> None:
        """Both by the time of invocation."""
        self._certain, self._uncertain = certain, uncertain
        deeds = [(each.kind, each.argument, each.expected) for each in uncertain]
        self._alike: Final = [deeds.index(deed) for deed in deeds]
        """For each uncertain operation, the first one that does the same."""
        self._seen: dict[tuple[int, int, State, bool], list[int]] = {}
        self._stack: list[tuple[Configuration, float]] = []
        """What is still to be tried, the next one last; with the latest time of an uncertain operation that may
        come next, or -1 where the certain ones are to be tried first."""

    def run(self, initially: State, steps_max: int) -> bool:
        """Tell whether there is an order. Raises Undecided after so many steps."""
        stack = self._stack
        stack.append(((0, 0, 0, initially, False), -1.0))
        for _ in range(steps_max):
            if not stack:
                return False
            configuration, until_s = stack.pop()
            if until_s >= 0:
                self._try_uncertain(configuration, until_s)
            elif configuration[0] == len(self._certain):
                return True
            elif self._is_new(configuration):
                self._try_certain(configuration)
        raise Undecided

    def _is_new(self, configuration: Configuration) -> bool:
        """Tell whether a configuration is worth trying, and remember it."""
        base, window, used, state, probing = configuration
        tried = self._seen.setdefault((base, window, state, probing), [])
        if any(before & used == before for before in tried):
            return False
        tried.append(used)
        return True

    def _try_certain(self, configuration: Configuration) -> None:
        """Continue an order with each of the operations that may come next."""
        base, window, used, state, probing = configuration
        certain = self._certain
        bound_s, index, bits = math.inf, base, window
        found: list[tuple[Configuration, float]] = []
        while index < len(certain):
            operation = certain[index]
            if operation.invoked_s > bound_s:
                break
            if not bits & 1:
                bound_s = min(bound_s, operation.returned_s)
                result, after = effect(operation, state)
                if result == operation.result and not (probing and operation.kind is Kind.WRITE):
                    following = _with(base, window, index, used, after), -1.0
                    if after == state and operation.kind is not Kind.WRITE:
                        self._stack.append(following)
                        return
                    found.append(following)
            bits >>= 1
            index += 1
        if self._uncertain:
            self._stack.append((configuration, bound_s))
        found.reverse()
        self._stack += found

    def _try_uncertain(self, configuration: Configuration, until_s: float) -> None:
        """Continue an order with each of the uncertain operations that may come next; of equal ones, with one."""
        base, window, used, state, probing = configuration
        tried = set()
        for place, operation in enumerate(self._uncertain):
            if operation.invoked_s > until_s:
                break
            if used >> place & 1 or self._alike[place] in tried:
                continue
            tried.add(self._alike[place])
            if probing and (operation.kind is Kind.WRITE or operation.kind is Kind.DELETE):
                continue
            _, after = effect(operation, state)
            if after != state:
                self._stack.append(((base, window, used | 1 << place, after, True), -1.0))


def _with(base: int, window: int, index: int, used: int, state: State) -> Configuration:
    """Add a certain operation to an order."""
    window |= 1 << (index - base)
    while window & 1:
        window >>= 1
        base += 1
    return base, window, used, state, False


# Making a violation readable


def _whole(key: bytes, history: Sequence[Operation]) -> Violation:
    known = tuple(operation for operation in history if operation.outcome is Outcome.OK)
    return Violation(key, known, len(history) - len(known))


def _smallest(key: bytes, history: Sequence[Operation], steps_max: int, reductions_max: int) -> Violation:
    """Find few operations that contradict each other.

    To forget what was before, or to make an operation uncertain, takes constraints away and adds
    none, so what is still not linearizable afterwards shows that the whole is not.
    """
    possible = sorted((each for each in history if each.outcome is not Outcome.FAILED), key=_invoked)
    reduced = _shortest_prefix(possible, steps_max)
    initially, reduced = _latest_beginning(reduced)
    attempts = iter(range(reductions_max))
    size = len(reduced)
    while size:
        for start in range(0, len(reduced), size):
            weaker = [*reduced[:start], *map(_weakened, reduced[start : start + size]), *reduced[start + size :]]
            if weaker != reduced and next(attempts, None) is not None and _contradicts(weaker, initially):
                reduced = weaker
        size //= 2
    needed = tuple(operation for operation in reduced if operation.outcome is Outcome.OK)
    return Violation(key, needed, len(history) - len(needed))


def _shortest_prefix(history: Sequence[Operation], steps_max: int) -> list[Operation]:
    """Cut a history right behind the return with which it stops being linearizable."""
    ends = sorted({operation.returned_s for operation in history if operation.outcome is Outcome.OK})
    first = bisect_left(ends, True, key=lambda end_s: _contradicts(_until(history, end_s), None, steps_max))
    return list(_until(history, ends[min(first, len(ends) - 1)]))


def _until(history: Sequence[Operation], end_s: float) -> Iterator[Operation]:
    """Go through what had been invoked at a time, as it was known then."""
    for operation in history:
        if operation.invoked_s <= end_s:
            yield operation if operation.returned_s <= end_s else _weakened(operation)


def _latest_beginning(history: Sequence[Operation]) -> tuple[State, list[Operation]]:
    """Leave out what had returned before some moment, as late as possible; return what is assumed of the key then."""
    starts = sorted({operation.returned_s for operation in history if operation.outcome is Outcome.OK})

    def since(start_s: float) -> list[Operation]:
        return [each for each in history if each.outcome is Outcome.UNCERTAIN or each.returned_s >= start_s]

    first = bisect_left(starts, True, key=lambda start_s: not _contradicts(since(start_s), Unknown.VALUE))
    return (Unknown.VALUE, since(starts[first - 1])) if first else (None, list(history))


def _contradicts(history: Iterable[Operation], initially: State, steps_max: int = REDUCTION_STEPS_MAX) -> bool:
    try:
        return not linearizable(history, initially=initially, steps_max=steps_max)
    except Undecided:
        return False


def _weakened(operation: Operation) -> Operation:
    return replace(operation, outcome=Outcome.UNCERTAIN)
