"""The registers of a HyperLogLog of which most are 0, as runs, written just as Redis writes them. Pure.

    00nnnnnn            n + 1 registers are 0
    01nnnnnn nnnnnnnn   the same, for longer runs
    1rrrrrnn            n + 1 registers have the rank r + 1

Several sequences of runs say the same. Which one there is follows from the order of the changes, so each change
is made as Redis makes it: the run that has the register is cut into up to three, then neighbours of equal rank
are joined, in five steps from the run before on.
"""

from typing import Final

from respcache.errors import CommandError

REGISTERS: Final = 1 << 14
HEADER_BYTES: Final = 16
"""What stands before the runs."""
NOTHING: Final = b"\x7f\xff"
"""All registers are 0."""
RANK_MAX: Final = 32
"""No higher one can be written."""
SHORT_MAX: Final = 64
"""Registers that are 0 in the shorter kind of run."""
EQUAL_MAX: Final = 4
"""Registers of one rank in a run."""
JOIN_STEPS: Final = 5
JOIN_BYTES: Final = 2 * JOIN_STEPS + 2
"""What so many steps look at, at most."""
LONG_BIT: Final = 0x40
EQUAL_BIT: Final = 0x80


class Corrupted(CommandError):
    """A string looks like a HyperLogLog, and its runs are of more or fewer registers than there are."""

    code = "INVALIDOBJ"

    def __init__(self) -> None:
        super().__init__("Corrupted HLL object detected")


class Full(Exception):
    """A register cannot be raised in the sparse form; nothing was changed."""


class Writer:
    """A sparse HyperLogLog that is being changed. Registers in ascending order are found at once."""

    def __init__(self, text: bytes, most_bytes: int) -> None:
        """It will not be longer than `most_bytes` because of a change."""
        self.text = text
        self.changed = False
        self._most_bytes: Final = most_bytes
        self._at = HEADER_BYTES
        """The run before the one that was changed last, and its first register: the search goes on there."""
        self._first = 0

    def lift(self, register: int, rank: int) -> None:
        """Raise a register to a rank; it may be as high already. Raises Full, or Corrupted if there is no such one."""
        if rank > RANK_MAX:
            raise Full
        before, at, first, span = self._find(register)
        text = self.text
        run = text[at]
        if run & EQUAL_BIT:
            held = (run >> 2 & 31) + 1
            if held >= rank:
                return
        else:
            held = 0
        behind = at + _width(run)
        pieces = b"".join(
            (
                _run(held, register - first),
                _run(rank, 1),
                _run(held, first + span - 1 - register),
            )
        )
        if len(pieces) > behind - at and len(text) + len(pieces) - (behind - at) > self._most_bytes:
            raise Full
        self.text = _joined(b"".join((text[:at], pieces, text[behind:])), before)
        self.changed = True

    def _find(self, register: int) -> tuple[int, int, int, int]:
        """Give the place of the run before the one that has a register (or its own), its place, first register, length.

        Raises Corrupted if the runs end before it.
        """
        text = self.text
        end = len(text)
        at, first = self._at, self._first
        if at > HEADER_BYTES and (at >= end or register < first + _span(text, at)):
            at, first = HEADER_BYTES, 0
        before = at
        while at < end:
            run = text[at]
            if run >= EQUAL_BIT:
                span = (run & 3) + 1
                width = 1
            elif run < LONG_BIT:
                span = run + 1
                width = 1
            else:
                span = _span(text, at)
                width = 2
            if register < first + span:
                self._at, self._first = before, first - _gap(text, before, at)
                return before, at, first, span
            before = at
            at += width
            first += span
        raise Corrupted


def histogram(text: bytes) -> list[int]:
    """Count the registers of each rank. Raises Corrupted."""
    of_rank = [0] * 64
    total = 0
    at, end = HEADER_BYTES, len(text)
    while at < end:
        run = text[at]
        span = _span(text, at)
        of_rank[_rank(run)] += span
        total += span
        at += _width(run)
    if total != REGISTERS:
        raise Corrupted
    return of_rank


def registers(text: bytes) -> bytes:
    """Give the rank of each register, a byte each. Raises Corrupted."""
    found: list[bytes] = []
    total = 0
    at, end = HEADER_BYTES, len(text)
    while at < end:
        run = text[at]
        span = _span(text, at)
        total += span
        if total > REGISTERS:
            break
        found.append(_EQUAL[run & 0x7F] if run & EQUAL_BIT else bytes(span))
        at += _width(run)
    if total != REGISTERS:
        raise Corrupted
    return b"".join(found)


def runs(text: bytes) -> list[tuple[int, int, bool]]:
    """List the runs: rank, length, and whether it is of the longer kind."""
    found: list[tuple[int, int, bool]] = []
    at, end = HEADER_BYTES, len(text)
    while at < end:
        run = text[at]
        found.append((_rank(run), _span(text, at), not run & EQUAL_BIT and bool(run & LONG_BIT)))
        at += _width(run)
    return found


def _width(run: int) -> int:
    """Give the bytes of a run by its first one."""
    return 2 if run & (EQUAL_BIT | LONG_BIT) == LONG_BIT else 1


def _span(text: bytes, at: int) -> int:
    """Give the registers of a run. A byte that is missing at the end counts as 0, as in C."""
    run = text[at]
    if run & EQUAL_BIT:
        return (run & 3) + 1
    if not run & LONG_BIT:
        return run + 1
    low = text[at + 1] if at + 1 < len(text) else 0
    return ((run & 0x3F) << 8 | low) + 1


def _rank(run: int) -> int:
    return (run >> 2 & 31) + 1 if run & EQUAL_BIT else 0


def _gap(text: bytes, before: int, at: int) -> int:
    """Count the registers from a run to the next one, or to itself."""
    return 0 if before == at else _span(text, before)


def _run(rank: int, length: int) -> bytes:
    """Write a run, of no registers perhaps."""
    if not length:
        return b""
    if rank:
        return bytes((EQUAL_BIT | rank - 1 << 2 | length - 1,))
    if length <= SHORT_MAX:
        return bytes((length - 1,))
    return bytes((LONG_BIT | length - 1 >> 8, length - 1 & 0xFF))


def _joined(text: bytes, at: int) -> bytes:
    """Join neighbours of equal rank in some steps, each of which joins two or goes on by one."""
    part = bytearray(text[at : at + JOIN_BYTES])
    place = 0
    for _ in range(JOIN_STEPS):
        if place >= len(part):
            break
        run = part[place]
        if not run & EQUAL_BIT:
            place += _width(run)
            continue
        if place + 1 < len(part) and part[place + 1] & EQUAL_BIT:
            following = part[place + 1]
            length = (run & 3) + (following & 3) + 2
            if run >> 2 == following >> 2 and length <= EQUAL_MAX:
                part[place : place + 2] = _run(_rank(run), length)
                continue
        place += 1
    return b"".join((text[:at], bytes(part), text[at + JOIN_BYTES :]))


_EQUAL: Final = [bytes(((run >> 2) + 1,)) * ((run & 3) + 1) for run in range(128)]
"""The registers of the runs of one rank, by the lower bits."""
