"""Looks names up without holding the event loop up, or the end of the program."""

import asyncio
import ipaddress
import math
import socket
import threading
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, Final

from respcache.cluster.membership import Address
from respcache.errors import ConfigError

PATIENCE_S: Final = 5.0
"""How long one attempt waits for an answer; the look-up goes on, and the next attempt may have its answer."""
FRESH_S: Final = 10.0
"""How long the address of a name is used before it is looked up again, and how soon after a failure."""
HOSTS_MAX: Final = 16_384
"""Hosts that are remembered; when there are more, all are looked up anew."""


class Names:
    """Resolves the names of hosts, each at most once at a time.

    The system's resolver cannot be interrupted, and may take half a minute to find that no
    server answers. So it runs on a daemon thread, which nobody waits for: not an executor's
    thread, which the end of the event loop would wait for.
    """

    def __init__(self, resolve: Callable[..., Sequence[tuple[object, ...]]] = socket.getaddrinfo) -> None:
        """`resolve` is called as socket.getaddrinfo is."""
        self._resolve: Final = resolve
        self._under_way: Final[dict[str, asyncio.Future[list[str]]]] = {}

    async def look_up(self, host: str, port: int) -> list[Address]:
        """Return all addresses of a host, in the resolver's order.

        Raises OSError if it has none, or nobody knows in time; ConfigError if it can be no host's name.
        """
        if _is_literal(host):
            return [(host, port)]
        asked = self._under_way.get(host) or self._ask(host)
        try:
            async with asyncio.timeout(PATIENCE_S):
                hosts = await asyncio.shield(asked)
        except TimeoutError as reason:
            raise OSError(f"the address of {host} is not known yet") from reason
        except UnicodeError as reason:
            raise ConfigError(f"{host!r} cannot be the name of a host") from reason
        return [(found, port) for found in hosts]

    def _ask(self, host: str) -> asyncio.Future[list[str]]:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[str]] = loop.create_future()

        def settle(settled: Callable[[], None]) -> None:
            del self._under_way[host]
            if not answer.done():
                settled()
                answer.exception()  # looked at, whether somebody still waits or not

        def work() -> None:
            settled: Callable[[], None]
            try:
                found = self._resolve(host, None, type=socket.SOCK_STREAM)
            except (OSError, UnicodeError) as reason:
                failure = reason
                settled = lambda: answer.set_exception(failure)  # noqa: E731 # one of two outcomes
            else:
                hosts = list(dict.fromkeys(str(info[4][0]) for info in found))  # type: ignore[index] # an address
                settled = lambda: answer.set_result(hosts)  # noqa: E731 # the other one
            with suppress(RuntimeError):  # the event loop has ended meanwhile
                loop.call_soon_threadsafe(settle, settled)

        self._under_way[host] = answer
        threading.Thread(target=work, name=f"look-up-{host}", daemon=True).start()
        return answer


class AddressBook:
    """Gives the addresses of hosts at once, or not at all: for datagrams, which may be lost anyway.

    An address that is out of date is used until there is a newer one.
    """

    def __init__(self, names: Names, start: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        """`start` runs a look-up in the background, and owns it."""
        self._names: Final = names
        self._start: Final = start
        self.family: int = socket.AF_INET
        """Of the socket: addresses of this kind are preferred."""
        self._known: dict[str, tuple[str, float]] = {}
        """Address, or nothing while there is none, and until when it is fresh, by host."""

    def find(self, now: float, address: Address) -> Address | None:
        """Return where a datagram for an address has to go; None if that is not known yet."""
        host, port = address
        known, fresh_until_s = self._known.get(host) or self._enter(host)
        if now >= fresh_until_s:
            self._known[host] = (known, now + FRESH_S)
            self._start(self._look_up(host, now + FRESH_S))
        return (known, port) if known else None

    def _enter(self, host: str) -> tuple[str, float]:
        if len(self._known) >= HOSTS_MAX:
            self._known.clear()
        entry = self._known[host] = (host, math.inf) if _is_literal(host) else ("", -math.inf)
        return entry

    async def _look_up(self, host: str, fresh_until_s: float) -> None:
        try:
            found = await self._names.look_up(host, 0)
        except (OSError, ConfigError):
            return  # the next datagram after a while has it looked up again
        wanted = (there for there, _ in found if (":" in there) == (self.family == socket.AF_INET6))
        self._known[host] = (next(wanted, found[0][0]), fresh_until_s)


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
