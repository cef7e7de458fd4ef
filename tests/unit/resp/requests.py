"""Driving a decoder as a connection does, bytes to feed it, and what it has to make of them."""

from collections.abc import Iterable, Iterator

from hypothesis import strategies as st

from respcache.errors import ProtocolError, echoed
from respcache.resp.decode import ARGUMENTS_MAX, BULK_MAX_BYTES, FOREIGN, FOREIGN_WORDS, Decoder
from respcache.resp.encode import request
from respcache.resp.inline import words

ARGUMENTS = st.binary(max_size=12) | st.sampled_from([b"", b"\r\n", b"$3\r\n", b"*1\r\n", b"get", b"x" * 100])
ARRAYS = st.lists(ARGUMENTS, min_size=1, max_size=4)
WORDS = st.from_regex(rb"[a-z0-9{}:]{1,8}", fullmatch=True)
INLINES = st.lists(WORDS, min_size=1, max_size=4)


class Client:
    """What one connection received, and how it ended."""

    def __init__(self) -> None:
        self.decoder = Decoder()
        self.requests: list[list[bytes]] = []
        self.error: str | None = None

    def read(self, chunk: bytes) -> None:
        """Take one chunk; nothing follows an error."""
        if self.error is not None or not chunk:
            return
        self.decoder.feed(chunk)
        try:
            while (argv := self.decoder.next()) is not None:
                self.requests.append(argv)
        except ProtocolError as refusal:
            self.error = str(refusal)


def decoded(chunks: Iterable[bytes]) -> Client:
    """Feed chunks to a new connection."""
    client = Client()
    for chunk in chunks:
        client.read(chunk)
    return client


def by_the_book(stream: bytes) -> tuple[list[list[bytes]], str | None, int]:
    """Parse a whole stream as plainly as can be: the requests in it, the error behind them, the bytes left over."""
    requests: list[list[bytes]] = []
    while stream:
        try:
            argv, length = _first(stream)
        except ProtocolError as refusal:
            return requests, str(refusal), len(stream)
        if argv is None:
            break
        requests += [argv] if argv else []
        stream = stream[length:]
    return requests, None, len(stream)


def _first(stream: bytes) -> tuple[list[bytes] | None, int]:
    """Parse one request: its words, None where the bytes end within it, and how long it is."""
    if stream[:1] != b"*":
        return _first_line(stream)
    count, position = _announced(stream, 0)
    if count is None:
        return None, 0
    if not -(2**63) <= count <= ARGUMENTS_MAX:
        raise ProtocolError("Protocol error: invalid multibulk length")
    argv: list[bytes] = []
    for _ in range(count):
        size, position = _announced(stream, position)
        if size is None:
            return None, 0
        if not 0 <= size <= BULK_MAX_BYTES:
            raise ProtocolError("Protocol error: invalid bulk length")
        argv.append(stream[position : position + size])
        position += size + 2
        if position > len(stream):
            return None, 0
    return argv, position


def _announced(stream: bytes, start: int) -> tuple[int | None, int]:
    """Read a line that announces a length; None where it has no end yet, 2**63 for what is no number."""
    text, end, _ = stream[start:].partition(b"\r")
    position = start + len(text) + 2
    if not end or position > len(stream):
        return None, start
    if start and text[:1] != b"$":
        raise ProtocolError(f"Protocol error: expected '$', got '{echoed(text[:1] or end)}'")
    try:
        number = int(text[1:])
    except ValueError:
        return 2**63, position
    return (number if b"%d" % number == text[1:] else 2**63), position


def _first_line(stream: bytes) -> tuple[list[bytes] | None, int]:
    line, end, _ = stream.partition(b"\n")
    if FOREIGN.match(stream):
        raise ProtocolError("this is a RESP port, not HTTP and not TLS")
    if not end:
        return None, 0
    found = words(line.removesuffix(b"\r"))
    if found and found[0].upper() in FOREIGN_WORDS:
        raise ProtocolError("this is a RESP port, not HTTP and not TLS")
    return found, len(line) + 1


def cut(stream: bytes, places: Iterable[int]) -> Iterator[bytes]:
    """Cut a stream at some places."""
    start = 0
    for place in sorted({place % (len(stream) + 1) for place in places}):
        yield stream[start:place]
        start = place
    yield stream[start:]


def inline(argv: list[bytes]) -> bytes:
    """Encode a request as a line of words."""
    return b" ".join(argv) + b"\r\n"


REQUESTS = st.lists(
    ARRAYS.map(lambda argv: (argv, request(argv))) | INLINES.map(lambda argv: (argv, inline(argv))), max_size=6
)
"""Requests of both kinds, each with its bytes."""
PLACES = st.lists(st.integers(min_value=0, max_value=10_000), max_size=8)
