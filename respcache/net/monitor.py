"""What watches a node from within: the HTTP port, and the timer that measures the event loop."""

import asyncio
import logging
import resource
import socket
from typing import Final

from respcache.metrics.collector import registry_of
from respcache.metrics.lag import STALL_S
from respcache.metrics.sources import Sources
from respcache.metrics.status import status_of
from respcache.net.http import HttpServer
from respcache.net.pages import pages

OF_THREAD: Final = getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF)
"""Whose use of the machine is told: the event loop's thread, where the system counts threads apart."""

log: Final = logging.getLogger(__name__)


class Monitor:
    """Serves metrics and health of one node, from `listen` to `close`."""

    def __init__(self, sources: Sources) -> None:
        self._lag: Final = sources.lag
        self._timer: asyncio.TimerHandle | None = None
        self._used = resource.getrusage(OF_THREAD)
        self._server: Final = HttpServer(
            pages(registry_of(sources), readiness=sources.readiness, status=lambda: status_of(sources))
        )

    async def listen(self, bound: socket.socket) -> None:
        """Serve on a bound socket, which belongs to the monitor from now on."""
        await self._server.listen(bound)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(self._lag.start(loop.time()), self._sample, loop)

    async def close(self) -> None:
        """Stop, and cut all connections."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self._server.close()

    def _sample(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_at(self._lag.sample(loop.time()), self._sample, loop)
        before, self._used = self._used, resource.getrusage(OF_THREAD)
        if self._lag.last_s >= STALL_S:
            _tell(self._lag.last_s, before, self._used)


def _tell(lag_s: float, before: resource.struct_rusage, after: resource.struct_rusage) -> None:
    """Say what is needed to know whose doing a stall was: a command's, the machine's, or the disk's."""
    computed_s = max(0.0, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    faults = after.ru_majflt - before.ru_majflt
    log.warning(
        "the event loop stood still for %.1f s: it had a processor for %.1f s, and waited for %d pages from disk",
        lag_s,
        computed_s,
        faults,
    )
