"""From the addresses that a user gives to the cluster addresses of nodes.

Either port of a node will do. Both answer the same RESP request with the node's cluster
address, so nobody has to know which one was meant.
"""

import asyncio
import logging
from typing import Final

from respcache.cluster.membership import Address
from respcache.errors import ConfigError
from respcache.resp.encode import bulk, request

ASK_TIMEOUT_S: Final = 2.0
REPLY_MAX_BYTES: Final = 512
PORT_DIGITS_MAX: Final = 5

QUESTION: Final = request([b"CLUSTER", b"MEETINGPOINT"])
"""What is asked; on the RESP port it is an ordinary command, which needs no password."""

log: Final = logging.getLogger(__name__)


def parse_seed(seed: str) -> Address:
    """Split host:port. Raises ConfigError."""
    bracketed, _, port = seed.strip().rpartition(":")
    host = bracketed.strip("[]")
    if not host or not port.isdecimal() or len(port) > PORT_DIGITS_MAX or not 0 < int(port) < 2**16:
        raise ConfigError(f"join address {seed!r}: must be host:port")
    return host, int(port)


def meeting_point(address: Address) -> bytes:
    """Encode the answer of a node with this cluster address."""
    return bulk(f"{address[0]}:{address[1]}".encode())


async def discover(seed: Address) -> Address:
    """Ask a node for its cluster address, on either of its ports.

    Raises OSError where nobody answers in time, ConfigError where somebody else does.
    """
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
        raise ConfigError(f"{seed[0]}:{seed[1]} is no respcache node: it hangs up") from reason
    except UnicodeError as reason:
        raise ConfigError(f"join address {seed[0]}:{seed[1]}: {seed[0]!r} cannot be the name of a host") from reason
    except TimeoutError as reason:
        raise OSError(f"{seed[0]}:{seed[1]} does not answer") from reason
    if not head.startswith(b"$") or len(body) > REPLY_MAX_BYTES:
        raise ConfigError(f"{seed[0]}:{seed[1]} is no respcache node: it answers {head[:80]!r}")
    return parse_seed(body.decode("ascii", "replace"))
