"""From what a user says of where others are to the cluster addresses of nodes.

    host:port         one node; its host may have several addresses, the first that answers counts
    dns:name[:port]   all addresses of a name, each a node: what headless services and compose give
    file:path         one of the above a line; empty lines, and what follows a #, mean nothing

Either port of a node will do. Both answer the same RESP request with the node's cluster
address, so nobody has to know which one was meant. Names are resolved, and files read, anew for
every attempt.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from respcache.cluster.membership import Address
from respcache.errors import ConfigError
from respcache.resp.encode import bulk, request

ASK_TIMEOUT_S: Final = 2.0
REPLY_MAX_BYTES: Final = 512
PORT_DIGITS_MAX: Final = 5
FILE_MAX_BYTES: Final = 64 * 1024
DEFAULT_PORT: Final = 6379

QUESTION: Final = request([b"CLUSTER", b"MEETINGPOINT"])
"""What is asked; on the RESP port it is an ordinary command, which needs no password."""

FORMS: Final = "host:port, dns:name[:port] or file:path, with a port from 1 to 65535"


@dataclass(frozen=True, slots=True)
class HostSeed:
    """One node."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class DnsSeed:
    """All nodes that a name stands for."""

    name: str
    port: int

    def __str__(self) -> str:
        return f"dns:{self.name}:{self.port}"


@dataclass(frozen=True, slots=True)
class FileSeed:
    """All nodes that a file lists."""

    path: str

    def __str__(self) -> str:
        return f"file:{self.path}"


Seed = HostSeed | DnsSeed | FileSeed


def parse_seed(seed: str, *, default_port: int = DEFAULT_PORT) -> Seed:
    """Tell what a user meant; `default_port` is for a `dns:` without one. Raises ConfigError."""
    kind, _, rest = seed.strip().partition(":")
    if kind == "file" and rest:
        return FileSeed(rest)
    if kind == "dns":
        name, found, port = rest.rpartition(":")
        if not found:
            name, port = rest, str(default_port)
        if name and not name.isdecimal() and ":" not in name and _is_port(port):
            return DnsSeed(name, int(port))
    else:
        address = _address(seed)
        if address is not None:
            return HostSeed(*address)
    raise ConfigError(f"join address {seed!r}: must be {FORMS}")


def read_seeds(path: str, *, default_port: int = DEFAULT_PORT) -> list[HostSeed | DnsSeed]:
    """Read a file of seeds. Raises ConfigError when it cannot be read, or a line of it makes no sense."""
    try:
        with Path(path).open("rb") as file:
            raw = file.read(FILE_MAX_BYTES + 1)
    except OSError as reason:
        raise ConfigError(f"file:{path}: {reason.strerror}") from reason
    if len(raw) > FILE_MAX_BYTES:
        raise ConfigError(f"file:{path}: is larger than {FILE_MAX_BYTES} bytes")
    seeds: list[HostSeed | DnsSeed] = []
    for number, line in enumerate(raw.decode("utf-8", "replace").splitlines(), 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            seed = parse_seed(text, default_port=default_port)
        except ConfigError as reason:
            raise ConfigError(f"file:{path}, line {number}: {reason}") from reason
        if isinstance(seed, FileSeed):
            raise ConfigError(f"file:{path}, line {number}: a file of seeds names no other files")
        seeds.append(seed)
    return seeds


def meeting_point(address: Address) -> bytes:
    """Encode the answer of a node with this cluster address."""
    return bulk(f"{address[0]}:{address[1]}".encode())


async def discover(seed: Address) -> Address:
    """Ask a node for its cluster address, on either of its ports.

    Raises OSError where nobody answers in time, ConfigError where somebody else does.
    """
    told = "{}:{}".format(*seed)
    try:
        async with asyncio.timeout(ASK_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(*seed)
            try:
                writer.write(QUESTION)
                head = await reader.readuntil(b"\r\n")
                body = await reader.readuntil(b"\r\n") if head.startswith(b"$") else head
            finally:
                writer.close()
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as reason:
        raise ConfigError(f"{told} is no respcache node: it hangs up") from reason
    except TimeoutError as reason:
        raise OSError("no answer in time") from reason
    address = _address(body.decode("ascii", "replace")) if head.startswith(b"$") else None
    if address is None or len(body) > REPLY_MAX_BYTES:
        raise ConfigError(f"{told} is no respcache node: it answers {head[:80]!r}")
    return address


def _address(text: str) -> Address | None:
    """Split host:port."""
    bracketed, _, port = text.strip().rpartition(":")
    host = bracketed.strip("[]")
    return (host, int(port)) if host and _is_port(port) else None


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= PORT_DIGITS_MAX and 0 < int(text) < 2**16
