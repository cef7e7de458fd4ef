"""Ports of the loopback interface, for tests that have to know one before anybody listens there.

Most tests bind port 0 and ask. Some cannot: nodes that name each other as seeds, and
programs that take a port and never tell. For those a port is picked below the range
from which the system takes ports for outgoing connections: such a connection could
otherwise get it between the moment it was found free and the moment it is bound.
Nor may two test processes that run side by side be given the same one in that time:
each locks the ports that it has been given in a file that they share, and the system
unlocks them when the process is gone, however it went.
"""

import fcntl
import itertools
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"
LOWEST: Final = 10_000
"""Well-known services live below."""
EPHEMERAL: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
EPHEMERAL_LOWEST: Final = 32_768
"""Where the system does not tell (macOS begins higher still)."""


def free_ports(count: int, candidates: Iterator[int] | None = None) -> list[int]:
    """Find ports that are free for TCP and UDP and that no other live process was given."""
    found: list[int] = []
    with ExitStack() as held:
        for port in itertools.islice(candidates or _CANDIDATES, _above() - LOWEST):
            if _is_ours(port) and _hold(held, port):
                found.append(port)
            if len(found) == count:
                return found
    raise OSError(f"no {count} free ports between {LOWEST} and {_above()}")


def _is_ours(port: int) -> bool:
    """Lock one byte of the shared file for this process; tell whether no other process has it."""
    try:
        fcntl.lockf(_GIVEN, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


def _hold(held: ExitStack, port: int) -> bool:
    """Bind a port until `held` ends; tell whether it was free."""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        bound = held.enter_context(socket.socket(socket.AF_INET, kind))
        try:
            bound.bind((HOST, port))
        except OSError:
            return False
    return True


def _above() -> int:
    """Return the first port that the system may give to outgoing connections."""
    if not EPHEMERAL.exists():
        return EPHEMERAL_LOWEST
    return int(EPHEMERAL.read_text(encoding="ascii").split()[0])


def _candidates() -> Iterator[int]:
    """Go round the ports, from a place of this process' own: test processes side by side seldom meet."""
    start, size = random.Random(os.getpid()).random(), _above() - LOWEST
    for step in itertools.count():
        yield LOWEST + (int(start * size) + step) % size


_CANDIDATES: Final = _candidates()
_GIVEN: Final = os.open(
    Path(tempfile.gettempdir(), f"respcache-test-ports-{os.getuid()}"), os.O_RDWR | os.O_CREAT, mode=0o600
)
"""Never closed: a process loses its locks of a file with the first descriptor of it that it closes."""
