"""`respcache demo`: a cluster of processes on this machine, to look at and to try things on."""

import asyncio
import enum
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import click

from respcache.cli.client import SeenNode
from respcache.cli.pages import StatusReader
from respcache.cli.serve import Ready
from respcache.options import VARIABLE_PREFIX

HOST: Final = "127.0.0.1"
ENVIRONMENT: Final = "local"
"""How soon a silent node is taken for dead; the same for all nodes of a cluster."""
NODES_MAX: Final = 32
START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 20.0
"""Longer than a node takes to leave by itself (`shutdown-timeout`)."""
POLL_S: Final = 0.25


class News(enum.Enum):
    """What can happen to a node, as it is told, and in which colour."""

    JOINED = ("+ {} joined", "green")
    LEFT = ("- {} left", "yellow")
    SUSPECTED = ("? {} does not answer", "yellow")
    RECOVERED = ("+ {} answers again", "green")
    DIED = ("x {} died", "red")


OF_STATE: Final = {"alive": News.RECOVERED, "suspect": News.SUSPECTED, "dead": News.DIED}
"""What has happened when a node is in another state than before."""


@dataclass(frozen=True, slots=True)
class Child:
    """One node of the demo."""

    process: Process
    ready: Ready


PORT: Final = click.IntRange(0, 65535 - NODES_MAX)


@click.command()
@click.option("--nodes", type=click.IntRange(1, NODES_MAX), default=3, show_default=True, help="How many to start.")
@click.option(
    "--port",
    type=PORT,
    default=0,
    show_default=True,
    metavar="PORT",
    help="RESP port of the first node, the others' follow; 0 for free ones.",
)
@click.option(
    "--http-port",
    type=PORT,
    default=0,
    show_default=True,
    metavar="PORT",
    help="HTTP port of the first node, the others' follow; 0 for free ones.",
)
@click.option("--replica-count", type=click.IntRange(1, 7), default=2, show_default=True, help="Copies of every key.")
def demo(nodes: int, port: int, http_port: int, replica_count: int) -> None:
    """Start a cluster on this machine, a process a node, until Ctrl-C.

    A line is printed whenever a node joins, leaves or dies: start another one with
    `respcache serve --join`, or stop one of these by its process number. Settings in the environment are not for
    these nodes.
    """
    if ignored := sorted(name for name in os.environ if name.startswith(VARIABLE_PREFIX)):
        click.secho(f"ignored, for all nodes would want one port: {', '.join(ignored)}", fg="yellow", err=True)
    starts = [
        _arguments(port + place if port else 0, http_port + place if http_port else 0, replica_count)
        for place in range(nodes)
    ]
    asyncio.run(_demo(starts))


def news(before: dict[str, SeenNode], now: dict[str, SeenNode]) -> list[tuple[News, SeenNode]]:
    """Compare two views of a cluster, nodes by address: what happened, and to which node."""
    gone = [(News.LEFT, node) for address, node in before.items() if address not in now and node.state != "dead"]
    come = [(News.JOINED, node) for address, node in now.items() if address not in before and node.state != "dead"]
    changed = [
        (OF_STATE[node.state], node)
        for address, node in now.items()
        if address in before and node.state != before[address].state
    ]
    return gone + come + changed


async def _demo(starts: list[list[str]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    processes: list[Process] = []
    try:
        first, *others = starts
        processes.append(await _spawn(first))
        children = [await _child(processes[0])]
        for arguments in others:
            node = _spawn([*arguments, "--join", children[0].ready.cluster])
            processes.append(await node)  # those before it must be ended if this one fails
        children += await asyncio.gather(*(_child(process) for process in processes[1:]))
        _introduce(children)
        await _watch(children, stop)
    finally:
        with suppress(OSError):  # the terminal may be gone; the nodes must not stay for that
            click.echo("stopping ...")
        await asyncio.gather(*(_end(process) for process in processes))


def _arguments(port: int, http_port: int, replica_count: int) -> list[str]:
    flags = {
        "bind": HOST,
        "port": port,
        "cluster-port": 0,  # nobody needs to know it; ten thousand above the RESP port somebody else may listen
        "http-port": http_port,
        "environment": ENVIRONMENT,
        "replica-count": replica_count,
        "loglevel": "warning",
    }
    return ["--end-with-stdin", *(f"--{name}={value}" for name, value in flags.items())]


async def _spawn(arguments: list[str]) -> Process:
    """Start a node in a session of its own, so that Ctrl-C reaches it through us only.

    Its standard input ends when we do, however that comes about, and the node with it. The
    settings in our environment are not for it: they would let all nodes want one port.
    """
    environment = {name: text for name, text in os.environ.items() if not name.startswith(VARIABLE_PREFIX)}
    program = (sys.executable, "-P", "-m", "respcache", "serve", *arguments)
    return await asyncio.create_subprocess_exec(
        *program, stdin=PIPE, stdout=PIPE, start_new_session=True, env=environment
    )


async def _child(process: Process) -> Child:
    """Wait until a node serves. Raises ClickException if it does not come to that."""
    assert process.stdout is not None  # it was asked for
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            line = await process.stdout.readline()
    except TimeoutError:
        raise click.ClickException(f"process {process.pid} did not get ready in {START_TIMEOUT_S:g} s") from None
    ready = Ready.parse(line.decode())
    if ready is None:
        raise click.ClickException(f"process {process.pid} did not start; it said why above")
    return Child(process, ready)


def _introduce(children: list[Child]) -> None:
    for child in children:
        node = click.style(child.ready.resp, bold=True)
        metrics = f"  metrics http://{child.ready.http}/metrics" if child.ready.http else ""
        click.echo(f"node {node}  process {child.process.pid}{metrics}")
    first = children[0].ready
    port = first.resp.rpartition(":")[2]
    click.echo(f"\nTry any node:  redis-cli -p {port} set greeting hello")
    serve = f"{sys.executable} -P -m respcache serve --environment {ENVIRONMENT} --port 0 --http-port 0"
    click.echo(f"One more node: {serve} --join {first.resp}")
    click.echo("One fewer:     kill <process>\nStop all:      Ctrl-C\n")


async def _watch(children: list[Child], stop: asyncio.Event) -> None:
    """Print what happens to the cluster until told to stop. Raises ClickException when no process is left."""
    reader = StatusReader([child.ready.http for child in children])
    known: dict[str, SeenNode] = {}
    running = children
    try:
        while not stop.is_set():
            running = _still(running)
            if not running:
                raise click.ClickException("no node is left")
            view = await asyncio.to_thread(reader.members)
            for happened, node in news(known, view) if known and view else []:
                told, colour = happened.value
                alive = sum(node.state == "alive" for node in view.values())
                click.secho(f"{told.format(node)}; nodes: {alive}", fg=colour)
            known = view or known
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await stop.wait()
    finally:
        reader.close()


def _still(running: list[Child]) -> list[Child]:
    """Tell which processes have ended since the last time, and return the others."""
    for child in running:
        status = child.process.returncode
        if status is not None:
            how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"exited with {status}"
            click.secho(f"process {child.process.pid} {how}: node {child.ready.resp}", fg="red" if status else "yellow")
    return [child for child in running if child.process.returncode is None]


async def _end(process: Process) -> None:
    """Tell a node to leave, and see to it that it does."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
