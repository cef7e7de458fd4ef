"""Which replies count as equal.

All bytes, unless a command's answer depends on time, chance or an order that nobody
promised; docs/compatibility.md lists what differs on purpose.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from compat.payloads import meaning
from compat.targets import Target
from compat.wire import Frame
from respcache.store.partition import Argv

TOLERANCE_MS: Final = 5_000
"""How far apart the two servers may be in time."""
WALK_ENDED: Final = b"$1\r\n0\r\n"

Same = Callable[[Argv, Frame, Frame], bool]
"""Compares what Redis and respcache answered to a call."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One call that was answered differently."""

    script: str
    calls: list[Argv]
    """All calls up to the one in question."""
    expected: bytes
    answered: bytes

    def __str__(self) -> str:
        calls = "\n    ".join(shown(argv) for argv in self.calls)
        return f"{self.script}:\n    {calls}\n  redis:     {self.expected!r}\n  respcache: {self.answered!r}"


def shown(argv: Argv) -> str:
    """Write a call for people."""
    return " ".join(repr(argument)[1:] for argument in argv)


def same(argv: Argv, expected: Frame, answered: Frame) -> bool:
    """Tell whether two answers to a call are equal."""
    rule = RULES.get(argv[0].upper())
    return expected.wire == answered.wire or (rule is not None and rule(argv, expected, answered))


def _near(tolerance: int) -> Same:
    def near(argv: Argv, expected: Frame, answered: Frame) -> bool:
        del argv
        one, other = expected.number, answered.number
        if one is None or other is None or min(one, other) < 0:
            return False
        return abs(one - other) <= tolerance

    return near


def _each_near(tolerance: int) -> Same:
    """Give a rule for a list of times, each of which is near or equal."""
    near = _near(tolerance)

    def each_near(argv: Argv, expected: Frame, answered: Frame) -> bool:
        ours, theirs = answered.elements, expected.elements
        if ours is None or theirs is None or len(ours) != len(theirs):
            return False
        return all(one.wire == other.wire or near(argv, one, other) for one, other in zip(theirs, ours, strict=True))

    return each_near


def _same_elements(argv: Argv, expected: Frame, answered: Frame) -> bool:
    del argv
    if expected.elements is None or answered.elements is None:
        return False
    return sorted(frame.wire for frame in expected.elements) == sorted(frame.wire for frame in answered.elements)


def _same_pairs(argv: Argv, expected: Frame, answered: Frame) -> bool:
    """The same names with the same values, in any order."""
    del argv
    if expected.elements is None or answered.elements is None or expected.wire[:1] != answered.wire[:1]:
        return False
    return _paired(expected.elements) == _paired(answered.elements)


def _paired(elements: Sequence[Frame]) -> list[tuple[bytes, bytes]]:
    return sorted((name.wire, value.wire) for name, value in _in_twos(elements))


def _in_twos(elements: Sequence[Frame]) -> list[tuple[Frame, Frame]]:
    """Take elements in twos."""
    return list(zip(elements[::2], elements[1::2], strict=True))


def _same_walk_within(rule: Same) -> Same:
    """HSCAN, SSCAN, ZSCAN: equal by another rule, where the whole walk was one step."""

    def same_walk(argv: Argv, expected: Frame, answered: Frame) -> bool:
        if expected.elements is None or answered.elements is None:
            return False
        (cursor, found), (other_cursor, other_found) = expected.elements, answered.elements
        whole = argv[2].strip(b"+-0") == b"" and cursor.wire == other_cursor.wire == WALK_ENDED
        return not whole or rule(argv, found, other_found)

    return same_walk


def _as_many(argv: Argv, expected: Frame, answered: Frame) -> bool:
    """Answers by chance: the same number of elements, or one where there is one."""
    del argv
    if expected.elements is None or answered.elements is None:
        return expected.wire[:1] == answered.wire[:1] == b"$" and expected.is_null == answered.is_null
    return len(expected.elements) == len(answered.elements)


def _popped(argv: Argv, expected: Frame, answered: Frame) -> bool:
    """SPOP: the generator takes all or none, but for a request cut short, which takes any one."""
    return (_as_many if len(argv) == 2 else _same_elements)(argv, expected, answered)


def _sorted(argv: Argv, expected: Frame, answered: Frame) -> bool:
    """SORT: the same number of elements where Redis leaves the order, or part of it, to chance."""
    words = {word.upper() for word in argv[2:]}
    if b"BY" not in words or b"STORE" in words or expected.elements is None or answered.elements is None:
        return False
    return len(expected.elements) == len(answered.elements)


def _same_walk(argv: Argv, expected: Frame, answered: Frame) -> bool:
    """SCAN: the same keys where the whole walk was one step; cursors are each server's own."""
    if expected.elements is None or answered.elements is None:
        return False
    (cursor, keys), (other_cursor, other_keys) = expected.elements, answered.elements
    whole = argv[1].strip(b"+-0") == b"" and cursor.wire == other_cursor.wire == WALK_ENDED
    return not whole or _same_elements(argv, keys, other_keys)


def _both_null_or_neither(argv: Argv, expected: Frame, answered: Frame) -> bool:
    """RANDOMKEY: any key will do."""
    del argv
    return expected.is_null == answered.is_null


def _same_kept(argv: Argv, expected: Frame, answered: Frame) -> bool:
    """OBJECT: the same but for what is published; of uses only whether there is such a key."""
    if argv[1].upper() in {b"FREQ", b"IDLETIME"}:
        return expected.wire[:1] == answered.wire[:1] != b"-" and expected.is_null == answered.is_null
    return (expected.wire, answered.wire) in KEPT_OTHERWISE


