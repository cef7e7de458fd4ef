"""A small blocking client: one request, one reply. For the commands that look at a running node."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import click
import hiredis

from respcache.config import CLUSTER_PORT_OFFSET
from respcache.resp.encode import request

TIMEOUT_S: Final = 5.0
READ_BYTES: Final = 64 * 1024
DEFAULT_PORT: Final = 6379
LOCALHOST: Final = "127.0.0.1"
DEFAULT_ADDRESS: Final = f"{LOCALHOST}:{DEFAULT_PORT}"
PORT_MAX: Final = 65535
PASSWORD_VARIABLE: Final = "RESPCACHE_SERVER__REQUIREPASS"  # noqa: S105 # where a password stands, not one


password_flag: Final = click.option(
    "--requirepass-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="PATH",
    help=f"File with the password; without it {PASSWORD_VARIABLE} counts.",
)
"""Gives a command the file for `password_of`."""


def password_of(file: Path | None) -> str:
    """Find the password to give to nodes; empty for none."""
    if file is None:
        return os.environ.get(PASSWORD_VARIABLE, "")
    return file.read_text(encoding="utf-8").rstrip("\r\n")


class Refused(Exception):
    """The node answered with an error."""


class ClusterPort(Refused):
    """A node's cluster port answers one question, where to join it, and hangs up on all others."""

    def __init__(self, address: str) -> None:
        port = split_address(address)[1]
        likely = (
            f", which is {port - CLUSTER_PORT_OFFSET} unless cluster-port was set" if port > CLUSTER_PORT_OFFSET else ""
        )
        super().__init__(f"this is the cluster port, where nodes talk; ask the RESP port{likely}")


class Client:
    """One connection; a context manager."""

    def __init__(self, address: str, password: str = "", *, timeout_s: float = TIMEOUT_S) -> None:
        """Connect to host:port. Raises OSError, Refused, or ValueError for what is no address."""
        host, port = split_address(address)
        self._reader: Final = hiredis.Reader()
        self._socket: Final = socket.create_connection((host, port), timeout=timeout_s)
        try:
            if password:
                self.ask("AUTH", password)
        except BaseException:
            self._socket.close()
            raise

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
    """Cut host:port, [host]:port, host, :port or port apart. Raises ValueError."""
    host, colon, port = address.rpartition(":")
    if not colon and address.isdecimal():
        host, port = LOCALHOST, address
    elif not colon or (":" in host and not host.endswith("]")):
        host, port = address, str(DEFAULT_PORT)
    if not port.isdecimal() or not (port.isascii() and int(port) <= PORT_MAX):
        raise ValueError(f"no address: it must be host:port, with a port up to {PORT_MAX}")
    return host.strip("[]") or LOCALHOST, int(port)


def diagnosed(address: str, problem: Exception) -> Exception:
    """Find out whether a node that hung up was asked on its cluster port; else the problem is what it is."""
    if not isinstance(problem, ConnectionError):
        return problem
    try:
        with Client(address) as client:
            client.ask("CLUSTER", "MEETINGPOINT")
    except (OSError, Refused):
        return problem
    return ClusterPort(address)


def explained(problem: Exception) -> str:
    """Say what went wrong when a node was asked, and what may help."""
    match problem:
        case TimeoutError():
            return "no answer in time"
        case socket.gaierror():
            return "there is no host of that name"
        case OSError(strerror=str(reason)):
            return reason
        case Refused() if str(problem).startswith("NOAUTH"):
            return f"the node wants a password: give --requirepass-file, or set {PASSWORD_VARIABLE}"
        case Refused() if str(problem).startswith("WRONGPASS"):
            return "the password is not that of the node"
        case _:
            return str(problem)


def join_address(host: str, port: int) -> str:
    """Put host:port together."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_info(text: str) -> dict[str, str]:
    """Read the fields of INFO or CLUSTER INFO."""
    lines = (line.partition(":") for line in text.splitlines() if ":" in line and not line.startswith("#"))
    return {name: figure for name, _, figure in lines}


@dataclass(frozen=True, slots=True)
class SeenNode:
    """One node, as another one sees it."""

    name: str
    address: str
    """Host and RESP port."""
    state: str
    """alive, suspect or dead."""
    slots: int
    http: str = ""
    """Host and HTTP port; empty if there is none."""

    def __str__(self) -> str:
        """Name it for people: the address, and the name where somebody chose it."""
        return self.address if self.name == self.address else f"{self.name} ({self.address})"

    @classmethod
    def of_line(cls, line: str) -> Self:
        """Read the value of a field of INFO MEMBERS."""
        fields = dict(word.split("=", 1) for word in line.split(",", 3))
        return cls(fields["name"], fields["address"], fields["state"], int(fields["slots"]))

    @classmethod
    def of_page(cls, member: dict[str, Any]) -> Self:
        """Read a member as /status lists it."""
        host, http_port = member["host"], member["http_port"]
        http = join_address(host, http_port) if http_port else ""
        return cls(member["name"], join_address(host, member["port"]), member["state"], member["slots"], http)


def seen_nodes(client: Client) -> list[SeenNode]:
    """Ask for the nodes that the cluster knows."""
    return [SeenNode.of_line(line) for line in parse_info(client.text("INFO", "MEMBERS")).values()]
