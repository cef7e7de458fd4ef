"""The pages of a node's HTTP port, for Prometheus, for orchestrators and for people.

/metrics   everything that is measured, as Prometheus text or OpenMetrics
/livez     200 as long as the event loop turns
/readyz    200 if clients should be sent here, and the next node may be restarted, else 503; a sentence says why
/status    the node and its view of the cluster, as JSON
"""

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus

import msgspec
from prometheus_client.registry import Collector

from respcache.metrics.exposition import expose
from respcache.metrics.readiness import Readiness
from respcache.net.http import Handler, Request, Response


def pages(
    registry: Collector, *, readiness: Callable[[], Readiness], status: Callable[[], Mapping[str, object]]
) -> dict[str, Handler]:
    """Make the handlers by path. `status` returns what msgspec can encode."""

    async def metrics(request: Request) -> Response:
        exposition = expose(registry, request.fields.get("accept", ""))
        body: list[bytes] = []
        for piece in exposition.pieces:
            body.append(piece)
            await asyncio.sleep(0)  # clients are served between two pieces
        return Response(b"".join(body), exposition.content_type)

    async def livez(_request: Request) -> Response:
        return Response(b"The event loop turns.\n")

    async def readyz(_request: Request) -> Response:
        verdict = readiness()
        code = HTTPStatus.OK if verdict.ready else HTTPStatus.SERVICE_UNAVAILABLE
        return Response(f"{verdict.reason}\n".encode(), status=code)

    async def describe(_request: Request) -> Response:
        page = msgspec.json.format(msgspec.json.encode(status()), indent=2)
        return Response(page + b"\n", "application/json")

    return {"/metrics": metrics, "/livez": livez, "/readyz": readyz, "/status": describe}