KEPT_OTHERWISE: Final = {
    (b"$6\r\nembstr\r\n", b"$3\r\nint\r\n"),  # a whole number that INCRBYFLOAT has made
    (b":1\r\n", b":2147483647\r\n"),  # the references of such a one
    (b"$8\r\nskiplist\r\n", b"$8\r\nlistpack\r\n"),  # a sorted set that SORT has read
}
"""Answers of Redis, and those of ours that stand for the same."""


def _same_but_times(argv: Argv, expected: Frame, answered: Frame) -> bool:
    """XINFO: the clock stands in idle times and deliveries, and the size of Redis' index is its own affair."""
    del argv
    left_out = frozenset(name for name in NEWER if name not in expected.wire)
    return _without_times(expected) == _without_times(answered, left_out)


def _same_but_idle(argv: Argv, expected: Frame, answered: Frame) -> bool:
    """XPENDING entry by entry: how long it has been is near."""
    del argv
    if expected.elements is None or answered.elements is None:
        return False
    return _without_times(expected) == _without_times(answered)


def _without_times(frame: Frame, left_out: frozenset[bytes] = frozenset()) -> object:
    """Give a reply without numbers that are a time of the clock, or one that has just begun, and without some names."""
    if frame.elements is not None:
        found: list[object] = []
        named = b""
        for element in frame.elements:
            number = element.number
            is_time = number is not None and (
                named in TIMES or number > LONG_AGO_MS or (named in NEWER and number >= 0)
            )
            if element.wire not in left_out and named not in left_out:
                found.append(None if is_time else _without_times(element, left_out))
            named = element.wire
        if (
            len(found) == PENDING_WORDS
            and frame.elements[2].number is not None
            and frame.elements[3].number is not None
        ):
            found[2] = None
        return frame.wire[:1], found
    return frame.wire


def _same_meaning(argv: Argv, expected: Frame, answered: Frame) -> bool:
    """DUMP: payloads of equal values; hash tables have an order of their own."""
    del argv
    return meaning(_bulk(expected)) == meaning(_bulk(answered))


def _bulk(frame: Frame) -> bytes | None:
    return frame.wire[frame.wire.index(b"\r\n") + 2 : -2] if frame.wire[:1] == b"$" and not frame.is_null else None


PENDING_WORDS: Final = 4
"""Of one entry in XPENDING: id, consumer, how long ago, how often."""
LONG_AGO_MS: Final = 10**12
NEWER: Final = frozenset((b"$8\r\ninactive\r\n", b"$11\r\nactive-time\r\n"))
"""What XINFO tells of a consumer since 7.2: a time, or -1."""
TIMES: Final = frozenset((b"$4\r\nidle\r\n", b"$9\r\nseen-time\r\n", b"$16\r\nradix-tree-nodes\r\n"))
_near_each_s: Final = _each_near(TOLERANCE_MS // 1000)
_near_each_ms: Final = _each_near(TOLERANCE_MS)
RULES: Final[dict[bytes, Same]] = {
    b"TTL": _near(TOLERANCE_MS // 1000),
    b"PTTL": _near(TOLERANCE_MS),
    b"EXPIRETIME": _near(TOLERANCE_MS // 1000),
    b"PEXPIRETIME": _near(TOLERANCE_MS),
    b"HTTL": _near_each_s,
    b"HPTTL": _near_each_ms,
    b"HEXPIRETIME": _near_each_s,
    b"HPEXPIRETIME": _near_each_ms,
    b"KEYS": _same_elements,
    b"SCAN": _same_walk,
    b"RANDOMKEY": _both_null_or_neither,
    b"DUMP": _same_meaning,
    b"OBJECT": _same_kept,
    b"HKEYS": _same_elements,
    b"HVALS": _same_elements,
    b"HGETALL": _same_pairs,
    b"HSCAN": _same_walk_within(_same_pairs),
    b"HRANDFIELD": _as_many,
    b"SMEMBERS": _same_elements,
    b"SORT": _sorted,
    b"SORT_RO": _sorted,
    b"SINTER": _same_elements,
    b"SUNION": _same_elements,
    b"SDIFF": _same_elements,
    b"SPOP": _popped,
    b"SRANDMEMBER": _as_many,
    b"ZRANDMEMBER": _as_many,
    b"ZSCAN": _same_walk_within(_same_pairs),
    b"XINFO": _same_but_times,
    b"XPENDING": _same_but_idle,
    b"SSCAN": _same_walk_within(_same_elements),
}


def differences(script: str, calls: list[Argv], oracle: Target, target: Target) -> list[Difference]:
    """Make the calls on both, from no keys on, and list what is answered differently."""
    reset: list[Argv] = [[b"SELECT", b"0"], [b"FLUSHALL"]]
    expected = oracle.run(reset + calls)[len(reset) :]
    answered = target.run(reset + calls)[len(reset) :]
    return [
        Difference(script, calls[: position + 1], one.wire, other.wire)
        for position, (argv, one, other) in enumerate(zip(calls, expected, answered, strict=True))
        if not same(argv, one, other)
    ]


def shortened(difference: Difference, oracle: Target, target: Target) -> Difference:
    """Leave out what goes before the call in question and has nothing to do with it: by halves, then less."""
    size = len(difference.calls) // 2
    while size:
        start = len(difference.calls) - 1 - size
        while start >= 0:
            calls = difference.calls[:start] + difference.calls[start + size :]
            found = [other for other in differences(difference.script, calls, oracle, target) if other.calls == calls]
            if found:
                difference = found[0]
            start -= size
        size //= 2
    return difference
