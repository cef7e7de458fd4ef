"""The reply values that Python itself lacks.

A handler returns plain Python wherever Python has the thing: bytes (bulk string),
int, float, bool, None (null), list, dict (map), set-like as `Members`. What is left
stands here. How a value looks on the wire is `resp.encode`'s business, and depends
on the protocol version of whoever asked.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

from respcache.errors import CommandError


class Status:
    """A simple string, such as OK. Kept as one object each, so that `is` finds them."""

    __slots__ = ("text", "wire")

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.wire = b"+%b\r\n" % text

    def __repr__(self) -> str:
        return f"Status({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Status) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


class NullArray:
    """The absence of an array: `*-1` in RESP2, the one null in RESP3."""


class Members(list["Reply"]):
    """A set reply: distinct elements in no promised order; an array in RESP2."""


class Pairs:
    """Things in twos, such as members with scores: a flat array in RESP2, an array of arrays in RESP3."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: "list[tuple[Reply, Reply]]") -> None:
        self.pairs = pairs


class Named:
    """Values under names, which may repeat: an array of arrays of two in RESP2, a map in RESP3."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: "list[tuple[Reply, Reply]]") -> None:
        self.pairs = pairs


class Push(list["Reply"]):
    """An out-of-band message in RESP3; an array in RESP2."""


@dataclass(frozen=True, slots=True)
class Verbatim:
    """Text with a format of three letters, such as txt; a bulk string in RESP2."""

    text: bytes
    form: bytes = b"txt"


@dataclass(frozen=True, slots=True)
class BigNumber:
    """Digits of a number that 64 bits may not hold; a bulk string in RESP2."""

    digits: bytes


@dataclass(frozen=True, slots=True)
class Digits:
    """A number with just these digits: a double in RESP3, a bulk string in RESP2."""

    text: bytes


class Waits:
    """There is nothing for the command yet, and nothing was changed: it may wait for it, where it can."""

    __slots__ = ("instead", "timeout_ms", "wire")

    def __init__(self, timeout_ms: int, *, instead: "NullArray | None") -> None:
        """A timeout of 0 is none. `instead` is the reply where nothing may wait, as in a transaction."""
        self.timeout_ms = timeout_ms
        self.instead = instead
        self.wire = b"%b%d\r\n" % (WAITS_HEAD, timeout_ms)
        """How nodes tell each other; no client is sent it."""


def waits_ms(wire: bytes) -> int | None:
    """Tell how long a command would wait at most, 0: for ever, that another node ran; None if it has a reply."""
    return int(wire[len(WAITS_HEAD) : -2].partition(b" ")[0]) if wire.startswith(WAITS_HEAD) else None


def waits_from(wire: bytes) -> list[bytes]:
    """List the ids of a stream behind which a command waits, key by key, if its owner has said that it is these."""
    return wire[len(WAITS_HEAD) : -2].split(b" ")[1:]


def waiting_from(wire: bytes, ids: list[bytes]) -> bytes:
    """Say in the wire of a Waits from which ids on the command waits."""
    return b"%b %b\r\n" % (wire[:-2], b" ".join(ids))


WAITS_HEAD: Final = b"+RESPCACHE.WAITS "

Reply: TypeAlias = (
    "bytes | int | float | bool | Status | Verbatim | BigNumber | Digits | NullArray | Pairs | Named | Waits "
    "| CommandError | list[Reply] | dict[Reply, Reply] | None"
)
"""Whatever a handler may return. A CommandError may stand inside an array (EXEC)."""

OK: Final = Status(b"OK")
PONG: Final = Status(b"PONG")
QUEUED: Final = Status(b"QUEUED")
NULL_ARRAY: Final = NullArray()
