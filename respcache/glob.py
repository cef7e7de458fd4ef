"""Glob patterns as Redis matches them (KEYS, SCAN MATCH, CONFIG GET). Pure.

`?` is any byte, `*` any bytes, `[ab-c]` and `[^a]` one byte of a set, and a backslash
takes the next byte literally. The corners are those of `stringmatchlen` in Redis 7.0:
a set that is not closed ends with the pattern, the ends of a range may be swapped, bytes
of a range compare as signed, and an empty text matches only the empty pattern.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Final

from respcache.errors import CommandError

PATTERN_MAX_BYTES: Final = 4096
"""Longest pattern. To compile a byte takes 5 to 40 us, and all clients wait meanwhile."""

_STAR: Final = None
"""Stands for `*` among the sets of a parsed pattern."""
_BYTES: Final = bytes(range(256))
_ANY: Final = frozenset(_BYTES)
_LOWER: Final = _BYTES.lower()

_Token = frozenset[int] | None


class PatternTooLong(CommandError):
    """A pattern would take too long to compile."""

    def __init__(self) -> None:
        super().__init__(f"pattern is longer than {PATTERN_MAX_BYTES} bytes")


def matcher(pattern: bytes, *, ignore_case: bool = False) -> Callable[[bytes], bool]:
    """Make the test that tells whether a text matches the pattern.

    It takes at most time proportional to the length of the text times that of the
    pattern: each stretch between two stars settles for the first place where it fits.
    Raises PatternTooLong.
    """
    if len(pattern) > PATTERN_MAX_BYTES:
        raise PatternTooLong
    tokens = _parse(pattern, ignore_case=ignore_case)
    shortest = sum(token is not _STAR for token in tokens)
    return partial(_matches, re.compile(_expression(tokens), re.DOTALL), shortest, not pattern)


def _matches(expression: re.Pattern[bytes], shortest: int, empty: bool, text: bytes) -> bool:  # noqa: FBT001 # bound above
    if not text:
        return empty
    return len(text) >= shortest and expression.fullmatch(text) is not None


def _expression(tokens: list[_Token]) -> bytes:
    """Write the tokens as a regular expression that never goes back before a star but the last one."""
    stretches: list[list[bytes]] = [[]]
    for token in tokens:
        if token is _STAR:
            stretches.append([])
        else:
            stretches[-1].append(_set_expression(token))
    head, *others = [b"".join(stretch) for stretch in stretches]
    if not others:
        return head
    *middle, tail = others
    return head + b"".join(b"(?>.*?%b)" % stretch for stretch in middle if stretch) + b".*" + tail


def _set_expression(members: frozenset[int]) -> bytes:
    if len(members) == 1:
        return re.escape(bytes(members))
    if members == _ANY:
        return b"."
    if not members:
        return b"(?!)"
    return b"[%b]" % b"".join(b"\\x%02x-\\x%02x" % run for run in _runs(members))  # `re` takes its time for each


def _runs(members: frozenset[int]) -> list[tuple[int, int]]:
    """Give the first and the last byte of each stretch without a gap."""
    firsts = sorted(byte for byte in members if byte - 1 not in members)
    lasts = sorted(byte for byte in members if byte + 1 not in members)
    return list(zip(firsts, lasts, strict=True))


def _parse(pattern: bytes, *, ignore_case: bool) -> list[_Token]:
    tokens: list[_Token] = []
    position, end = 0, len(pattern)
    while position < end:
        byte = pattern[position]
        if byte == ord("*"):
            if not tokens or tokens[-1] is not _STAR:
                tokens.append(_STAR)
        elif byte == ord("?"):
            tokens.append(_ANY)
        elif byte == ord("["):
            members, position = _parse_set(pattern, position + 1, ignore_case=ignore_case)
            tokens.append(members)
            continue
        else:
            if byte == ord("\\") and position + 1 < end:
                position += 1
            tokens.append(_same(pattern[position], ignore_case=ignore_case))
        position += 1
    return tokens


def _parse_set(pattern: bytes, position: int, *, ignore_case: bool) -> tuple[frozenset[int], int]:
    """Parse behind the opening bracket; give the bytes and the position behind the set."""
    members: set[int] = set()
    end = len(pattern)
    negated = pattern[position : position + 1] == b"^"
    if negated:
        position += 1
    while position < end:
        byte = pattern[position]
        if byte == ord("\\") and position + 1 < end:
            position += 1
            members.add(pattern[position])
        elif byte == ord("]"):
            position += 1
            break
        elif position + 2 < end and pattern[position + 1] == ord("-"):
            members |= _range(byte, pattern[position + 2], ignore_case=ignore_case)
            position += 2
        else:
            members |= _same(byte, ignore_case=ignore_case)
        position += 1
    return (_ANY - members if negated else frozenset(members)), position


def _same(byte: int, *, ignore_case: bool) -> frozenset[int]:
    return frozenset(bytes([byte]).lower() + bytes([byte]).upper()) if ignore_case else frozenset((byte,))


def _range(start: int, stop: int, *, ignore_case: bool) -> set[int]:
    """Give the bytes from one to another, in either order; bytes are signed chars, as in C."""
    low, high = sorted((_signed(start), _signed(stop)))
    if not ignore_case:
        return {number % 256 for number in range(low, high + 1)}
    low, high = _signed(_LOWER[low % 256]), _signed(_LOWER[high % 256])
    return {byte for byte in _BYTES if low <= _signed(_LOWER[byte]) <= high}


def _signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte
