"""Several clients of one server at once: what each of them is sent by each call of any of them."""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from random import Random
from typing import Final, TypeAlias

from compat.wire import READ_MAX_BYTES, TIMEOUT_S, Frame, parse
from respcache.resp.encode import request
from respcache.store.partition import Argv

Step: TypeAlias = tuple[int, Argv]
"""Which client makes which call."""

NAMES: Final = (b"a", b"b", b"ab", b"", b"a*", b"{a}b", b"a\r\nb", b"\xff\x00")
PATTERNS: Final = (b"*", b"a*", b"?", b"[ab]", b"[^a]", b"a\\*", b"", b"**b", b"[", b"a[b-", b"\\")
EITHER: Final = (*NAMES, *PATTERNS)


class Talker:
    """One client. Asks for a mark behind each call, so that it knows when it has read all there is."""

    def __init__(self, port: int, *, protocol: int) -> None:
        self._socket: Final = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self._stream = b""
        self._marks = 0
        if protocol == 3:
            self.send([b"HELLO", b"3"])
        self.heard()

    def close(self) -> None:
        """Hang up, and leave nothing behind for the next conversation."""
        self.send([b"RESET"])
        self.heard()
        self._socket.close()

    def quit(self) -> None:
        """Have the server hang up, and wait until it has."""
        self.send([b"QUIT"])
        while self._socket.recv(READ_MAX_BYTES):
            pass
        self._socket.close()

    def send(self, argv: Argv) -> None:
        """Make a call."""
        self._socket.sendall(request(argv))

    def heard(self) -> list[Frame]:
        """Give all that was sent since the last time."""
        self._marks += 1
        mark = b"<mark %d>" % self._marks
        self.send([b"PING", mark])
        frames: list[Frame] = []
        while True:
            frame = self._next()
            if mark in frame.wire:
                return frames
            frames.append(frame)

    def _next(self) -> Frame:
        while True:
            frame = parse(self._stream, 0) if self._stream else None
            if frame is not None:
                self._stream = self._stream[len(frame.wire) :]
                return frame
            more = self._socket.recv(READ_MAX_BYTES)
            assert more, "the server has hung up"
            self._stream += more


@dataclass(frozen=True, slots=True)
class Heard:
    """What a client was sent by one step, so far as anybody promises it."""

    step: int
    client: int
    frames: tuple[object, ...]


def converse(steps: Sequence[Step], connect: Callable[[int], Talker], clients: int) -> list[Heard]:
    """Make the calls one by one; after each, listen to everybody, first to the one who made it."""
    talkers = [connect(client) for client in range(clients)]
    try:
        heard: list[Heard] = []
        for number, (caller, argv) in enumerate(steps):
            talkers[caller].send(argv)
            for client in sorted(range(clients), key=lambda client: client != caller):
                frames = talkers[client].heard()
                heard.append(Heard(number, client, tuple(_promised(argv, frames))))
        return heard
    finally:
        for talker in talkers:
            talker.close()


def _promised(argv: Argv, frames: list[Frame]) -> list[object]:
    """Take out the order that is Redis' own: of patterns that match, and of what a list is gone through for."""
    name = argv[0].upper()
    if name.endswith(b"UNSUBSCRIBE") and len(argv) == 1:
        parts = [frame.elements or () for frame in frames]
        return [sorted(part[1].wire for part in parts), [part[2].wire for part in parts]]
    if name == b"PUBSUB" and frames and frames[0].elements is not None and argv[1].upper().endswith(b"CHANNELS"):
        return [sorted(element.wire for element in frames[0].elements)]
    if name == b"HELLO":  # it names the server and the connection
        return [frame.wire[:1] if b"modules" in frame.wire else frame.wire for frame in frames]
    return [
        wire
        for is_match, group in groupby([frame.wire for frame in frames], lambda wire: b"$8\r\npmessage\r\n" in wire)
        for wire in (sorted(group) if is_match else group)
    ]


def conversation(seed: int, *, clients: int, length: int) -> list[Step]:
    """Make up a conversation."""
    rng = Random(f"conversation {seed}")
    return [(rng.randrange(clients), _call(rng)) for _ in range(length)]


def _call(rng: Random) -> Argv:
    verb = rng.choice(tuple(_CALLS))
    return [verb, *_CALLS[verb](rng)]


def _some(names: Sequence[bytes], *, least: int = 1) -> Callable[[Random], Argv]:
    return lambda rng: [rng.choice(names) for _ in range(rng.randint(least, 3))]


def _message(rng: Random) -> Argv:
    return [rng.choice(EITHER), b"%d" % rng.randrange(1000)]


def _pubsub(rng: Random) -> Argv:
    verb = rng.choice((b"CHANNELS", b"NUMSUB", b"NUMPAT", b"SHARDCHANNELS", b"SHARDNUMSUB", b"numsub", b"NOTHING"))
    return [verb, *(rng.choice(EITHER) for _ in range(rng.randrange(3)))]


_CALLS: Final[dict[bytes, Callable[[Random], Argv]]] = {
    b"SUBSCRIBE": _some(EITHER),
    b"PSUBSCRIBE": _some(PATTERNS),
    b"SSUBSCRIBE": _some(NAMES),
    b"UNSUBSCRIBE": _some(EITHER, least=0),
    b"PUNSUBSCRIBE": _some(PATTERNS, least=0),
    b"SUNSUBSCRIBE": _some(NAMES, least=0),
    b"PUBLISH": _message,
    b"publish": _message,
    b"SPUBLISH": _message,
    b"PUBSUB": _pubsub,
    b"PING": _some(NAMES, least=0),
    b"RESET": lambda _: [],
    b"HELLO": lambda rng: [rng.choice((b"2", b"3"))],
    b"GET": lambda _: [b"nothing"],
    b"SUBSCRIBe": lambda _: [],
}
