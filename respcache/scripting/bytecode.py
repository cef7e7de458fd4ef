"""Compiled Lua: it is read to see whether it has loops, and made to have no tail calls. Pure.

Lua drops the frame of a function that ends in `return f(x)`, and with it the line that an error of `f` would name.
Redis' own functions are written in C, for which Lua keeps the frame; ours are Lua. So that `return redis.call(...)`
names its line, the instruction is replaced by that of an ordinary call. The compiler of Lua 5.1 puts a RETURN behind
each TAILCALL anyway, with the same operands as behind a CALL, because a called C function comes back there. What
changes is that a recursion without end fills the stack and is refused.

The format is that of lundump.c in Lua 5.1. It is only ever read from `string.dump` of a chunk compiled just before.
"""

from struct import iter_unpack, unpack_from
from typing import Final

HEADER: Final = b"\x1bLua\x51\x00\x01\x04\x08\x04\x08\x00"
"""Lua 5.1, little-endian, with int of 4 bytes, size_t of 8, instructions of 4 and numbers that are doubles."""
_OPCODE: Final = 0x3F
_JUMP: Final = 22
_CALL: Final = 28
_TAILCALL: Final = 29
_FOR_LOOP: Final = 31
_JUMP_SHIFT: Final = 14
_JUMP_ZERO: Final = 2**17 - 1
"""What stands for a jump to the next instruction; less is a jump backwards."""
_NUMBER_BYTES: Final = 8
REPEATING: Final = frozenset(
    {b"_G", b"load", b"loadstring", b"gsub", b"foreach", b"foreachi", b"sort", b"dofile", b"coroutine"}
)
"""Names of what makes code of text, or calls a function more than once."""
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


def is_straight(chunk: bytes) -> bool:
    """Tell whether a compiled function runs no instruction twice, and calls only what Lua and Redis bring along.

    It has no jump backwards, no functions in it and none around it, and names nothing of REPEATING. So the length of
    its text bounds how much it does. Raises UnknownLayout.
    """
    if not chunk.startswith(HEADER):
        raise UnknownLayout
    at = _string(chunk, len(HEADER)) + 4 + 4
    if chunk[at]:  # values of functions around it
        return False
    at += 4
    count, at = _int(chunk, at), at + 4
    for (instruction,) in iter_unpack("<I", chunk[at : at + 4 * count]):
        code = instruction & _OPCODE
        if code == _FOR_LOOP or (code == _JUMP and instruction >> _JUMP_SHIFT < _JUMP_ZERO):
            return False
    names, at = _names(chunk, at + 4 * count)
    return not names & REPEATING and not _int(chunk, at)


def _names(chunk: bytes, at: int) -> tuple[set[bytes], int]:
    """List the strings among the constants; give the end of all."""
    names = set()
    count, end = _int(chunk, at), at + 4
    for _ in range(count):
        if chunk[end] == _STRING:
            names.add(chunk[end + 1 + 8 : _string(chunk, end + 1) - 1])
        end = _constant(chunk, end)
    return names, end


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


def _constants(chunk: bytes | bytearray, at: int) -> int:
    count, at = _int(chunk, at), at + 4
    for _ in range(count):
        at = _constant(chunk, at)
    return at


def _constant(chunk: bytes | bytearray, at: int) -> int:
    """Give the end of a constant. Raises UnknownLayout."""
    kind, at = chunk[at], at + 1
    if kind == _STRING:
        return _string(chunk, at)
    if kind == _NUMBER:
        return at + _NUMBER_BYTES
    if kind == _BOOLEAN:
        return at + 1
    if kind != _NIL:
        raise UnknownLayout
    return at


def _string(chunk: bytes | bytearray, at: int) -> int:
    """Give the end of a string."""
    length: int = unpack_from("<Q", chunk, at)[0]
    return at + 8 + length


def _int(chunk: bytes | bytearray, at: int) -> int:
    number: int = unpack_from("<I", chunk, at)[0]
    return number
