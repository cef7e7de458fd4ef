"""HyperLogLogs: how many different elements there were, from a string of 12 KB or less. Pure.

The strings are those of Redis, byte for byte, so that they can be moved there and back:

    HYLL, 1 byte: form, 3 bytes unused, 8 bytes: the count last given (little-endian; STALE if it may have changed)
    then 16384 registers: dense, six bits each, lowest bit first; or sparse, see `sparse`

An element has a register and a rank, both from its hash; the register keeps the highest rank. The estimate
is Otmar Ertl's ("New cardinality estimation algorithms for HyperLogLog sketches", arXiv:1702.01284, algorithm
6), computed in the same order as by Redis, so that it is the same to the last digit.
"""

import math
from collections.abc import Sequence
from typing import Final

from respcache.store import sparse
from respcache.store.sparse import HEADER_BYTES, REGISTERS, Full

MAGIC: Final = b"HYLL"
FORM_AT: Final = 4
DENSE: Final = 0
SPARSE: Final = 1
COUNT_AT: Final = 8
COUNT_BYTES: Final = 8
STALE: Final = 0x80
"""Set in the last byte of the count."""

REGISTER_BITS: Final = 6
REGISTER_MAX: Final = (1 << REGISTER_BITS) - 1
INDEX_BITS: Final = 14
RANK_MAX: Final = 64 - INDEX_BITS
"""Bits of a hash that give the rank: one more than the zeros before the first one among them."""
DENSE_BYTES: Final = HEADER_BYTES + REGISTERS * REGISTER_BITS // 8
EMPTY: Final = MAGIC + bytes((SPARSE, 0, 0, 0)) + bytes(COUNT_BYTES) + sparse.NOTHING
"""Without any element, and with a count of 0."""

ALPHA: Final = 0.721347520444481703680
"""1 / (2 ln 2)."""
BEYOND: Final = 2**63
"""Only registers that nobody counted with give so much."""

SEED: Final = 0xADC83B19
MULTIPLIER: Final = 0xC6A4A7935BD1E995
MASK: Final = 2**64 - 1
SHIFT: Final = 47

PLANE: Final = REGISTERS // 4
Planes = bytes
"""A byte for each register: first the registers 0, 4, 8 ..., then 1, 5, 9 ..., then 2, 6 ..., then 3, 7 ... Three bytes
of the dense form hold four registers, so each quarter comes of a few calls over all its bytes."""
BLANK: Final[Planes] = bytes(REGISTERS)
_LOW_6: Final = bytes(byte & 0x3F for byte in range(256))
_HIGH_2: Final = bytes(byte >> 6 for byte in range(256))
_LOW_4_UP: Final = bytes((byte & 0x0F) << 2 for byte in range(256))
_HIGH_4: Final = bytes(byte >> 4 for byte in range(256))
_LOW_2_UP: Final = bytes((byte & 0x03) << 4 for byte in range(256))
_HIGH_6: Final = bytes(byte >> 2 for byte in range(256))
_TO_HIGH_2: Final = bytes((byte & 0x03) << 6 for byte in range(256))
_TO_LOW_4: Final = bytes(byte >> 2 & 0x0F for byte in range(256))
_TO_HIGH_4: Final = bytes((byte & 0x0F) << 4 for byte in range(256))
_TO_LOW_2: Final = bytes(byte >> 4 & 0x03 for byte in range(256))
_TO_HIGH_6: Final = bytes((byte & 0x3F) << 2 for byte in range(256))
_RANKS: Final = [bytes((rank,)) for rank in range(REGISTER_MAX + 1)]
_SIGNS: Final = int.from_bytes(b"\x80" * REGISTERS, "little")


def is_one(text: bytes) -> bool:
    """Tell whether a string looks like a HyperLogLog: head and length; a sparse one may be damaged all the same."""
    if len(text) < HEADER_BYTES or text[:FORM_AT] != MAGIC:
        return False
    form = text[FORM_AT]
    return form == SPARSE or (form == DENSE and len(text) == DENSE_BYTES)


def is_dense(text: bytes) -> bool:
    """Tell the form of a HyperLogLog."""
    return text[FORM_AT] == DENSE


