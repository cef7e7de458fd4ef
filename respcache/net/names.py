"""Looks names up without holding the event loop up, or the end of the program."""

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from respcache.cluster.membership import Address
from respcache.errors import ConfigError

PATIENCE_S: Final = 5.0
"""How long one attempt waits for an answer; the look-up goes on, and the next attempt may have its answer."""


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


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
