"""`respcache serve`: one node in this process, until it is told to stop."""

import asyncio
import gc
import logging
import os
import signal
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, Self

import click

from respcache.cli.flags import config_flags, given
from respcache.config import Config
from respcache.errors import ConfigError, JoinTimeout
from respcache.node import Node
from respcache.options import load

LEVELS: Final = {
    "debug": logging.DEBUG,
    "verbose": logging.INFO,
    "notice": logging.INFO,
    "warning": logging.WARNING,
}
READY: Final = "ready"
LOG_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@click.command()
@config_flags
def serve(config: Path | None, **flags: str | None) -> None:
    """Run one node until SIGTERM or Ctrl-C; then it hands its keys over and leaves.

    Settings come from the file, from variables such as RESPCACHE_SERVER__PORT, and from
    these flags; the later outweigh the earlier.
    """
    try:
        settings = load(file=config, environment=os.environ, flags=given(flags))
        logging.basicConfig(stream=sys.stderr, level=LEVELS[settings.server.loglevel], format=LOG_FORMAT)
        _run(settings)
    except (ConfigError, JoinTimeout, OSError) as problem:
        raise click.ClickException(str(problem)) from problem


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


def _run(settings: Config) -> None:
    if sys.platform == "win32":
        asyncio.run(_serve(settings))
        return
    import uvloop  # noqa: PLC0415 # there is none on Windows

    uvloop.run(_serve(settings))


async def _serve(settings: Config) -> None:
    node = Node(settings)
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        node.stopping.set()
        loop.remove_signal_handler(number)  # the second one ends the process at once

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    if not await _start(node):
        return
    try:
        # What the start left behind stays: not to go through it spares every full collection a pause of 10 ms.
        gc.collect()
        gc.freeze()
        click.echo(_ready(node))
        await node.stopping.wait()
    finally:
        await node.close()


async def _start(node: Node) -> bool:
    """Start a node; False if it was told to stop before it had joined."""
    starting = asyncio.create_task(node.start())
    stopping = asyncio.create_task(node.stopping.wait())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if starting.done():
        await starting
        return True
    starting.cancel()
    await asyncio.wait({starting})
    return False


def _ready(node: Node) -> Ready:
    http_port = next(view.http_port for view in node.members() if view.myself)
    http = _joined((node.address[0], http_port)) if http_port else ""
    return Ready(resp=_joined(node.address), cluster=_joined(node.cluster_address), http=http)


def _joined(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