def place(element: bytes) -> tuple[int, int]:
    """Give the register of an element, and its rank in it, from 1 to RANK_MAX + 1."""
    hashed = murmur64a(element)
    rest = hashed >> INDEX_BITS | 1 << RANK_MAX
    return hashed & REGISTERS - 1, (rest & -rest).bit_length()


def murmur64a(text: bytes) -> int:
    """Hash with Austin Appleby's MurmurHash64A, by Redis' seed."""
    length = len(text)
    hashed = SEED ^ (length * MULTIPLIER & MASK)
    whole = length & ~7
    for at in range(0, whole, 8):
        block = int.from_bytes(text[at : at + 8], "little") * MULTIPLIER & MASK
        hashed = (hashed ^ ((block ^ block >> SHIFT) * MULTIPLIER & MASK)) * MULTIPLIER & MASK
    if whole != length:
        hashed = (hashed ^ int.from_bytes(text[whole:], "little")) * MULTIPLIER & MASK
    hashed = (hashed ^ hashed >> SHIFT) * MULTIPLIER & MASK
    return hashed ^ hashed >> SHIFT


def added(text: bytes, elements: Sequence[bytes], sparse_max_bytes: int) -> bytes:
    """Give a HyperLogLog with some elements more; the same object if that changes nothing.

    A sparse one that would be longer than `sparse_max_bytes` becomes dense. Raises Corrupted.
    """
    draft: bytearray | None = None
    current: bytes | bytearray = text
    writer: sparse.Writer | None = None if is_dense(text) else sparse.Writer(text, sparse_max_bytes)
    for element in elements:
        register, rank = place(element)
        if writer is not None:
            try:
                writer.lift(register, rank)
                continue
            except Full:
                draft = current = bytearray(densified(writer.text))
                writer = None
        if rank_of(current, register) < rank:
            if draft is None:
                draft = current = bytearray(text)
            _put(draft, register, rank)
    if writer is not None:
        return stale(writer.text) if writer.changed else text
    return text if draft is None else stale(bytes(draft))


def rank_of(text: bytes | bytearray, register: int) -> int:
    """Read one register of a dense HyperLogLog."""
    bit = register * REGISTER_BITS
    at = HEADER_BYTES + (bit >> 3)
    return int.from_bytes(text[at : at + 2], "little") >> (bit & 7) & REGISTER_MAX


def _put(draft: bytearray, register: int, rank: int) -> None:
    bit = register * REGISTER_BITS
    at, shift = HEADER_BYTES + (bit >> 3), bit & 7
    part = draft[at : at + 2]  # one byte at the end
    word = int.from_bytes(part, "little") & ~(REGISTER_MAX << shift) | rank << shift
    draft[at : at + 2] = word.to_bytes(len(part), "little")


def stale(text: bytes) -> bytes:
    """Give the same HyperLogLog without a count that is known."""
    at = COUNT_AT + COUNT_BYTES - 1
    return text if text[at] & STALE else b"".join((text[:at], bytes((text[at] | STALE,)), text[at + 1 :]))


def known_count(text: bytes) -> int | None:
    """Give the count that a HyperLogLog carries; None if that may have changed since."""
    if text[COUNT_AT + COUNT_BYTES - 1] & STALE:
        return None
    return int.from_bytes(text[COUNT_AT : COUNT_AT + COUNT_BYTES], "little")


def with_count(text: bytes, count: int) -> bytes:
    """Give the same HyperLogLog with its count noted."""
    return b"".join((text[:COUNT_AT], (count & MASK).to_bytes(COUNT_BYTES, "little"), text[COUNT_AT + COUNT_BYTES :]))


def count_of(text: bytes) -> int:
    """Estimate how many different elements a HyperLogLog has seen. Raises Corrupted."""
    return estimate(histogram(planes(text)) if is_dense(text) else sparse.histogram(text))


def planes(text: bytes) -> Planes:
    """Give the registers of a HyperLogLog. Raises Corrupted."""
    if not is_dense(text):
        found = sparse.registers(text)
        return b"".join([found[first::4] for first in range(4)])
    one, two, three = (text[HEADER_BYTES + first :: 3] for first in range(3))
    return b"".join(
        (
            one.translate(_LOW_6),
            _either(one.translate(_HIGH_2), two.translate(_LOW_4_UP)),
            _either(two.translate(_HIGH_4), three.translate(_LOW_2_UP)),
            three.translate(_HIGH_6),
        )
    )


