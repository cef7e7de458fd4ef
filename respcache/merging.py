"""Replies of the parts of a command, made into one. Pure, on encoded replies.

Each part has run on another node. An error of any part is the error of the whole:
the others may have been done then, as with any command that says it is split.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from respcache.commands.registry import Merge
from respcache.resp.encode import array_head, integer


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
    """Cut an encoded array of bulk strings, integers and nulls into its encoded elements."""
    position = wire.index(b"\r\n") + 2
    found: list[bytes] = []
    while position < len(wire):
        end = wire.index(b"\r\n", position) + 2
        if wire[position : position + 1] == b"$" and wire[position + 1 : position + 2] != b"-":
            end += int(wire[position + 1 : end - 2]) + 2
        found.append(wire[position:end])
        position = end
    return found


def _sum(parts: Sequence[Part]) -> bytes:
    return integer(sum(int(part.wire[1:-2]) for part in parts))


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


_MERGERS: Final[dict[Merge, Merger]] = {Merge.SUM: _sum, Merge.EACH: _each, Merge.OK: _ok, Merge.CONCAT: _concat}
