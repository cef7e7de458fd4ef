"""Driving a decoder as a connection does, and bytes to feed it."""

from collections.abc import Iterable, Iterator

import hiredis
from hypothesis import strategies as st

from respcache.errors import ProtocolError
from respcache.resp import strict
from respcache.resp.decode import NEED_MORE, Decoder
from respcache.resp.encode import request

ARGUMENTS = st.binary(max_size=12) | st.sampled_from([b"", b"\r\n", b"$3\r\n", b"*1\r\n", b"get", b"x" * 100])
ARRAYS = st.lists(ARGUMENTS, min_size=1, max_size=4)
WORDS = st.from_regex(rb"[a-z0-9{}:]{1,8}", fullmatch=True)
INLINES = st.lists(WORDS, min_size=1, max_size=4)


class Client:
    """What one connection received, and how it ended."""

    def __init__(self) -> None:
        self.decoder = Decoder()
        self.requests: list[list[bytes]] = []
        """Empty ones, which nobody answers, left out."""
        self.error: str | None = None

    def read(self, chunk: bytes) -> None:
        """Take one chunk, in memory that is overwritten afterwards; nothing follows an error."""
        if self.error is not None or not chunk:
            return
        memory = bytearray(chunk)
        try:
            self.decoder.feed(memoryview(memory))
            last = self._take()
            self.decoder.settle(last, trusted=False)
        except ProtocolError as refusal:
            self.error = str(refusal)
        memory[:] = b"\xee" * len(memory)

    def _take(self) -> list[bytes]:
        last: list[bytes] = []
        while True:
            try:
                found = self.decoder.gets()
            except (hiredis.ProtocolError, TypeError):
                self.decoder.recover()
                continue
            if found is NEED_MORE:
                return last
            if isinstance(found, list) and all(type(argument) is bytes for argument in found):
                last = found or last
                self.requests += [found] if found else []
            elif found is not None:
                self.decoder.recover()


def decoded(chunks: Iterable[bytes]) -> Client:
    """Feed chunks to a new connection."""
    client = Client()
    for chunk in chunks:
        client.read(chunk)
    return client


def by_the_book(stream: bytes) -> tuple[list[list[bytes]], str | None]:
    """Parse a whole stream with the reference parser."""
    requests: list[list[bytes]] = []
    position = 0
    while position < len(stream):
        try:
            argv, position = strict.parse(stream, position)
        except ProtocolError as refusal:
            return requests, str(refusal)
        if argv is None:
            break
        requests += [argv] if argv else []
    return requests, None


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
"""Requests of both kinds, each with its bytes; not so many that inline ones are no longer taken."""
PLACES = st.lists(st.integers(min_value=0, max_value=10_000), max_size=8)