def in_order(found: Planes) -> bytes:
    """Put registers into their order, a byte for each."""
    ordered = bytearray(REGISTERS)
    for first in range(4):
        ordered[first::4] = found[first * PLANE : (first + 1) * PLANE]
    return bytes(ordered)


def dense(head: bytes, found: Planes) -> bytes:
    """Make a dense HyperLogLog with such registers, and with the rest of the head of another one."""
    one, two, three, four = (found[at : at + PLANE] for at in range(0, REGISTERS, PLANE))
    body = bytearray(DENSE_BYTES - HEADER_BYTES)
    body[0::3] = _either(one, two.translate(_TO_HIGH_2))
    body[1::3] = _either(two.translate(_TO_LOW_4), three.translate(_TO_HIGH_4))
    body[2::3] = _either(three.translate(_TO_LOW_2), four.translate(_TO_HIGH_6))
    return b"".join((head[:FORM_AT], bytes((DENSE,)), head[FORM_AT + 1 : HEADER_BYTES], bytes(body)))


def densified(text: bytes) -> bytes:
    """Give a sparse HyperLogLog in the dense form; a dense one as it is. Raises Corrupted."""
    return text if is_dense(text) else dense(text, planes(text))


def larger(one: Planes, other: Planes) -> Planes:
    """Take the higher rank of each register.

    All registers are compared at once, as the bytes of one integer: ranks leave the highest bit of a byte
    to tell which of two is the higher. A loop over them would take ten times as long.
    """
    left, right = int.from_bytes(one, "little"), int.from_bytes(other, "little")
    not_less = ((left | _SIGNS) - right) & _SIGNS
    of_left = (not_less << 1) - (not_less >> 7)
    return (right ^ ((left ^ right) & of_left)).to_bytes(REGISTERS, "little")


def merged(text: bytes, found: Planes, sparse_max_bytes: int) -> bytes:
    """Raise the registers of a HyperLogLog to such ranks. Raises Corrupted."""
    if is_dense(text):
        return stale(dense(text, larger(planes(text), found)))
    writer = sparse.Writer(text, sparse_max_bytes)
    try:
        for register, rank in enumerate(in_order(found)):
            if rank:
                writer.lift(register, rank)
    except Full:
        return stale(dense(text, larger(planes(text), found)))
    return stale(writer.text)


def histogram(found: Planes) -> list[int]:
    """Count the registers of each rank."""
    return [found.count(rank) for rank in _RANKS]


def estimate(of_rank: Sequence[int]) -> int:
    """Estimate the number of different elements from how many registers there are of each rank."""
    weight = REGISTERS * _tau((REGISTERS - of_rank[RANK_MAX + 1]) / REGISTERS)
    for rank in range(RANK_MAX, 0, -1):
        weight = (weight + of_rank[rank]) * 0.5
    weight += REGISTERS * _sigma(of_rank[0] / REGISTERS)
    number = ALPHA * REGISTERS * REGISTERS / weight if weight else math.inf
    if number >= BEYOND:  # as C has it
        return -BEYOND
    whole = int(number)
    return whole + (number - whole >= 0.5)


def _tau(x: float) -> float:
    """Correct for registers that are at their limit."""
    if x in {0.0, 1.0}:
        return 0.0
    y, z, before = 1.0, 1.0 - x, math.nan
    while before != z:
        before, x, y = z, math.sqrt(x), y * 0.5
        z -= (1.0 - x) ** 2 * y
    return z / 3.0


def _sigma(x: float) -> float:
    """Correct for registers that are empty."""
    if x == 1.0:
        return math.inf
    y, z, before = 1.0, x, math.nan
    while before != z:
        before, x = z, x * x
        z += x * y
        y += y
    return z


def _either(one: bytes, other: bytes) -> bytes:
    """Put the bits of two texts of the same length together."""
    return (int.from_bytes(one, "little") | int.from_bytes(other, "little")).to_bytes(len(one), "little")
