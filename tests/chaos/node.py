"""A node as `respcache serve` runs it, that can be woken at once and shows its memory when asked.

Run as a program with the flags of `respcache serve` behind the name of a file. Everything is
imported, then a line on standard input starts the node, so that one which died is back
within a fraction of a second. SIGUSR1 makes it write a `Memory` to the file.
"""

import asyncio
import hashlib
import os
import signal
import sys
from pathlib import Path

import click
import msgspec
import uvloop

from respcache.cli.flags import config_flags, given
from respcache.cli.serve import INCOMPLETE, _ready
from respcache.config import Config
from respcache.node import Node
from respcache.options import load
from respcache.store.texts import Text, whole


class Memory(msgspec.Struct, frozen=True):
    """What one node holds, and what it believes of who holds what."""

    name: str
    version: tuple[int, int]
    digests: list[str]
    """Of each partition's keys, values and deadlines in all databases; empty for an empty partition."""
    primaries: list[str]
    in_sync: list[tuple[str, ...]]
    learners: int
    serving: list[bool]


def memory_of(node: Node) -> Memory:
    """Look into a node."""
    runtime = node._runtime
    assert runtime is not None
    record = runtime.keeper._register.record
    assert record is not None
    digests = []
    for number in range(len(record.entries)):
        digest = hashlib.sha256()
        empty = True
        for keyspace in runtime.store.used():
            partition = keyspace.partitions[number]
            for key in sorted(partition.values):
                empty = False
                value = partition.values[key]
                value = whole(value) if isinstance(value, Text) else value
                digest.update(repr((partition.database, key, value, partition.expires.get(key))).encode())
        digests.append("" if empty else digest.hexdigest())
    return Memory(
        name=node.name,
        version=record.version,
        digests=digests,
        primaries=[entry.primary for entry in record.entries],
        in_sync=[entry.in_sync for entry in record.entries],
        learners=sum(len(entry.learners) for entry in record.entries),
        serving=[log is not None for log in runtime.keeper.serving],
    )


async def run(settings: Config, file: Path) -> bool:
    """Run one node until SIGTERM; return whether it has handed everything over."""
    node = Node(settings)
    loop = asyncio.get_running_loop()

    def show() -> None:
        half = file.with_suffix(".half")
        half.write_bytes(msgspec.msgpack.encode(memory_of(node)))
        half.replace(file)

    loop.add_signal_handler(signal.SIGTERM, node.stopping.set)
    await node.start()
    loop.add_signal_handler(signal.SIGUSR1, show)
    click.echo(_ready(node))
    await node.stopping.wait()
    return await node.close()


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@config_flags
def main(file: Path, config: Path | None, **flags: str | None) -> None:
    """Wait for a line, then run."""
    settings = load(file=config, environment=os.environ, flags=given(flags))
    if sys.stdin.readline() and not uvloop.run(run(settings, file)):
        raise SystemExit(INCOMPLETE)


if __name__ == "__main__":
    main()
