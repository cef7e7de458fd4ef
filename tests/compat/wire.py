"""Requests and replies as raw bytes: what the comparison is made of."""

import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from respcache.resp.encode import request
from respcache.store.partition import Argv

READ_MAX_BYTES: Final = 1 << 20
TIMEOUT_S: Final = 10.0
_ONE_LINE: Final = b"+-:,#_("
_TEXTS: Final = b"$=!"
_LISTS: Final = b"*~>"


@dataclass(frozen=True, slots=True)
class Frame:
    """One reply, taken apart as far as a comparison may need."""

    wire: bytes
    elements: "tuple[Frame, ...] | None" = None
    """None unless it is an array or the like."""

    @property
    def number(self) -> int | None:
        """Give the value of an integer reply."""
        return int(self.wire[1:-2]) if self.wire[:1] == b":" else None

    @property
    def is_null(self) -> bool:
        """Tell whether it is any of the nulls."""
        return self.wire in {b"$-1\r\n", b"*-1\r\n", b"_\r\n"}


def parse(stream: bytes, start: int) -> Frame | None:
    """Take the reply at `start`; None if it is not all there."""
    end = stream.find(b"\r\n", start) + 2
    if end < 2:
        return None
    kind, head = stream[start], stream[start + 1 : end - 2]
    if kind in _ONE_LINE or head == b"-1":
        return Frame(stream[start:end])
    length = int(head)
    if kind in _TEXTS:
        end += length + 2
        return Frame(stream[start:end]) if end <= len(stream) else None
    assert kind in _LISTS + b"%", f"no reply: {stream[start : start + 40]!r}"
    elements: list[Frame] = []
    for _ in range(length if kind in _LISTS else 2 * length):
        element = parse(stream, end)
        if element is None:
            return None
        elements.append(element)
        end += len(element.wire)
    return Frame(stream[start:end], tuple(elements))


class RawConnection:
    """A client that shows replies as they came."""

    def __init__(self, port: int, *, protocol: int = 2) -> None:
        self._socket: Final = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        if protocol == 3:
            self.run([[b"HELLO", b"3"]])

    def __enter__(self) -> "RawConnection":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def run(self, calls: list[Argv]) -> list[Frame]:
        """Send calls as one pipeline, and give a reply for each."""
        self.send(b"".join(request(argv) for argv in calls))
        return self.receive(len(calls))

    def send(self, wire: bytes) -> None:
        """Send something, and wait for nothing."""
        self._socket.sendall(wire)

    def receive(self, count: int) -> list[Frame]:
        """Wait for so many replies, behind which there are no more."""
        frames: list[Frame] = []
        stream, position = b"", 0
        while len(frames) < count:
            frame = parse(stream, position) if position < len(stream) else None
            if frame is None:
                more = self._socket.recv(READ_MAX_BYTES)
                assert more, f"closed after {len(frames)} of {count} replies"
                stream, position = stream[position:] + more, 0
                continue
            position += len(frame.wire)
            frames.append(frame)
        assert position == len(stream), f"more replies than requests: {stream[position:]!r}"
        return frames
