"""Replies of the parts of a command, made into one. Pure, on encoded replies.

Each part has run on another node. An error of any part is the error of the whole:
the others may have been done then, as with any command that says it is split.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias
from zlib import crc32

from respcache.commands.registry import Merge
from respcache.resp.encode import array_head, bulk, integer
from respcache.store import scan


@dataclass(frozen=True, slots=True)
class Part:
    """One part's encoded reply, and which of the command's keys it is about."""

    wire: bytes
    places: tuple[int, ...]
    """0 for the first key of the command; empty for commands without keys."""


Merger: TypeAlias = Callable[[Sequence[Part]], bytes]


def merged(merge: Merge, parts: Sequence[Part]) -> bytes:
    """Put the replies together."""
    for part in parts:
        if part.wire.startswith(b"-"):
            return part.wire
    return _MERGERS[merge](parts)


def elements(wire: bytes) -> list[bytes]:
    """Cut an encoded array into its encoded elements."""
    position = wire.index(b"\r\n") + 2
    found: list[bytes] = []
    while position < len(wire):
        end = _end(wire, position)
        found.append(wire[position:end])
        position = end
    return found


def _end(wire: bytes, position: int) -> int:
    """Find the end of the value at a position: a bulk string, an array, or one line."""
    end = wire.index(b"\r\n", position) + 2
    kind, count = wire[position : position + 1], wire[position + 1 : end - 2]
    if kind == b"$" and count != b"-1":
        return end + int(count) + 2
    if kind == b"*":
        for _ in range(int(count)):
            end = _end(wire, end)
    return end


def _sum(parts: Sequence[Part]) -> bytes:
    return integer(sum(int(part.wire[1:-2]) for part in parts))


def _least(parts: Sequence[Part]) -> bytes:
    return integer(min(int(part.wire[1:-2]) for part in parts))


def _each(parts: Sequence[Part]) -> bytes:
    slots: list[bytes] = [b""] * sum(len(part.places) for part in parts)
    for part in parts:
        for place, element in zip(part.places, elements(part.wire), strict=True):
            slots[place] = element
    return array_head(len(slots)) + b"".join(slots)


def _ok(parts: Sequence[Part]) -> bytes:
    return parts[0].wire


def _concat(parts: Sequence[Part]) -> bytes:
    together = [element for part in parts for element in elements(part.wire)]
    return array_head(len(together)) + b"".join(together)


def _walk(parts: Sequence[Part]) -> bytes:
    answers: list[tuple[int, list[bytes]]] = []
    for part in parts:
        cursor, keys = elements(part.wire)
        answers.append((int(_bulk_text(cursor)), [_bulk_text(key) for key in elements(keys)]))
    following, found = scan.merge(answers)
    return array_head(2) + bulk(b"%d" % following) + array_head(len(found)) + b"".join([bulk(key) for key in found])


def _any(parts: Sequence[Part]) -> bytes:
    """Choose one of the keys. Each node has thrown dice for its own, so the keys are the dice."""
    keys = [part.wire for part in parts if part.wire.startswith(b"$") and not part.wire.startswith(b"$-1")]
    return keys[crc32(b"".join(keys)) % len(keys)] if keys else parts[0].wire


def _bulk_text(wire: bytes) -> bytes:
    return wire[wire.index(b"\n") + 1 : -2]


_MERGERS: Final[dict[Merge, Merger]] = {
    Merge.SUM: _sum,
    Merge.LEAST: _least,
    Merge.EACH: _each,
    Merge.OK: _ok,
    Merge.CONCAT: _concat,
    Merge.WALK: _walk,
    Merge.ANY: _any,
}
