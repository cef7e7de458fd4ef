"""A small blocking client: one request, one reply. For the commands that look at a running node."""

import socket
from dataclasses import dataclass
from typing import Final, Self

import hiredis

from respcache.resp.encode import request

TIMEOUT_S: Final = 5.0
READ_BYTES: Final = 64 * 1024
DEFAULT_PORT: Final = 6379
MARKED: Final = {"fail": "dead", "fail?": "suspect"}
"""The last of a node's flags, if something is wrong with it."""


class Refused(Exception):
    """The node answered with an error."""


class Client:
    """One connection; a context manager."""

    def __init__(self, address: str, password: str = "") -> None:
        """Connect to host:port. Raises OSError, Refused, or ValueError for what is no address."""
        host, port = split_address(address)
        self._reader: Final = hiredis.Reader()
        self._socket: Final = socket.create_connection((host, port), timeout=TIMEOUT_S)
        if password:
            self.ask("AUTH", password)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self._socket.close()

    def ask(self, *words: str) -> object:
        """Send a request and wait for the reply. Raises OSError or Refused."""
        self._socket.sendall(request([word.encode() for word in words]))
        try:
            while (reply := self._reader.gets()) is False:
                received = self._socket.recv(READ_BYTES)
                if not received:
                    raise ConnectionError("the node closed the connection")
                self._reader.feed(received)
        except hiredis.ProtocolError:
            raise ConnectionError("no RESP port: it answers something else") from None
        if isinstance(reply, hiredis.ReplyError):
            raise Refused(str(reply))
        return reply

    def text(self, *words: str) -> str:
        """Send a request whose reply is text."""
        reply = self.ask(*words)
        return reply.decode() if isinstance(reply, bytes) else str(reply)


def split_address(address: str) -> tuple[str, int]:
    """Cut host:port, [host]:port or host apart. Raises ValueError."""
    host, colon, port = address.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):
        host, port = address, str(DEFAULT_PORT)
    if not port.isdecimal():
        raise ValueError(f"{address} is no host:port")
    return host.strip("[]"), int(port)


def parse_info(text: str) -> dict[str, str]:
    """Read the fields of INFO or CLUSTER INFO."""
    lines = (line.partition(":") for line in text.splitlines() if ":" in line and not line.startswith("#"))
    return {name: figure for name, _, figure in lines}


@dataclass(frozen=True, slots=True)
class SeenNode:
    """One line of CLUSTER NODES."""

    node_id: str
    address: str
    state: str
    """alive, suspect or dead."""
    slots: int

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read a line."""
        node_id, address, marks, *_ = words = line.split()
        state = MARKED.get(marks.rpartition(",")[2], "alive")
        return cls(node_id, address.partition("@")[0], state, sum(map(_width, words[8:])))


def seen_nodes(client: Client) -> list[SeenNode]:
    """Ask for the nodes that the cluster knows."""
    return [SeenNode.parse(line) for line in client.text("CLUSTER", "NODES").splitlines()]


def _width(slots: str) -> int:
    first, _, last = slots.partition("-")
    return int(last or first) - int(first) + 1
