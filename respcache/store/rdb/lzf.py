"""LZF, by which Redis compresses what it writes: literal runs, and references to what stands up to 8 KB before. Pure.

    000nnnnn  n + 1 bytes            n + 1 literal bytes follow
    lllooooo  oooooooo               l + 2 bytes, from o + 1 bytes before
    111ooooo  llllllll oooooooo      l + 9 bytes, from o + 1 bytes before

The format is that of Marc Lehmann's liblzf. So is the way in which matches are sought, for Redis' bytes to come out:
the last place of each three bytes is looked up by a hash, and what is found is taken.
"""

from typing import Final

from respcache.store.rdb.wrong import BadFormat

LITERALS_MAX: Final = 32
DISTANCE_MAX: Final = 1 << 13
MATCH_MAX: Final = 264
UNROLLED: Final = 16
"""Bytes that are compared without a look at the end, where so many more are there."""
PLACES: Final = (1 << 16) - 1
"""Of the hash, as a mask."""


def decompressed(text: bytes, length: int) -> bytes:
    """Give what was compressed, which must have that length. Raises BadFormat."""
    out = bytearray()
    at, end = 0, len(text)
    while at < end:
        control = text[at]
        at += 1
        if control < LITERALS_MAX:
            out += text[at : at + control + 1]
            at += control + 1
        else:
            count = control >> 5
            if count == 7 and at < end:
                count += text[at]
                at += 1
            if at >= end:
                raise BadFormat("a reference is cut off")
            start = len(out) - ((control & 31) << 8) - text[at] - 1
            at += 1
            if start < 0:
                raise BadFormat("a reference to before the beginning")
            _repeat(out, start, count + 2)
        if len(out) > length:
            break
    if len(out) != length or at > end:
        raise BadFormat("not as long as announced")
    return bytes(out)


def _repeat(out: bytearray, start: int, count: int) -> None:
    """Append what stands at a place; where that is less than wanted it repeats itself."""
    piece = out[start : start + count]
    while len(piece) < count:
        piece += piece[: count - len(piece)]
    out += piece


def compressed(text: bytes, room: int) -> bytes | None:
    """Compress a text of four bytes or more; None if that does not make it fit into so many bytes."""
    out = bytearray()
    places: dict[int, int] = {}
    at = start = 0
    """Of the literals that are to be written, the first stands at `start`."""
    end = len(text) - 2
    while at < end:
        value = text[at] << 16 | text[at + 1] << 8 | text[at + 2]
        place = ((value >> 8) - value * 5) & PLACES
        before = places.get(place, 0)
        places[place] = at
        if not before or at - before > DISTANCE_MAX or text[before : before + 3] != text[at : at + 3]:
            at += 1
            continue
        if not _fits(len(out), at - start, room):
            return None
        _add_literals(out, text[start:at])
        length = _match(text, before, at)
        _refer(out, at - before - 1, length - 2)
        at += length
        start = at
        if at < end:
            places[_hash(text, at - 2)] = at - 2
            places[_hash(text, at - 1)] = at - 1
    if len(out) + _taken(max(0, at - start)) + 3 > room:
        return None
    _add_literals(out, text[start:])
    return bytes(out)


def _taken(literals: int) -> int:
    """Count the bytes that literals take, with the place for the number of those that may follow."""
    return literals + literals // LITERALS_MAX + 1


def _fits(written: int, literals: int, room: int) -> bool:
    """Tell whether literals and a reference have room, as liblzf does: it is a little wary."""
    if literals and written + _taken(literals - 1) >= room:
        return False
    return written + _taken(literals) - (literals % LITERALS_MAX == 0) + 4 < room


def _add_literals(out: bytearray, literals: bytes) -> None:
    for first in range(0, len(literals), LITERALS_MAX):
        run = literals[first : first + LITERALS_MAX]
        out.append(len(run) - 1)
        out += run


def _hash(text: bytes, at: int) -> int:
    value = text[at] << 16 | text[at + 1] << 8 | text[at + 2]
    return ((value >> 8) - value * 5) & PLACES


def _match(text: bytes, before: int, at: int) -> int:
    """Count the equal bytes at two places, three of which are known to be; as far as liblzf looks."""
    most = min(len(text) - at - 2, MATCH_MAX)
    length = 2
    if most > UNROLLED:
        for _ in range(UNROLLED):
            length += 1
            if text[before + length] != text[at + length]:
                return length
    length += 1
    while length < most and text[before + length] == text[at + length]:
        length += 1
    return length


def _refer(out: bytearray, distance: int, more: int) -> None:
    """Add a reference; `more` is the length less 2."""
    if more < 7:
        out.append((distance >> 8) + (more << 5))
    else:
        out += bytes(((distance >> 8) + (7 << 5), more - 7))
    out.append(distance & 0xFF)
