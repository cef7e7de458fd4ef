"""Replies of commands as scripts see them, and what scripts return as replies. Pure.

The rules are those of redis.io, "Redis Lua API reference": data type conversion. In RESP2, which scripts begin with,
maps and sets are arrays, doubles strings and null is false; after redis.setresp(3) they are tables with one field that
says what they are, and null is nil.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol, TypeAlias, cast

from respcache.errors import CommandError
from respcache.reply import BigNumber, Digits, Members, Named, NullArray, Pairs, Reply, Status, Verbatim, Waits
from respcache.resp.encode import float_text

Converted: TypeAlias = Any
"""A value as it is, or what kind of answer it is (see `answered` in sandbox.lua), and the answer."""

FEW: Final = 1000
"""Elements that are handed over in one call; more go in a table."""
ELEMENT_BYTES: Final = 64
"""What Lua needs for a value, besides its bytes."""
INT64_MIN: Final = -(2**63)
(STRING, NUMBER, BOOLEAN, NULL, ARRAY, ERROR, STATUS, DOUBLE, MAP, SET, BIG, VERBATIM) = range(1, 13)
"""Kinds of values in what a script returns, as sandbox.lua numbers them."""


class ScriptError(CommandError):
    """A script has returned an error, or ended in one; what it did before stays."""

    code = ""

    def __init__(self, text: bytes) -> None:
        shown = text.partition(b"\0")[0].rstrip(b"\r\n")
        super().__init__(shown.decode("utf-8", "surrogateescape"))


class Tables(Protocol):
    """Makes a Lua table of a list or a dict."""

    def __call__(self, elements: "Sequence[Any] | dict[Any, Any]", /) -> Any:
        """Make one."""


def weight(reply: Reply) -> int:
    """Estimate how many bytes a reply takes in Lua."""
    if isinstance(reply, bytes):
        return ELEMENT_BYTES + len(reply)
    if isinstance(reply, Status) or reply is None:  # what most writes say, before many questions
        return ELEMENT_BYTES
    if isinstance(reply, dict):
        return ELEMENT_BYTES + sum(weight(part) for pair in reply.items() for part in pair)
    if isinstance(reply, list):
        return ELEMENT_BYTES + sum(map(weight, reply))
    if isinstance(reply, (Named, Pairs)):
        return ELEMENT_BYTES + sum(weight(part) + ELEMENT_BYTES for pair in reply.pairs for part in pair)
    if isinstance(reply, Verbatim):
        return 2 * ELEMENT_BYTES + len(reply.text)
    return ELEMENT_BYTES


def to_lua(reply: Reply, protocol: int, tables: Tables) -> Converted:
    """Hand the reply of a command to Lua."""
    kind = type(reply)
    if kind is bytes or kind is int:
        return reply
    if isinstance(reply, Status):
        return (2, reply.text)
    if isinstance(reply, CommandError):
        return (0, reply.line())
    if kind is list and 0 < len(cast("list[Reply]", reply)) <= FEW:
        return (3, *[_value(element, protocol, tables) for element in cast("list[Reply]", reply)])
    if isinstance(reply, Waits):  # a script does not wait
        reply = reply.instead
    return _value(reply, protocol, tables)


def _value(reply: Reply, protocol: int, tables: Tables) -> Any:  # noqa: C901, PLR0912 # one case for each type
    if isinstance(reply, bool):
        return reply if protocol == 3 else int(reply)
    if isinstance(reply, (bytes, int)):
        return reply
    if reply is None or isinstance(reply, NullArray):
        return None if protocol == 3 else False
    if isinstance(reply, float):
        return tables({b"double": reply}) if protocol == 3 else float_text(reply)
    if isinstance(reply, Digits):
        return tables({b"double": float(reply.text)}) if protocol == 3 else reply.text
    if isinstance(reply, Status):
        return tables({b"ok": reply.text})
    if isinstance(reply, CommandError):
        return tables({b"err": reply.line()})
    if isinstance(reply, Members) and protocol == 3:
        return tables({b"set": tables({_value(element, 3, tables): True for element in reply})})
    if isinstance(reply, list):
        return tables([_value(element, protocol, tables) for element in reply])
    if isinstance(reply, dict):
        if protocol == 3:
            return tables({b"map": tables({_value(k, 3, tables): _value(v, 3, tables) for k, v in reply.items()})})
        return tables([_value(part, protocol, tables) for pair in reply.items() for part in pair])
    if isinstance(reply, Named):
        if protocol == 3:
            return _value(dict(reply.pairs), 3, tables)
        return _value([[one, other] for one, other in reply.pairs], 2, tables)
    if isinstance(reply, Pairs):
        if protocol == 3:
            return tables([tables([_value(one, 3, tables), _value(other, 3, tables)]) for one, other in reply.pairs])
        return tables([_value(part, protocol, tables) for pair in reply.pairs for part in pair])
    if isinstance(reply, Verbatim):
        if protocol == 3:
            return tables({b"verbatim_string": tables({b"format": reply.form, b"string": reply.text})})
        return reply.text
    assert isinstance(reply, BigNumber), "nothing waits in a script"
    return tables({b"big_number": reply.digits}) if protocol == 3 else reply.digits


def from_lua(flat: Sequence[Any], protocol: int) -> Reply:
    """Make a reply of what a script has returned: kinds of values, each with the value, or how many follow it."""
    leaf = _LEAVES.get(flat[0]) if len(flat) == 2 else None
    if leaf is not None:
        return leaf(flat[1], protocol)
    return _next(iter(flat), protocol)


def _next(values: Iterator[Any], protocol: int) -> Reply:
    kind, value = next(values), next(values)
    if kind == ARRAY:
        return [_next(values, protocol) for _ in range(value)]
    if kind == MAP:
        return {_name(_next(values, protocol)): _next(values, protocol) for _ in range(value)}
    if kind == SET:
        return Members([_next(values, protocol) for _ in range(value)])
    return _LEAVES[kind](value, protocol)


def _name(reply: Reply) -> Reply:
    """Make a key of a map; one that is no plain value has no form that all clients can read, and becomes null."""
    return reply if isinstance(reply, bytes | int | float | Status) else None


def _number(number: float, _protocol: int = 2) -> int:
    """Cut the fraction off, as a cast in C does on x86."""
    if isinstance(number, int):
        return number
    if not math.isfinite(number) or not INT64_MIN <= number < -INT64_MIN:
        return INT64_MIN
    return int(number)


def _boolean(value: bool, protocol: int) -> Reply:  # noqa: FBT001 # it is the value
    if protocol == 3:
        return value
    return 1 if value else None


def _line(text: bytes) -> bytes:
    return text.replace(b"\r", b" ").replace(b"\n", b" ")


_LEAVES: Final[dict[int, Callable[[Any, int], Reply]]] = {
    STRING: lambda text, _: bytes(text),
    NUMBER: _number,
    BOOLEAN: _boolean,
    NULL: lambda _value, _protocol: None,
    ERROR: lambda text, _: ScriptError(text),
    STATUS: lambda text, _: Status(_line(text)),
    DOUBLE: lambda number, _: float(number),
    BIG: lambda digits, _: BigNumber(bytes(digits)),
    VERBATIM: lambda text, _: Verbatim(text[3:], text[:3]),
}
SCALAR: Final[dict[type, Callable[[Any, int], Reply]]] = {
    bytes: _LEAVES[STRING],
    int: _number,
    float: _number,
    bool: _boolean,
}
"""What becomes of a value that is no table."""
