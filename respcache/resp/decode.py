"""Bytes from a client to requests. Pure.

hiredis parses what well-behaved clients send, many times faster than Python could.
Being a parser of *replies*, it knows no inline commands, lets through what no request
may hold (integers, nulls, nested arrays), does not say where a request ended, and
takes memory for as many arguments as a header announces. So this module keeps the
first bytes of a connection's array requests, and hands what hiredis stumbles on to
`resp.strict`, from the last place that was certainly a request boundary.
"""

import gc
import re
from collections.abc import Callable
from typing import Final

import hiredis

from respcache.errors import ProtocolError
from respcache.resp import strict
from respcache.resp.encode import bulk

CARRY_MAX_BYTES: Final = 4 * 1024
"""Bytes of array requests after which a connection can send no more inline ones.

Nobody mixes the two but people and test suites, and the bytes are kept for each client.
"""
NEED_MORE: Final = object()
"""What `gets` returns when the bytes end within a request, or between two."""

_ABSURD_COUNT: Final = re.compile(rb"\*([0-9]{8,19})")
"""What announces more arguments than a request may have, unless it is part of a value."""
_EDGE_BYTES: Final = 24
"""An announcement cut in two by the end of a chunk is no longer than this."""


class Decoder:
    """The request parser of one connection.

    Feed it a chunk, call `gets` until it answers NEED_MORE, then `settle`. When
    `gets` raises hiredis.ProtocolError or TypeError, or gives what is no list of bytes, call
    `recover` and go on with `gets`.

                  "*"                        recover
      boundary ----------> fast (hiredis) -------------> strict --+
         |  `-- anything else ----------------------------^       |
         `<------------------ settle, at a boundary --------------'
    """

    __slots__ = ("_at", "_carry", "_chunk", "_edge", "_fast", "_reader", "_tail", "gets", "unfinished_bytes")

    def __init__(self) -> None:
        self._reader = hiredis.Reader(notEnoughData=NEED_MORE)
        self._fast = True
        self._chunk: bytes | memoryview = b""
        self._carry: bytes | None = b""
        """All bytes since the last certain boundary; None once they are too many."""
        self._edge = b""
        """How the chunk before ended, where it may have ended within an announcement."""
        self._tail = b""
        self._at = 0
        self.unfinished_bytes = 0
        """At most so many bytes received belong to a request that is not complete."""
        self.gets: Callable[[], object] = self._reader.gets

    def feed(self, chunk: bytes | memoryview) -> None:
        """Take the bytes of one read, at least one; they must stay as they are until `settle`."""
        if not self._fast:
            self._tail += bytes(chunk)
        elif self._carry == b"" and chunk[0] != strict.ARRAY:
            self._go_strict(bytes(chunk))
        else:
            self._chunk = chunk
            self._reader.feed(chunk)  # type: ignore[arg-type] # any buffer will do, whatever the stub says

    def settle(self, last: list[bytes], *, trusted: bool) -> None:
        """End the work on a chunk; the caller may then reuse its memory.

        `last` is the last request that the chunk completed, empty if it completed none. A chunk that ends
        like `last` ended with it, or was made to look so; `trusted` says that this
        client is not suspected of that. Raises ProtocolError when an unfinished
        request announces an absurd number of arguments.
        """
        if not self._fast:
            self._settle_strict()
            return
        chunk, self._chunk = self._chunk, b""
        self.unfinished_bytes = len(chunk) if last else self.unfinished_bytes + len(chunk)
        if self._carry is not None:
            within = len(self._carry) + len(chunk) <= CARRY_MAX_BYTES
            self._carry = self._carry + bytes(chunk) if within else None
        if last and trusted:
            ending = bulk(last[-1])
            if chunk[-len(ending) :] == ending:
                self._edge = b""
                return
        seam = self._edge + bytes(chunk[:_EDGE_BYTES])
        self._edge = (self._edge + bytes(chunk[-_EDGE_BYTES:]))[-_EDGE_BYTES:]
        announced = {int(count) for stretch in (seam, chunk) for count in _ABSURD_COUNT.findall(stretch)}
        if announced and _is_allocated(announced):
            self._reader = hiredis.Reader(notEnoughData=NEED_MORE)
            self.gets = self._reader.gets
            raise ProtocolError("Protocol error: invalid multibulk length")

    def recover(self) -> None:
        """Parse again, strictly, from the first request that hiredis could not take.

        Raises ProtocolError if it is no request at all.
        """
        if not self._fast:
            return
        if self._carry is None:
            raise ProtocolError("Protocol error: expected an array of bulk strings")
        stream = self._carry + bytes(self._chunk)
        position = 0
        while position < len(stream) and stream[position] == strict.ARRAY:
            argv, position = strict.parse(stream, position)
            if argv is None:
                break
        self._go_strict(stream[position:])

    def _go_strict(self, tail: bytes) -> None:
        self._reader = hiredis.Reader(notEnoughData=NEED_MORE)
        self._fast, self._tail, self._at, self._carry, self._chunk = False, tail, 0, b"", b""
        self.gets = self._strict_gets

    def _strict_gets(self) -> object:
        if self._at == len(self._tail):
            return NEED_MORE
        argv, self._at = strict.parse(self._tail, self._at)
        return NEED_MORE if argv is None else argv

    def _settle_strict(self) -> None:
        """Go back to hiredis at a boundary; an unfinished array is no reason to stay."""
        rest = self._tail[self._at :]
        self._tail, self._at = rest, 0
        self.unfinished_bytes = len(rest)
        if rest and rest[0] != strict.ARRAY:
            return
        self._fast, self._tail, self.gets = True, b"", self._reader.gets
        if rest:
            self._reader.feed(rest)
            self._carry = rest if len(rest) <= CARRY_MAX_BYTES else None


def _is_allocated(lengths: set[int]) -> bool:
    """Tell whether a young list has one of these lengths.

    hiredis makes the list as soon as it has read the count. The digits alone prove
    nothing, they may stand in a value; and to let the list live would cost seconds in
    the next garbage collection.
    """
    for age in (0, 1):
        young = gc.get_objects(age)
        absurd = [len(found) for found in young if type(found) is list and len(found) in lengths]
        young.clear()  # it holds all that runs here, and would keep itself alive
        if absurd:
            return True
    return False
