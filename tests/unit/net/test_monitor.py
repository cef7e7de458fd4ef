"""The monitor: one node's figures on its HTTP port, and the lag of its event loop."""

import asyncio
import socket
import urllib.request
from dataclasses import replace
from typing import Final

import msgspec
import pytest

from respcache.metrics import LoopLag, Sources
from respcache.metrics.lag import PERIOD_S, STALL_S
from respcache.net.monitor import Monitor
from unit.test_metrics import idle_node, samples

TIMEOUT_S: Final = 5.0
SAMPLES: Final = 3


def visit(sources: Sources, *paths: str) -> list[str]:
    """Read pages of a monitored node."""

    def read(url: str) -> str:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as page:  # noqa: S310 # loopback only
            text: bytes = page.read()
            return text.decode()

    async def main() -> list[str]:
        monitor = Monitor(sources)
        bound = socket.create_server(("127.0.0.1", 0))
        host, port = bound.getsockname()
        await monitor.listen(bound)
        try:
            return [await asyncio.to_thread(read, f"http://{host}:{port}{path}") for path in paths]
        finally:
            await monitor.close()

    return asyncio.run(main())


def watch(lag: LoopLag, *, until: asyncio.Event) -> None:
    """Let a node's lag be measured until something has happened."""

    async def main() -> None:
        monitor = Monitor(replace(idle_node(), lag=lag))
        await monitor.listen(socket.create_server(("127.0.0.1", 0)))
        async with asyncio.timeout(TIMEOUT_S):
            await until.wait()
        await monitor.close()

    asyncio.run(main())


def test_a_node_shows_its_figures_its_health_and_its_state() -> None:
    """All four pages of an idle node that serves."""
    metrics, alive, ready, status = visit(idle_node(), "/metrics", "/livez", "/readyz", "/status")

    assert samples(metrics)["respcache_ready"] == 1
    assert alive == "The event loop turns.\n"
    assert ready == "The node serves clients.\n"
    assert msgspec.json.decode(status)["node"] == "a"


def test_the_lag_is_sampled_while_the_port_is_open() -> None:
    """A timer that is due takes a sample and sets itself anew, so three samples come by themselves."""
    enough = asyncio.Event()

    class Impatient(LoopLag):
        """Makes a period pass at once."""

        def start(self, now: float) -> float:
            if sum(self.buckets) >= SAMPLES:
                enough.set()
            return super().start(now - PERIOD_S)

    watch(Impatient(), until=enough)


@pytest.mark.parametrize(
    ("late_s", "told"),
    [
        (STALL_S + 0.5, ["the event loop stood still for 1.5 s: it had a processor for 0.0 s"]),
        (STALL_S / 2, []),
    ],
)
def test_a_stall_is_told_and_whose_doing_it_was(
    late_s: float, told: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A loop that waits has no processor meanwhile; a little lateness is a figure, and no line in the log."""
    sampled = asyncio.Event()

    class Late(LoopLag):
        """Is due before it is set."""

        def sample(self, now: float) -> float:
            sampled.set()
            return super().sample(now)

        def start(self, now: float) -> float:
            return super().start(now - PERIOD_S - late_s if not sampled.is_set() else now)

    watch(Late(), until=sampled)
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split(",")[0] for line in lines if "stood still" in line] == told
