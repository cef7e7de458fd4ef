"""The parts of a command, and their replies made into one. Pure, on encoded replies.

Each part has run on another node. An error of any part is the error of the whole: the others may have been done then,
as with any command that says it is split. But an error which says that nothing was done has to be one of all parts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias
from zlib import crc32

from respcache.cluster.ownership.slots import partition_of
from respcache.commands.registry import Merge
from respcache.errors import ClusterDown, NoReplicas, TryAgain, Uncertain
from respcache.resp.encode import array_head, bulk, error, integer
from respcache.routing.order import Order
from respcache.store import scan


@dataclass(frozen=True, slots=True)
class Part:
    """One part's encoded reply, and which of the command's keys it is about."""

    wire: bytes
    places: tuple[int, ...]
    """0 for the first key of the command; empty for commands without keys."""


Merger: TypeAlias = Callable[[Sequence[Part]], bytes]


UNDONE: Final = tuple(b"-%b " % refusal.code.encode() for refusal in (ClusterDown, NoReplicas, TryAgain))
"""How errors begin that say: certainly not done."""


def merged(merge: Merge, parts: Sequence[Part], *, writes: bool = False, dice: float = 0.0) -> bytes:
    """Put the replies together. `dice` is to be another number each time: it chooses where one reply is as good."""
    for part in parts:
        if part.wire.startswith(b"-"):
            return _in_doubt(part.wire, parts) if writes else part.wire
    return _any(parts, dice) if merge is Merge.ANY else _MERGERS[merge](parts)


def _in_doubt(wire: bytes, parts: Sequence[Part]) -> bytes:
    """Give the error of a part as that of a whole that writes, and of which others may have been done."""
    if not wire.startswith(UNDONE) or all(part.wire.startswith(UNDONE) for part in parts):
        return wire
    reason = wire[1:-2].decode("utf-8", "surrogateescape")
    return error(Uncertain(f"Other nodes have done their part of the command, or may have; of one: {reason}"))


def parts_of(order: Order, owner_of: Sequence[str]) -> list[Order]:
    """Make an order for each owner; the whole is resolved when all of them are."""
    groups: dict[str, list[int]] = {}
    for number in order.partitions:
        groups.setdefault(owner_of[number], []).append(number)
    parts = [_part(order, tuple(numbers)) for numbers in groups.values()]
    missing = len(parts)

    def arrived() -> None:
        nonlocal missing
        missing -= 1
        if not missing:
            replies = [Part(part.wire or b"", places) for part, places in parts]
            row = order.row
            order.resolve(merged(row.merge, replies, writes=row.writes, dice=order.deadline_s))

    for part, _ in parts:
        part.then(arrived)
    return [part for part, _ in parts]


def _part(order: Order, partitions: tuple[int, ...]) -> tuple[Order, tuple[int, ...]]:
    """Make the order for some of the partitions; the places of its keys among those of the whole."""
    argv, spec = order.argv, order.row.keys
    places: tuple[int, ...] = ()
    if spec.first:
        mine = frozenset(partitions)
        positions = range(spec.first, len(argv), spec.step)
        chosen = [(place, at) for place, at in enumerate(positions) if partition_of(argv[at]) in mine]
        places = tuple(place for place, _ in chosen)
        argv = argv[: spec.first] + [word for _, at in chosen for word in argv[at : at + spec.step]]
    part = Order(
        order.row,
        argv,
        database=order.database,
        protocol=order.protocol,
        partitions=partitions,
        deadline_s=order.deadline_s,
        turns=order.turns,
    )
    part.writer, part.returned = order.writer, order.returned
    return part, places


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


def _any(parts: Sequence[Part], dice: float) -> bytes:
    """Choose one of the keys. Each node has thrown dice for its own, but one with a single key has nothing to throw."""
    keys = [part.wire for part in parts if part.wire.startswith(b"$") and not part.wire.startswith(b"$-1")]
    return keys[crc32(b"%b%r" % (b"".join(keys), dice)) % len(keys)] if keys else parts[0].wire


def _most(parts: Sequence[Part]) -> bytes:
    rows = zip(*[elements(part.wire) for part in parts], strict=True)
    greatest = [integer(max(int(element[1:-2]) for element in row)) for row in rows]
    return array_head(len(greatest)) + b"".join(greatest)


def _xor(parts: Sequence[Part]) -> bytes:
    combined = 0
    for part in parts:
        combined ^= int(part.wire[1:-2], 16)
    return b"+%0*x\r\n" % (len(parts[0].wire) - 3, combined)


def _bulk_text(wire: bytes) -> bytes:
    return wire[wire.index(b"\n") + 1 : -2]


_MERGERS: Final[dict[Merge, Merger]] = {
    Merge.SUM: _sum,
    Merge.LEAST: _least,
    Merge.EACH: _each,
    Merge.OK: _ok,
    Merge.CONCAT: _concat,
    Merge.WALK: _walk,
    Merge.MOST: _most,
    Merge.XOR: _xor,
}
