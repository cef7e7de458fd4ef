"""Compiled Lua in which no call is a tail call. Pure.

Lua drops the frame of a function that ends in `return f(x)`, and with it the line that an error of `f` would name.
Redis' own functions are written in C, for which Lua keeps the frame; ours are Lua. So that `return redis.call(...)`
names its line, the instruction is replaced by that of an ordinary call. The compiler of Lua 5.1 puts a RETURN behind
each TAILCALL anyway, with the same operands as behind a CALL, because a called C function comes back there. What
changes is that a recursion without end fills the stack and is refused.

The format is that of lundump.c in Lua 5.1. It is only ever read from `string.dump` of a chunk compiled just before.
"""

from struct import unpack_from
from typing import Final

HEADER: Final = b"\x1bLua\x51\x00\x01\x04\x08\x04\x08\x00"
"""Lua 5.1, little-endian, with int of 4 bytes, size_t of 8, instructions of 4 and numbers that are doubles."""
_OPCODE: Final = 0x3F
_CALL: Final = 28
_TAILCALL: Final = 29
_NUMBER_BYTES: Final = 8
_NIL, _BOOLEAN, _NUMBER, _STRING = 0, 1, 3, 4


class UnknownLayout(ValueError):
    """The chunk was made by a Lua that numbers or sizes things in another way."""


def without_tail_calls(chunk: bytes) -> bytes:
    """Replace the tail calls of all functions in a compiled chunk. Raises UnknownLayout."""
    if not chunk.startswith(HEADER):
        raise UnknownLayout
    patched = bytearray(chunk)
    _function(patched, len(HEADER))
    return bytes(patched)


def _function(chunk: bytearray, at: int) -> int:
    """Patch the function that begins at a position; give its end."""
    at = _string(chunk, at) + 4 + 4 + 4  # first and last line; upvalues, parameters, varargs, registers
    count, at = _int(chunk, at), at + 4
    for place in range(at, at + 4 * count, 4):
        if chunk[place] & _OPCODE == _TAILCALL:
            chunk[place] = chunk[place] & ~_OPCODE & 0xFF | _CALL
    at = _constants(chunk, at + 4 * count)
    count, at = _int(chunk, at), at + 4
    for _ in range(count):
        at = _function(chunk, at)
    at += 4 + 4 * _int(chunk, at)  # lines of instructions
    count, at = _int(chunk, at), at + 4
    for _ in range(count):
        at = _string(chunk, at) + 4 + 4  # a local variable, and where it lives
    count, at = _int(chunk, at), at + 4
    for _ in range(count):
        at = _string(chunk, at)
    return at


def _constants(chunk: bytearray, at: int) -> int:
    count, at = _int(chunk, at), at + 4
    for _ in range(count):
        kind, at = chunk[at], at + 1
        if kind == _STRING:
            at = _string(chunk, at)
        elif kind == _NUMBER:
            at += _NUMBER_BYTES
        elif kind == _BOOLEAN:
            at += 1
        elif kind != _NIL:
            raise UnknownLayout
    return at


def _string(chunk: bytearray, at: int) -> int:
    """Give the end of a string."""
    length: int = unpack_from("<Q", chunk, at)[0]
    return at + 8 + length


def _int(chunk: bytearray, at: int) -> int:
    number: int = unpack_from("<I", chunk, at)[0]
    return number
