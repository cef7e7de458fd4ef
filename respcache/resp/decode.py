"""Bytes from a client to requests. Pure.

A request is an array of bulk strings, or one line of words (`resp.inline`). What Redis
refuses is refused here, at the same byte and in the same words; the protocol is described
at redis.io under "RESP protocol spec".

The machine's own integers (i64) are for the compiled build, in which a byte of a length
takes an instruction or two; interpreted they are Python's.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from respcache.errors import ProtocolError, echoed
from respcache.resp.inline import words

if TYPE_CHECKING:
    from mypy_extensions import i64

ARGUMENTS_MAX: Final = 1024 * 1024
"""Arguments in one request (Redis' own limit)."""
BULK_MAX_BYTES: Final = 512 * 1024 * 1024
"""Bytes in one argument (the default of Redis' `proto-max-bulk-len`)."""
STRANGER_ARGUMENTS_MAX: Final = 10
STRANGER_BULK_MAX_BYTES: Final = 16 * 1024
"""The same for a client that has yet to give the password (Redis' own limits): room for HELLO and AUTH, but not for
memory to be filled by anybody who can connect."""
LINE_MAX_BYTES: Final = 64 * 1024
"""Bytes in an inline command, or in the line that announces a length."""

FOREIGN: Final = re.compile(rb"\x16\x03|(?:CONNECT|DELETE|GET|HEAD|OPTIONS|PATCH|POST|PRI|PUT|TRACE) \S+ HTTP/[0-9]")
"""How clients begin that took this port for another: TLS, HTTP. No inline request that could be run looks like it."""
FOREIGN_WORDS: Final = frozenset({b"POST", b"HOST:"})
"""What HTTP requests have on a line of their own, and no command is called (as Redis has it)."""

ARRAY: Final = 0x2A  # *
_BULK: Final = 0x24  # $
_ZERO: Final = 0x30
_CR: Final = 0x0D
_MORE: Final = -1
"""In place of a length: its line has no end yet."""


class WrongPort(ProtocolError):
    """The client speaks HTTP or TLS."""

    def __init__(self) -> None:
        super().__init__("this is a RESP port, not HTTP and not TLS")


class Decoder:
    """The request parser of one connection: feed it a chunk, then call `next` until it gives None.

                       "*n"                       "$n"
        boundary -------------> between arguments -------> within an argument
         ^  `--- a line ---^      |        ^                 |
         `------ the last one ----'        `---- its end ----'

    What has arrived of a request that is not complete is kept as far as it was understood, so
    that its bytes are not looked at again with every chunk.
    """

    __slots__ = (
        "_arguments_max",
        "_argv",
        "_at",
        "_bulk_max",
        "_gathered",
        "_held",
        "_is_known",
        "_missing",
        "_size",
        "_stream",
    )

    def __init__(self) -> None:
        self._stream = b""
        """What has arrived; parsed up to `_at`."""
        self._at: i64 = 0
        self._held: i64 = 0
        """Bytes of the unfinished request that are parsed."""
        self._argv: list[bytes] | None = None
        """Arguments of the unfinished request; None at a boundary."""
        self._missing: i64 = 0
        """How many more it will have."""
        self._gathered: bytearray | None = None
        """What has arrived of an argument that is not complete."""
        self._size: i64 = 0
        """The length of that argument."""
        self._is_known: Callable[[], bool] | None = None
        """Asked when a request exceeds the limits for strangers, until it says yes."""
        self._arguments_max: i64 = ARGUMENTS_MAX
        self._bulk_max: i64 = BULK_MAX_BYTES

    def distrust(self, is_known: Callable[[], bool]) -> None:
        """Take small requests only until `is_known` says that the client has given its password."""
        self._is_known = is_known
        self._arguments_max, self._bulk_max = STRANGER_ARGUMENTS_MAX, STRANGER_BULK_MAX_BYTES

    @property
    def unfinished_bytes(self) -> int:
        """Bytes that were fed, and belong to no request that `next` has given."""
        return self._held + len(self._stream) - self._at

    def feed(self, chunk: bytes) -> None:
        """Take the bytes of one read."""
        at = self._at
        if self._gathered is not None:
            self._gather(self._gathered, chunk)
            return
        self._stream = chunk if at == len(self._stream) else self._stream[at:] + chunk
        self._at = 0

    def next(self) -> list[bytes] | None:
        """Give the next request, which has at least one argument; None where the bytes end before it does.

        Raises ProtocolError for what is no request; nothing can be parsed behind it.
        """
        argv = self._parse()
        if argv is None:
            self._keep()
        return argv

    def _parse(self) -> list[bytes] | None:
        stream, argv = self._stream, self._argv
        available: i64 = len(stream)
        began = self._at
        while argv is None:
            at = began = self._at
            if at == available:
                return None
            if stream[at] != ARRAY:
                words = self._line()
                if words is None or words:
                    return words
                continue
            count = self._number(at, ARRAY, self._arguments_max)
            if count == _MORE:
                return None
            if count > 0:
                self._missing = count
                argv = []
        while self._missing > 0:
            size = self._number(self._at, _BULK, self._bulk_max)
            start = self._at
            end = start + size
            if size == _MORE or end + 2 > available:
                self._argv = argv
                if size != _MORE:
                    self._gathered, self._size, self._at = bytearray(stream[start:]), size, available
                self._held += self._at - began
                return None
            argv.append(stream[start:end])
            self._at = end + 2
            self._missing -= 1
        self._argv = None
        self._held = 0
        return argv

    def _number(self, at: "i64", kind: "i64", limit: "i64") -> "i64":
        """Read the length behind the type byte at `at`, and go behind its line; _MORE where that has no end yet."""
        stream = self._stream
        available: i64 = len(stream)
        position = at + 1
        number: i64 = 0
        while position < available:
            digit: i64 = stream[position] - _ZERO
            if digit < 0 or digit > 9 or number > limit:
                break
            number = number * 10 + digit
            position += 1
        if (
            position + 1 >= available
            or stream[position] != _CR
            or stream[at] != kind
            or number > limit
            or (stream[at + 1] == _ZERO and position != at + 2)
            or position == at + 1
        ):
            return self._odd_number(at, kind, limit)
        self._at = position + 2
        return number

    def _odd_number(self, at: "i64", kind: "i64", limit: "i64") -> "i64":
        """Do the same for whatever may stand there. Raises ProtocolError."""
        stream = self._stream
        end = stream.find(b"\r", at)
        if end < 0:
            if len(stream) - at > LINE_MAX_BYTES:
                raise ProtocolError(f"Protocol error: too big {'mbulk' if kind == ARRAY else 'bulk'} count string")
            return _MORE
        if end + 2 > len(stream):
            return _MORE
        if stream[at] != kind:
            raise ProtocolError(f"Protocol error: expected '$', got '{echoed(stream[at : at + 1])}'")
        number = _decimal(stream[at + 1 : end])
        if kind == ARRAY:
            if number is None or number > ARGUMENTS_MAX:
                raise ProtocolError("Protocol error: invalid multibulk length")
        elif number is None or not 0 <= number <= BULK_MAX_BYTES:
            raise ProtocolError("Protocol error: invalid bulk length")
        if number > limit:
            self._trust(kind)
        self._at = end + 2
        return max(number, 0)

    def _trust(self, kind: "i64") -> None:
        """Take requests of any size from now on. Raises ProtocolError for a client that is still a stranger."""
        if self._is_known is not None and not self._is_known():
            what = "multibulk" if kind == ARRAY else "bulk"
            raise ProtocolError(f"Protocol error: unauthenticated {what} length")
        self._is_known = None
        self._arguments_max, self._bulk_max = ARGUMENTS_MAX, BULK_MAX_BYTES

    def _line(self) -> list[bytes] | None:
        """Parse a line of words, and go behind it; None where it has no end yet. Raises ProtocolError."""
        stream, start = self._stream, self._at
        if FOREIGN.match(stream, start):
            raise WrongPort
        end = stream.find(b"\n", start)
        if end < 0:
            if len(stream) - start > LINE_MAX_BYTES:
                raise ProtocolError("Protocol error: too big inline request")
            return None
        self._at = end + 1
        found = words(stream[start:end].removesuffix(b"\r"))
        if found and found[0].upper() in FOREIGN_WORDS:
            raise WrongPort
        return found

    def _gather(self, gathered: bytearray, chunk: bytes) -> None:
        """Take bytes of an argument, and what follows it."""
        argv = self._argv
        assert argv is not None
        wanted = self._size + 2 - len(gathered)
        if len(chunk) < wanted:
            gathered += chunk
            self._held += len(chunk)
            return
        gathered += chunk[:wanted]
        del gathered[self._size :]
        argv.append(bytes(gathered))
        self._gathered = None
        self._missing -= 1
        self._held += wanted
        self._stream, self._at = chunk, wanted

    def _keep(self) -> None:
        """Hold on to the bytes of the unfinished request, and to no others."""
        self._stream = self._stream[self._at :]
        self._at = 0


def _decimal(digits: bytes) -> int | None:
    """Read a number in the only way to write it, in at most 19 digits; None for anything else."""
    unsigned = digits[1:] if digits[:1] == b"-" else digits
    if not unsigned.isdigit() or len(unsigned) > 19 or (unsigned[:1] == b"0" and digits != b"0"):
        return None
    return int(digits)
