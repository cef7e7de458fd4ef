"""`respcache serve`: one node in this process, until it is told to stop."""

import asyncio
import logging
import os
import signal
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Final, Self

import click

from respcache.cli.client import join_address
from respcache.cli.collecting import Collecting
from respcache.cli.flags import config_flags, given
from respcache.cli.huge_pages import HugePages
from respcache.config import Config
from respcache.errors import ConfigError, JoinTimeout
from respcache.net.scripts import LUA
from respcache.node import Node
from respcache.options import load

LEVELS: Final = {
    "debug": logging.DEBUG,
    "verbose": logging.INFO,
    "notice": logging.INFO,
    "warning": logging.WARNING,
}
STOPS: Final = (signal.SIGTERM, signal.SIGINT)
READY: Final = "ready"
INCOMPLETE: Final = 3
"""The exit status of a node that left keys behind: neither 1, of errors, nor 2, of wrong usage."""
READ_BYTES: Final = 4096
HUGE_PAGES_PERIOD_S: Final = 5.0
"""How often the node looks whether it has grown, and asks for huge pages."""
SWITCH_INTERVAL_S: Final = 0.000_5
"""How long a thread that computes may keep the interpreter's lock while another waits for it; Python's default is ten
times that. The membership thread takes the lock some three times to answer a probe. With three nodes and their load on
two cores, 85 % of probes took up to 16 ms instead of 70 %, and 3 % needed helpers instead of 5 %."""
LOG_FORMAT: Final = "%(asctime)s [%(process)d] %(levelname)s %(name)s: %(message)s"

log: Final = logging.getLogger(__name__)


@click.command()
@config_flags
@click.option(
    "--end-with-stdin", is_flag=True, help="Leave when standard input ends: so no node outlives who started it."
)
def serve(config: Path | None, end_with_stdin: bool, **flags: str | None) -> None:  # noqa: FBT001 # click's calling
    """Run one node until SIGTERM or Ctrl-C; then it hands its keys over and leaves. A second one ends it at once.

    The exit status is 3 if it could not hand over everything within shutdown-timeout.
    SIGHUP is ignored, as by Redis: a node outlives the terminal that it was started in.

    Settings come from the file, from variables such as RESPCACHE_SERVER__PORT, and from
    these flags; the later outweigh the earlier. A SIZE is in bytes, or like 100mb and 1gb; a LIST
    has commas between its parts.
    """
    try:
        settings = load(file=config, environment=os.environ, flags=given(flags))
        logging.basicConfig(stream=sys.stderr, level=LEVELS[settings.server.loglevel], format=LOG_FORMAT)
        complete = _run(settings, end_with_stdin=end_with_stdin)
    except (ConfigError, JoinTimeout, OSError) as problem:
        raise click.ClickException(str(problem)) from problem
    if not complete:
        raise SystemExit(INCOMPLETE)


@dataclass(frozen=True, slots=True)
class Ready:
    """The line that a node prints once it serves: where it can be reached."""

    resp: str
    cluster: str
    http: str
    """Empty if there is no HTTP."""

    def __str__(self) -> str:
        places = (f"{field.name}={getattr(self, field.name)}" for field in fields(self))
        return f"{READY} {' '.join(places)}"

    @classmethod
    def parse(cls, line: str) -> Self | None:
        """Read such a line; None for any other."""
        word, *places = line.split() or [""]
        if word != READY:
            return None
        return cls(**dict(place.split("=", 1) for place in places))


def _run(settings: Config, *, end_with_stdin: bool) -> bool:
    """Run the node; return whether everything was handed over in the end."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    serving = _serve(settings, end_with_stdin=end_with_stdin)
    if sys.platform == "win32":
        return asyncio.run(serving)
    import uvloop  # noqa: PLC0415 # there is none on Windows

    return uvloop.run(serving)


async def _serve(settings: Config, *, end_with_stdin: bool) -> bool:
    with suppress(ImportError):  # it comes with an extra; to import it takes 20 ms, in which no script has to wait
        import_module(LUA)
    node = Node(settings)
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        log.info("%s: leaving; a second one ends this process at once", number.name)
        node.stopping.set()
        for one in STOPS:
            loop.remove_signal_handler(one)

    for number in STOPS:
        loop.add_signal_handler(number, stop, number)
    if sys.platform != "win32":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    if end_with_stdin:
        threading.Thread(target=_await_end, args=(loop, node.stopping), daemon=True, name="standard-input").start()
    if not await _start(node):
        return await node.close()
    collecting = Collecting()
    collecting.begin()
    try:
        click.echo(_ready(node))
        await _serve_until(node.stopping, HugePages() if settings.server.huge_pages else None)
    finally:
        complete = await node.close()
        collecting.end()
        log.info("left%s", "" if complete else "; not everything was handed over")
    if node.refusal is not None:
        raise node.refusal
    return complete


async def _serve_until(stopping: asyncio.Event, huge_pages: HugePages | None) -> None:
    """Wait until the node is to stop, and see to the process' memory meanwhile."""
    while huge_pages is not None and huge_pages.available and not stopping.is_set():
        await asyncio.to_thread(huge_pages.collapse)
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), HUGE_PAGES_PERIOD_S)
    await stopping.wait()


def _await_end(loop: asyncio.AbstractEventLoop, stopping: asyncio.Event) -> None:
    """Read standard input to its end, then tell the loop. In a thread, since a loop can watch pipes but no files."""
    while os.read(sys.stdin.fileno(), READ_BYTES):
        pass
    with suppress(RuntimeError):  # the loop has ended by itself
        loop.call_soon_threadsafe(stopping.set)


async def _start(node: Node) -> bool:
    """Start a node; False if it was told to stop before it had joined. Raises what `Node.start` raises."""
    starting = asyncio.create_task(node.start())
    stopping = asyncio.create_task(node.stopping.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not starting.done():
        starting.cancel()
        await asyncio.wait({starting})
    if starting.cancelled():
        return False
    await starting
    return True


def _ready(node: Node) -> Ready:
    http_port = next(view.http_port for view in node.members() if view.myself)
    http = join_address(node.address[0], http_port) if http_port else ""
    return Ready(resp=join_address(*node.address), cluster=join_address(*node.cluster_address), http=http)
