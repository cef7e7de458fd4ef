"""What watches a node from within: the HTTP port, and the timer that measures the event loop."""

import asyncio
import socket
from typing import Final

from respcache.metrics.collector import registry_of
from respcache.metrics.sources import Sources
from respcache.metrics.status import status_of
from respcache.net.http import HttpServer
from respcache.net.pages import pages


class Monitor:
    """Serves metrics and health of one node, from `listen` to `close`."""

    def __init__(self, sources: Sources) -> None:
        self._lag: Final = sources.lag
        self._timer: asyncio.TimerHandle | None = None
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
